"""Bringing the brightness of one date to that of another by the pixels that have not changed between them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_KEPT = 0.6  # share of pixels, those nearest to the line, that the next line is fitted to: the rest may have changed
_ROUNDS = 20
_LEAST_PIXELS = 100
_MOST_PIXELS = 2**16
_LEAST_CORRELATION = 0.8  # of the pixels that are kept, from which a line means something: unrelated noise has 0.64


class BandFit(NamedTuple):
    """`gain * after + offset` is the value before.

    `correlation` is that of the pixels that the line was fitted to; 0 where too few go together, and the line only
    brings the median of each band, and the range between the quartiles of a middle band, to those before.
    """

    gain: float
    offset: float
    correlation: float


def fit_bands(before: NDArray[Any], after: NDArray[Any]) -> tuple[BandFit, ...] | None:
    """A line for each band of two samples (C, N) of the same valid pixels; None where there are under a hundred.

    Trimmed: of all bands the same pixels are kept, those that lie nearest to the lines (pseudo-invariant features,
    Schott et al. 1988, doi:10.1016/0034-4257(88)90116-2), and the lines are fitted anew until they stay. Reduced major
    axis, not least squares: noise in `after` does not flatten the line.
    """
    if before.shape[1] < _LEAST_PIXELS:
        return None
    step = max(1, before.shape[1] // _MOST_PIXELS)
    first, second = before[:, ::step].astype(np.float64), after[:, ::step].astype(np.float64)
    spread = np.maximum(_spread(first), 1e-12)
    gain = _ratio(_spread(first), _spread(second), np.ones(len(first)))
    offset = np.median(first, axis=1) - gain * np.median(second, axis=1)
    middle = float(np.median(gain))
    coarse = tuple(
        BandFit(middle, float(np.median(y) - middle * np.median(x)), 0.0) for y, x in zip(first, second, strict=True)
    )
    kept = np.ones(first.shape[1], bool)
    for _ in range(_ROUNDS):
        miss = (np.abs(gain[:, None] * second + offset[:, None] - first) / spread[:, None]).max(axis=0)
        new = miss <= np.quantile(miss, _KEPT)
        if np.array_equal(new, kept):
            break
        kept = new
        gain, offset = _major_axis(first[:, kept], second[:, kept], gain)
    fits = tuple(
        BandFit(float(g), float(o), _correlation(one[kept], other[kept]))
        for g, o, one, other in zip(gain, offset, first, second, strict=True)
    )
    return fits if all(fit.correlation >= _LEAST_CORRELATION for fit in fits) else coarse


def is_same_brightness(lines: tuple[BandFit, ...], values: NDArray[Any], unit: float) -> bool:
    """Whether the lines change no value between the 2nd and 98th percentile of a sample (C, N) by more than `unit`."""
    ends = np.percentile(values, (2, 98), axis=1).T
    return all(
        abs(line.gain * end + line.offset - end) <= unit for line, both in zip(lines, ends, strict=True) for end in both
    )


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between the quartiles of each band: change in a quarter of the pixels at each end leaves it."""
    low, high = np.quantile(values, (0.25, 0.75), axis=1)
    return high - low


def _major_axis(
    first: NDArray[np.float64], second: NDArray[np.float64], gain: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    gain = _ratio(first.std(axis=1), second.std(axis=1), gain)
    return gain, first.mean(axis=1) - gain * second.mean(axis=1)


def _ratio(
    first: NDArray[np.float64], second: NDArray[np.float64], otherwise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`otherwise` where a side is flat."""
    both = (first > 0) & (second > 0)
    return np.where(both, first / np.where(both, second, 1), otherwise)


def _correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """1 where a side is flat: a constant is met by any line."""
    if not first.std() > 0 or not second.std() > 0:
        return 1.0
    return float(np.corrcoef(first, second)[0, 1])
