"""Cold `rsvlm ask` after first use: a new process from start to answer, beside a bare script on transformers.

The bare script only imports torch and transformers, loads the same language model and generates as many tokens: it has
no picture, no tower and no georeference, so it is a lower bound of what a user would write.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from rsvlm.assets import language_model

ROUNDS = 3
BARE = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
t = AutoTokenizer.from_pretrained(sys.argv[1])
m = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
print(t.decode(m.generate(**t("Describe this image.", return_tensors="pt"), max_new_tokens=16)[0]))
"""


def main(scene: str | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if scene is None:
            scene = str(Path(folder) / "scene.png")
            Image.fromarray(np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)).save(scene)
        rsvlm = [sys.executable, "-m", "rsvlm", "ask", scene, "Describe this image.", "--quiet"]
        bare = [sys.executable, "-c", BARE, str(language_model())]
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(ROUNDS + 1):
            for side, command in (("ours", rsvlm), ("bare", bare)):
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times[side].append(time.perf_counter() - start)
    ours, other = (median(seconds[1:]) for seconds in times.values())
    figures = {"ours_s": round(ours, 2), "bare_transformers_s": round(other, 2), "ratio": round(other / ours, 2)}
    print(json.dumps({"benchmark": "cold_ask", "target_s": 6, **figures}))


if __name__ == "__main__":
    main(*sys.argv[1:])
