"""Vectors of pictures with what they are of, in Parquet or NumPy's npz, and as parts that a killed run leaves.

| column | type | |
|---|---|---|
| path | text | the picture, as it was given |
| window | 4 x int32 | column, row, width, height in its pixels |
| valid | float32 | the share of the window that is data |
| lon, lat | float64 | the middle in degrees (WGS 84); null (npz: NaN) without a place on Earth |
| footprint | text | the outline in degrees as WKT; null (npz: "") without a place on Earth |
| vector | D x float32 | of unit length |

What made them is JSON: `rsvlm` in the metadata of a Parquet file, `about` in an npz.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput, missing_extra
from rsvlm.files import atomic_file

SUFFIXES = (".parquet", ".npz")
_KEY = b"rsvlm"


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """N rows; columns as in the table above, `lonlat` is (N, 2)."""

    paths: NDArray[np.str_]
    windows: NDArray[np.int32]
    valid: NDArray[np.float32]
    lonlat: NDArray[np.float64]
    footprints: NDArray[np.str_]
    vectors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.paths)

    @classmethod
    def of(cls, rows: Sequence[tuple[str, Sequence[int], float, Sequence[float], str]], vectors: Any) -> "Vectors":
        """Rows (path, window, valid, (lon, lat), footprint) with their vectors (N, D)."""
        paths, windows, valid, lonlat, footprints = zip(*rows, strict=True)
        return cls(
            paths=np.array(paths), windows=np.array(windows, np.int32), valid=np.array(valid, np.float32),
            lonlat=np.array(lonlat, np.float64), footprints=np.array(footprints),
            vectors=np.asarray(vectors, np.float32),
        )  # fmt: skip


def check_format(path: Path) -> None:
    """Raises BadInput for a file of another kind, MissingPart where Parquet cannot be written here."""
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(f"{path} names no kind of file for vectors; expected {' or '.join(SUFFIXES)} at its end.")
    if path.suffix.lower() == ".parquet":
        _arrow()


def read_vectors(path: Path) -> tuple[dict[str, Any], Iterator[Vectors]]:
    """What made the vectors in a file, and its rows, some at a time. Raises BadInput for another file."""
    try:
        return _read_npz(path) if path.suffix.lower() == ".npz" else _read_parquet(path)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise BadInput(
            f"{path} holds no vectors of rsvlm embed ({str(error)[:80]}); give another name, or move it away."
        ) from error


def write_vectors(path: Path, about: Mapping[str, Any], parts: Iterator[Vectors]) -> int:
    """Write rows with what made them, aside and then renamed; the number of rows. Raises BadInput where it cannot."""
    with atomic_file(path) as aside:
        return (_write_npz if path.suffix.lower() == ".npz" else _write_parquet)(aside, about, parts)


def _read_npz(path: Path) -> tuple[dict[str, Any], Iterator[Vectors]]:
    with np.load(path, allow_pickle=False) as file:
        rows = Vectors(**{field.name: file[field.name] for field in fields(Vectors)})
        return _about(str(file["about"])), iter([rows])


def _write_npz(path: Path, about: Mapping[str, Any], parts: Iterator[Vectors]) -> int:
    found = [*parts]
    columns: Any = {
        field.name: np.concatenate([getattr(part, field.name) for part in found]) for field in fields(Vectors)
    }
    with path.open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about)), **columns)
    return len(columns["paths"])


def _read_parquet(path: Path) -> tuple[dict[str, Any], Iterator[Vectors]]:
    arrow, parquet = _arrow()
    try:
        file = parquet.ParquetFile(path)
    except arrow.ArrowException as error:
        raise ValueError(str(error)) from error
    about = _about((file.schema_arrow.metadata or {})[_KEY].decode())
    return about, (_from_batch(batch) for batch in file.iter_batches())


def _about(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("width"), int):
        raise TypeError("it does not say what made them")
    return found


def _from_batch(batch: Any) -> Vectors:
    columns = {name: batch.column(name) for name in ("path", "valid", "footprint")}
    lists = {name: np.asarray(batch.column(name).flatten()) for name in ("window", "vector")}
    degrees = [batch.column(name).to_numpy(zero_copy_only=False) for name in ("lon", "lat")]
    return Vectors(
        paths=np.array(columns["path"].to_pylist()), windows=lists["window"].reshape(-1, 4),
        valid=np.asarray(columns["valid"]), lonlat=np.stack(degrees, axis=1).astype(np.float64),
        footprints=np.array([one or "" for one in columns["footprint"].to_pylist()]),
        vectors=lists["vector"].reshape(len(batch), -1),
    )  # fmt: skip


def _write_parquet(path: Path, about: Mapping[str, Any], parts: Iterator[Vectors]) -> int:
    arrow, parquet = _arrow()
    width = int(about["width"])
    schema = arrow.schema(
        [
            ("path", arrow.string()), ("window", arrow.list_(arrow.int32(), 4)), ("valid", arrow.float32()),
            ("lon", arrow.float64()), ("lat", arrow.float64()), ("footprint", arrow.string()),
            ("vector", arrow.list_(arrow.float32(), width)),
        ],
        metadata={_KEY: json.dumps(about).encode()},
    )  # fmt: skip
    count = 0
    with parquet.ParquetWriter(path, schema) as file:
        for part in parts:
            off = ~np.isfinite(part.lonlat).all(1)
            lists = {
                "window": arrow.FixedSizeListArray.from_arrays(arrow.array(part.windows.reshape(-1)), 4),
                "vector": arrow.FixedSizeListArray.from_arrays(arrow.array(part.vectors.reshape(-1)), width),
            }
            columns = [
                arrow.array(part.paths.tolist()), lists["window"], arrow.array(part.valid),
                arrow.array(part.lonlat[:, 0], mask=off), arrow.array(part.lonlat[:, 1], mask=off),
                arrow.array([one or None for one in part.footprints.tolist()], arrow.string()), lists["vector"],
            ]  # fmt: skip
            file.write_table(arrow.Table.from_arrays(columns, schema=schema))
            count += len(part)
    return count


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise missing_extra("pyarrow", "train") from error
    return pyarrow, pyarrow.parquet
