"""GeoPixInstruct (arXiv 2501.06828): phrases with masks over SAMRS' images, in parts SIOR, FAST and SOTA.

Schema from the data card: `{image_id, image_path, instances: [{bbox, category, description, instance_id, mask}]}`, in
splits named `train.SIOR_T` or `valid.SOTA_T`; not verified on the real files. Whether `bbox` holds corners or a size is
nowhere said: the box of the mask's pixels is taken.
"""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsvlm.data.masks import Rle, rle_size
from rsvlm.data.sources.label_files import mask_box
from rsvlm.data.sources.layout import normalize_split, read_records
from rsvlm.errors import BadInput, missing_extra
from rsvlm.sample import Image, Region, Sample, Turn

_NAME = re.compile(r"(train|valid|val|test)[._-](SIOR|FAST|SOTA)", re.IGNORECASE)


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per instance that has a description, task `segment`; `meta["part"]` is SIOR, FAST or SOTA.

    Raises BadInput where no file is named after a split and part, and for records of another form.
    """
    kinds = ("*.json", "*.jsonl", "*.parquet")
    named = [(path, _NAME.search(path.name)) for kind in kinds for path in sorted(folder.rglob(kind))]
    parts = [(path, found[1].lower(), found[2].upper()) for path, found in named if found]
    if not parts:
        raise BadInput(
            f"{folder} holds no train.SIOR_T.json or the like; give the folder of GeoPixInstruct's annotations."
        )
    for path, split, part in parts:
        for number, item in enumerate(_records(path)):
            try:
                yield from _instances(item, name, folder, normalize_split(split), part)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise BadInput(
                    f"{path} record {number} is not GeoPixInstruct's ({type(error).__name__}: {error})."
                ) from error


def _instances(item: Any, name: str, folder: Path, split: str, part: str) -> Iterator[Sample]:
    path = next((p for p in (folder / "images" / item["image_path"], folder / item["image_path"]) if p.is_file()), None)
    picture = str((path or folder / item["image_path"]).resolve())
    for instance in item["instances"]:
        if not instance["description"]:
            continue
        rle: Rle = {"size": [int(n) for n in instance["mask"]["size"]], "counts": instance["mask"]["counts"]}
        height, width = rle_size(rle)
        yield Sample(
            id=f"{name}/{split}/{part}/{instance['instance_id']}",
            images=(Image(path=picture, width=width, height=height),),
            turns=(Turn(task="segment", question=instance["description"].strip(), answer=""),),
            regions=(Region(label=instance["category"], box=mask_box(rle), mask=rle),), source=name, split=split,
            meta={"part": part},
        )  # fmt: skip


def _records(path: Path) -> Iterator[Any]:
    if path.suffix != ".parquet":
        yield from read_records(path)
        return
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise missing_extra("pyarrow", "train") from error
    try:
        for batch in parquet.ParquetFile(path).iter_batches(256):
            yield from batch.to_pylist()
    except (arrow.ArrowInvalid, OSError) as error:
        raise BadInput(f"{path} cannot be read as a table: {error}.") from error
