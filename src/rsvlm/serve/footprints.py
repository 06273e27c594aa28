"""Where a window of a scene lies: its outline in degrees with few points, and the bounds of that."""

from contextlib import suppress
from typing import Any

import numpy as np
import shapely

from rsvlm.errors import BadInput
from rsvlm.geo.earth_shapes import clip_to_earth, make_polygonal, to_lonlat
from rsvlm.geo.place import Place
from rsvlm.geo.tiles import Window

DECIMALS = 7  # of a degree: 1 cm
_SIMPLER = 1e-3  # of an outline's extent, by which it may be off


def outline(window: Window, place: Place) -> Any | None:
    """The window as a shapely geometry in longitude and latitude; None where none of it lies on Earth."""
    with suppress(BadInput):  # in space
        column, row, width, height = window
        flat = make_polygonal(clip_to_earth(shapely.box(column, row, column + width, row + height), place), "window")
        geometry = to_lonlat(flat, place)
        left, bottom, right, top = geometry.bounds
        return geometry.simplify(_SIMPLER * max(right - left, top - bottom))  # curved edges have many points
    return None


def rounded(geometry: Any) -> Any:
    """The same with coordinates of `DECIMALS`."""
    return shapely.transform(geometry, lambda points: np.round(points, DECIMALS))


def bounds(geometry: Any) -> tuple[float, float, float, float]:
    """(west, south, east, north) in degrees as RFC 7946 has them: west > east for parts on both sides of 180."""
    west, south, east, north = geometry.bounds
    boxes = [part.bounds for part in shapely.get_parts(geometry)]
    eastern, western = [one for one in boxes if one[2] >= 180], [one for one in boxes if one[0] <= -180]
    if len(boxes) > 1 and eastern and western and not any(one in western for one in eastern):
        rest = [one for one in boxes if one[0] < 0]
        return min(one[0] for one in boxes if one[0] >= 0), south, max(one[2] for one in rest), north
    return west, south, east, north
