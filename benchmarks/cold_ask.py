"""Cold `rsvlm ask` after first use: a new process from start to answer, beside a bare script on transformers.

The bare script only imports torch and transformers, loads the same language model and generates as many tokens: it has
no picture, no tower and no georeference, so it is a lower bound of what a user would write.
"""

import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness import medians, ratio, run, take_turns
from rsvlm.assets import language_model
from rsvlm.systems.load import model_folder

ROUNDS = 3
BARE = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
t = AutoTokenizer.from_pretrained(sys.argv[1])
m = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
print(t.decode(m.generate(**t("Describe this image.", return_tensors="pt"), max_new_tokens=16)[0]))
"""


def main(scene: str = "", *, smallest: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        if not scene:
            scene, side = str(Path(folder) / "scene.png"), 64 if smallest else 512
            Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8)).save(scene)
        ours, language = tiny(Path(folder)) if smallest else (str(model_folder("mini")), str(language_model()))
        commands = {
            "ours_s": [sys.executable, "-m", "rsvlm", "ask", scene, "Describe this image.", "--quiet"],
            "bare_transformers_s": [sys.executable, "-c", BARE, language],
        }
        if smallest:
            commands["ours_s"] += ["--model", ours, "--max-new-tokens", "16"]
        sides = {
            side: partial(subprocess.run, command, check=True, capture_output=True, text=True)
            for side, command in commands.items()
        }
        seconds, done = take_turns(sides, ROUNDS, smallest=smallest)
    assert all(process.stdout.strip() for process in done.values()), "a side said nothing"
    return {"target_s": 6, **medians(seconds, 2), "ratio": ratio(seconds, "ours_s", "bare_transformers_s", 2)}


def tiny(folder: Path) -> tuple[str, str]:
    """The tiny model, and one like its language model in the files of transformers."""
    from harness.models import tiny_folder
    from rsvlm.parts.language.model import llama
    from rsvlm.recipe import read_recipe, shipped
    from rsvlm.systems.build import byte_tokenizer

    ours, language = folder / "tiny", folder / "language"
    ours.mkdir()
    numbers = read_recipe(shipped("lhrs_bot", "tiny")).model["language"]
    llama(**{name: value for name, value in numbers.items() if name not in ("base", "lora")}).model.save_pretrained(
        language
    )
    byte_tokenizer().save_pretrained(language)
    return str(tiny_folder(ours)), str(language)


if __name__ == "__main__":
    run(main)
