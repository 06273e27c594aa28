"""Boxes in Pascal VOC XML: the devkit's layout (Annotations, JPEGImages, ImageSets/Main), DIOR's, and Ships'."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import (
    SPLITS,
    ImageIndex,
    candidate_folders,
    class_words,
    hashed_split,
    ordered_box,
    split_lists,
)
from rsvlm.errors import BadInput
from rsvlm.lfs import refuse_pointer
from rsvlm.sample import Image, Point, Region, Sample

ANNOTATIONS = ("Annotations", "annotations", "Annotations/Horizontal Bounding Boxes", "xml")
PICTURES = ("JPEGImages", "images", "imgs", "JPEGImages-trainval", "JPEGImages-test")


def read(
    folder: Path, name: str, *, first_pixel: int = 1, split_of: Callable[[str], str] = hashed_split
) -> Iterator[Sample]:
    """One Sample per XML file, regions only. `folder` may be a single XML file.

    `first_pixel` is the number of the left-most pixel column: 1 in the VOC devkit, whose boxes are inclusive (so xmin
    - 1 .. xmax are outer edges), 0 where edges are written as they are. The split comes from `ImageSets/Main`, else
    it is `split_of` the file name.
    """
    if folder.is_file():
        paths, root = [folder], folder.parent.parent if folder.parent.name in ANNOTATIONS else folder.parent
    else:
        places = [place for place in candidate_folders(folder, *ANNOTATIONS) if place.is_dir()]
        paths, root = next((found for place in places if (found := sorted(place.glob("*.xml")))), []), folder
    if not paths:
        raise BadInput(f"{folder} holds no VOC XML files; expected them in Annotations/ or annotations/.")
    index = ImageIndex(candidate_folders(root, *PICTURES))
    lists = {split: root / "ImageSets" / "Main" / f"{split}.txt" for split in SPLITS}
    published = split_lists(lists, {path.stem for path in paths[0].parent.glob("*.xml")})
    for path in paths:
        yield _sample(path, name, index, first_pixel, published.get(path.stem) or split_of(path.name))


def _sample(path: Path, name: str, index: ImageIndex, first_pixel: int, split: str) -> Sample:
    """A file of 0 bytes says nothing about its picture: no region, and the split "unlisted"."""
    empty = path.stat().st_size == 0
    try:
        root = ET.Element("annotation") if empty else ET.parse(path).getroot()
        size = tuple(int(float(node_text(root, f"size/{side}") or 0)) for side in ("width", "height"))
        objects = [(item, region) for item in root.findall("object") if (region := object_region(item, first_pixel))]
    except (ET.ParseError, ValueError, OverflowError) as error:
        refuse_pointer(path)
        raise BadInput(f"{path} is not a Pascal VOC annotation: {error}.") from error
    # The picture of the file's own name goes first: <filename> is often that of an older copy.
    picture = index.find(path.stem) or index(node_text(root, "filename") or f"{path.stem}.jpg", path.parent)
    difficult = [number for number, (item, _) in enumerate(objects) if node_text(item, "difficult") == "1"]
    without_area = len(root.findall("object")) - len(objects)
    meta: dict[str, Any] = {"difficult": difficult} if difficult else {}
    meta |= {"boxes_without_area": without_area} if without_area else {}
    meta |= {"empty_annotation": True} if empty else {}
    return Sample(
        id=f"{name}/{path.stem}", images=(Image(path=picture, width=size[0], height=size[1]),),
        regions=tuple(region for _, region in objects), source=name, split="unlisted" if empty else split, meta=meta,
    )  # fmt: skip


def node_text(node: ET.Element, key: str) -> str:
    """The text at `key` below a node, stripped; "" where there is none."""
    return (node.findtext(key) or "").strip()


def object_region(item: ET.Element, first_pixel: int) -> Region | None:
    """The labelled box of an `object`, corners put in order; None where it has no area. ValueError without a number."""
    label = class_words(node_text(item, "name"))
    if item.find("robndbox") is not None:  # DIOR-R's oriented boxes: four corners
        corner_names = ("left_top", "right_top", "right_bottom", "left_bottom")
        ring: tuple[Point, ...] = tuple(
            (_number(item, f"robndbox/x_{corner}"), _number(item, f"robndbox/y_{corner}")) for corner in corner_names
        )
        xs, ys = [x for x, _ in ring], [y for _, y in ring]
        return Region(label=label, box=(min(xs), min(ys), max(xs), max(ys)), polygon=ring)
    x1, y1, x2, y2 = (_number(item, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
    if x2 < x1 - first_pixel:  # dragged from the right; one pixel less is an empty box, not a turned one
        x1, x2 = x2, x1
    if y2 < y1 - first_pixel:
        y1, y2 = y2, y1
    box = ordered_box(x1 - first_pixel, y1 - first_pixel, x2, y2)
    return Region(label=label, box=box) if box else None


def _number(item: ET.Element, key: str) -> float:
    text = node_text(item, key)
    if not text:
        raise ValueError(f"an object has no {key}")
    return float(text)
