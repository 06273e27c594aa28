"""RRSIS-D (arXiv 2312.12470): a phrase and a mask, as RefCOCO's `refs(unc).p` and `instances.json`.

Layout from RMSIN's `refer.py` and a converter of others; not verified on the real files. A mask is COCO run lengths in
a list of one. Its box is that of its pixels: `bbox` is four corners here, not COCO's x, y, width, height.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rsvlm.data.masks import Rle, decode_rle, encode_rle, polygon_mask
from rsvlm.data.sources.label_files import mask_box
from rsvlm.data.sources.layout import (
    ImageIndex,
    candidate_folders,
    class_words,
    find_file,
    find_optional,
    normalize_split,
    read_json,
)
from rsvlm.data.sources.plain_pickle import load_plain
from rsvlm.data.sources.records import placed
from rsvlm.errors import BadInput
from rsvlm.sample import Image, Region, Sample, Turn

_PICTURES = ("images/rrsisd/JPEGImages", "JPEGImages", "images/JPEGImages", "images")


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per sentence, task `segment`, its mask in `regions`.

    The references are read from `refs*.json` where a user has converted them, else from the pickle, which is opened
    without running anything in it. Raises BadInput for other files and for a reference to what is not there.
    """
    instances = find_file(folder, "instances.json", "*/instances.json")
    refs = find_optional(instances.parent, "refs*.json") or find_file(instances.parent, "refs(unc).p", "refs*.p")
    listed = read_json(refs) if refs.suffix == ".json" else placed(load_plain(refs), refs)
    data = read_json(instances)
    index = ImageIndex(candidate_folders(folder, *_PICTURES))
    try:
        images = {item["id"]: item for item in data["images"]}
        masks = {item["id"]: item for item in data["annotations"]}
        labels = {item["id"]: class_words(item["name"]) for item in data["categories"]}
        for ref in listed:
            image, found = images[ref["image_id"]], masks[ref["ann_id"]]
            size = int(image["height"]), int(image["width"])
            rle = _one(found["segmentation"], size)
            label = labels.get(ref.get("category_id"), "")
            region = Region(label=label, box=mask_box(rle), mask=rle)
            path = index(image["file_name"], folder / _PICTURES[0])
            for place, sentence in enumerate(ref["sentences"]):
                yield Sample(
                    id=f"{name}/{ref['ref_id']}/{place}", images=(Image(path=path, width=size[1], height=size[0]),),
                    turns=(Turn(task="segment", question=str(sentence["sent"]).strip(), answer=""),), regions=(region,),
                    source=name, split=normalize_split(str(ref["split"])), meta={"category": label},
                )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            f"{refs} and {instances.name} are not RRSIS-D's ({type(error).__name__}: {error}); expected references "
            "with ref_id, image_id, ann_id, split and sentences, and the annotations they name."
        ) from error


def _one(segmentation: Any, size: tuple[int, int]) -> Rle:
    """One mask out of run lengths, a list of them, or polygons."""
    parts: list[Any] = [segmentation] if isinstance(segmentation, Mapping) else list(segmentation)
    if len(parts) == 1 and isinstance(parts[0], Mapping):
        return _text(parts[0])
    if all(isinstance(part, Mapping) for part in parts):
        return encode_rle(np.logical_or.reduce([decode_rle(_text(part)) for part in parts]))
    return encode_rle(polygon_mask(parts, size))


def _text(rle: Rle) -> dict[str, Any]:
    """Run lengths whose letters are text, as JSON has them, where a pickle or a converter kept bytes."""
    counts = rle["counts"]
    return {
        "size": [int(n) for n in rle["size"]],
        "counts": counts.decode("ascii") if isinstance(counts, bytes) else counts,
    }
