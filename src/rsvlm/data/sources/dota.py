"""Turned boxes in DOTA's text files (arXiv 1711.10398): `x1 y1 .. x4 y4 class difficult` a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import ImageIndex, candidate_folders, class_words, hashed_split
from rsvlm.data.text_file import read_lines
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Point, Region, Sample

_LABELS = ("labelTxt", "labelTxt-v2.0", "labelTxt-v1.5", "labelTxt-v1.0")
_HEADERS = ("imagesource", "gsd", "acquisition dates")


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per label file below `train`, `val`, `test`, or straight below `folder` (then `hashed_split`).

    The four corners are the region's polygon, their bounds its box. `meta` has `imagesource`, `gsd` (metres) where the
    file tells them, and the numbers of the `difficult` regions. `folder` may be a single label file.
    """
    found = False
    for root, split in ((folder / "train", "train"), (folder / "val", "val"), (folder / "test", "test"), (folder, "")):
        paths = [folder] if folder.is_file() and not split else _label_files(root)
        pictures = ImageIndex(candidate_folders(root if root.is_dir() else root.parent.parent, "images"))
        for path in paths:
            found = True
            yield _sample(path, name, pictures, split or hashed_split(path.name), root)
        if found and split == "test":
            return  # the set is laid out by split
    if not found:
        raise BadInput(f"{folder} holds no DOTA label files; expected labelTxt/*.txt, in it or in train/ and val/.")


def _label_files(root: Path) -> list[Path]:
    for label_folder in _LABELS:
        for place in (root / label_folder, root / label_folder / "labelTxt"):
            paths = sorted(place.glob("*.txt")) if place.is_dir() else []
            if paths:
                return paths
    return []


def _sample(path: Path, name: str, index: ImageIndex, split: str, root: Path) -> Sample:
    meta: dict[str, Any] = {}
    regions: list[Region] = []
    difficult: list[int] = []
    for number, line in enumerate(read_lines(path), 1):
        key, colon, value = line.partition(":")
        if colon and key.strip().lower() in _HEADERS:
            meta |= _header(key.strip().lower(), value.strip())
            continue
        fields = line.replace(",", " ").split()
        if not fields:
            continue
        try:
            region = _region(fields)
        except (ValueError, IndexError) as error:
            raise BadInput(f"{path} line {number} reads {line[:60]!r}; expected eight numbers and a class.") from error
        if fields[-1] != "0" and _flagged(fields):
            difficult.append(len(regions))
        regions.append(region)
    if difficult:
        meta["difficult"] = difficult
    image = Image(path=index(f"{path.stem}.png", root / "images"))
    return Sample(
        id=f"{name}/{path.stem}", images=(image,), regions=tuple(regions), source=name, split=split, meta=meta
    )


def _header(key: str, value: str) -> dict[str, Any]:
    if key != "gsd":
        return {key: value} if value else {}
    try:
        return {"gsd": float(value)}
    except ValueError:  # DOTA writes "gsd:null" where it is not known
        return {}


def _region(fields: list[str]) -> Region:
    if not fields[8:]:
        raise ValueError("no class")
    numbers = [float(field) for field in fields[:8]]
    ring: tuple[Point, ...] = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    bounds = (min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2]))
    label = fields[8:-1] if _flagged(fields) else fields[8:]
    return Region(label=class_words(" ".join(label)), box=bounds, polygon=ring)


def _flagged(fields: list[str]) -> bool:
    """Whether the difficult flag stands behind the class, whose name may have blanks."""
    return len(fields) > 9 and fields[-1] in ("0", "1", "2")
