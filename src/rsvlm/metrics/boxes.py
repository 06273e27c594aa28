"""IoU of boxes: plain, rotated, or by the "+1" formula that released evaluators use.

| mode | boxes | formula |
|---|---|---|
| `plain` | (x1, y1, x2, y2), any unit | area IoU; a box without area has IoU 0, also with itself |
| `rotated` | 4 numbers, 5 with degrees, 8 for a quad, any unit with square pixels | polygons clipped by Shapely |
| `legacy_plus1_pixel` | whole pixels | sides are x2 - x1 + 1 (PASCAL VOC, MiniGPT-4 `eval_ref.py`) |
| `legacy_plus1_grid100` | 0-100 of the image side | the same: +1 is a hundredth of the side (VRSBench notebook) |
| `legacy_plus1_unit` | 0-1 | the same: +1 is the whole side, almost every pair passes 0.5 (LHRS-Bot) |

The three legacy modes are one formula, raw also on corners out of order; the name says which unit it was fed, and so
how much harm it did. Degrees are positive counter-clockwise as seen on screen (y down), about the centre of the box.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsvlm.data.box_codecs import Numbers
from rsvlm.errors import missing_extra
from rsvlm.metrics.score import Array

Mode = Literal["plain", "rotated", "legacy_plus1_pixel", "legacy_plus1_grid100", "legacy_plus1_unit"]


def iou(predicted: Sequence[float], target: Sequence[float], mode: Mode = "plain") -> float:
    """The IoU of one pair of boxes, both in the unit that `mode` names; 0 where the union is 0."""
    return float(ious(predicted, target, mode))


def ious(predicted: ArrayLike, target: ArrayLike, mode: Mode = "plain") -> Array:
    """IoU of (..., K) boxes with (..., K) boxes, broadcast: `p` (N, K) and `t` (N, K) -> (N,), in pairs;
    `p[:, None]` and `t[None]` -> (N, M), each with each. A box that is not finite overlaps nothing.
    """
    return quotient(*overlaps(predicted, target, mode))


def quotient(shared: Array, union: Array) -> Array:
    """IoU from `overlaps`: 0 where the union is 0 or not finite."""
    return np.divide(shared, union, out=np.zeros(union.shape), where=np.isfinite(union) & (union != 0))


def overlaps(predicted: ArrayLike, target: ArrayLike, mode: Mode = "plain") -> tuple[Array, Array]:
    """Areas of intersection and union, in the unit of the boxes squared; shapes as in `ious`."""
    if mode == "rotated":
        return shape_overlaps(polygons(predicted), polygons(target))
    p, t = np.asarray(predicted, dtype=np.float64), np.asarray(target, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        plus = 0.0 if mode == "plain" else 1.0
        sides = np.minimum(p[..., 2:4], t[..., 2:4]) - np.maximum(p[..., :2], t[..., :2]) + plus
        shared = np.maximum(sides, 0.0).prod(axis=-1)
        return shared, _areas(p, plus) + _areas(t, plus) - shared


def _areas(boxes: Array, plus: float) -> Array:
    sides = boxes[..., 2:4] - boxes[..., :2] + plus
    return (sides if plus else np.maximum(sides, 0.0)).prod(axis=-1)


def shape_overlaps(predicted: NDArray[np.object_], target: NDArray[np.object_]) -> tuple[Array, Array]:
    """As `overlaps`, of arrays of Shapely polygons, broadcast."""
    shapely = _shapely()
    both = np.asarray(shapely.area(predicted) + shapely.area(target))
    shared = np.atleast_1d(shapely.area(shapely.intersection(predicted, target)))
    # GEOS 3.14 sometimes makes points of two outlines that are equal but for rounding; their union it gets right.
    doubtful = np.atleast_1d((shared == 0) & shapely.intersects(predicted, target))
    if doubtful.any():
        pair = np.broadcast_arrays(np.atleast_1d(predicted), np.atleast_1d(target), np.atleast_1d(both))
        first, second, areas = (np.broadcast_to(values, doubtful.shape)[doubtful] for values in pair)
        missed = areas - shapely.area(shapely.union(first, second))
        shared[doubtful] = np.where(missed > 1e-9 * areas, missed, 0.0)
    shared = shared.reshape(both.shape)
    return shared, both - shared


def polygons(boxes: ArrayLike) -> NDArray[np.object_]:
    """(..., 4 | 5 | 8) boxes -> (...) Shapely polygons. One that crosses itself or has no area is empty (Falcon)."""
    rows = np.asarray(boxes, dtype=np.float64)
    finite = np.isfinite(rows).all(axis=-1, keepdims=True)
    return valid_polygons(_shapely().polygons(outlines(np.where(finite, rows, 0.0))))


def valid_polygons(shapes: Any) -> NDArray[np.object_]:
    """Shapely polygons with the invalid ones replaced by an empty one."""
    shapely = _shapely()
    found = np.asarray(shapes, dtype=object)
    found[~shapely.is_valid(found)] = shapely.Polygon()
    return found


def outlines(boxes: ArrayLike) -> Array:
    """(..., 4 | 5 | 8) boxes -> (..., 4, 2) corners, of an upright box clockwise from the top-left one."""
    rows = np.asarray(boxes, dtype=np.float64)
    if rows.shape[-1] == 8:
        return rows.reshape(*rows.shape[:-1], 4, 2)
    centre, half = (rows[..., :2] + rows[..., 2:4]) / 2, (rows[..., 2:4] - rows[..., :2]) / 2
    away = half[..., None, :] * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    if rows.shape[-1] == 5:
        turn = np.radians(rows[..., 4])[..., None]
        cos, sin = np.cos(turn), np.sin(turn)
        away = np.stack([cos * away[..., 0] + sin * away[..., 1], cos * away[..., 1] - sin * away[..., 0]], axis=-1)
    return centre[..., None, :] + away


def as_rows(boxes: Sequence[Numbers], mode: Mode = "plain") -> Array:
    """Boxes of 4, 5 and 8 numbers mixed -> one array: (N, 8) quads for `rotated`, else (N, 4).

    Without rotation a turned box keeps its four numbers and loses its angle, as released evaluators read it; a quad is
    its bounds.
    """
    rows = np.zeros((len(boxes), 8 if mode == "rotated" else 4))
    lengths = np.array([len(box) for box in boxes])
    for length in set(lengths):
        same = np.array([box for box in boxes if len(box) == length], dtype=np.float64)
        if mode == "rotated":
            rows[lengths == length] = outlines(same).reshape(-1, 8)
        else:
            rows[lengths == length] = _bounds(same) if length == 8 else same[:, :4]
    return rows


def _bounds(quads: Array) -> Array:
    corners = outlines(quads)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def best_pairs(table: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The one-to-one pairs (rows, columns) with the largest sum of `table` (N, M): the Hungarian method of SciPy."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as err:
        raise missing_extra("scipy", "evaluate") from err
    rows, columns = linear_sum_assignment(table, maximize=True)
    return rows, columns


def readable_box(value: object) -> tuple[Numbers | None, str]:
    """A box from a user's file: (box, "") or (None, a sentence that says what is wrong with it).

    4 numbers x1, y1, x2, y2, 5 with degrees, or 8 for a quad. Refused: another number of them, text, NaN, infinity, and
    a negative side (corners out of order, or x, y, width, height). A side of zero is kept: it is a box without area.
    """
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) not in (4, 5, 8):
        return None, f"{_short(value)} is not a box: expected a list of 4, 5 or 8 numbers."
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in value):
        return None, f"The box {_short(value)} holds something that is not a number: expected 4, 5 or 8 numbers."
    try:
        box: Numbers = tuple(float(n) for n in value)
    except OverflowError:  # a whole number of more digits than a float holds
        box = (math.inf,) * 4
    if not all(map(math.isfinite, box)):
        return None, f"The box {_short(value)} holds a number that is not finite: expected coordinates."
    if len(box) != 8 and (box[2] < box[0] or box[3] < box[1]):
        return None, f"The box {_short(value)} has a negative side: expected x1 <= x2 and y1 <= y2."
    return box, ""


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _shapely() -> Any:
    try:
        import shapely
    except ImportError as err:
        raise missing_extra("shapely", "evaluate") from err
    return shapely
