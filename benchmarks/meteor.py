"""METEOR of 10,000 captions x 5 references: ours against pycocoevalcap's, which runs the Java program.

The captions are RSICD's below RSVLM_DATA: real images with their own five references, then images made of five
captions of other images of one class. A candidate is another caption of the class or a reference with words changed.
Each side runs in a fresh process and is timed from its first call on: Java starts and loads its tables, ours loads
them from the cache (`warm`) or compiles them first (`cold`, once on a machine). All scores must be equal to 1e-9.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from harness import medians, ratio, run, timed
from rsvlm.data.catalogue import load
from rsvlm.errors import BadInput, MissingPart

IMAGES, REFERENCES, ROUNDS = 10_000, 5, 3
SIDES = ("cold", "warm", "java")
MADE = {  # instead of RSICD's at the smallest size
    "airport": ["many planes are parked near a terminal .", "an airport with two runways and some green lawns ."],
    "beach": ["white waves roll onto the yellow sand .", "a beach lies between green water and a road ."],
}


def captions(images: int) -> tuple[list[str], list[list[str]], int]:
    """Predictions, references, and how many of the images are real ones; MADE for fewer than ten images.

    Raises MissingPart where RSICD is not below RSVLM_DATA.
    """
    rng = random.Random(0)
    classes, references, kinds = defaultdict(list), [], []
    for kind, own in ((k, c * REFERENCES) for k, c in MADE.items()) if images < 10 else rsicd():
        classes[kind] += own
        references.append(own[:REFERENCES])
        kinds.append(kind)
    real = len(references)
    while len(references) < images:
        kinds.append(rng.choice(kinds[:real]))
        references.append(rng.sample(classes[kinds[-1]], REFERENCES))
    words = sorted({word for kind in classes.values() for caption in kind for word in caption.split()})
    predictions = []
    for kind, own in zip(kinds, references, strict=True):
        caption = rng.choice(classes[kind] if rng.random() < 0.7 else own).split()
        for _ in range(rng.randint(0, 3)):
            caption[rng.randrange(len(caption))] = rng.choice(words)
        predictions.append(" ".join(caption))
    return predictions[:images], references[:images], min(real, images) if images >= 10 else 0


def rsicd() -> list[tuple[str, list[str]]]:
    """Class and captions of every image."""
    try:
        samples = load("rsicd", os.environ.get("RSVLM_DATA", ""), "all")
    except BadInput as error:
        raise MissingPart(f"RSICD is needed below RSVLM_DATA: {error}") from error
    return [(sample.id.split("/")[-1].split("_")[0], list(sample.turns[0].references)) for sample in samples]


def java(predictions: list[str], references: list[list[str]]) -> list[float]:
    """The corpus's score and each item's, of pycocoevalcap."""
    from pycocoevalcap.meteor.meteor import Meteor

    value, each = Meteor().compute_score(dict(enumerate(references)), {i: [text] for i, text in enumerate(predictions)})
    return [value, *each]


def ours(predictions: list[str], references: list[list[str]]) -> list[float]:
    """The corpus's score and each item's, of rsvlm."""
    from rsvlm.metrics.text.meteor import meteor

    score = meteor(predictions, references)
    return [score.value, *score.per_item.tolist()]


def one(side: str, images: str) -> None:
    """Time one side in this process."""
    predictions, references, _ = captions(int(images))
    seconds, scores = timed(lambda: (java if side == "java" else ours)(predictions, references))
    print(json.dumps({"seconds": seconds, "scores": scores}))


def fresh(side: str, images: int, cache: dict[str, str]) -> dict[str, Any]:
    """The side in a new process, with the variables `cache` in its environment."""
    command = [sys.executable, str(Path(__file__).resolve()), side, str(images)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ, **cache})
    return json.loads(done.stdout)


def main(*, smallest: bool) -> dict[str, Any]:
    if shutil.which("java") is None:
        raise MissingPart("java is not installed; pycocoevalcap's METEOR is a Java program.")
    images, sides = (4, SIDES[1:]) if smallest else (IMAGES, SIDES)
    predictions, references, real = captions(images)
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(1 if smallest else ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            cache = {} if smallest else {"RSVLM_CACHE": folder}  # the user's own has the tables, or keeps them
            runs = {side: fresh(side, images, cache) for side in sides}
        for side, made in runs.items():
            seconds[side].append(made["seconds"])
            gap = max(abs(a - b) for a, b in zip(made["scores"], runs["java"]["scores"], strict=True))
            assert gap < 1e-9, (side, gap)
    return {
        "images": images, "references": REFERENCES, "real_images": real,
        "distinct_pairs": len({(a, b) for a, many in zip(predictions, references, strict=True) for b in many}),
        "seconds": medians(seconds),
        "ratio": {side: ratio(seconds, side, "java", 2) for side in sides if side != "java"},
        "target_ratio": 5.0, "equal_to": 1e-9,
    }  # fmt: skip


if __name__ == "__main__":
    one(*sys.argv[1:]) if sys.argv[1:2] and sys.argv[1] in SIDES else run(main)
