"""A window of a scene on the pixels of another grid: reprojected, averaged where finer, moved by a shift."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from rsvlm.geo.cloud_bands import CloudBand
from rsvlm.geo.common_grid import Grid, edge_points, lattice_points, map_points
from rsvlm.geo.place import Floats, Transform
from rsvlm.geo.scene import Mask, Scene
from rsvlm.geo.tiles import Window

from rasterio.crs import CRS  # isort: skip  # after scene: it names the missing extra
from rasterio.warp import Resampling, reproject  # isort: skip

Values = NDArray[Any]  # (3, H, W): uint8, or float32 in the units of the file
_LATTICE = 9  # points a side inside a window, by which its place in the scene is found
_WHOLE = 0.01  # pixels: an offset this near to a whole number is one, and nothing is resampled
_MARGIN = 4  # source pixels around a window that the kernel of the interpolation reaches
_TOLERANCE = 0.01  # pixels: error of a reprojection that GDAL may make for speed
_ANY_CRS = CRS.from_epsg(3857)  # where both sides are pixels of one map, and nothing is projected


class Aligned(NamedTuple):
    """`values` (3, H, W) and the mask `valid` (H, W) of a window of the grid."""

    values: Values
    valid: Mask


@dataclass(frozen=True)
class Source:
    """A scene that is compared, and the band that states its clouds (None: not known). `grey`: bands are averaged."""

    scene: Scene
    clouds: CloudBand | None = None
    grey: bool = False

    def read(self, window: Window, size: tuple[int, int] | None = None) -> Aligned:
        """What the scene shows in a window of its own: uint8 as stored, else float32 in the units of the file.

        Clouds are not valid. `size` (width, height) divides the window; its pixels are means.
        """
        scene = self.scene
        if scene.dtype == "uint8":
            values, valid = scene.read_rgb(window, size).transpose(2, 0, 1), scene.valid(window, size)
        else:
            masked = scene.read_bands(scene.shown, window, size)
            missing = np.ma.getmaskarray(masked)
            some = np.any if np.dtype(scene.dtype).kind == "f" else np.all
            valid = ~np.asarray(some(missing, axis=0))
            values = np.where(valid, masked.data, np.float32(0))
            values = np.repeat(values, 3, axis=0) if len(values) == 1 else values
        if self.grey:
            mean = values.mean(axis=0, keepdims=True, dtype=np.float32)
            mean = np.rint(mean).astype(np.uint8) if values.dtype == np.uint8 else mean
            values = np.repeat(mean, 3, axis=0)
        if self.clouds:
            valid = valid & ~self.clouds.cloudy(scene, window, size)
        return Aligned(values, valid)


def read_aligned(source: Source, grid: Grid, window: Window, shift: tuple[float, float] = (0.0, 0.0)) -> Aligned:
    """A source on a window of `grid`: the pixel (x, y) there is taken from the place of (x + dx, y + dy).

    Values are interpolated (cubic), after averaging where the scene is finer than the grid; a pixel of which more than
    half is no data is none. Memory is that of the window.
    """
    scene, (column, row, width, height) = source.scene, window
    moved = (column + shift[0], row + shift[1], width, height)
    points = _to_scene(scene, grid, edge_points(moved))
    offset = _whole_offset(points, width, height)
    if offset is not None:
        return _read_padded(source, (*offset, width, height))
    inner = _to_scene(scene, grid, lattice_points(moved, _LATTICE))
    seen = np.concatenate([points, inner])
    seen = seen[np.isfinite(seen).all(axis=1)]
    scale = _scale(points, width, height)
    factor = max(1, int(scale + 0.05))
    part = _source_window(scene, seen, factor)
    if part is None:
        return Aligned(np.zeros((3, height, width), np.float32), np.zeros((height, width), bool))
    read = source.read(part, (part[2] // factor, part[3] // factor) if factor > 1 else None)
    inside = len(seen) == len(points) + len(inner) and bool(
        (seen >= 1).all() and (seen <= (scene.width - 1, scene.height - 1)).all()
    )
    here = np.array([[factor, 0, part[0]], [0, factor, part[1]], [0, 0, 1.0]])
    there = np.array([[1, 0, moved[0]], [0, 1, moved[1]], [0, 0, 1.0]])
    crs = _ANY_CRS, _ANY_CRS
    if scene.place is None or grid.place is None:
        there = _matrix(grid.step) @ there
    elif scene.place.crs == grid.place.crs:
        there = np.linalg.inv(_matrix(scene.place.transform)) @ _matrix(grid.place.transform) @ there
    else:
        here, there = _matrix(scene.place.transform) @ here, _matrix(grid.place.transform) @ there
        crs = CRS.from_user_input(scene.place.crs_name), CRS.from_user_input(grid.place.crs_name)
    transforms = _affine(here), _affine(there)
    return _warp(read, transforms, crs, (height, width), zoom=min(1.0, round(factor / scale, 1)), inside=inside)


def _warp(
    read: Aligned, transforms: tuple[Affine, Affine], crs: tuple[Any, Any], shape: tuple[int, int], *,
    zoom: float, inside: bool,
) -> Aligned:  # fmt: skip
    """`read` with (from, to) `transforms` and `crs`. `inside`: no pixel of the result lies outside of what was read.

    `zoom`: pixels of the result to one that was read, at most 1. GDAL would take it from the sizes of the windows,
    which is wrong where one is turned, and differs from window to window.
    """

    def warp(source: NDArray[Any]) -> NDArray[Any]:
        out = np.zeros((len(source), *shape), source.dtype)
        reproject(
            np.ascontiguousarray(source), out, src_transform=transforms[0], src_crs=crs[0],
            dst_transform=transforms[1], dst_crs=crs[1], resampling=Resampling.cubic, tolerance=_TOLERANCE,
            XSCALE=zoom, YSCALE=zoom,
        )  # fmt: skip
        return out

    whole = bool(read.valid.all())
    if whole and inside:
        return Aligned(warp(read.values), np.ones(shape, bool))
    # Weights of what is no data are taken out: interpolate values times mask, and the mask, and divide.
    mask = read.valid.astype(np.float32)
    weight = warp(mask[None])[0]
    valid = weight > 0.5
    if whole:
        return Aligned(warp(read.values), valid)
    values = warp(read.values.astype(np.float32) * mask) / np.where(valid, weight, 1)
    known = read.values[:, read.valid]
    if known.size:
        values = np.clip(values, known.min(), known.max())
    if read.values.dtype == np.uint8:
        values = np.rint(values).astype(np.uint8)
    return Aligned(values * valid, valid)


def _read_padded(source: Source, window: Window) -> Aligned:
    """A window that may reach over the edges of the scene, where nothing is valid."""
    scene, (column, row, width, height) = source.scene, window
    left, top = max(0, column), max(0, row)
    right, bottom = min(scene.width, column + width), min(scene.height, row + height)
    if right <= left or bottom <= top:
        return Aligned(np.zeros((3, height, width), np.float32), np.zeros((height, width), bool))
    read = source.read((left, top, right - left, bottom - top))
    if (right - left, bottom - top) == (width, height):
        return read
    values, valid = np.zeros((3, height, width), read.values.dtype), np.zeros((height, width), bool)
    part = slice(top - row, bottom - row), slice(left - column, right - column)
    values[:, *part], valid[part] = read
    return Aligned(values, valid)


def _to_scene(scene: Scene, grid: Grid, points: Floats) -> Floats:
    """Pixels (N, 2) of the grid -> pixels (N, 2) of the scene."""
    if scene.place is None or grid.place is None:
        a, b, c, d, e, f = grid.step
        return np.stack([a * points[:, 0] + b * points[:, 1] + c, d * points[:, 0] + e * points[:, 1] + f], axis=1)
    return map_points(grid.place, scene.place, points)


def _matrix(transform: Transform) -> Floats:
    return np.array([transform[:3], transform[3:], (0, 0, 1)])


def _affine(matrix: Floats) -> Affine:
    return Affine(*matrix[:2].ravel())


def _whole_offset(points: Floats, width: int, height: int) -> tuple[int, int] | None:
    """(column, row) in the scene where the window lies pixel on pixel, else None. `points` are those of its edge."""
    if not np.isfinite(points).all():
        return None
    column, row = (int(value) for value in np.rint(points[0]))
    near = np.abs(points - edge_points((column, row, width, height))).max() < _WHOLE
    return (column, row) if near else None


def _scale(points: Floats, width: int, height: int) -> float:
    """Pixels of the scene to one of the grid, along a side; 1 where the edge cannot be shown."""
    if not np.isfinite(points).all():
        return 1.0
    x, y = points.T
    area = abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
    return math.sqrt(area / (width * height))


def _source_window(scene: Scene, points: Floats, factor: int) -> Window | None:
    """The window of the scene that holds the points with a margin, cut to whole multiples of `factor`; None if empty.

    Multiples from the scene's corner, so that what is averaged does not depend on the window.
    """
    if not len(points):
        return None
    margin = _MARGIN * factor
    low = np.floor((points.min(axis=0) - margin) / factor).clip(0, 1e9).astype(int) * factor
    high = np.ceil((points.max(axis=0) + margin) / factor).clip(0, 1e9).astype(int) * factor
    right, bottom = (
        min(int(high[0]), scene.width // factor * factor),
        min(int(high[1]), scene.height // factor * factor),
    )
    width, height = right - int(low[0]), bottom - int(low[1])
    return (int(low[0]), int(low[1]), width, height) if width > 0 and height > 0 else None
