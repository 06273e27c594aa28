"""`messages` JSONL: `{"messages": [{"role", "content"}], "images": [...], "objects": {"ref", "bbox"}}`.

The row that ms-swift, LLaMA-Factory (with its `role`/`content` tags) and TRL read. `objects.bbox` is in pixels of the
stored image (ms-swift's `bbox_type` "real"; "norm1" is read too): ms-swift does the rescaling for each model itself.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL.Image

from rsvlm.data.formats.files import json_entries
from rsvlm.data.formats.pictures import Keep, file_with_pictures
from rsvlm.data.formats.record import (
    EXTENSION,
    Message,
    entry_id,
    entry_images,
    from_parts,
    image_paths,
    to_extension,
    to_messages,
)
from rsvlm.errors import BadInput
from rsvlm.json_text import load_json
from rsvlm.sample import Image, Region, Sample

_KNOWN = ("id", "messages", "query", "response", "history", "images", "image", "objects", "system", EXTENSION)
_ROLES = ("user", "assistant")


def to_entry(sample: Sample, *, embed: bool = False, keep: Keep | None = None) -> dict[str, Any]:
    """One Sample as a row; `objects` only where there are regions. `keep` makes files of bytes in memory."""
    entry: dict[str, Any] = {"messages": [{"role": role, "content": text} for role, text in to_messages(sample)]}
    entry["images"] = image_paths(sample, keep)
    if objects := _objects(sample):
        entry["objects"] = objects
    entry |= {key: sample.meta[key] for key in sample.meta.get("row_keys", ()) if key in sample.meta}
    return entry | {EXTENSION: to_extension(sample, embed=embed, beside=keep is not None)}


def _objects(sample: Sample) -> Mapping[str, Any] | None:
    """The objects as they were given, where the regions are still theirs; else those of the regions."""
    given = sample.meta.get("objects")
    if given and [one.box for one in from_objects(given, sample.images)] == [one.box for one in sample.regions]:
        return given
    return to_objects(sample.regions) if sample.regions else None


def to_objects(regions: Sequence[Region]) -> dict[str, Any]:
    """ms-swift's `objects`: labels, boxes in pixels, and which image each is in."""
    return {
        "ref": [region.label for region in regions],
        "bbox": [list(region.box) for region in regions],
        "image_id": [region.image for region in regions],
    }


def from_entry(
    entry: Mapping[str, Any], folder: Path, number: int, supplied: Sequence[tuple[str, bytes | None]] | None = None
) -> Sample:
    """A Sample from a row. Raises KeyError, TypeError, ValueError or IndexError where it is none.

    `folder` and `supplied` say where its images are (`record.entry_images`); `number` is its id where it has none.
    """
    extension = entry.get(EXTENSION)
    images = entry_images(entry, folder, supplied)
    lines: list[Message] = [(str(line["role"]).lower(), _content(line["content"])) for line in _messages(entry)]
    if isinstance(entry.get("system"), str) and entry["system"]:
        lines.insert(0, ("system", entry["system"]))
    objects = _normalize_objects(entry.get("objects"), images)
    regions = from_objects(objects, images) if objects else ([] if extension else None)
    extra = {key: value for key, value in entry.items() if key not in _KNOWN and value is not None}
    if extra and not extension:
        extra["row_keys"] = sorted(extra)
    if objects and not extension and to_objects(regions or ()) | {"image_id": 0} != dict(objects) | {"image_id": 0}:
        extra["objects"] = objects
    return from_parts(entry_id(entry, number), images, lines, extension, extra, regions)


def _messages(entry: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The messages of a row, also of ms-swift's older form: query, response, history."""
    if "messages" in entry or "query" not in entry:
        return entry["messages"]
    pairs = [*(entry.get("history") or ()), (entry["query"], entry.get("response") or "")]
    return [{"role": role, "content": text} for pair in pairs for role, text in zip(_ROLES, pair, strict=True)]


def _normalize_objects(objects: Any, images: Sequence[Image]) -> dict[str, Any] | None:
    """`objects` as {"ref", "bbox", ...}, boxes in pixels; also from text, from ms-swift's older list, from norm1."""
    objects = load_json(objects) if isinstance(objects, str) else objects
    if isinstance(objects, list):
        boxes = [box for one in objects for box in (one["bbox"] if _nested(one["bbox"]) else [one["bbox"]])]
        refs = [one.get("caption", "") for one in objects for _ in (one["bbox"] if _nested(one["bbox"]) else [0])]
        objects = {"ref": refs, "bbox": boxes} | {key: objects[0][key] for key in ("bbox_type",) if key in objects[0]}
    if not objects or objects.get("bbox_type") not in ("norm1", "real"):
        return objects or None
    rest = {key: value for key, value in objects.items() if key != "bbox_type"}
    if objects["bbox_type"] == "norm1":
        places = objects.get("image_id") or []
        sizes = [_size(images[int(places[at]) if at < len(places) else 0]) for at in range(len(objects["bbox"]))]
        rest["bbox"] = [
            [n * size[i % 2] for i, n in enumerate(box)] for box, size in zip(objects["bbox"], sizes, strict=True)
        ]
    return rest


def _nested(box: Sequence[Any]) -> bool:
    return bool(box) and isinstance(box[0], list)


def from_objects(objects: Mapping[str, Any], images: Sequence[Image]) -> list[Region]:
    """Regions of ms-swift's `objects`: labels where there is one a box, points as empty boxes, corners as polygons."""
    boxes = objects.get("bbox") or []
    labels = objects.get("ref") or []
    places = objects.get("image_id") or []
    labels = labels if len(labels) == len(boxes) else labels * len(boxes) if len(labels) == 1 else [""] * len(boxes)
    regions: list[Region] = []
    for number, box in enumerate(boxes):
        place = int(places[number]) if number < len(places) else 0
        numbers = [float(n) for n in box]
        if len(numbers) not in (2, 4, 8):
            raise ValueError(f"a bbox of {len(numbers)} numbers")
        xs, ys = numbers[::2], numbers[1::2]
        if len(numbers) == 8:
            box, ring = (min(xs), min(ys), max(xs), max(ys)), tuple(zip(xs, ys, strict=True))
        else:
            box, ring = (xs[0], ys[0], xs[-1], ys[-1]), ()
        regions.append(Region(label=str(labels[number]), box=box, polygon=ring, image=place))
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
    for number, (place, entry) in enumerate(json_entries(path)):
        try:
            yield from_entry(entry, path.parent, number)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise BadInput(
                f"{place} is not a row of messages ({type(error).__name__}: {error}); expected messages[].role/content."
            ) from error


def write(samples: Iterable[Sample], path: Path, *, embed_images: bool = False) -> int:
    """Write Samples as JSONL; returns how many. Pictures in memory become files, as in `llava.write`."""
    count = 0
    with file_with_pictures(path) as (part, keep), part.open("w", encoding="utf-8") as file:
        for sample in samples:
            json.dump(
                to_entry(sample, embed=embed_images, keep=None if embed_images else keep), file, ensure_ascii=False
            )
            file.write("\n")
            count += 1
    return count
