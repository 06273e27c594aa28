"""Change captions: LEVIR-CC (with LEVIR-MCI's masks where they are) and SECOND-CC, in Karpathy's JSON with two dates.

Records are `{"filepath", "filename", "split", "changeflag", "sentences": [{"raw"}]}`. Layouts from the data sets' own
pages, the loaders of Change-Agent (label.png: 0 nothing, 128 road, 255 building) and of SecondCC, and from the loaders
of others; not verified on the real files.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.sources.label_files import mask_regions, read_label
from rsvlm.data.sources.layout import find_file, normalize_split, read_json
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Region, Sample, Turn

# The five sentences of LEVIR-CC's annotators for a pair without change, and the two that SECOND-CC spells otherwise.
NO_CHANGE = (
    "the scene is the same as before", "there is no difference", "the two scenes seem identical",
    "no change has occurred", "almost nothing has changed", "no change is occurred", "almost nothing is changed",
)  # fmt: skip
MCI_CLASSES = {"road": 128, "building": 255}
_ASK_MASKS = tuple(Turn(task="change_mask", question=kind, answer="", kind=kind) for kind in MCI_CLASSES)


def read_levir(folder: Path, name: str, *, masks: bool = False) -> Iterator[Sample]:
    """One Sample per pair of LEVIR-CC: `images/<split>/{A,B}/<file>`; `kind` is changed or unchanged.

    With `masks` (LEVIR-MCI) the pixels of changed roads and buildings, of the second image, are its regions, and there
    is a `change_mask` turn a class, asked by its name; a pair without a label picture raises BadInput.
    """
    path = find_file(folder, "LevirCCcaptions.json", "*/LevirCCcaptions.json")
    root = path.parent / "images"
    for item, split, turn in _records(path):
        # Both names of the folder occur; they disagree in no published record.
        place = root / str(item.get("filepath") or split)
        file = str(item["filename"])
        yield Sample(
            id=f"{name}/{file}", images=_pair(place / "A" / file, place / "B" / file),
            turns=(turn, *_ASK_MASKS) if masks else (turn,),
            regions=_masks(place / "label" / file) if masks else (), source=name, split=split,
        )  # fmt: skip


def read_second(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per pair of SECOND-CC: `<split>/rgb/{A,B}/<file>`.

    `meta["maps"]` are the paths of its two semantic maps where they are there: they are drawn only where something
    changed, so a model that sees them knows the answer.
    """
    path = find_file(folder, "SECOND-CC*.json", "*/SECOND-CC*.json")
    for item, split, turn in _records(path):
        place, file = path.parent / split, str(item["filename"])
        maps = [place / "sem" / date / file for date in "AB"]
        meta = {"maps": [str(one.resolve()) for one in maps]} if all(one.is_file() for one in maps) else {}
        yield Sample(
            id=f"{name}/{split}/{file}", images=_pair(place / "rgb" / "A" / file, place / "rgb" / "B" / file),
            turns=(turn,), source=name, split=split, meta=meta,
        )  # fmt: skip


def _records(path: Path) -> Iterator[tuple[Mapping[str, Any], str, Turn]]:
    """Each record with its split and its captions."""
    data = read_json(path)
    try:
        for item in data["images"]:
            captions = tuple(text for s in item["sentences"] if (text := s["raw"].strip()))
            if not captions:
                raise ValueError(f"{item['filename']} has no sentence")
            changed = bool(item["changeflag"]) if "changeflag" in item else any(map(says_change, captions))
            kind = "changed" if changed else "unchanged"
            turn = Turn(task="change_caption", question="", answer=captions[0], references=captions, kind=kind)
            yield item, normalize_split(item["split"]), turn
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(
            f"{path} is not a change caption file ({type(error).__name__}: {error}); expected images with filename, "
            "split, changeflag and sentences[].raw."
        ) from error


def says_change(caption: str, no_change: Collection[str] = NO_CHANGE) -> bool:
    """False for one of the no-change sentences (case, full stops and blanks do not count), True for any other."""
    return " ".join(caption.lower().replace(".", " ").split()) not in no_change


def _pair(before: Path, after: Path) -> tuple[Image, Image]:
    return Image(path=str(before.resolve())), Image(path=str(after.resolve()))


def _masks(path: Path) -> tuple[Region, ...]:
    if not path.is_file():
        raise BadInput(f"There is no label picture {path}; bring LEVIR-MCI's label folders, or read levir_cc.")
    values = read_label(path)
    return tuple(region for kind, value in MCI_CLASSES.items() for region in mask_regions(kind, values == value, 1))
