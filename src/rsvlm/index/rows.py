"""A row of an archive: `Tile`, and how it lies in a table of Arrow."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import missing_extra

try:
    import pyarrow as pa
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("lancedb", "archive") from error

Bounds = tuple[float, float, float, float]  # west, south, east, north in degrees
FORMAT = 1  # of the layout; an archive of a larger number is refused
LARGE = -1  # the cell of a tile that is wider or higher than `LARGEST`
LARGEST = 0.5  # degrees
SHOWN = (
    "id", "scene", "window", "footprint", "west", "south", "east", "north", "date", "gsd", "sensor", "caption",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One row: a window (column, row, width, height in pixels) of a scene, and what is known of it.

    `scene` is the path or URI of the source. `footprint` is WKB in longitude and latitude, `bounds` (west, south, east,
    north) in degrees with west > east where it crosses 180 degrees; both None without a place. `date` is UTC. `gsd` is
    in metres a pixel. `thumbnail` is a JPEG, empty where there is none or where it was not asked for.
    """

    scene: str
    window: tuple[int, int, int, int]
    footprint: bytes | None = None
    bounds: Bounds | None = None
    date: datetime | None = None
    gsd: float | None = None
    sensor: str = ""
    caption: str = ""
    thumbnail: bytes = field(default=b"", repr=False)
    id: str = ""

    def __post_init__(self) -> None:
        if not self.id:
            object.__setattr__(self, "id", tile_id(self.scene, self.window))


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that was found: its cosine in [-1, 1], and its caption's score (BM25) where the text was found in it."""

    tile: Tile
    score: float
    text_score: float | None = None


def tile_id(scene: str, window: Sequence[int]) -> str:
    """The name of a window of a scene: 20 hex digits, the same at every run."""
    words = f"{scene}\0{','.join(str(int(value)) for value in window)}"
    return hashlib.blake2b(words.encode(), digest_size=10).hexdigest()


def tiles_schema(width: int) -> pa.Schema:
    """The table of tiles with vectors of `width` numbers."""
    degrees = [pa.field(name, pa.float64()) for name in ("west", "south", "east", "north")]
    return pa.schema([
        pa.field("id", pa.string(), nullable=False),
        pa.field("scene", pa.string(), nullable=False),
        pa.field("window", pa.list_(pa.int32(), 4), nullable=False),
        pa.field("footprint", pa.binary()),
        *degrees,
        pa.field("cell", pa.int32()),
        pa.field("date", pa.timestamp("us")),
        pa.field("gsd", pa.float64()),
        pa.field("sensor", pa.string()),
        pa.field("caption", pa.string()),
        pa.field("thumbnail", pa.binary()),
        pa.field("vector", pa.list_(pa.float32(), width), nullable=False),
    ])  # fmt: skip


SCENES = pa.schema([
    pa.field("scene", pa.string(), nullable=False),
    pa.field("fingerprint", pa.string(), nullable=False),
    pa.field("rows", pa.int64(), nullable=False),
])  # fmt: skip


def to_table(tiles: Sequence[Tile], vectors: NDArray[np.floating]) -> pa.Table:
    """Tiles and their vectors (N, D) as rows."""
    rows = np.ascontiguousarray(vectors, np.float32)
    bounds = [_unwrapped(tile.bounds) for tile in tiles]
    columns: dict[str, Any] = {
        name: [getattr(tile, name) for tile in tiles]
        for name in ("id", "scene", "footprint", "gsd", "sensor", "caption", "thumbnail")
    }
    columns["date"] = [_utc(tile.date) for tile in tiles]
    columns |= {name: [box[at] for box in bounds] for at, name in enumerate(("west", "south", "east", "north"))}
    columns["cell"] = [_cell(*box) for box in bounds]
    windows = pa.array(np.asarray([tile.window for tile in tiles], np.int32).ravel())
    columns["window"] = pa.FixedSizeListArray.from_arrays(windows, 4)
    columns["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    schema = tiles_schema(rows.shape[1])
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def cell_at(longitude: float, latitude: float) -> int:
    """The degree of the globe that a point lies in: row by row from the south, 360 cells a row."""
    return int(latitude + 90) * 360 + int((longitude + 180) % 360)


def to_tiles(table: pa.Table) -> list[Tile]:
    """The tiles of rows with the columns `SHOWN`, and `thumbnail` where it is among them."""
    return [
        Tile(
            id=row["id"], scene=row["scene"], window=tuple(row["window"]), footprint=row["footprint"],
            bounds=_wrapped(row), date=row["date"].replace(tzinfo=UTC) if row["date"] else None, gsd=row["gsd"],
            sensor=row["sensor"] or "", caption=row["caption"] or "", thumbnail=row.get("thumbnail") or b"",
        )
        for row in table.to_pylist()
    ]  # fmt: skip


def _utc(when: datetime | None) -> datetime | None:
    return when.astimezone(UTC).replace(tzinfo=None) if when and when.tzinfo else when


def _unwrapped(bounds: Bounds | None) -> tuple[float | None, ...]:
    """Bounds as the table has them: an east above 180 degrees instead of one west of west."""
    if bounds is None:
        return (None,) * 4
    west, south, east, north = bounds
    return west, south, east + 360 * (east < west), north


def _cell(west: float | None, south: float | None, east: float | None, north: float | None) -> int | None:
    """The cell of the middle of bounds, from which the store finds what lies near: four ranges alone find too much."""
    if west is None or south is None or east is None or north is None:
        return None
    if max(east - west, north - south) > LARGEST:
        return LARGE
    return cell_at((west + east) / 2, (south + north) / 2)


def _wrapped(row: dict[str, Any]) -> Bounds | None:
    if row["west"] is None:
        return None
    return row["west"], row["south"], row["east"] - 360 * (row["east"] > 180), row["north"]
