"""The class of one tile by likelihood over 30 classes, against one free answer of the same model and question.

And a scene like a NAIP quarter (934 x 723 pixels, 5 m, near infrared named) with four questions: with the rules of the
scene, against the bare words of the model (`raw`), which is what was there before.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from harness import medians, ratio, run, take_turns
from rsvlm.data.sources.scene_classes import CLASSES
from rsvlm.serve.assistant import Assistant
from rsvlm.systems.choices import choice_log_likelihoods
from rsvlm.systems.load import load

QUESTIONS = ["Describe this image.", "What land cover is this?", "Is there water?", "How many boats are there?"]
ROUNDS = 5


def main(model: str = "mini", *, smallest: bool) -> dict[str, Any]:
    answers: Any = load(model)
    tile = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    question, classes = "What is the scene category of this image?", CLASSES["aid"]
    tile_sides = {
        "likelihood_s": lambda: choice_log_likelihoods(answers, [tile], [question], classes[: 3 if smallest else 30]),
        "free_s": lambda: answers.answer([tile], [question], max_new_tokens=16),
    }
    seconds, _ = take_turns(tile_sides, ROUNDS, smallest=smallest)
    figures = {**medians(seconds), "likelihood_to_free": round(1 / ratio(seconds, "likelihood_s", "free_s"), 3)}
    with tempfile.TemporaryDirectory() as folder:
        scene = made(Path(folder) / "scene.tif", (64, 64) if smallest else (723, 934))
        assistant = Assistant(answers)
        scene_sides = {
            "rules_s": lambda: assistant.ask(scene, QUESTIONS),
            "raw_s": lambda: assistant.ask(scene, QUESTIONS, raw=True),
        }
        seconds, _ = take_turns(scene_sides, 2, smallest=smallest)
    return {"target_ratio": 1.5, **figures, **medians(seconds), "raw_to_rules": ratio(seconds, "rules_s", "raw_s")}


def made(path: Path, shape: tuple[int, int]) -> Path:
    """Red, green, blue and near infrared of meadows with a lake, uint8."""
    pixels = np.random.default_rng(1).integers(60, 90, (4, *shape)).astype(np.uint8)
    pixels[3] += 90
    pixels[:, : shape[0] // 3, : shape[1] // 3] = np.array([30, 60, 50, 10], np.uint8)[:, None, None]
    profile = {"driver": "GTiff", "height": shape[0], "width": shape[1], "count": 4, "dtype": "uint8"}
    with rasterio.open(path, "w", **profile, crs="EPSG:26914", transform=Affine(5, 0, 4e5, 0, -5, 5.2e6)) as file:
        file.write(pixels)
        file.descriptions = ("red", "green", "blue", "nir")
    return path


if __name__ == "__main__":
    run(main)
