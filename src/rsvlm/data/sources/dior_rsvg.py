"""DIOR-RSVG (arXiv 2210.12634): VOC XML whose objects carry a `description`, and splits by number of the expression.

Layout from the authors' loader (ZhanYang-nwpu/RSVG-pytorch, `data_loader.py`): line k of `train.txt` is the running
number of an expression when all objects of all XML files are counted in the order of the sorted file paths. So an image
may have expressions in two splits.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from rsvlm.data.sources.layout import SPLITS, ImageIndex, candidate_folders, find_optional
from rsvlm.data.sources.voc import ANNOTATIONS, PICTURES, node_text, object_region
from rsvlm.data.text_file import read_text
from rsvlm.errors import BadInput
from rsvlm.lfs import refuse_pointer
from rsvlm.sample import Image, Region, Sample, Turn


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per expression, its box in `regions` as the authors read it (the numbers of the file, in pixels).

    Raises BadInput for a folder without XML files or without the three lists, a list that is not of numbers, and a
    number that no expression has: the XML files are then not those the lists were made for.
    """
    expressions = list(_expressions(folder))
    splits = _splits(folder)
    beyond = [number for number in splits if number >= len(expressions)]
    if beyond:
        raise BadInput(
            f"{folder}: {len(beyond)} numbers of the split lists name no expression (the first is {beyond[0]}, there "
            f"are {len(expressions)}); bring all XML files that the lists count."
        )
    index = ImageIndex(candidate_folders(folder, *PICTURES))
    for number, (file, size, region, phrase) in enumerate(expressions):
        if number in splits:
            image = Image(path=index(file, folder / PICTURES[0]), width=size[0], height=size[1])
            turn = Turn(task="ground", question=phrase, answer="")
            yield Sample(
                id=f"{name}/{number}", images=(image,), turns=(turn,), regions=(region,), source=name,
                split=splits[number], meta={"file": file},
            )  # fmt: skip


def training_images(folder: Path) -> set[str]:
    """Stems of the images with an expression in the training split: DIOR's picture numbers."""
    splits = _splits(folder)
    return {Path(file).stem for number, (file, *_) in enumerate(_expressions(folder)) if splits.get(number) == "train"}


def _expressions(folder: Path) -> Iterator[tuple[str, tuple[int, int], Region, str]]:
    places = (place for place in candidate_folders(folder, *ANNOTATIONS) if place.is_dir())
    paths = next((found for place in places if (found := sorted(place.rglob("*.xml"), key=str))), [])
    if not paths:
        raise BadInput(f"{folder} holds no VOC XML files; expected DIOR-RSVG's Annotations/*.xml.")
    for path in paths:
        try:
            root = ET.parse(path).getroot()
            file = node_text(root, "filename") or f"{path.stem}.jpg"
            width, height = (int(float(node_text(root, f"size/{side}") or 0)) for side in ("width", "height"))
            found = [(object_region(item, 0), node_text(item, "description")) for item in root.findall("object")]
        except (ET.ParseError, ValueError) as error:
            refuse_pointer(path)
            raise BadInput(f"{path} is not a DIOR-RSVG annotation: {error}.") from error
        for region, phrase in found:
            if region is None:
                raise BadInput(f"{path} has a box without area; take the authors' own file.")
            if not phrase:
                raise BadInput(f"{path} has an object without a description; this is DIOR, not DIOR-RSVG.")
            yield file, (width, height), region, phrase


def _splits(folder: Path) -> dict[int, str]:
    """Number of the expression -> split."""
    splits: dict[int, str] = {}
    for split in SPLITS:
        path = find_optional(folder, f"{split}.txt", f"*/{split}.txt")
        if path is None:
            raise BadInput(f"{folder} holds no {split}.txt; expected the lists train.txt, val.txt and test.txt.")
        try:
            numbers = [int(word) for word in read_text(path).split()]
        except ValueError as error:
            raise BadInput(f"{path} is not a list of expression numbers ({error}); take the authors' own.") from error
        splits |= dict.fromkeys(numbers, split)
    return splits
