"""Ask a scene questions, and put the places that support the answers into a GeoJSON file for a map.

python examples/ask_a_scene.py scene.tif answer.geojson
"""

import json
import sys
from pathlib import Path

import rsvlm

QUESTIONS = ["Describe this image.", "What land cover is this?", "Is there water?"]


def main(scene: str, target: str) -> None:
    """Print the answers about `scene`, and write their regions to `target`."""
    model = rsvlm.load("mini")
    features = []
    for answer in model.ask(scene, QUESTIONS):
        print(f"{answer.question} {answer.answer} (confidence {answer.confidence:.2f})")
        features.extend(answer.regions)
    Path(target).write_text(json.dumps({"type": "FeatureCollection", "features": features}))


if __name__ == "__main__":
    main(*sys.argv[1:])
