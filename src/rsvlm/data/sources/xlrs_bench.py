"""XLRS-Bench-lite (arXiv 2503.23771): multiple choice over very large pictures, as Arrow or Parquet, or JSON and files.

Fields from the task of lmms-eval (index, question, "multi-choice options", answer, category, l2-category, image); not
verified on the real files. The whole set holds tens of gigabytes of pictures. Where an `images/` folder lies beside the
table they are read from there and never held in memory: `<index>.<ext>`, of a pair `<index>_0.<ext>` and `_1`.
"""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.prompt import LETTERS
from rsvlm.data.sources.layout import IMAGE_SUFFIXES, read_records
from rsvlm.data.sources.lhrs_bench import parse_choices
from rsvlm.errors import BadInput, missing_extra
from rsvlm.lfs import refuse_pointer
from rsvlm.sample import Image, Sample, Turn

_IMAGE = "image"


def read(folder: Path, name: str) -> Iterator[Sample]:
    """One Sample per question (two images for two dates), all `test`; `kind` is the category's second part.

    A question with several right options has `meta["right"]`, their letters in order ("AC"); its answer is the first.
    Raises BadInput on another layout, MissingPart for Arrow and Parquet without pyarrow.
    """
    paths = sorted(p for kind in ("*.arrow", "*.parquet", "*.jsonl", "*.json") for p in folder.rglob(kind))
    tables = [path for path in paths if path.name not in ("dataset_dict.json", "dataset_info.json", "state.json")]
    if not tables:
        raise BadInput(f"{folder} holds no .arrow, .parquet or .json table; give the folder of XLRS-Bench-lite.")
    pictures = {
        path.stem: path for path in sorted((folder / "images").glob("*")) if path.suffix.lower() in IMAGE_SUFFIXES
    }
    for path in tables:
        for item in _rows(path, embedded=not pictures):
            try:
                yield _sample(name, item, pictures, folder)
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise BadInput(
                    f"{path} row {item.get('index', '?')} is not XLRS-Bench's ({type(error).__name__}: {error})."
                ) from error


def _sample(name: str, item: Mapping[str, Any], pictures: Mapping[str, Path], folder: Path) -> Sample:
    options = parse_choices(item["multi-choice options"])
    right = sorted({letter for letter in str(item["answer"]).upper() if letter in LETTERS[: len(options)]})
    if not right:
        raise ValueError(f"the answer {item['answer']!r} is none of {len(options)} options")
    several = {"right": "".join(right)} if len(right) > 1 else {}
    kind = str(item["category"]).rpartition("/")[2]
    turn = Turn(
        task="choice", question=str(item["question"]).strip(), answer=options[LETTERS.index(right[0])], kind=kind,
        choices=options,
    )  # fmt: skip
    return Sample(
        id=f"{name}/{item['index']}", images=_images(item, pictures, folder), turns=(turn,), source=name, split="test",
        meta={"category": item["category"], "l2_category": item.get("l2-category", "")} | several,
    )  # fmt: skip


def _images(item: Mapping[str, Any], pictures: Mapping[str, Path], folder: Path) -> tuple[Image, ...]:
    found = [
        pictures[stem] for stem in (str(item["index"]), f"{item['index']}_0", f"{item['index']}_1") if stem in pictures
    ]
    if found:
        return tuple(Image(path=str(path.resolve())) for path in found)
    given = item.get(_IMAGE) or f"{item['index']}.png"
    parts = given if isinstance(given, list) else [given]
    return tuple(
        Image(path=str(part.get("path") or item["index"]), data=part["bytes"])
        if isinstance(part, Mapping)
        else Image(path=str((folder / "images" / Path(part).name).resolve()))
        for part in parts
    )


def _rows(path: Path, embedded: bool) -> Iterator[dict[str, Any]]:
    if path.suffix in (".json", ".jsonl"):
        yield from read_records(path)
        return
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise missing_extra("pyarrow", "train") from error
    try:
        if path.suffix == ".parquet":
            batches = parquet.ParquetFile(path).iter_batches(16)
        else:  # what `datasets` saves is a stream
            batches = arrow.ipc.open_stream(arrow.memory_map(str(path)))
        for batch in batches:
            kept = [column for column in batch.schema.names if embedded or column != _IMAGE]
            yield from batch.select(kept).to_pylist()
    except (arrow.ArrowInvalid, OSError) as error:
        refuse_pointer(path)
        raise BadInput(f"{path} cannot be read as a table: {error}.") from error
