"""Boxes in Pascal VOC XML: the devkit's layout (Annotations, JPEGImages, ImageSets/Main), DIOR's, and Ships'."""

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path

from rsvlm.data.sources.layout import ImageIndex, hashed_split, within, words
from rsvlm.errors import BadInput
from rsvlm.sample import Box, Image, Point, Region, Sample

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
        places = [place for place in within(folder, *ANNOTATIONS) if place.is_dir()]
        paths, root = next((found for place in places if (found := sorted(place.glob("*.xml")))), []), folder
    if not paths:
        raise BadInput(f"{folder} holds no VOC XML files; expected them in Annotations/ or annotations/.")
    index, published = ImageIndex(within(root, *PICTURES)), _published(root)
    for path in paths:
        yield _sample(path, name, index, first_pixel, published.get(path.stem) or split_of(path.name))


def _published(root: Path) -> dict[str, str]:
    lists = {split: root / "ImageSets" / "Main" / f"{split}.txt" for split in ("train", "val", "test")}
    return {
        line.split()[0]: split
        for split, path in lists.items()
        if path.is_file()
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    }


def _sample(path: Path, name: str, index: ImageIndex, first_pixel: int, split: str) -> Sample:
    try:
        root = ET.parse(path).getroot()
        filename = text_of(root, "filename") or f"{path.stem}.jpg"
        size = tuple(int(float(text_of(root, f"size/{side}") or 0)) for side in ("width", "height"))
        objects = root.findall("object")
        regions = tuple(region_of(item, first_pixel) for item in objects)
    except (ET.ParseError, ValueError) as error:
        raise BadInput(f"{path} is not a Pascal VOC annotation: {error}.") from error
    difficult = [number for number, item in enumerate(objects) if text_of(item, "difficult") == "1"]
    image = Image(path=index(filename, path.parent), width=size[0], height=size[1])
    meta = {"difficult": difficult} if difficult else {}
    return Sample(id=f"{name}/{path.stem}", images=(image,), regions=regions, source=name, split=split, meta=meta)


def text_of(node: ET.Element, key: str) -> str:
    """The text at `key` below a node, stripped; "" where there is none."""
    return (node.findtext(key) or "").strip()


def region_of(item: ET.Element, first_pixel: int) -> Region:
    """The labelled box of one `object`; ValueError where a number is missing."""
    label = words(text_of(item, "name"))
    if item.find("robndbox") is not None:  # DIOR-R's oriented boxes: four corners
        corner_names = ("left_top", "right_top", "right_bottom", "left_bottom")
        ring: tuple[Point, ...] = tuple(
            (_number(item, f"robndbox/x_{corner}"), _number(item, f"robndbox/y_{corner}")) for corner in corner_names
        )
        xs, ys = [x for x, _ in ring], [y for _, y in ring]
        return Region(label=label, box=(min(xs), min(ys), max(xs), max(ys)), polygon=ring)
    x1, y1, x2, y2 = (_number(item, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax"))
    box: Box = (x1 - first_pixel, y1 - first_pixel, x2, y2)
    return Region(label=label, box=box)


def _number(item: ET.Element, key: str) -> float:
    text = text_of(item, key)
    if not text:
        raise ValueError(f"an object has no {key}")
    return float(text)
