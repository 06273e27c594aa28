"""Water, vegetation, built-up land, burnt land and snow from spectral indices: normalised differences of two bands.

The threshold is Otsu's where the histogram falls into two parts and it lies within the limits that the index is known
by; beside these limits it is the published one. A histogram of one part gets the strict end of the limits, so that the
share is one at least; of built-up and burnt land, which their indices confuse with bare soil, it then tells nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsvlm.geo.earth_shapes import to_lonlat
from rsvlm.geo.geodesy import geodesic_area
from rsvlm.geo.place import GEOD, Place
from rsvlm.geo.scene import Scene
from rsvlm.geo.tiles import tile_windows
from rsvlm.geo.vector import mask_to_polygon

GRID = 2048  # pixels: the longest side of the grid that an index is computed on
_BLOCK = 512  # pixels of the grid that are read at once
_BINS = 400  # of the histogram of an index over [-1, 1]
_SEPARABLE = 0.6  # of the variance: what Otsu's threshold explains at least where the histogram has two parts
_SNOW_NDWI = 0.25  # water is above, snow below
_LEAST_PIXELS = 8  # of the grid: smaller patches are noise
MOST_PATCHES = 50  # the largest, as shapes
_ROWS_MEASURED = 33  # of the grid, whose pixels are measured on the ellipsoid


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A normalised difference (a - b) / (a + b) that shows `cover` above a threshold.

    `default` is the published threshold of reflectances, `limits` the range within which Otsu's is believed. A `weak`
    index is confused with bare soil, and believed only where Otsu's threshold is.
    """

    name: str
    cover: str
    a: str
    b: str
    default: float
    limits: tuple[float, float]
    source: str
    weak: bool = False


INDICES = (  # of each cover the best first
    Index(name="MNDWI", cover="water", a="green", b="swir1", default=0.0, limits=(-0.2, 0.4),
          source="Xu 2006, doi:10.1080/01431160600589179"),
    Index(name="NDWI", cover="water", a="green", b="nir", default=0.0, limits=(-0.2, 0.4),
          source="McFeeters 1996, doi:10.1080/01431169608948714"),
    Index(name="NDVI", cover="vegetation", a="nir", b="red", default=0.3, limits=(0.1, 0.5),
          source="Rouse et al. 1974, NASA SP-351; threshold of Sobrino et al. 2004, doi:10.1016/j.rse.2004.02.003"),
    Index(name="NDBI", cover="built-up", a="swir1", b="nir", default=0.0, limits=(-0.1, 0.3),
          weak=True,
          source="Zha et al. 2003, doi:10.1080/01431160304987"),
    Index(name="NBR", cover="burnt", a="swir2", b="nir", default=0.1, limits=(0.0, 0.4),
          weak=True,
          source="Key and Benson 2006, RMRS-GTR-164, with its sign turned"),
    Index(name="NDSI", cover="snow", a="green", b="swir1", default=0.4, limits=(0.3, 0.6),
          source="Hall et al. 1995, doi:10.1016/0034-4257(95)00137-P"),
)  # fmt: skip
COVERS = tuple(dict.fromkeys(index.cover for index in INDICES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What an index tells of a scene: or in `problem` why none can.

    `share` of the valid area in [0, 1]; `area_m2`, None without a place. `how` says index, bands and threshold.
    `patches`: the largest connected parts as shapely polygons in scene pixels, largest first; `areas` are theirs in m2
    (in pixels without a place). `at_least`: the true share may be larger. `digital`: values are 8-bit numbers, which
    may be stretched for display and are not reflectances.
    """

    name: str
    problem: str = ""
    how: str = ""
    source: str = ""
    threshold: float = 0.0
    share: float = 0.0
    area_m2: float | None = None
    patches: tuple[Any, ...] = ()
    areas: tuple[float, ...] = ()
    at_least: bool = False
    digital: bool = False


def classify(scene: Scene, cover: str) -> Cover:
    """What the bands of a scene tell of a `cover` of `COVERS`, over all of it, on a grid of at most `GRID` pixels.

    Memory is that of the grid. A scene whose bands do not tell has a Cover with a `problem`.
    """
    roles = scene.band_roles
    fitting = [index for index in INDICES if index.cover == cover and index.a in roles and index.b in roles]
    if not fitting:
        wanted = " or ".join(f"{index.a} and {index.b}" for index in INDICES if index.cover == cover)
        return Cover(name=cover, problem=f"{cover} needs the bands {wanted}, which the file does not name")
    index = fitting[0]
    numbers = roles.index(index.a) + 1, roles.index(index.b) + 1
    values = _index_grid(scene, numbers)
    if values is None:
        return Cover(name=cover, problem=f"bands {numbers[0]} and {numbers[1]} of {scene.path.name} do not differ")
    valid = np.isfinite(values)
    if not valid.any():
        return Cover(name=cover, problem=f"band {numbers[0]} or {numbers[1]} of {scene.path.name} holds no data")
    threshold, found, believed = _threshold(values[valid], index)
    if not believed and index.weak:
        return Cover(name=cover, problem=f"{index.name} does not tell {cover} land from bare soil here: {found}")
    mask = np.where(valid, values, -np.inf) > threshold
    digital = np.dtype(scene.dtype).itemsize == 1
    if cover == "snow":  # water has a high NDSI, too, but is dark in the near infrared
        if "nir" not in roles or digital:
            return Cover(
                name=cover, problem="snow is told from water by near infrared reflectances, which are not here"
            )
        other = _index_grid(scene, (roles.index("green") + 1, roles.index("nir") + 1))
        mask &= (np.nan_to_num(other, nan=1.0) < _SNOW_NDWI) if other is not None else False
    how = (
        f"{index.name} = ({index.a} - {index.b}) / ({index.a} + {index.b}), bands {numbers[0]} and {numbers[1]}, "
        f"above {threshold:.2f} ({found})"
    )
    if digital:
        how += "; of 8-bit numbers, which may be stretched for display, not of reflectances"
    share = float(mask.sum() / valid.sum())
    patches = _patches(scene, mask)
    areas = [shape_area(patch, scene.place) for patch in patches]
    order = np.argsort([-area for area in areas], kind="stable")
    return Cover(
        name=cover, how=how, source=index.source, threshold=threshold, share=share, digital=digital,
        at_least=not believed and threshold == index.limits[1],
        area_m2=None if scene.place is None else _mask_area(scene.place, mask, scene),
        patches=tuple(patches[at] for at in order), areas=tuple(areas[at] for at in order),
    )  # fmt: skip


def _index_grid(scene: Scene, numbers: tuple[int, int]) -> NDArray[np.float32] | None:
    """The normalised difference of two bands on the grid (H, W), NaN without data; None where the bands are equal."""
    scale = min(1.0, GRID / max(scene.width, scene.height))
    height, width = max(1, round(scene.height * scale)), max(1, round(scene.width * scale))
    grid, differ = np.full((height, width), np.nan, np.float32), False
    for column, row, columns, rows in tile_windows(width, height, _BLOCK, 0):
        x1, x2 = (round(at * scene.width / width) for at in (column, column + columns))
        y1, y2 = (round(at * scene.height / height) for at in (row, row + rows))
        a, b = scene.read_bands(numbers, (x1, y1, x2 - x1, y2 - y1), (columns, rows))
        total = a + b
        with np.errstate(invalid="ignore", divide="ignore"):
            index = (a - b) / total
        index[~(total > 0) | (np.abs(index) > 1)] = np.nan  # two zeros are no measurement
        grid[row : row + rows, column : column + columns] = index
        differ = differ or bool((np.nan_to_num(a) != np.nan_to_num(b)).any())
    return grid if differ else None


def _threshold(values: NDArray[np.float32], index: Index) -> tuple[float, str, bool]:
    """The threshold, how it was found, and whether it is Otsu's; of the values (N,) of an index that are data."""
    counts, edges = np.histogram(values, _BINS, (-1.0, 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above, sums = counts.sum() - below, np.cumsum(counts * middles)
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = sums[:-1] / below, (sums[-1] - sums[:-1]) / above
        between = np.nan_to_num(below * above * (high - low) ** 2) / counts.sum() ** 2
    spread = float((counts * (middles - sums[-1] / counts.sum()) ** 2).sum() / counts.sum())
    best = int(np.argmax(between))
    eta, otsu = (float(between[best]) / spread if spread > 0 else 0.0), float(edges[best + 1])
    least, most = index.limits
    if eta >= _SEPARABLE and least <= otsu <= most:
        return otsu, f"Otsu's threshold, which explains {100 * eta:.0f} % of the variance", True
    if eta >= _SEPARABLE:
        return index.default, f"the published threshold: Otsu's is {otsu:.2f}", False
    return most, "the strict end of what is known of it: the histogram has no two parts", False


def _patches(scene: Scene, mask: NDArray[np.bool_]) -> list[Any]:
    """The largest connected parts of a mask on the grid, as shapely polygons in scene pixels."""
    if not mask.any():
        return []
    parts = [part for part in shapely.get_parts(mask_to_polygon(mask)) if part.area >= _LEAST_PIXELS]
    largest = sorted(parts, key=lambda part: -part.area)[:MOST_PATCHES]
    scale = np.array([scene.width / mask.shape[1], scene.height / mask.shape[0]])
    return [shapely.transform(part, lambda points: points * scale) for part in largest]


def shape_area(shape: Any, place: Place | None) -> float:
    """Square metres of a shapely geometry in scene pixels; pixels without a place."""
    return float(shape.area) if place is None else geodesic_area(to_lonlat(shape, place))


def _mask_area(place: Place, mask: NDArray[np.bool_], scene: Scene) -> float:
    """Square metres of the True pixels of a mask on the grid: of each row by the size of a pixel at its middle."""
    height, width = mask.shape
    rows = np.unique(np.linspace(0, height - 1, min(height, _ROWS_MEASURED)).round().astype(int))
    x, step = scene.width / 2, np.array([scene.width / width, scene.height / height])
    areas = []
    for row in rows:
        y = row * step[1]
        corners = [(x, y), (x + step[0], y), (x + step[0], y + step[1]), (x, y + step[1])]
        lonlat = place.to_lonlat(corners)
        whole = np.isfinite(lonlat).all()
        areas.append(abs(GEOD.polygon_area_perimeter(lonlat[:, 0], lonlat[:, 1])[0]) if whole else np.nan)
    known = np.isfinite(areas)
    each = np.interp(np.arange(height), rows[known], np.array(areas)[known]) if known.any() else np.zeros(height)
    return float((mask.sum(1) * each).sum())
