"""`open_pair`: two dates of one place on one grid, read by windows: aligned, with one brightness, and masked."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rsvlm.errors import BadInput
from rsvlm.geo.aligned_read import Aligned, Source, read_aligned
from rsvlm.geo.bands import BandChoice
from rsvlm.geo.cloud_bands import find_cloud_band
from rsvlm.geo.common_grid import Grid, common_grid, distinct_names
from rsvlm.geo.open_raster import MAX_PIXELS
from rsvlm.geo.pair_checks import (
    date_notes,
    is_swapped,
    metadata_notes,
    read_tags,
    same_picture,
    shared_bands,
    storage_notes,
)
from rsvlm.geo.pair_fit import MAX_SHIFT, PairFit, equal, fit_pair
from rsvlm.geo.pair_left_out import white_in_one
from rsvlm.geo.placed import Placed
from rsvlm.geo.raster import open_scene
from rsvlm.geo.registration import Shift
from rsvlm.geo.scene import Mask, Pixels, Scene
from rsvlm.geo.tiles import Size, Window, output_size, tile_windows

_LOOK_SIDE = 1024  # pixels: windows of a look at all pixels


class PairTile(NamedTuple):
    """A window of a pair: `before` and `after` (H, W, 3) uint8, and `valid` (H, W), where both dates have data."""

    window: Window
    before: Pixels
    after: Pixels
    valid: Mask


@dataclass(eq=False, kw_only=True)
class Pair(Placed):
    """Two dates on one grid. Use it in `with`. Windows are (column, row, width, height) in pixels of the grid.

    `before` and `after` are the open scenes. The grid is that of the coarser one, cut to what both show: `width`,
    `height`, `place` (None where the two have none), `gsd_m`. `shift` is how far `after` lay from `before` in pixels of
    the grid, None where it was not found, with `shift_reason`. `left_out` are the shares, 0..1, of pixels that are not
    compared, by cause ("before: no data", "after: clouds"); `swapped`: the metadata say that `before` is later.
    `notes` are sentences about all this.
    """

    before: Scene
    after: Scene
    grid: Grid
    shift: Shift | None
    shift_reason: str
    left_out: dict[str, float]
    swapped: bool
    notes: tuple[str, ...]
    _sources: tuple[Source, Source] = field(repr=False)
    _fit: PairFit = field(repr=False)

    def __post_init__(self) -> None:
        self.width, self.height, self.place = self.grid.width, self.grid.height, self.grid.place

    def close(self) -> None:
        """Close both files; reading afterwards raises BadInput."""
        self.before.close()
        self.after.close()

    @property
    def offsets(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """How far off (x, y) in pixels of the grid each date is read, so that both lie on each other."""
        return self._fit.shifts

    # -- pixels --------------------------------------------------------------------------------------------------------

    def read(self, window: Window | None = None, size: Size | None = None) -> tuple[Pixels, Pixels, Mask]:
        """(before, after, valid) of a window (default: all): RGB uint8 (H, W, 3) twice, and a mask (H, W).

        `size` is (width, height), or an int for the longest side (never enlarged). `after` is moved and brought to the
        brightness of `before`; values other than uint8 go through one stretch for both. Pixels that are not valid in
        both are 0 in both. Raises BadInput for a window outside the grid, one over the pixel budget, or a damaged file.
        """
        window = self._check_window(window)
        before, after = self._read(window, output_size(window, size))
        valid = before.valid & after.valid
        first, second = self._fit.pictures(before, after)
        if self._fit.leave_out_white:
            valid = valid & ~np.logical_or(*white_in_one(first, second))
        if not valid.all():
            first, second = first * valid, second * valid
        return first.transpose(1, 2, 0), second.transpose(1, 2, 0), valid

    def tiles(self, size: int = 512, overlap: int = 0) -> Iterator[PairTile]:
        """Stream square windows of `size` pixels, row by row, neighbours sharing at least `overlap` pixels.

        As of `Scene.tiles`: the last ones move inwards, a smaller pair gives one smaller window, memory is that of one.
        """
        for window in tile_windows(self.width, self.height, size, overlap):
            yield PairTile(window, *self.read(window))

    @cached_property
    def identical(self) -> bool:
        """Whether both dates have the same values in every pixel that is valid in both. Looks until one differs."""
        return self._fit.identical_sample and all(
            equal(*self._read(window, window[2:])) for window in tile_windows(self.width, self.height, _LOOK_SIDE)
        )

    def _read(self, window: Window, size: tuple[int, int]) -> tuple[Aligned, Aligned]:
        """Both dates as stored, on a window of the grid at `size` (width, height)."""
        grid, whole, scale = self.grid, window, (1.0, 1.0)
        if size != window[2:]:
            grid, whole, scale = grid.part(window, size), (0, 0, *size), (size[0] / window[2], size[1] / window[3])
        first, second = (
            read_aligned(source, grid, whole, (shift[0] * scale[0], shift[1] * scale[1]))
            for source, shift in zip(self._sources, self._fit.shifts, strict=True)
        )
        return first, second

    def _check_window(self, window: Window | None) -> Window:
        column, row, width, height = (int(value) for value in window or self.window)
        inside = min(column, row) >= 0 and column + width <= self.width and row + height <= self.height
        if not inside or width < 1 or height < 1:
            names = " and ".join(distinct_names(self.before, self.after))
            raise BadInput(
                f"The window {column, row, width, height} (column, row, width, height) does not lie inside the common "
                f"part of {names} ({self.width} x {self.height} pixels)."
            )
        return column, row, width, height


def open_pair(
    before: str | Path, after: str | Path, *, bands: BandChoice = None, after_bands: BandChoice = None,
    max_shift: float = MAX_SHIFT, normalise: bool = True, leave_out_white: bool = False, max_pixels: int = MAX_PIXELS,
) -> Pair:  # fmt: skip
    """Open two dates of one place: check them, find the common grid, the shift between them, and one brightness.

    `bands`: see `choose_bands`, for both; `after_bands` for the second where it stores them otherwise. Without a choice
    the same bands are shown of both where their names tell. A shift of up to `max_shift` pixels of the grid is
    corrected. `normalise=False` leaves the brightness as it is. `leave_out_white` takes for clouds what is white in one
    date alone; otherwise only a cloud band of the file says what clouds are. `max_pixels` as in `open_scene`. Raises
    BadInput for what is no scene, for scenes that have nothing in common, and where no pixel is valid in both.
    """
    with ExitStack() as opened:
        first, second = scenes = _open_both(opened, (before, after), (bands, after_bands), max_pixels)
        common = common_grid(first, second)
        grey = len(first.shown) != len(second.shown)
        sources = Source(first, find_cloud_band(first), grey), Source(second, find_cloud_band(second), grey)
        fit = fit_pair(
            sources, common.grid, moving=1 - common.owner, max_shift=max_shift, normalise=normalise,
            leave_out_white=leave_out_white,
        )  # fmt: skip
        names = distinct_names(first, second)
        notes = [
            *(f"{name}: {note}" for name, scene in zip(names, scenes, strict=True) for note in scene.notes),
            *common.notes, *fit.notes, *storage_notes(first, second), *date_notes(first, second),
            *metadata_notes(names, [read_tags(scene.path) for scene in scenes]),
        ]  # fmt: skip
        pair = Pair(
            before=first, after=second, grid=common.grid, shift=fit.shift, shift_reason=fit.shift_reason,
            left_out=fit.left_out, swapped=is_swapped(first, second), notes=tuple(dict.fromkeys(notes)),
            _sources=sources, _fit=fit,
        )  # fmt: skip
        opened.pop_all()
    return pair


def _open_both(
    opened: ExitStack, paths: tuple[str | Path, str | Path], bands: tuple[BandChoice, BandChoice], max_pixels: int
) -> tuple[Scene, Scene]:
    """Both scenes, in `opened`, showing the same bands as far as the choices or the names of the bands tell."""
    choices = bands[0], bands[0] if bands[1] is None else bands[1]
    first, second = (
        opened.enter_context(open_scene(path, bands=choice, max_pixels=max_pixels))
        for path, choice in zip(paths, choices, strict=True)
    )
    roles = shared_bands(first, second)
    if choices != (None, None) or not roles or same_picture(first, second):
        return first, second
    first, second = (
        opened.enter_context(
            open_scene(path, bands=[scene.band_roles.index(role) + 1 for role in roles], max_pixels=max_pixels)
        )
        for path, scene in zip(paths, (first, second), strict=True)
    )
    return first, second
