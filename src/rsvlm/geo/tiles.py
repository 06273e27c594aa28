"""Tiling: windows that cover a scene, and the tiles (pixels and valid mask) read from them."""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput

Window = tuple[int, int, int, int]  # (column, row, width, height) in pixels of the scene


class Tile:
    """One window of a scene: `window`, `pixels` (H, W, 3) uint8 and the mask `valid` (H, W) bool, made on first use."""

    def __init__(
        self,
        window: Window,
        pixels: NDArray[np.uint8],
        valid: NDArray[np.bool_] | Callable[[], NDArray[np.bool_]],
    ) -> None:
        self.window = window
        self.pixels = pixels
        self._valid = valid

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """True (H, W) where there is data."""
        return self._valid() if callable(self._valid) else self._valid


def window_starts(length: int, size: int, overlap: int) -> list[int]:
    """First pixels of windows of `size` that cover `length`, neighbours sharing at least `overlap` pixels.

    The last window ends where the scene ends; a scene shorter than `size` gives the one start 0.
    """
    if size < 1 or not 0 <= overlap < size:
        raise BadInput(f"Tiles of {size} pixels cannot overlap by {overlap}; the overlap must be 0 to {size - 1}.")
    last = max(0, length - size)
    return [*range(0, last, size - overlap), last]


def tile_windows(width: int, height: int, size: int, overlap: int = 0) -> Iterator[Window]:
    """Windows of `size` x `size` pixels that cover a scene, row by row; see `window_starts`."""
    columns = window_starts(width, size, overlap)
    for row in window_starts(height, size, overlap):
        for column in columns:
            yield column, row, min(size, width), min(size, height)
