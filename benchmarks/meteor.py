"""METEOR of 10,000 captions x 5 references: ours against pycocoevalcap's, which runs the Java program.

The captions are RSICD's below RSVLM_DATA: real images with their own five references, then images made of five
captions of other images of one class. A candidate is another caption of the class or a reference with words changed.
Each side runs in a fresh process and is timed from its first call on: Java starts and loads its tables, ours loads
them from the cache (`warm`) or compiles them first (`cold`, once on a machine). All scores must be equal to 1e-9.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from rsvlm.data.catalogue import load

IMAGES, REFERENCES, ROUNDS = 10_000, 5, 3
DATA = Path(os.environ.get("RSVLM_DATA", Path(__file__).parents[2] / "shared" / "data"))


def captions() -> tuple[list[str], list[list[str]], int]:
    """Candidates, references, and how many of the images are real ones."""
    rng = random.Random(0)
    classes, told, kinds = defaultdict(list), [], []
    for sample in load("rsicd", DATA, "all"):
        kind = sample.id.split("/")[-1].split("_")[0]
        classes[kind] += sample.turns[0].references
        told.append(list(sample.turns[0].references))
        kinds.append(kind)
    real = len(told)
    while len(told) < IMAGES:
        kinds.append(rng.choice(kinds[:real]))
        told.append(rng.sample(classes[kinds[-1]], REFERENCES))
    words = sorted({word for kind in classes.values() for caption in kind for word in caption.split()})
    said = []
    for kind, references in zip(kinds, told, strict=True):
        caption = rng.choice(classes[kind] if rng.random() < 0.7 else references).split()
        for _ in range(rng.randint(0, 3)):
            caption[rng.randrange(len(caption))] = rng.choice(words)
        said.append(" ".join(caption))
    return said[:IMAGES], told[:IMAGES], min(real, IMAGES)


def side(name: str) -> None:
    """Time one side in this process."""
    said, told, _ = captions()
    if name == "java":
        from pycocoevalcap.meteor.meteor import Meteor

        start = time.perf_counter()
        value, each = Meteor().compute_score(dict(enumerate(told)), {i: [text] for i, text in enumerate(said)})
    else:
        from rsvlm.metrics.text.meteor import meteor

        start = time.perf_counter()
        score = meteor(said, told)
        value, each = score.value, score.per_item.tolist()
    print(json.dumps({"seconds": time.perf_counter() - start, "scores": [value, *each]}))


def fresh(name: str, cache: str) -> dict[str, list[float]]:
    """The side in a new process."""
    done = subprocess.run(
        [sys.executable, __file__, name], stdout=subprocess.PIPE, check=True, env={**os.environ, "RSVLM_CACHE": cache}
    )
    return json.loads(done.stdout)


def main() -> None:
    said, told, real = captions()
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as cache:
            runs = {name: fresh(name, cache) for name in ("cold", "warm", "java")}
        for name, run in runs.items():
            seconds[name].append(run["seconds"])
            gap = max(abs(a - b) for a, b in zip(run["scores"], runs["java"]["scores"], strict=True))
            assert gap < 1e-9, (name, gap)
    middle = {name: median(values) for name, values in seconds.items()}
    print(json.dumps({
        "benchmark": "meteor", "images": IMAGES, "references": REFERENCES, "real_images": real,
        "distinct_pairs": len({(text, other) for text, many in zip(said, told, strict=True) for other in many}),
        "seconds": {name: round(value, 3) for name, value in middle.items()},
        "ratio": {name: round(middle["java"] / middle[name], 2) for name in ("warm", "cold")},
        "target_ratio": 5.0, "equal_to": 1e-9,
    }))  # fmt: skip


if __name__ == "__main__":
    side(sys.argv[1]) if len(sys.argv) > 1 else main()
