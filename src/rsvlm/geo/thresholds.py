"""A border between two groups of index values, from their histogram: Otsu's, a valley's, or the published one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 512  # of a histogram over the index values -1..1
CLEAR_ETA = 0.7  # Otsu's separability from which there are two groups: one normal distribution has 2 / pi = 0.64
VALLEY_DEPTH = 0.5  # of the lower of the two peaks, below which a valley is one
_LEAST_SHARE = 0.003  # of the values on the smaller side of a valley
_LEAST_COUNT = 50  # values there: fewer make valleys by chance
_SMOOTHING = 5.0  # bins (0.02): standard deviation of the kernel that takes the noise out before a valley is sought
_THIN = 0.1  # share of the highest peak below which hardly any value lies at a border

Counts = NDArray[np.int64]
Limits = tuple[float, float]


@dataclass(frozen=True)
class Border:
    """Where two groups of index values part.

    `method` is "otsu", "valley", "default" (one group of values: the published border) or "fixed" (it was not sought).
    `eta` in 0..1 is Otsu's separability at his border within the limits: variance between the groups over the whole
    (0 where it was not sought).
    `clear` is False where the border runs through the middle of a group, so that what it parts is a convention.
    """

    value: float
    method: str
    eta: float
    clear: bool


def histogram(values: NDArray[np.float32]) -> Counts:
    """Counts (BINS,) of index values -1..1."""
    return np.histogram(values, BINS, (-1.0, 1.0))[0]


def find_border(counts: Counts, otsu_limits: Limits, valley_limits: Limits, default: float, *, fixed: bool) -> Border:
    """The border of index values with the histogram `counts` (BINS,).

    Otsu's (IEEE Trans. SMC 9, 1979) where it lies within `otsu_limits` and parts clearly; else the deepest valley
    within `valley_limits` (Prewitt and Mendelsohn 1966), which finds a group that is too small for Otsu; else, and
    where it is `fixed`, `default`.
    """
    smooth = _smooth(counts)
    clear = bool(smooth[_bin(default)] <= _THIN * smooth.max())
    if fixed:
        return Border(default, "fixed", 0.0, clear)
    value, eta = otsu(counts, otsu_limits)
    if eta >= CLEAR_ETA:
        return Border(value, "otsu", eta, True)
    valley = _valley(counts, smooth, valley_limits)
    return Border(default, "default", eta, clear) if valley is None else Border(valley, "valley", eta, True)


def otsu(counts: Counts, limits: Limits) -> tuple[float, float]:
    """(border, eta): the edge of a bin within `limits` that parts the values best, and how well, 0..1."""
    total = int(counts.sum())
    centres = (np.arange(BINS) + 0.5) * (2 / BINS) - 1
    edges = centres[:-1] + 1 / BINS  # the upper ones; the last would leave nothing above
    below, moment = np.cumsum(counts)[:-1], np.cumsum(counts * centres)[:-1]
    mean = float(counts @ centres) / max(total, 1)
    spread = float(counts @ (centres - mean) ** 2)
    sides = below.astype(np.float64) * (total - below)  # counts are whole: exactly 0 where one side is empty
    between = np.zeros(BINS - 1)
    np.divide(total * (mean * below - moment) ** 2, sides, out=between, where=sides > 0)
    allowed = (edges >= limits[0]) & (edges <= limits[1])
    best = between[allowed].max()
    # Between two groups with nothing in the middle all borders are alike: take the middle one.
    alike = edges[allowed & (between >= best * (1 - 1e-9))]
    return float(alike[len(alike) // 2]), min(1.0, float(best / spread)) if spread > 0 else 0.0


def _smooth(counts: Counts) -> NDArray[np.float64]:
    reach = np.arange(-int(4 * _SMOOTHING), int(4 * _SMOOTHING) + 1)
    kernel = np.exp(-0.5 * (reach / _SMOOTHING) ** 2)
    return np.convolve(counts, kernel / kernel.sum(), "same")


def _bin(value: float) -> int:
    return min(BINS - 1, max(0, int((value + 1) / 2 * BINS)))


def _valley(counts: Counts, smooth: NDArray[np.float64], limits: Limits) -> float | None:
    """The border at the deepest valley within `limits`, between two peaks that hold enough values; else None."""
    left = np.maximum.accumulate(smooth)
    right = np.maximum.accumulate(smooth[::-1])[::-1]
    depth = smooth / np.maximum(np.minimum(left, right), 1e-12)
    below = np.cumsum(counts)
    least = max(_LEAST_COUNT, _LEAST_SHARE * below[-1])
    at = np.arange(BINS)
    allowed = (at >= _bin(limits[0])) & (at <= _bin(limits[1])) & (below >= least) & (below[-1] - below >= least)
    if not allowed.any():
        return None
    best = int(np.argmin(np.where(allowed, depth, np.inf)))
    return float((best + 1) * 2 / BINS - 1) if depth[best] < VALLEY_DEPTH else None
