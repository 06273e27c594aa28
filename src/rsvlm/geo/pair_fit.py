"""What is found once for a pair of dates from windows spread over it: shift, brightness, and shares without data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.geo.aligned_read import Aligned, Source, read_aligned
from rsvlm.geo.bands import Stretch
from rsvlm.geo.common_grid import Grid, distinct_names
from rsvlm.geo.geodesy import ground_sampling_distance
from rsvlm.geo.pair_left_out import (
    Both,
    check_some_valid,
    left_out_notes,
    pixel_weights,
    shares_left_out,
    white_notes,
    white_shares,
)
from rsvlm.geo.radiometry import BandFit, fit_bands, is_same_brightness
from rsvlm.geo.registration import Sample, Shift, estimate_shift, window_side
from rsvlm.geo.scene import Pixels
from rsvlm.geo.tiles import Window

MAX_SHIFT = 16.0  # pixels of the grid, up to which a shift is corrected
_LEAST_SHIFT = 0.1  # pixels: what is nearer is left where it is, since interpolation blurs more than that
_PER_SIDE = 5  # windows along each side
_LEAST_LEVELS = 2.0  # of 255: brightness that differs by less is left as it is

Offset = tuple[float, float]
STAY: tuple[Offset, Offset] = ((0.0, 0.0), (0.0, 0.0))
Read = Callable[[tuple[Offset, Offset]], list[Both]]


@dataclass(frozen=True)
class PairFit:
    """`shifts`: where each date is taken from, in pixels of the grid. `lines`: those of `after`, None = as it is.

    `stretches`: of the values of each date to 0..255, None for uint8. `identical_sample`: the windows looked at are
    equal in all valid pixels.
    """

    shift: Shift | None
    shift_reason: str
    shifts: tuple[Offset, Offset]
    lines: tuple[BandFit, ...] | None
    stretches: tuple[Stretch | None, Stretch | None]
    left_out: dict[str, float]
    leave_out_white: bool
    identical_sample: bool
    notes: tuple[str, ...] = ()

    def pictures(self, before: Aligned, after: Aligned) -> tuple[Pixels, Pixels]:
        """Both dates as uint8 (3, H, W)."""
        first, second = (
            _picture(one.values, lines, stretch)
            for one, lines, stretch in zip((before, after), (None, self.lines), self.stretches, strict=True)
        )
        return first, second


def fit_pair(
    sources: tuple[Source, Source], grid: Grid, *, moving: int, max_shift: float, normalise: bool, leave_out_white: bool
) -> PairFit:
    """The fit of two sources on a grid. `moving`: 0 or 1, the date that is moved where both do not lie on each other.

    Raises BadInput where no pixel of the grid is valid in both.
    """
    windows = _spread_windows(grid)

    def read(shifts: tuple[Offset, Offset]) -> list[Both]:
        first, second = (
            [read_aligned(source, grid, window, shift) for window in windows]
            for source, shift in zip(sources, shifts, strict=True)
        )
        return list(zip(first, second, strict=True))

    names = distinct_names(sources[0].scene, sources[1].scene)
    samples = read(STAY)
    weights = pixel_weights(grid, windows)
    left_out = shares_left_out(sources, grid, windows, samples, weights)
    if not any((one.valid & other.valid).any() for one, other in samples):
        check_some_valid(sources, grid, names, left_out)
    shift, reason, shifts, samples = _find_shift(read, samples, moving, max_shift)
    lines, line_notes = _fit_lines(samples, sources, names) if normalise else (None, [])
    fit = PairFit(
        shift=shift, shift_reason=reason, shifts=shifts, lines=lines,
        stretches=_stretches(samples, sources, normalised=lines is not None), left_out=left_out,
        leave_out_white=leave_out_white, identical_sample=all(equal(one, other) for one, other in samples),
    )  # fmt: skip
    white = white_shares([fit.pictures(*both) for both in samples], samples, weights)
    if leave_out_white:
        left_out |= {f"{date}: white": share for date, share in zip(("before", "after"), white, strict=True) if share}
    notes = (
        *_shift_notes(shift, reason, names[moving], grid, max_shift), *left_out_notes(left_out, names), *line_notes,
        *white_notes(white, names, left_out=leave_out_white),
    )  # fmt: skip
    return replace(fit, notes=notes)


def equal(one: Aligned, other: Aligned) -> bool:
    """Whether the values are the same in all pixels that are valid in both."""
    return bool(((one.values == other.values).all(axis=0) | ~(one.valid & other.valid)).all())


# -- shift -------------------------------------------------------------------------------------------------------------


def _spread_windows(grid: Grid) -> list[Window]:
    side = window_side(grid.width, grid.height)

    def starts(length: int) -> list[int]:
        count = min(_PER_SIDE, 2 * length // side - 1)  # neighbours share at most half
        return np.unique(np.linspace(0, length - side, count).astype(int)).tolist()

    return [(column, row, side, side) for row in starts(grid.height) for column in starts(grid.width)]


def _find_shift(
    read: Read, samples: list[Both], moving: int, max_shift: float
) -> tuple[Shift | None, str, tuple[Offset, Offset], list[Both]]:
    """(shift, reason, where each date is taken from, the windows read from there)."""
    shift, reason = estimate_shift([_grey(*one) for one in samples])
    if shift is None or not _LEAST_SHIFT <= shift.length <= max_shift:
        return shift, reason, STAY, samples
    shifts = _offsets(shift, moving)
    return shift._replace(corrected=True), reason, shifts, read(shifts)


def _offsets(shift: Shift, moving: int) -> tuple[Offset, Offset]:
    if moving:
        return (0.0, 0.0), (shift.dx, shift.dy)
    return (-shift.dx, -shift.dy), (0.0, 0.0)


def _grey(first: Aligned, second: Aligned) -> Sample:
    before, after = (one.values.mean(axis=0, dtype=np.float32) for one in (first, second))
    return Sample(before, after, first.valid & second.valid)


def _shift_notes(shift: Shift | None, reason: str, moved: str, grid: Grid, limit: float) -> list[str]:
    if shift is None:
        return [f"whether the two dates lie exactly on each other could not be found out: {reason}"]
    metres = ground_sampling_distance(grid.place) if grid.place else None
    ground = f", {shift.length * metres:.3g} m on the ground" if metres else ""
    found = (
        f"the second date lies {shift.dx:+.2f} pixels in x and {shift.dy:+.2f} in y from the first{ground} "
        f"(confidence {shift.confidence:.2f})"
    )
    if shift.corrected:
        return [f"{found}; corrected by moving {moved}"]
    if shift.length > limit:
        return [f"{found}: more than {limit:g} pixels are not corrected, so edges will look changed"]
    return [f"{found}; that little is left as it is"]


# -- brightness --------------------------------------------------------------------------------------------------------


def _fit_lines(
    samples: Sequence[Both], sources: tuple[Source, Source], names: tuple[str, str]
) -> tuple[tuple[BandFit, ...] | None, list[str]]:
    before, after = _valid_values(samples)
    lines = fit_bands(before, after)
    if lines is None:
        return None, [f"the brightness of {names[1]} was left as it is: too few pixels are valid in both dates"]
    unit = _LEAST_LEVELS if sources[0].scene.dtype == "uint8" else _LEAST_LEVELS / 255 * float(np.ptp(before))
    if sources[0].scene.dtype == sources[1].scene.dtype and is_same_brightness(lines, after, unit):
        return None, []
    factors = [f"{line.gain:.3g} x {line.offset:+.3g}" for line in lines]
    factors = factors[:1] if len(set(factors)) == 1 else factors
    how = (
        "by the pixels that changed least"
        if lines[0].correlation
        else ("by median and spread only, as too few pixels kept their look: much may look changed")
    )
    return lines, [f"the brightness of {names[1]} was brought to that of {names[0]} {how} ({', '.join(factors)})"]


def _valid_values(samples: Sequence[Both]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(3, N) of both dates where both are valid."""
    masks = [one.valid & other.valid for one, other in samples]
    return (
        np.concatenate([one.values[:, mask] for (one, _), mask in zip(samples, masks, strict=True)], axis=1),
        np.concatenate([other.values[:, mask] for (_, other), mask in zip(samples, masks, strict=True)], axis=1),
    )


def _stretches(
    samples: Sequence[Both], sources: tuple[Source, Source], *, normalised: bool
) -> tuple[Stretch | None, Stretch | None]:
    """One stretch for both dates, or one each where their values are of two kinds and were not brought together."""
    kinds = [source.scene.dtype for source in sources]
    found: list[Stretch | None] = []
    for kind, values in zip(kinds, _valid_values(samples), strict=True):
        good = np.ones(values.shape, bool)
        found.append(None if kind == "uint8" else Stretch.fit(values.astype(np.float32), good))
    together = normalised or kinds[0] == kinds[1]
    return found[0], found[0] if together else found[1]


def _picture(values: NDArray[Any], lines: tuple[BandFit, ...] | None, stretch: Stretch | None) -> Pixels:
    if lines is not None and stretch is None and values.dtype == np.uint8:
        levels = np.arange(256, dtype=np.float32)
        return np.stack([_to_bytes(_on_line(levels, line))[band] for line, band in zip(lines, values, strict=True)])
    if lines is not None:
        values = np.stack([_on_line(band, line) for line, band in zip(lines, values, strict=True)])
    if stretch is not None:
        return stretch.apply(values.astype(np.float32, copy=False))
    return values if values.dtype == np.uint8 else _to_bytes(values)


def _on_line(values: NDArray[Any], line: BandFit) -> NDArray[np.float32]:
    return values * np.float32(line.gain) + np.float32(line.offset)


def _to_bytes(values: NDArray[Any]) -> Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
