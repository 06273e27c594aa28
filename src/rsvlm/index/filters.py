"""`Filters`: which rows of an archive are meant, by place, time, resolution, sensor and scene; as SQL of the store."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.index.rows import LARGE, LARGEST

Box = tuple[float, float, float, float]  # west, south, east, north in degrees
IN_MEMORY = ("west", "south", "east", "north", "date", "gsd")  # columns that `Filters.mask` compares
_MOST_VALUES = 500  # strings in one condition
_MOST_RANGES = 64  # of cells in one condition; a box that needs more is found by its bounds alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a row must be: all that is given holds at once.

    `boxes` (west, south, east, north in degrees, west <= east) are a union: give two for one across 180 degrees. A row
    lies in a box where their bounds meet. `polygon` is WKB in longitude and latitude; the row's footprint itself must
    meet it. `start` and `end` are inclusive, without a zone UTC. `gsd` is (least, most) in metres. Rows whose place,
    date or resolution is not known fit no filter that asks for it.
    """

    boxes: tuple[Box, ...] = ()
    polygon: bytes | None = None
    start: datetime | None = None
    end: datetime | None = None
    gsd: tuple[float, float] | None = None
    sensors: tuple[str, ...] = ()
    scenes: tuple[str, ...] = ()

    def sql(self) -> str:
        """The condition in the store's SQL, "" where every row fits. Of `polygon` only its bounds are in it."""
        parts = [_any_box(self.boxes)] if self.boxes else []
        if self.polygon is not None:
            parts.append(_any_box(_polygon_boxes(self.polygon)))
        parts += [f"date >= {_moment(self.start)}"] if self.start else []
        parts += [f"date <= {_moment(self.end)}"] if self.end else []
        parts += [f"gsd >= {self.gsd[0]!r} AND gsd <= {self.gsd[1]!r}"] if self.gsd else []
        parts += [one_of("sensor", self.sensors)] if self.sensors else []
        parts += [one_of("scene", self.scenes)] if self.scenes else []
        return " AND ".join(parts)

    def mask(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.bool_] | None:
        """(N,): the rows that `sql` means, of `IN_MEMORY` columns (N,); None where it asks for others, or for nothing.

        What is not known is NaN or NaT there, and fits no condition.
        """
        if self.sensors or self.scenes or not self.sql():
            return None
        parts = [[_meets(columns, box) for box in self.boxes]] if self.boxes else []
        if self.polygon is not None:
            parts.append([_meets(columns, box) for box in _polygon_boxes(self.polygon)])
        parts += [[columns["date"] >= np.datetime64(_utc(self.start))]] if self.start else []
        parts += [[columns["date"] <= np.datetime64(_utc(self.end))]] if self.end else []
        parts += [[(columns["gsd"] >= self.gsd[0]) & (columns["gsd"] <= self.gsd[1])]] if self.gsd else []
        return np.logical_and.reduce([np.logical_or.reduce(part) for part in parts])


def _meets(columns: Mapping[str, NDArray[Any]], box: Box) -> NDArray[np.bool_]:
    """As `_in_box`, of columns in memory."""
    west, south, east, north = box
    across = (columns["west"] <= east) & (columns["east"] >= west)
    if west < 0:
        across |= columns["east"] >= west + 360
    return across & (columns["north"] >= south) & (columns["south"] <= north)


def each_of(column: str, values: Sequence[str]) -> Iterator[str]:
    """As `one_of`, of values of any number: conditions of at most `_MOST_VALUES` each."""
    for at in range(0, len(values), _MOST_VALUES):
        yield one_of(column, tuple(values[at : at + _MOST_VALUES]))


def one_of(column: str, values: tuple[str, ...]) -> str:
    """SQL: the column is one of these strings."""
    return f"{column} IN ({', '.join(quoted(value) for value in values)})"


def quoted(value: str) -> str:
    """A string as SQL has it."""
    return "'" + value.replace("'", "''") + "'"


def _any_box(boxes: tuple[Box, ...]) -> str:
    return "(" + " OR ".join(map(_in_box, boxes)) + ")"


def _in_box(box: Box) -> str:
    """Bounds that meet the box, found by the cells around it first.

    A row across 180 degrees has an east above 180, and lies 360 degrees further west too. `float` keeps numpy's scalars
    from writing their type into the SQL.
    """
    west, south, east, north = map(float, box)
    across = f"west <= {east!r} AND east >= {west!r}"
    if west < 0:
        across = f"({across} OR east >= {west + 360!r})"
    bounds = f"north >= {south!r} AND south <= {north!r} AND {across}"
    near = " OR ".join(f"cell BETWEEN {first} AND {last}" for first, last in _cells(west, south, east, north))
    return f"((cell = {LARGE} OR {near}) AND {bounds})" if near else f"({bounds})"


def _cells(west: float, south: float, east: float, north: float) -> list[tuple[int, int]]:
    """Ranges of cells with the middle of every tile of at most `LARGEST` that meets the box; none for a large box."""
    half = LARGEST / 2
    rows = range(max(0, int(south - half + 90)), min(180, int(north + half + 90)) + 1)
    first, last = int((west - half + 180) // 1), int((east + half + 180) // 1)
    if last - first >= 359:
        return []
    spans = [(max(first, 0), min(last, 359))]
    spans += [(first + 360, 359)] if first < 0 else []
    spans += [(0, last - 360)] if last > 359 else []
    ranges = [(row * 360 + one, row * 360 + other) for row in rows for one, other in spans]
    return ranges if len(ranges) <= _MOST_RANGES else []


def _polygon_boxes(polygon: bytes) -> tuple[Box, ...]:
    import shapely

    return tuple(part.bounds for part in shapely.get_parts(shapely.from_wkb(polygon)) if not part.is_empty)


def _moment(when: datetime) -> str:
    return f"TIMESTAMP '{_utc(when).isoformat(sep=' ', timespec='microseconds')}'"


def _utc(when: datetime) -> datetime:
    """In UTC, without saying so."""
    return when.astimezone(UTC).replace(tzinfo=None) if when.tzinfo else when
