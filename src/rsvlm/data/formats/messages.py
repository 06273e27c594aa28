"""`messages` JSONL: `{"messages": [{"role", "content"}], "images": [...], "objects": {"ref", "bbox"}}`.

The row that ms-swift, LLaMA-Factory (with its `role`/`content` tags) and TRL read. `objects.bbox` is in pixels of the
stored image (ms-swift's `bbox_type` "real"; "norm1" is read too): ms-swift does the rescaling for each model itself.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL.Image

from rsvlm.data.formats.files import entries
from rsvlm.data.formats.record import EXTENSION, Line, from_parts, pictures, to_extension, to_lines
from rsvlm.errors import BadInput
from rsvlm.files import atomic_file
from rsvlm.sample import Image, Region, Sample

_KNOWN = ("id", "messages", "images", "image", "objects", "system", EXTENSION)


def to_entry(sample: Sample, *, embed: bool = False) -> dict[str, Any]:
    """One Sample as a row; `objects` only where there are regions."""
    entry: dict[str, Any] = {"messages": [{"role": role, "content": text} for role, text in to_lines(sample)]}
    entry["images"] = [image.path for image in sample.images]
    if sample.regions:
        entry["objects"] = to_objects(sample.regions)
    return entry | {EXTENSION: to_extension(sample, embed=embed)}


def to_objects(regions: Sequence[Region]) -> dict[str, Any]:
    """ms-swift's `objects`: labels, boxes in pixels, and which image each is in."""
    return {
        "ref": [region.label for region in regions],
        "bbox": [list(region.box) for region in regions],
        "image_id": [region.image for region in regions],
    }


def from_entry(
    entry: Mapping[str, Any], folder: Path, number: int, came: Sequence[tuple[str, bytes | None]] | None = None
) -> Sample:
    """A Sample from a row. Raises KeyError, TypeError, ValueError or IndexError where it is none.

    `folder` and `came` say where its pictures are (see `record.pictures`); `number` is its id where it has none.
    """
    extension = entry.get(EXTENSION)
    images = pictures(entry, folder, came)
    lines: list[Line] = [(str(line["role"]), _content(line["content"])) for line in entry["messages"]]
    if isinstance(entry.get("system"), str) and entry["system"]:
        lines.insert(0, ("system", entry["system"]))
    objects = entry.get("objects")
    regions = from_objects(objects, images) if objects else ([] if extension else None)
    extra = {key: value for key, value in entry.items() if key not in _KNOWN and value is not None}
    return from_parts(str(entry.get("id", number)), images, lines, extension, extra, regions)


def from_objects(objects: Mapping[str, Any], images: Sequence[Image]) -> list[Region]:
    """Regions of ms-swift's `objects`. Labels are matched where there is one per box; points become empty boxes."""
    boxes = objects.get("bbox") or []
    labels = objects.get("ref") or []
    places = objects.get("image_id") or []
    labels = labels if len(labels) == len(boxes) else labels * len(boxes) if len(labels) == 1 else [""] * len(boxes)
    regions: list[Region] = []
    for number, box in enumerate(boxes):
        place = int(places[number]) if number < len(places) else 0
        numbers = [float(n) for n in box]
        if len(numbers) not in (2, 4):
            raise ValueError(f"a bbox of {len(numbers)} numbers")
        if objects.get("bbox_type") == "norm1":
            width, height = _size(images[place])
            numbers = [n * (height if i % 2 else width) for i, n in enumerate(numbers)]
        x1, y1, x2, y2 = numbers if len(numbers) == 4 else numbers * 2
        regions.append(Region(label=str(labels[number]), box=(x1, y1, x2, y2), image=place))
    return regions


def _size(image: Image) -> tuple[int, int]:
    if image.width and image.height:
        return image.width, image.height
    try:
        with PIL.Image.open(image.path) as file:
            return file.size
    except OSError as error:
        raise ValueError(f"bbox_type norm1 needs the size of {image.path}, which cannot be read") from error


def _content(content: Any) -> str:
    """Text of a message; TRL's list of parts becomes text with an `<image>` where each picture stands."""
    if isinstance(content, str):
        return content
    parts = ["<image>" if part["type"].startswith("image") else str(part.get("text") or "") for part in content]
    return "".join(parts)


def read(path: Path) -> Iterator[Sample]:
    """The Samples of a `messages` JSONL (or JSON list) file. Raises BadInput naming the line that is off."""
    for number, (place, entry) in enumerate(entries(path)):
        try:
            yield from_entry(entry, path.parent, number)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise BadInput(
                f"{place} is not a row of messages ({type(error).__name__}: {error}); expected messages[].role/content."
            ) from error


def write(samples: Iterable[Sample], path: Path, *, embed_images: bool = False) -> int:
    """Write Samples as JSONL; returns how many. `embed_images` puts their bytes into the extension (base64)."""
    count = 0
    with atomic_file(path) as part, part.open("w", encoding="utf-8") as file:
        for sample in samples:
            json.dump(to_entry(sample, embed=embed_images), file, ensure_ascii=False)
            file.write("\n")
            count += 1
    return count
