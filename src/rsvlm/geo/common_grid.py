"""The common grid of two scenes: that of the coarser one, cut to the part of the Earth that both show."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import shapely

from rsvlm.errors import BadInput
from rsvlm.geo.place import Floats, Place, Transform
from rsvlm.geo.scene import Scene
from rsvlm.geo.tiles import Window

_EDGE_POINTS = 33  # a side of a footprint, which bends in another CRS
_SAME_SIZE = 1.02  # ratio of two pixel sizes that count as one
_WHOLE_SHARE = 0.99  # of a scene, from which all of it counts as compared


@dataclass(frozen=True)
class Grid:
    """Pixels of `width` x `height`, which lie at `place` on Earth.

    Where a scene has no place, the pixel (x, y) of the grid is the pixel of `step` (a, b, c, d, e, f) of the scene:
    (a*x + b*y + c, d*x + e*y + f).
    """

    width: int
    height: int
    place: Place | None
    step: Transform = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

    def part(self, window: Window, size: tuple[int, int]) -> "Grid":
        """The grid of a window of this one, with `size` (width, height) pixels."""
        column, row, width, height = window
        step = (width / size[0], 0.0, float(column), 0.0, height / size[1], float(row))
        middle = size[0] / 2, size[1] / 2
        place = self.place and Place(_chain(self.place.transform, step), self.place.crs, middle)
        return Grid(*size, place, _chain(self.step, step))


def _chain(outer: Transform, inner: Transform) -> Transform:
    """The transform that applies `inner`, then `outer`."""
    (a, b, c, d, e, f), (g, h, i, j, k, m) = outer, inner
    return a * g + b * j, a * h + b * k, a * i + b * m + c, d * g + e * j, d * h + e * k, d * i + e * m + f


class CommonGrid(NamedTuple):
    """The `grid`; `owner`: 0 where it is that of the first scene, 1 of the second; `notes` on size and overlap."""

    grid: Grid
    owner: int
    notes: tuple[str, ...]


def common_grid(before: Scene, after: Scene) -> CommonGrid:
    """The grid on which two scenes are compared: that of the coarser scene; of `before` where both are equally fine.

    Where one of them or both have no place on Earth, pictures of equal size lie pixel on pixel. Raises BadInput for
    others, and for scenes that have no part of the Earth in common, with both footprints.
    """
    if before.place is None or after.place is None:
        return _pixel_grid(before, after)
    sizes, names = (_pixel_size(before), _pixel_size(after)), distinct_names(before, after)
    owner = int(sizes[1] > sizes[0] * _SAME_SIZE)
    coarse, fine = (after, before) if owner else (before, after)
    place, other = (after.place, before.place) if owner else (before.place, after.place)
    shape = _outline(other, place, fine.window)
    shared = shape.intersection(shapely.box(0, 0, coarse.width, coarse.height))
    left, top, right, bottom = _whole(shared.bounds, coarse) if shared.area > 0 else (0, 0, 0, 0)
    if right <= left or bottom <= top:
        raise BadInput(
            f"{names[0]} and {names[1]} show no common part of the Earth: the first covers "
            f"{footprint(before)}, the second {footprint(after)}; give two dates of one place."
        )
    notes = []
    if max(sizes) > _SAME_SIZE * min(sizes):
        notes.append(
            f"{names[0]} has {sizes[0]:.3g} m a pixel and {names[1]} {sizes[1]:.3g} m: both are "
            f"compared at {max(sizes):.3g} m"
        )
    for at, area in ((owner, coarse.width * coarse.height), (1 - owner, shape.area)):
        if shared.area < _WHOLE_SHARE * area:
            share = _percent(shared.area / area)
            notes.append(f"{share} of {names[at]} lies in the other date, too; the rest is not compared")
    width, height = right - left, bottom - top
    whole = Grid(coarse.width, coarse.height, place)
    return CommonGrid(whole.part((left, top, width, height), (width, height)), owner, tuple(notes))


def distinct_names(before: Scene, after: Scene) -> tuple[str, str]:
    """The names of two files, with their folders where the names alone are the same."""
    first, second = before.path, after.path
    if first.name != second.name:
        return first.name, second.name
    return f"{first.parent.name}/{first.name}", f"{second.parent.name}/{second.name}"


def _pixel_size(scene: Scene) -> float:
    if scene.gsd_m is None:
        raise BadInput(
            f"The middle of {scene.path.name} lies off the Earth, so its pixels have no size; cut it to the Earth."
        )
    return scene.gsd_m


def _pixel_grid(before: Scene, after: Scene) -> CommonGrid:
    sizes = [(scene.width, scene.height) for scene in (before, after)]
    names = distinct_names(before, after)
    unplaced, name = (before, names[0]) if before.place is None else (after, names[1])
    if sizes[0] != sizes[1]:
        raise BadInput(
            f"{names[0]} has {sizes[0][0]} x {sizes[0][1]} pixels and {names[1]} {sizes[1][0]} x "
            f"{sizes[1][1]}, and {name} has no place on Earth ({unplaced.unplaced}); give two pictures "
            f"of equal size, or georeference both."
        )
    notes = []
    if before.place or after.place:
        notes.append(f"{name} has no place on Earth: it is taken to lie pixel on pixel on the other date")
    place = before.place or after.place
    return CommonGrid(Grid(*sizes[0], place), int(before.place is None and place is not None), tuple(notes))


def map_points(source: Place, target: Place, points: Floats) -> Floats:
    """Pixels (N, 2) of one place -> pixels (N, 2) of the other; inf where the second cannot show them."""
    if source.crs == target.crs:
        return target.from_crs(source.to_crs(points))
    lonlat = source.to_lonlat(points)
    shown = np.isfinite(lonlat).all(axis=1)
    mapped = np.full(points.shape, np.inf)
    if shown.any():
        mapped[shown] = target.to_pixel(lonlat[shown])
    return mapped


def edge_points(window: Window | tuple[float, float, int, int], count: int = _EDGE_POINTS) -> Floats:
    """Points (4 * count, 2) along the edge of a window, in the order of a ring."""
    column, row, width, height = window
    along = np.linspace(0, 1, count, endpoint=False)
    zero, one = np.zeros(count), np.ones(count)
    x = np.concatenate([along, one, 1 - along, zero])
    y = np.concatenate([zero, along, one, 1 - along])
    return np.stack([column + x * width, row + y * height], axis=1)


def footprint(scene: Scene) -> str:
    """Where a scene lies, in words: its longitudes and latitudes in degrees."""
    lonlat = scene.pixel_to_lonlat(edge_points(scene.window))
    lonlat = lonlat[np.isfinite(lonlat).all(axis=1)]
    if not len(lonlat):
        return "no part of the Earth that its edge shows"
    (west, south), (east, north) = lonlat.min(axis=0), lonlat.max(axis=0)
    return f"longitude {west:.5g} to {east:.5g} and latitude {south:.5g} to {north:.5g}"


def lattice_points(window: Window | tuple[float, float, int, int], count: int) -> Floats:
    """Points (count * count, 2) spread over a window, its corners among them."""
    column, row, width, height = window
    x, y = np.meshgrid(np.linspace(0, width, count), np.linspace(0, height, count))
    return np.stack([column + x.ravel(), row + y.ravel()], axis=1)


def _outline(source: Place, target: Place, window: Window) -> Any:
    """The shape of a window of `source` in pixels of `target`.

    Where part of its edge lies off the Earth (geostationary scenes), the convex hull of the points inside that do not.
    """
    edge = map_points(source, target, edge_points(window))
    if np.isfinite(edge).all():
        return shapely.make_valid(shapely.Polygon(edge))
    inner = map_points(source, target, lattice_points(window, _EDGE_POINTS))
    return shapely.MultiPoint(inner[np.isfinite(inner).all(axis=1)]).convex_hull


def _whole(bounds: tuple[float, float, float, float], scene: Scene) -> tuple[int, int, int, int]:
    """Bounds in pixels as whole pixels (left, top, right, bottom), of which at least half is inside."""
    left, top, right, bottom = (int(np.floor(value + 0.5)) for value in bounds)
    return max(0, left), max(0, top), min(scene.width, right), min(scene.height, bottom)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "under 1 %"
