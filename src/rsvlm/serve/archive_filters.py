"""Where, when and how fine the tiles of a search may be: what a user writes, as the conditions of an archive.

Places are WGS 84 degrees, longitude first. Boxes that cross the antimeridian become two; what looks as if latitude came
first, or as if it were in metres, is refused and said.
"""

import math
import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import shapely
import shapely.geometry
from shapely.errors import ShapelyError

from rsvlm.errors import BadInput
from rsvlm.files import resolved
from rsvlm.geo.earth_shapes import make_polygonal, oriented, split_at_antimeridian
from rsvlm.index.filters import Filters
from rsvlm.json_text import read_json_object

Box = tuple[float, float, float, float]  # west, south, east, north
Numbers = str | Sequence[float]

_ORDER = "west,south,east,north in degrees, as in -122.52,37.70,-122.35,37.83"
_ADVICE = "make one with: ogr2ogr -f GeoJSON -t_srs EPSG:4326 area.geojson FILE"
_DAY = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?")
_COARSEST = 1e9  # metres per pixel, which stand for infinity: SQL has no word for it
_WIDE = 180.0  # degrees: a box or polygon of more is rarely meant


@dataclass(frozen=True, kw_only=True)
class Where:
    """What a tile must be besides looking like what is sought; each part as a user gives it, or None.

    `bbox`: west, south, east, north. `polygon`: a GeoJSON file, or what one holds. `start`, `end`: days (2024-05-31),
    months or years, both included, or datetimes. `gsd`: least and most metres per pixel ("0.3,1"; ",1" for at most 1).
    `sensors`, `scenes`: names as the archive has them (of a scene also a path to it), of which one must fit.
    """

    bbox: Numbers | None = None
    polygon: str | Path | Mapping[str, Any] | None = None
    start: str | date | None = None
    end: str | date | None = None
    gsd: Numbers | None = None
    sensors: Sequence[str] = ()
    scenes: Sequence[str] = ()

    def conditions(self) -> dict[str, Filters]:
        """Each condition by itself, under the words that name it. Raises BadInput for one that cannot be meant."""
        found: dict[str, Filters] = {}
        if self.bbox is not None:
            found[f"the box {_shown(self.bbox)}"] = Filters(boxes=read_boxes(self.bbox))
        if self.polygon is not None:
            name = "the polygon" if isinstance(self.polygon, Mapping) else f"the polygon of {self.polygon}"
            found[name] = Filters(polygon=shapely.to_wkb(read_polygon(self.polygon)))
        if self.start is not None or self.end is not None:
            since, until = (f"{word} {day}" if day else "" for word, day in (("from", self.start), ("to", self.end)))
            start, end = read_time(self.start), read_time(self.end, last=True)
            if start and end and start > end:
                raise BadInput(f"The dates run {since} {until}, which is backwards; give the earlier one first.")
            found[" ".join(filter(None, ("dates", since, until)))] = Filters(start=start, end=end)
        if self.gsd is not None:
            low, high = read_gsd(self.gsd)
            found[f"{low:g} to {high:g} m per pixel"] = Filters(gsd=(low, min(high, _COARSEST)))
        if self.sensors:
            found[f"the sensor {' or '.join(self.sensors)}"] = Filters(sensors=tuple(self.sensors))
        if self.scenes:
            keys = (one if "://" in one else str(resolved(Path(one))) for one in self.scenes)
            found[f"the scene {' or '.join(self.scenes)}"] = Filters(scenes=(*self.scenes, *keys))
        return found


ANYWHERE = Where()


def together(conditions: Sequence[Filters]) -> Filters:
    """Conditions that all have to hold, as one; no two of them are about the same thing."""
    empty = Filters()
    given = {
        field.name: value
        for one in conditions
        for field in fields(one)
        if (value := getattr(one, field.name)) != getattr(empty, field.name)
    }
    return replace(empty, **given)


def notes(conditions: Mapping[str, Filters]) -> list[str]:
    """What to know of conditions that are allowed and may be mistakes: sentences."""
    found = []
    for name, one in conditions.items():
        wide = sum(east - west for west, _, east, _ in one.boxes)
        if one.polygon is not None:
            west, _, east, _ = shapely.from_wkb(one.polygon).bounds
            wide = (east - west) % 360  # halves cut at the antimeridian are not wide
        if _WIDE < wide < 360:
            found.append(
                f"{name[0].upper()}{name[1:]} is {wide:.6g} degrees wide: the long way round the Earth; one across the "
                "antimeridian starts in the east (west > east), and a polygon is cut there."
            )
    return found


def read_boxes(given: Numbers) -> tuple[Box, ...]:
    """One box (west, south, east, north), or the two that it becomes at the antimeridian, longitudes in [-180, 180].

    West > east crosses the antimeridian, and so do longitudes beyond 180. Raises BadInput for what is no box, has
    no extent, or seems to have latitude first.
    """
    west, south, east, north = _numbers(given, 4, "box", _ORDER)
    if max(abs(south), abs(north)) > 90:
        if max(abs(west), abs(east)) <= 90 and max(abs(south), abs(north)) <= 360:
            turned = ",".join(f"{one:.10g}" for one in (south, west, north, east))
            raise BadInput(
                f"The box {_shown(given)} has latitudes beyond 90 degrees and seems to have latitude first; expected "
                f"{turned}, longitude first."
            )
        raise BadInput(f"The box {_shown(given)} has latitudes beyond 90 degrees; expected {_ORDER}.")
    if max(abs(west), abs(east)) > 360:
        raise BadInput(f"The box {_shown(given)} has longitudes beyond 360 degrees; expected {_ORDER}.")
    if south >= north or west == east:
        raise BadInput(
            f"The box {_shown(given)} has no extent from south ({south:g}) to north ({north:g}) or from west to east; "
            f"expected {_ORDER}."
        )
    if east - west >= 360:
        return ((-180.0, south, 180.0, north),)
    left = west if -180 <= west <= 180 else (west + 180) % 360 - 180
    left = -180.0 if left == 180 else left
    right = left + (east - west) % 360
    return ((left, south, right, north),) if right <= 180 else (
        (left, south, 180.0, north), (-180.0, south, right - 360, north),
    )  # fmt: skip


def swapped(box: Filters) -> Filters | None:
    """Boxes with latitude and longitude exchanged; None where those are none."""
    turned = tuple((south, west, north, east) for west, south, east, north in box.boxes)
    good = turned and all(abs(south) <= 90 and abs(north) <= 90 for _, south, _, north in turned)
    return Filters(boxes=turned) if good else None


def read_polygon(given: str | Path | Mapping[str, Any]) -> Any:
    """The shapely Polygon or MultiPolygon of a GeoJSON file (all polygons as one), cut at the antimeridian.

    Raises BadInput where there is none, or where it is not in degrees, longitude first.
    """
    where = "The polygon" if isinstance(given, Mapping) else str(given)
    found = given if isinstance(given, Mapping) else read_json_object(
        Path(given), "a GeoJSON file with a polygon in degrees", _ADVICE
    )  # fmt: skip
    _check_crs(found, where)
    geometries = [*_geometries(found)]
    try:
        shapes = [shapely.geometry.shape(one) for one in geometries if one]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ShapelyError) as error:
        raise BadInput(f"{where} is not valid GeoJSON: a geometry cannot be read; {_ADVICE}.") from error
    areas = [one for one in shapes if one.geom_type in ("Polygon", "MultiPolygon") and not one.is_empty]
    if not areas:
        kinds = ", ".join(sorted({one.geom_type for one in shapes})) or "no geometry"
        raise BadInput(f"{where} holds {kinds}; expected a GeoJSON Polygon or MultiPolygon.")
    west, south, east, north = shapely.total_bounds(areas)
    if not all(map(math.isfinite, (west, south, east, north))):
        raise BadInput(f"{where} has coordinates that are not finite; expected longitude and latitude in degrees.")
    if max(abs(south), abs(north)) > 90 or max(abs(west), abs(east)) > 360:
        turned = max(abs(west), abs(east)) <= 90 and max(abs(south), abs(north)) <= 360
        why = "seems to have latitude first" if turned else "is not in degrees but in another coordinate system"
        raise BadInput(
            f"{where} spans x {west:.6g} to {east:.6g} and y {south:.6g} to {north:.6g}: it {why}; expected longitude "
            f"and latitude in degrees: {_ADVICE}."
        )
    flat = shapely.union_all([make_polygonal(shapely.force_2d(one), "polygon") for one in areas])
    return oriented(split_at_antimeridian(flat))


def _geometries(found: Any) -> Sequence[Any]:
    """The geometries that a GeoJSON object holds."""
    if not isinstance(found, Mapping):
        return [found]
    for key in ("features", "geometries"):
        if isinstance(found.get(key), list):
            return [one for inner in found[key] for one in _geometries(inner)]
    return [found.get("geometry")] if found.get("type") == "Feature" else [found] if "type" in found else []


def _check_crs(found: Mapping[str, Any], where: str) -> None:
    """Raises BadInput where a file of the GeoJSON before RFC 7946 names another coordinate system."""
    crs = found.get("crs")
    properties: Any = crs.get("properties") if isinstance(crs, Mapping) else None
    name = str(properties.get("name", "")) if isinstance(properties, Mapping) else ""
    if name and not name.upper().endswith(("CRS84", "CRS:84", ":4326", "/4326")):
        raise BadInput(f"{where} is in {name:.60}; expected WGS 84 degrees, as in every GeoJSON: {_ADVICE}.")


def read_time(given: str | date | None, *, last: bool = False) -> datetime | None:
    """The first moment of a day, month or year in UTC, or with `last` its last one; a datetime stays what it is.

    Raises BadInput for what is no date.
    """
    if given is None:
        return None
    if isinstance(given, datetime):
        return given if given.tzinfo else given.replace(tzinfo=UTC)
    text = str(given).strip()
    try:
        if match := _DAY.fullmatch(text):
            year, month, day = (int(part) if part else None for part in match.groups())
            month = month or (12 if last else 1)
            day = day or (monthrange(year or 1, month)[1] if last else 1)
            return datetime.combine(date(year or 0, month, day), time.max if last else time.min, UTC)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInput(f"{text!r:.60} is no date; expected a day (2024-05-31), a month (2024-05) or a year.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def read_gsd(given: Numbers) -> tuple[float, float]:
    """(least, most) metres per pixel; an empty side is 0 or infinity. Raises BadInput."""
    expected = "least,most in metres per pixel, as in 0.3,1 or ,1 for at most 1"
    if isinstance(given, str) and given.count(",") == 1:
        sides = [side.strip() for side in given.split(",")]
        given = ",".join(side or blank for side, blank in zip(sides, ("0", "inf"), strict=True))
    low, high = _numbers(given, 2, "resolution", expected, infinite=True)
    if not 0 <= low <= high or high == 0 or low == math.inf:
        raise BadInput(f"The resolution {_shown(given)} is no range; expected {expected}.")
    return low, high


def _numbers(given: Numbers, count: int, what: str, expected: str, *, infinite: bool = False) -> list[float]:
    parts: Sequence[Any] = given.split(",") if isinstance(given, str) else given
    try:
        found = [float(part) for part in parts]
    except (ValueError, TypeError):
        found = []
    if len(found) != count or any(math.isnan(one) or (math.isinf(one) and not infinite) for one in found):
        raise BadInput(f"The {what} {_shown(given)!r:.80} is not {count} numbers; expected {expected}.")
    return found


def _shown(given: Numbers) -> str:
    return given.strip() if isinstance(given, str) else ",".join(map(str, given))
