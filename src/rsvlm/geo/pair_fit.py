"""What is found once for a pair of dates from windows spread over it: shift, brightness, and shares without data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.geo.aligned_read import Aligned, Source, read_aligned
from rsvlm.geo.bands import Stretch
from rsvlm.geo.common_grid import Grid, distinct_names
from rsvlm.geo.geodesy import ground_sampling_distance
from rsvlm.geo.radiometry import BandFit, fit_bands, is_same_brightness
from rsvlm.geo.registration import Sample, Shift, estimate_shift, window_side
from rsvlm.geo.scene import Mask
from rsvlm.geo.tiles import Window, tile_windows

MAX_SHIFT = 16.0  # pixels of the grid, up to which a shift is corrected
_LEAST_SHIFT = 0.1  # pixels: what is nearer is left where it is, since interpolation blurs more than that
_ONCE_MORE = 1.0  # pixels, from which the shift is found again on windows that were moved by it
_PER_SIDE = 5  # windows along each side
_LEAST_LEVELS = 2.0  # of 255: brightness that differs by less is left as it is
_SEARCH_SIDE = 1024  # pixels: windows of a search for a valid pixel

Offset = tuple[float, float]
Both = tuple[Aligned, Aligned]
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
    identical_sample: bool
    notes: tuple[str, ...]

    def picture(self, values: NDArray[Any], *, after: bool) -> NDArray[np.uint8]:
        """Values (3, H, W) of a date as uint8."""
        lines, stretch = self.lines if after else None, self.stretches[after]
        if lines is not None and stretch is None and values.dtype == np.uint8:
            levels = np.arange(256, dtype=np.float32)
            return np.stack([_to_bytes(_on_line(levels, line))[band] for line, band in zip(lines, values, strict=True)])
        if lines is not None:
            values = np.stack([_on_line(band, line) for line, band in zip(lines, values, strict=True)])
        if stretch is not None:
            return stretch.apply(values.astype(np.float32, copy=False))
        return values if values.dtype == np.uint8 else _to_bytes(values)


def fit_pair(sources: tuple[Source, Source], grid: Grid, *, moving: int, max_shift: float, normalise: bool) -> PairFit:
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
    stay: tuple[Offset, Offset] = ((0.0, 0.0), (0.0, 0.0))
    samples = read(stay)
    left_out = _left_out(sources, grid, windows, samples)
    if not any((one.valid & other.valid).any() for one, other in samples):
        _check_some_valid(sources, grid, names, left_out)
    shift, reason, shifts, samples = _find_shift(read, samples, moving, max_shift)
    lines, line_notes = _fit_lines(samples, sources, names) if normalise else (None, [])
    notes = [*_shift_notes(shift, reason, names[moving], grid, max_shift), *_left_out_notes(left_out, names)]
    return PairFit(
        shift=shift, shift_reason=reason, shifts=shifts, lines=lines,
        stretches=_stretches(samples, sources, normalised=lines is not None), left_out=left_out,
        identical_sample=all(equal(one, other) for one, other in samples),
        notes=(*notes, *line_notes),
    )  # fmt: skip


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
    stay: tuple[Offset, Offset] = ((0.0, 0.0), (0.0, 0.0))
    if shift is None or not _LEAST_SHIFT <= shift.length <= max_shift:
        return shift, reason, stay, samples
    shifts = _offsets(shift, moving)
    samples = read(shifts)
    if shift.length > _ONCE_MORE:
        rest, _ = estimate_shift([_grey(*one) for one in samples])
        if rest and rest.length >= _LEAST_SHIFT:
            shift = shift._replace(dx=round(shift.dx + rest.dx, 2), dy=round(shift.dy + rest.dy, 2))
            shifts = _offsets(shift, moving)
            samples = read(shifts)
    return shift._replace(corrected=True), reason, shifts, samples


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


# -- no data -----------------------------------------------------------------------------------------------------------


def _left_out(
    sources: tuple[Source, Source], grid: Grid, windows: Sequence[Window], samples: Sequence[Both]
) -> dict[str, float]:
    """Shares of the windows that are no data or clouds, by date; causes with none are not there."""
    seen = np.zeros(grid.height, np.int64), np.zeros(grid.width, np.int64)  # times that rows and columns are looked at
    for at, length in ((1, 3), (0, 2)):
        for start, size in {(window[at], window[length]) for window in windows}:
            seen[1 - at][start : start + size] += 1
    weights = [1 / np.outer(seen[0][y : y + h], seen[1][x : x + w]) for x, y, w, h in windows]
    total = sum(float(weight.sum()) for weight in weights)

    def missing(masks: Sequence[Mask]) -> float:
        return sum(float(weight[~mask].sum()) for weight, mask in zip(weights, masks, strict=True)) / total

    shares = {}
    for at, (word, source) in enumerate(zip(("before", "after"), sources, strict=True)):
        without = missing([one[at].valid for one in samples])
        no_data = without
        if source.clouds:
            bare = Source(source.scene)
            no_data = missing([read_aligned(bare, grid, window).valid for window in windows])
        shares |= {f"{word}: no data": no_data, f"{word}: clouds": without - no_data}
    return {cause: share for cause, share in shares.items() if share > 0}


def _left_out_notes(left_out: dict[str, float], names: tuple[str, str]) -> list[str]:
    named = {"before": names[0], "after": names[1]}
    notes = []
    for cause, share in left_out.items():
        word, _, what = cause.partition(": ")
        amount = f"about {100 * share:.0f} %" if share >= 0.01 else "under 1 %"
        what = "clouds by its own band" if what == "clouds" else "without data"
        notes.append(f"{amount} of the compared part is {what} in {named[word]}, and left out")
    return notes


def _check_some_valid(
    sources: tuple[Source, Source], grid: Grid, names: tuple[str, str], left_out: dict[str, float]
) -> None:
    """Look at all pixels for one that is valid in both. Raises BadInput where there is none."""
    for window in tile_windows(grid.width, grid.height, _SEARCH_SIDE):
        one, other = (read_aligned(source, grid, window).valid for source in sources)
        if (one & other).any():
            return
    found = ", ".join(f"{cause} {100 * share:.0f} %" for cause, share in left_out.items())
    raise BadInput(
        f"No pixel of the common part of {names[0]} and {names[1]} is valid in both ({found}); give two dates that "
        f"show the same ground."
    )


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


def _on_line(values: NDArray[Any], line: BandFit) -> NDArray[np.float32]:
    return values * np.float32(line.gain) + np.float32(line.offset)


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
