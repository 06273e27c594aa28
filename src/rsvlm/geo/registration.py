"""How far two pictures of one place are apart: phase correlation over several windows, to a fraction of a pixel.

The cross-power spectra (Kuglin and Hines 1975) of gradients of about unit length (orientation correlation, Fitch et al.
2002, doi:10.5244/C.16.11) are averaged over the windows: brightness does not matter, and what has changed in some
windows makes no peak. The peak is refined by a Fourier transform sampled finely around it (Guizar-Sicairos et al. 2008,
doi:10.1364/OL.33.000156). Confidence comes from drawing the windows anew.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDES = (256, 128, 64, 32)  # pixels: sides of a window; the first of which two fit side by side is taken
LEAST_VALID = 0.6  # share of a window that both pictures must show
LEAST_CONFIDENCE = 0.8
_LEAST_PEAK = 8.0  # standard deviations of the correlation; that of unrelated pictures stays under 6
_SMOOTHING = 0.15  # cycles a pixel: Gaussian over the spectrum, as the highest frequencies hold noise and aliasing
_DRAWS = 100
_AGREE = 1.5  # pixels from the estimate, within which a draw agrees
_FINE = ((1.5, 31), (0.1, 21))  # (half width in pixels, samples) of the two looks at the peak: to 0.01 pixels

Spectrum = NDArray[Any]


class Shift(NamedTuple):
    """What lies at (x, y) in the first picture lies at (x + dx, y + dy) in the second; in pixels.

    `confidence`: share, 0..1, of a hundred draws of the windows that agree within 1.5 pixels. `corrected`: whether the
    second picture is moved back.
    """

    dx: float
    dy: float
    confidence: float
    corrected: bool = False

    @property
    def length(self) -> float:
        """Pixels from place to place."""
        return float(np.hypot(self.dx, self.dy))


class Sample(NamedTuple):
    """One window of both pictures: grey values (H, W), and where both are valid (H, W)."""

    before: NDArray[np.float32]
    after: NDArray[np.float32]
    valid: NDArray[np.bool_]


def window_side(width: int, height: int) -> int:
    """The side of the windows for pictures of `width` x `height`; at most the shorter side."""
    short = min(width, height)
    return next((side for side in SIDES if short >= 2 * side), short)


def estimate_shift(samples: Sequence[Sample]) -> tuple[Shift | None, str]:
    """(shift, "") of windows of one size; or (None, reason), the reason as half a sentence.

    Finds shifts up to a quarter of a window. With a reason where no window is valid in both pictures, they have no
    contrast, or too few draws of the windows agree.
    """
    usable = [one for one in samples if one.valid.mean() >= LEAST_VALID]
    if not usable or min(usable[0].valid.shape) < 16:
        return (
            None,
            "no part of 16 pixels or more is valid in both dates" if not usable else "the pictures are too small",
        )
    spectra = [spectrum for one in usable if (spectrum := _cross_power(one)) is not None]
    if not spectra:
        return None, "the pictures have no contrast"
    reach = max(4, min(spectra[0].shape) // 4)
    surfaces = np.stack([_surface(spectrum, reach) for spectrum in spectra])
    mean = np.mean(spectra, axis=0)
    height = float(surfaces.mean(axis=0).max() * np.sqrt(len(surfaces)))
    dx, dy = _refine(mean, *_peak(surfaces.mean(axis=0)))
    confidence = _confidence(surfaces, dx, dy)
    if confidence < LEAST_CONFIDENCE or height < _LEAST_PEAK:
        return None, (
            f"parts of them do not agree on one shift ({100 * confidence:.0f} % of draws of {len(spectra)} windows "
            f"agree within {_AGREE:g} pixels, the peak of the correlation is {height:.0f} standard deviations high)"
        )
    return Shift(round(dx, 2), round(dy, 2), confidence), ""


def _cross_power(sample: Sample) -> Spectrum | None:
    """The normalised cross-power spectrum of a window; None where a side has no contrast."""
    height, width = sample.valid.shape
    taper = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    sides = []
    for picture in (sample.before, sample.after):
        directions = _directions(picture, sample.valid)
        if directions is None:
            return None
        sides.append(np.fft.fft2(directions * taper))
    cross = np.conj(sides[0]) * sides[1]
    size = np.abs(cross)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    return cross / (size + 1e-9 * size.max()) * np.exp(-0.5 * (frequencies / _SMOOTHING) ** 2)


def _directions(picture: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[Any] | None:
    """Gradients as complex numbers of length up to 1, 0 beside what is not valid."""
    rows, columns = np.gradient(np.where(valid, picture, np.float32(0)))
    near = valid.copy()
    near[1:] &= valid[:-1]
    near[:-1] &= valid[1:]
    near[:, 1:] &= valid[:, :-1]
    near[:, :-1] &= valid[:, 1:]
    length = np.hypot(rows, columns)
    typical = float(np.mean(length, where=near)) if near.any() else 0.0
    if not typical > 0:
        return None
    return (columns + 1j * rows) / (length + np.float32(typical)) * near


def _surface(spectrum: Spectrum, reach: int) -> NDArray[np.float64]:
    """The correlation (2 * reach + 1, ...) around no shift, in standard deviations."""
    whole = np.fft.fftshift(np.fft.ifft2(spectrum).real)
    row, column = whole.shape[0] // 2, whole.shape[1] // 2
    return whole[row - reach : row + reach + 1, column - reach : column + reach + 1] / whole.std()


def _peak(surface: NDArray[np.float64]) -> tuple[int, int]:
    """(dx, dy) of the highest value."""
    row, column = np.unravel_index(int(np.argmax(surface)), surface.shape)
    return int(column) - surface.shape[1] // 2, int(row) - surface.shape[0] // 2


def _refine(spectrum: Spectrum, dx: float, dy: float) -> tuple[float, float]:
    """The peak near (dx, dy) to a hundredth of a pixel."""
    rows, columns = np.fft.fftfreq(spectrum.shape[0]), np.fft.fftfreq(spectrum.shape[1])
    for half, count in _FINE:
        y, x = np.linspace(dy - half, dy + half, count), np.linspace(dx - half, dx + half, count)
        near = np.exp(2j * np.pi * np.outer(y, rows)) @ spectrum @ np.exp(2j * np.pi * np.outer(columns, x))
        row, column = np.unravel_index(int(np.argmax(np.real(near))), near.shape)
        dx, dy = float(x[column]), float(y[row])
    return dx, dy


def _confidence(surfaces: NDArray[np.float64], dx: float, dy: float) -> float:
    """Share of draws of the windows, with replacement, whose highest value lies near (dx, dy)."""
    count = len(surfaces)
    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _DRAWS)
    means = draws @ surfaces.reshape(count, -1)
    peaks = np.array([_peak(mean.reshape(surfaces.shape[1:])) for mean in means])
    return float(np.mean(np.hypot(*(peaks - (dx, dy)).T) <= _AGREE))
