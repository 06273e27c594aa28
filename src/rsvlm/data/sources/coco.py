"""Boxes and captions in COCO JSON, and in HIT-UAV's variant of it (keys `annotation` and `filename`)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import ImageIndex, candidate_folders, class_words, hashed_split, ordered_box, read_json
from rsvlm.data.sources.records import text
from rsvlm.errors import BadInput
from rsvlm.sample import Box, Image, Point, Region, Sample, Turn

IGNORED = ("dontcare",)  # HIT-UAV: places its authors could not tell; neither object nor background
_SPLITS = ("train", "val", "test")


def read(folder: Path, name: str, *, split_of: Callable[[str], str] = hashed_split) -> Iterator[Sample]:
    """One Sample per image of every annotation file in `folder` (or of the one file given).

    A file whose name contains train, val or test has that split; else it is `split_of` the picture's name. Crowd and
    DontCare boxes go to `meta["ignore"]` as [x1, y1, x2, y2]: they are not objects to count. Captions become one
    caption turn. RLE masks and outlines of several rings stay in `meta["segmentation"]` by region number.
    """
    seen: dict[str, int] = {}
    for path in _files(folder):
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
        data = read_json(path)
        split = next((split for split in _SPLITS if split in path.stem.lower()), "")
        try:
            yield from _samples(data, name, split, split_of, root, seen)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BadInput(
                f"{path} is not a COCO file ({type(error).__name__}: {error}); expected images and annotations."
            ) from error


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    for place in (folder / "annotations", folder, folder / "normal_json" / "annotations"):
        paths = sorted(place.glob("instances*.json")) or sorted(
            path for path in place.glob("*.json") if path.stem.lower() in _SPLITS
        )
        if paths:
            return paths
    paths = sorted((folder / "annotations").glob("*.json")) or sorted(folder.glob("*.json"))
    if not paths:
        raise BadInput(f"{folder} holds no COCO JSON; expected instances*.json in it or in annotations/.")
    return paths


def _samples(
    data: Any, name: str, split: str, split_of: Callable[[str], str], root: Path, seen: dict[str, int]
) -> Iterator[Sample]:
    if not isinstance(data, Mapping):
        raise TypeError("the file holds no object")
    by_image = _linked(data)
    labels = {str(item["id"]): text(item["name"]) for item in data.get("categories", ())}
    guesses = (f"{split}2017", f"{split}2014", f"images/{split}", split) if split else ()
    index = ImageIndex(candidate_folders(root, *guesses, "images", "imgs", "JPEGImages"))
    for item in data["images"]:
        file = item.get("file_name") or item["filename"]
        image = Image(
            path=index(file, root / "images"), width=int(item.get("width", 0)), height=int(item.get("height", 0))
        )
        regions, turns, meta = _contents(by_image[str(item["id"])], labels)
        number = seen[file] = seen.get(file, 0) + 1  # one name in two files (captions and instances) stays unique
        yield Sample(
            id=f"{name}/{file}" if number == 1 else f"{name}/{file}#{number}",
            images=(image,), turns=turns, regions=regions, source=name, split=split or split_of(file), meta=meta,
        )  # fmt: skip


def _linked(data: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """The annotations of each image. Ids are compared as text: 1 and "1" are written for one another.

    Raises BadInput for annotations of no image, and for two images of one id.
    """
    images = Counter(str(item["id"]) for item in data["images"])
    if twice := [name for name, count in images.items() if count > 1]:
        raise BadInput(
            f"{len(twice)} image ids of the COCO file stand there twice, the first is {twice[0]}; number anew."
        )
    by_image: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for item in data.get("annotations") or data.get("annotation") or ():
        by_image[str(item["image_id"])].append(item)
    if unknown := [name for name in by_image if name not in images]:
        raise BadInput(
            f"{sum(len(by_image[name]) for name in unknown)} annotations of the COCO file are of images that it does "
            f"not list, the first of image_id {unknown[0]}; expected each image_id among images."
        )
    return by_image


def _contents(
    items: Sequence[Mapping[str, Any]], labels: Mapping[Any, str]
) -> tuple[tuple[Region, ...], tuple[Turn, ...], dict[str, Any]]:
    regions: list[Region] = []
    ignore: list[Box] = []
    without_area = 0
    outlines: dict[str, Any] = {}
    captions = tuple(item["caption"].strip() for item in items if "caption" in item)
    for item in items:
        if "bbox" not in item:
            continue
        x, y, width, height = (float(number) for number in item["bbox"] or (0, 0, 0, 0))
        box = ordered_box(x, y, x + width, y + height)
        if box is None:
            without_area += 1
            continue
        label = class_words(labels[str(item["category_id"])])
        if item.get("iscrowd") or label.replace(" ", "") in IGNORED:
            ignore.append(box)
            continue
        ring = _ring(item.get("segmentation"), box)
        if ring is None:
            outlines[str(len(regions))] = item["segmentation"]
        regions.append(Region(label=label, box=box, polygon=ring or ()))
    turns = (Turn(task="caption", question="", answer=captions[0], references=captions),) if captions else ()
    meta: dict[str, Any] = {"ignore": [list(box) for box in ignore]} if ignore else {}
    meta |= {"boxes_without_area": without_area} if without_area else {}
    return tuple(regions), turns, meta | ({"segmentation": outlines} if outlines else {})


def _ring(segmentation: Any, box: Box) -> tuple[Point, ...] | None:
    """The one ring of a polygon; () where there is none or it only repeats the box; None where it needs more."""
    if not segmentation:
        return ()
    if not isinstance(segmentation, list) or len(segmentation) > 1:
        return None
    flat = [float(number) for number in segmentation[0]]
    ring = tuple(zip(flat[::2], flat[1::2], strict=True))
    corners = {(x, y) for x in box[::2] for y in box[1::2]}
    return () if len(ring) <= 4 and set(ring) == corners else ring
