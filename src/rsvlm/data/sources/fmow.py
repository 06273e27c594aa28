"""Functional Map of the World, RGB (arXiv 1711.07846): `<split>/<category>/<category>_<n>/<...>_rgb.jpg` and `.json`.

Layout from the authors' baseline code; not verified on the real files. Of each view there is a pan-sharpened
(`_rgb`) and a multispectral (`_msrgb`) picture: only the first is read.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import SPLITS, class_words, read_json
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Region, Sample, Turn

FALSE_DETECTION = "false_detection"  # boxes that hold none of the 62 categories


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per picture: its category as a scene, the boxes of that category in `regions` (pixels).

    The test pictures' categories are those of `test_gt/`; a `test/` without categories is left out, as are boxes
    marked `false_detection`. Raises BadInput where no split has pictures, or a JSON file is of another form.
    """
    found = False
    for split in SPLITS:
        for place in (folder / split, folder / f"{split}_gt"):
            for path in sorted(place.resolve().glob("*/*/*_rgb.jpg")):
                found = True
                regions = _regions(path.with_suffix(".json"))
                if not regions:
                    continue
                kind = regions[0].label
                turn = Turn(task="scene", question="", answer=class_words(kind), kind=kind)
                yield Sample(
                    id=f"{name}/{split}/{path.stem}", images=(Image(path=str(path)),), turns=(turn,),
                    regions=tuple(region for region in regions if region.label == kind), source=name, split=split,
                )  # fmt: skip
    if not found:
        raise BadInput(f"{folder} holds no train/<category>/<category>_<n>/*_rgb.jpg; give the folder of fMoW-rgb.")


def _regions(path: Path) -> list[Region]:
    try:
        listed: Any = read_json(path)["bounding_boxes"]
        boxes = [listed] if isinstance(listed, Mapping) else listed
        return [
            Region(label=box["category"], box=(x, y, x + width, y + height))
            for box in boxes
            if box.get("category", FALSE_DETECTION) != FALSE_DETECTION
            for x, y, width, height in [tuple(map(float, box["box"]))]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            f"{path} is not an fMoW file ({type(error).__name__}: {error}); expected boxes with a category."
        ) from error
