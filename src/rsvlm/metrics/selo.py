"""Semantic localisation: where in a large scene a text is true, as a map, and how well the map meets the regions.

Rsu (mass inside the regions), Rda (attention in few places), Ras (distance of the attention, 0 is best) and Rmi, their
mix, as SemanticLocalizationMetrics computes them (Yuan et al. 2022), and the map that it scores. Its quirks stay:
two centres in one region score Rda below one; without any centre Ras is 1; a polygon includes its border; overlapping
regions of one text cancel each other (even-odd) but for their borders.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput, missing_extra
from rsvlm.metrics.score import Array, Score, mean_score

try:
    from scipy import ndimage
except ImportError as error:
    raise missing_extra("scipy", "evaluate") from error

Map = NDArray[np.uint8]  # (H, W), probability times 255
Polygon = Sequence[Sequence[float]]  # (x, y) vertices in pixels
Window = tuple[int, int, int, int]  # column, row, width, height, as `Image.window`

STEPS = (256, 512, 768)
_BETA, _EPS = 0.707, 1e-7  # Rsu
_REACH = 1.5  # a region's radius is 1.5 times the mean distance of its vertices from its centre
_STEEPNESS = 3.0  # Ras
_WEIGHTS = (0.4, 0.35, 0.25)  # Rsu, 1 - Ras, Rda
_BLUR, _BLURS, _SUPPRESS = 50, 5, 1000  # attention centres: box blur, how often, neighbourhood of a maximum
_MEDIAN = 251
_BATCH = 64  # windows that are shown at once
_ROWS = 512  # of a map that are smoothed at once
_PROBABILITY = np.arange(256) / 255.0
_NAMES = ("rsu", "rda", "ras", "rmi")
_UNREAD = (0.0, 0.0, 1.0, 0.0)


def selo_scores(
    predictions: Sequence[Map | None],
    references: Sequence[Sequence[Polygon]],
    *,
    sizes: Sequence[tuple[int, int]] | None = None,
) -> dict[str, Score]:
    """`rsu`, `rda`, `ras` (0 is best) and `rmi`, fractions, each the mean over the texts.

    `predictions` are maps uint8 (H, W), one a text; None, or a map of another (height, width) than in `sizes`, counts
    as the worst: 0, 0, 1, 0. `references` are each text's regions. Raises BadInput for a text without a region on its
    map.
    """
    expected = [None] * len(predictions) if sizes is None else sizes
    rows = np.array(
        [
            _UNREAD if map is None or size not in (None, map.shape) else measures(map, regions)
            for map, regions, size in zip(predictions, references, expected, strict=True)
        ]
    ).reshape(-1, len(_NAMES))
    return {name: mean_score(name, column) for name, column in zip(_NAMES, rows.T, strict=True)}


def measures(map: Map, regions: Sequence[Polygon]) -> tuple[float, float, float, float]:
    """Rsu, Rda, Ras and Rmi of one map."""
    if map.dtype != np.uint8 or map.ndim != 2:
        raise BadInput(f"A map is uint8 (H, W), not {map.dtype} {map.shape}; give 255 times the probability.")
    mask = region_mask(map.shape, regions)
    area = int(mask.sum())
    if not area:
        raise BadInput(f"No region of {len(regions)} lies on the map of {map.shape[1]} x {map.shape[0]} pixels.")
    inside, outside = (_PROBABILITY @ np.bincount(map[part], minlength=256) for part in (mask, ~mask))
    contrast = inside / (outside + _EPS) * (map.size - area) / area
    rsu = 1 - np.exp(-_BETA * contrast)
    circles = [centre_and_radius(region) for region in regions]
    centres = attention_centres(map)
    ras = _offset(circles, centres)
    rda = np.mean([_gathered(circle, centres) for circle in circles])
    rmi = _WEIGHTS[0] * rsu + _WEIGHTS[1] * (1 - ras) + _WEIGHTS[2] * rda
    return float(rsu), float(rda), float(ras), float(rmi)


def region_mask(shape: tuple[int, ...], regions: Sequence[Polygon]) -> NDArray[np.bool_]:
    """Pixels of polygons as OpenCV's fillPoly sets them: vertices cut to whole numbers, even-odd inside, plus borders.

    Vertices may lie outside of the (H, W) mask; there OpenCV clips its border lines, which can move a border pixel.
    """
    height, width = shape
    mask = np.zeros((height, width), dtype=bool)
    levels: list[NDArray[np.int64]] = []
    crossings: list[NDArray[np.int64]] = []
    for region in regions:
        vertices = np.array(region, dtype=np.float64).astype(np.int64)  # towards zero
        for start, end in zip(np.roll(vertices, 1, axis=0), vertices, strict=True):
            x, y = _line(start, end)
            on = (x >= 0) & (x < width) & (y >= 0) & (y < height)
            mask[y[on], x[on]] = True
            (x0, y0), (x1, y1) = (start, end) if start[1] < end[1] else (end, start)
            rows = np.arange(max(y0, 0), min(y1, height))
            if len(rows):
                slope = int((int(x1 - x0) << 16) / int(y1 - y0))  # 16 binary places, cut as in C
                levels.append(rows)
                crossings.append((x0 << 16) + (rows - y0) * slope)
    if not levels:
        return mask
    row, at = np.concatenate(levels), np.concatenate(crossings)
    order = np.lexsort((at, row))  # each row is crossed an even number of times: two by two they bound the inside
    left, right = at[order].reshape(-1, 2).T
    spans = np.zeros((height, width + 1), dtype=np.int32)
    np.add.at(spans, (row[order][::2], np.clip((left + 65535) >> 16, 0, width)), 1)
    np.add.at(spans, (row[order][::2], np.clip((right >> 16) + 1, 0, width)), -1)
    return mask | (np.cumsum(spans, axis=1)[:, :width] > 0)


def _line(start: NDArray[np.int64], end: NDArray[np.int64]) -> NDArray[np.int64]:
    """(2, n) x and y of the 8-connected line between two pixels; halves go towards the start, left to right."""
    if start[0] > end[0]:
        start, end = end, start
    span = end - start
    long = int(np.abs(span[1]) > span[0])
    steps = int(np.abs(span[long]))
    walked = np.arange(steps + 1)
    rise = -((steps - 2 * walked * np.abs(span[1 - long])) // max(1, 2 * steps))
    line = np.empty((2, steps + 1), dtype=np.int64)
    line[long] = start[long] + walked * np.sign(span[long])
    line[1 - long] = start[1 - long] + rise * np.sign(span[1 - long])
    return line


def centre_and_radius(region: Polygon) -> tuple[int, int, int]:
    """x, y and radius of the circle that stands for a region: mean of its vertices, cut to whole pixels.

    The radius is at least 1, where the original divides by zero for a region of one or two pixels.
    """
    vertices = np.array(region, dtype=np.float64)
    x, y = (int(value) for value in vertices.sum(axis=0) / len(vertices))
    radius = int(np.linalg.norm(vertices - (x, y), axis=1).mean() * _REACH)
    return x, y, max(1, radius)


def attention_centres(map: Map) -> list[tuple[int, int]]:
    """(x, y) of the maxima of the blurred map that the map itself gives 0.5 or more, the most probable first."""
    gray = map
    for _ in range(_BLURS):
        gray = _box_blur(gray)
    peaks = (ndimage.maximum_filter(gray, size=_SUPPRESS) == gray) & (gray > 0)
    labelled: Any = ndimage.label(peaks, structure=np.ones((3, 3)))
    labels, count = labelled
    found = ndimage.center_of_mass(peaks, labels, range(1, count + 1))
    centres = [(int(column), int(row)) for row, column in found]
    centres.sort(key=lambda centre: -int(map[centre[1], centre[0]]))
    return [(x, y) for x, y in centres if _PROBABILITY[map[y, x]] >= 0.5]


def _box_blur(gray: Map) -> Map:
    """The rounded mean over 50 x 50 pixels, x - 25 to x + 24, mirrored at the border without repeating it."""
    before = _BLUR // 2
    total = np.pad(gray, (before, _BLUR - 1 - before), mode="reflect").astype(np.int32)
    for axis in (0, 1):
        summed = np.cumsum(total, axis=axis, dtype=np.int32)
        summed = np.concatenate([np.zeros_like(summed.take([0], axis=axis)), summed], axis=axis)
        length = summed.shape[axis]
        total = summed.take(range(_BLUR, length), axis=axis) - summed.take(range(length - _BLUR), axis=axis)
    return np.rint(total / _BLUR**2).astype(np.uint8)


def _distances(circle: tuple[int, int, int], centres: Sequence[tuple[int, int]]) -> Array:
    return np.linalg.norm(np.array(centres, dtype=np.float64).reshape(-1, 2) - circle[:2], axis=1)


def _offset(circles: Sequence[tuple[int, int, int]], centres: Sequence[tuple[int, int]]) -> float:
    """Ras: mean distance of the centres within each circle, 1 where there is none, steepened."""
    shares = []
    for circle in circles:
        near = _distances(circle, centres)
        near = near[near <= circle[2]]
        shares.append(near.mean() / circle[2] if len(near) else 1.0)
    return float(np.expm1(_STEEPNESS * np.mean(shares)) / np.expm1(_STEEPNESS))


def _gathered(circle: tuple[int, int, int], centres: Sequence[tuple[int, int]]) -> float:
    """Rda of one region: 0 without a centre, 1 with one, less the more and the wider apart they are."""
    near = np.array(centres, dtype=np.float64).reshape(-1, 2)[_distances(circle, centres) <= circle[2]]
    if len(near) <= 1:
        return float(len(near))
    spread = np.linalg.norm(near - near.mean(axis=0), axis=1).mean() / circle[2]
    return float(0.5 * (1 - spread) + np.exp(-0.5 * (len(near) + 2)))


def windows(size: tuple[int, int], steps: Sequence[int] = STEPS) -> list[Window]:
    """The distinct windows of a (width, height) image: squares of each step, from 0 and from half a step.

    One that would pass the border is shifted back. In an image smaller than a step the window is the whole side (the
    original counts from behind there).
    """

    def starts(length: int, step: int, first: int) -> list[tuple[int, int]]:
        edge = min(step, length)
        return [(min(start, length - edge), edge) for start in range(first, length, step)]

    return list(
        dict.fromkeys(
            (column, row, wide, high)
            for step in steps
            for first in (0, step - step // 2)
            for row, high in starts(size[1], step, first)
            for column, wide in starts(size[0], step, first)
        )
    )


def selo_map(
    size: tuple[int, int],
    similarity: Callable[[Sequence[Window]], Sequence[float] | NDArray[Any]],
    *,
    steps: Sequence[int] = STEPS,
    median: int = _MEDIAN,
) -> Map:
    """The map of a text over a (width, height) image: mean similarity of the windows over each pixel, 0..255, smoothed.

    `similarity` gives one value for each of the `windows(size, steps)`. The means are stretched from their least to
    their greatest (0 everywhere where all are equal), cut to whole numbers, and each pixel becomes the median of the
    `median` (odd) pixels square around it, the border repeated. The original writes windows and map as JPEG in between
    and reads them again; this does not.
    """
    found = windows(size, steps)
    values = np.asarray(similarity(found), dtype=np.float64)
    if values.shape != (len(found),) or not np.isfinite(values).all():
        raise BadInput(f"The map needs one finite similarity for each of {len(found)} windows; got {values.shape}.")
    edges = [np.unique([0, *(w[axis] for w in found), *(w[axis] + w[axis + 2] for w in found)]) for axis in (0, 1)]
    total = np.zeros((len(edges[1]) - 1, len(edges[0]) - 1))  # between two edges nothing changes: sum cells, not pixels
    covered = np.zeros_like(total)
    for (column, row, wide, high), value in zip(found, values, strict=True):
        left, right = np.searchsorted(edges[0], (column, column + wide))
        top, bottom = np.searchsorted(edges[1], (row, row + high))
        total[top:bottom, left:right] += value
        covered[top:bottom, left:right] += 1
    mean = total / covered
    above = mean - mean.min()
    cells = (255 * (above / (above.max() or 1.0))).astype(np.uint8)
    return _median(cells, edges[0], edges[1], median)


def similarity_map(
    picture: NDArray[np.uint8],
    similarity: Callable[[Sequence[NDArray[np.uint8]]], Sequence[float] | NDArray[Any]],
    *,
    steps: Sequence[int] = STEPS,
    median: int = _MEDIAN,
) -> Map:
    """`selo_map` of a picture (H, W, 3): `similarity` gets its windows as pictures, some at a time.

    They come in their own size; the original first makes each 256 x 256 (bicubic).
    """

    def ask(found: Sequence[Window]) -> NDArray[np.float64]:
        cut = [picture[row : row + high, column : column + wide] for column, row, wide, high in found]
        parts = [similarity(cut[start : start + _BATCH]) for start in range(0, len(cut), _BATCH)]
        return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])

    return selo_map((picture.shape[1], picture.shape[0]), ask, steps=steps, median=median)


def _median(cells: Map, columns: NDArray[np.int64], rows: NDArray[np.int64], width: int) -> Map:
    """The running median of the picture whose pixels between the given edges are `cells`: a weighted median of cells.

    A pixel's median is at least the (k+1)-th level where the pixels at the k-th or below are fewer than half; their
    number is one matrix product a level (exact: below 2**24).
    """
    across, down = _overlaps(columns, width), _overlaps(rows, width)
    half = (width * width + 1) // 2
    levels = np.unique(cells)
    rank = np.zeros((len(down), len(across)), dtype=np.uint8)
    for start in range(0, len(down), _ROWS):
        block = slice(start, start + _ROWS)
        for level in levels[:-1]:
            rank[block] += down[block] @ (cells <= level).astype(np.float32) @ across.T < half
    return levels[rank]


def _overlaps(edges: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """(pixels, cells): how many of `width` pixels around each pixel lie in each cell; the outer ones are endless."""
    begin = np.arange(edges[-1])[:, None] - width // 2
    bounds = np.array([*pairwise(edges)], dtype=np.int64)
    bounds[0, 0], bounds[-1, 1] = -width, edges[-1] + width
    return np.maximum(np.minimum(begin + width, bounds[:, 1]) - np.maximum(begin, bounds[:, 0]), 0).astype(np.float32)
