"""The map of a search as one SVG: footprints in degrees over a graticule, with a number each. It loads nothing.

Longitude is shrunk by the cosine of the middle latitude, and the map is cut where no tile is, so that places on both
sides of the antimeridian lie together. The page's script moves it; without one it shows all.
"""

import math
from collections.abc import Sequence
from typing import Any

import shapely
from shapely import affinity

from rsvlm.html import escape
from rsvlm.serve.archive_result import FoundTile

_WIDTH = 1000.0  # units of the SVG's longer side
_MARGIN = 0.12  # of the extent, on each side
_LEAST = 1e-3  # degrees that a map shows at least
_STEPS = (90, 45, 30, 20, 10, 5, 2, 1)
_LINES = 5  # of the graticule along the longer side, at least


def svg_map(hits: Sequence[FoundTile]) -> str:
    """The SVG of all tiles with a place on Earth; "" where none has one."""
    shapes = [(hit, shape) for hit in hits if (shape := hit.shape) is not None]
    if not shapes:
        return ""
    moved = _together([shape for _, shape in shapes])
    west, south, east, north = _extent(moved)
    shrink = max(0.1, math.cos(math.radians((south + north) / 2)))
    scale = _WIDTH / max((east - west) * shrink, north - south)
    width, height = (east - west) * shrink * scale, (north - south) * scale

    def x_y(lon: float, lat: float) -> tuple[float, float]:
        return (lon - west) * shrink * scale, (north - lat) * scale

    marks = [_mark(hit, shape, x_y) for (hit, _), shape in zip(shapes, moved, strict=True)]
    return (
        f'<svg class="map earth" id="map" viewBox="0 0 {width:.6g} {height:.6g}" role="img" aria-label="Map of the '
        f'tiles that were found" data-west="{west:.10g}" data-north="{north:.10g}" data-x="{shrink * scale:.10g}" '
        f'data-y="{scale:.10g}"><g id="net">{_graticule((west, south, east, north), x_y)}</g>'
        f"{''.join(marks[::-1])}</svg>"
    )


def _together(shapes: Sequence[Any]) -> list[Any]:
    """Shapes with their parts moved by 360 degrees, so that the widest gap between any of them lies outside."""
    spans = sorted((part.bounds[0], part.bounds[2]) for shape in shapes for part in shapely.get_parts(shape))
    gap, cut, reach = spans[0][0] + 360 - max(east for _, east in spans), -math.inf, spans[0][1]
    for west, east in spans:
        if west - reach > gap:
            gap, cut = west - reach, west
        reach = max(reach, east)
    return [
        shapely.union_all([
            affinity.translate(part, 360) if part.bounds[0] < cut else part for part in shapely.get_parts(shape)
        ])
        for shape in shapes
    ]  # fmt: skip


def _extent(shapes: Sequence[Any]) -> tuple[float, float, float, float]:
    """West, south, east, north of the map: all shapes with a margin, neither very wide nor very high."""
    west, south, east, north = shapely.total_bounds(shapes)
    middle, level = (west + east) / 2, (south + north) / 2
    shrink = max(0.1, math.cos(math.radians(level)))
    half_x, half_y = (max(_LEAST, far - near) * (0.5 + _MARGIN) for near, far in ((west, east), (south, north)))
    half_x = max(half_x, half_y / shrink)  # at least as wide as high
    half_y = max(half_y, half_x * shrink / 2)
    return middle - half_x, level - half_y, middle + half_x, level + half_y


def _mark(hit: FoundTile, shape: Any, x_y: Any) -> str:
    """The outline of a tile with its number, which leads to its card."""
    outline = " ".join(
        "M" + " ".join("{:.9g},{:.9g}".format(*x_y(lon, lat)) for lon, lat in ring.coords[:-1]) + "z"
        for part in shapely.get_parts(shape)
        for ring in (part.exterior, *part.interiors)
    )
    left, bottom, right, top = shape.bounds
    (x1, y1), (x2, y2) = x_y(left, top), x_y(right, bottom)
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    words = escape(f"{hit.rank}: {hit.score:.3f}{', unsure' * bool(hit.doubt)}, {hit.place} {hit.date}".strip())
    return (
        f'<a class="hit{" doubted" * bool(hit.doubt)}" id="f{hit.rank}" href="#c{hit.rank}"><title>{words}</title>'
        f'<image x="{x1:.9g}" y="{y1:.9g}" width="{x2 - x1:.9g}" height="{y2 - y1:.9g}" preserveAspectRatio="none"/>'
        f'<path fill-rule="evenodd" d="{outline}"/><circle cx="{x:.9g}" cy="{y:.9g}" r="11"/>'
        f'<text x="{x:.9g}" y="{y:.9g}" dy=".35em" font-size="12">{hit.rank}</text></a>'
    )


def _graticule(extent: tuple[float, float, float, float], x_y: Any) -> str:
    """Lines of longitude and latitude at round degrees with their names."""
    west, south, east, north = extent
    step = _step(max(east - west, north - south))
    lines = []
    for lon in _round(west, east, step):
        (x, y1), (_, y2) = x_y(lon, north), x_y(lon, south)
        name = _degrees((lon + 180) % 360 - 180, "E", "W", step)
        lines.append(f'<path d="M{x:.7g},{y1:.7g}V{y2:.7g}"/><text x="{x + 4:.7g}" y="{y2 - 6:.7g}">{name}</text>')
    for lat in _round(max(south, -90), min(north, 90), step):
        (x1, y), (x2, _) = x_y(west, lat), x_y(east, lat)
        name = _degrees(lat, "N", "S", step)
        lines.append(f'<path d="M{x1:.7g},{y:.7g}H{x2:.7g}"/><text x="{x1 + 4:.7g}" y="{y - 4:.7g}">{name}</text>')
    return "".join(lines)


def _step(span: float) -> float:
    """The largest round step in degrees with `_LINES` lines in a span."""
    power = 1.0
    while True:
        for step in _STEPS if power == 1 else (5, 2, 1):
            if step * power * _LINES <= span:
                return step * power
        power /= 10


def _round(low: float, high: float, step: float) -> list[float]:
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _degrees(value: float, above: str, below: str, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step)))
    return f"{abs(value):.{digits}f}° {above if value > 0 else below if value < 0 else ''}".strip()
