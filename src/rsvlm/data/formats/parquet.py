"""Parquet with image bytes: columns `id`, `images` (Hugging Face Image feature), `messages`, `objects`, `rsvlm`.

`datasets.load_dataset("parquet", data_files=...)` opens it with decoded pictures, and TRL trains on its `messages` and
`images` columns as they are.
"""

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from rsvlm.data.formats import llava, messages
from rsvlm.data.formats.record import EXTENSION, image_bytes, image_entries
from rsvlm.errors import BadInput, missing_extra
from rsvlm.files import atomic_file
from rsvlm.json_text import load_json
from rsvlm.sample import Sample

ROWS = 64  # a row group: what is held in memory at once, read or written

_VALUE = {"dtype": "string", "_type": "Value"}
_FLOATS = {"feature": {"feature": {"dtype": "float64", "_type": "Value"}, "_type": "Sequence"}, "_type": "Sequence"}
_INTS = {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "Sequence"}
_FEATURES = {
    "id": _VALUE,
    "images": {"feature": {"_type": "Image"}, "_type": "Sequence"},
    "messages": [{"role": _VALUE, "content": _VALUE}],
    "objects": {"ref": {"feature": _VALUE, "_type": "Sequence"}, "bbox": _FLOATS, "image_id": _INTS},
    EXTENSION: _VALUE,
}


def _arrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise missing_extra("pyarrow", "train") from error


def _schema(arrow: Any) -> Any:
    image = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    line = arrow.struct([("role", arrow.string()), ("content", arrow.string())])
    objects = arrow.struct([
        ("ref", arrow.list_(arrow.string())),
        ("bbox", arrow.list_(arrow.list_(arrow.float64()))),
        ("image_id", arrow.list_(arrow.int64())),
    ])  # fmt: skip
    columns = [
        ("id", arrow.string()), ("images", arrow.list_(image)), ("messages", arrow.list_(line)), ("objects", objects),
        (EXTENSION, arrow.string()),
    ]  # fmt: skip
    return arrow.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})})


def _row(sample: Sample, embed: bool) -> dict[str, Any]:
    entry = messages.to_entry(sample)
    extension = load_json(entry[EXTENSION])
    images: list[dict[str, Any]] = []
    for image, note in zip(sample.images, extension.get("images", ()), strict=True):
        note.pop("data", None)  # the bytes have a column of their own
        if embed and image.data is None:
            note["held"] = "path"
        images.append({"bytes": image_bytes(image) if embed or image.data is not None else None, "path": image.path})
    return entry | {"id": sample.id, "images": images, EXTENSION: json.dumps(extension, ensure_ascii=False)}


def write(samples: Iterable[Sample], path: Path, *, embed_images: bool = True) -> int:
    """Write Samples in row groups of `ROWS`; returns how many. Without `embed_images` the pictures stay paths."""
    arrow, parquet = _arrow()
    schema, count, rest = _schema(arrow), 0, iter(samples)
    with atomic_file(path) as part, parquet.ParquetWriter(part, schema) as writer:
        while chunk := list(islice(rest, ROWS)):
            writer.write_table(arrow.Table.from_pylist([_row(sample, embed_images) for sample in chunk], schema=schema))
            count += len(chunk)
    return count


def read(path: Path) -> Iterator[Sample]:
    """The Samples of a Parquet file of ours, or of any with an image column and `messages` or `conversations`.

    Raises BadInput for a file that is no Parquet or has other columns, MissingPart without pyarrow.
    """
    arrow, parquet = _arrow()
    try:
        number = 0
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS):
                for row in batch.to_pylist():
                    yield _sample(row, path, number)
                    number += 1
    except (arrow.ArrowException, OSError) as error:
        raise BadInput(f"{path} is not a Parquet file that can be read: {str(error).splitlines()[0]}.") from error


def _sample(row: Mapping[str, Any], path: Path, number: int) -> Sample:
    row = {key: value for key, value in row.items() if value is not None}
    if not {"conversations", "messages"} & row.keys():  # a caption, or a question and its answer
        answer = next((key for key in ("answer", "caption", "text") if isinstance(row.get(key), str)), None)
        if answer is not None:
            question = row.pop("question", "")
            row["messages"] = [{"role": "user", "content": question}, {"role": "assistant", "content": row.pop(answer)}]
    try:
        came = [
            (item, None)
            if isinstance(item, str)
            else ("", item)
            if isinstance(item, bytes)
            else (item.get("path") or "", item.get("bytes"))
            for item in image_entries(row)
        ]
        read_row = llava.from_entry if "conversations" in row else messages.from_entry
        return read_row(row, path.parent, number, came)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BadInput(
            f"{path} row {number} holds no conversation ({type(error).__name__}: {error}); expected columns images and "
            "messages or conversations."
        ) from error
