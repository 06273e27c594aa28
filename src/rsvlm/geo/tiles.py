"""Tiling: windows that cover a scene, and the tiles (pixels and valid mask) read from them."""

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput

Window = tuple[int, int, int, int]  # (column, row, width, height) in pixels of the scene
Size = int | tuple[int, int]  # of what is read: (width, height), or the longest side


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


def output_size(window: Window, size: Size | None) -> tuple[int, int]:
    """(width, height) of a window read at `size`: an int is the longest side, never enlarged; None keeps its pixels."""
    width, height = window[2:]
    if isinstance(size, int):
        scale = min(1.0, size / max(width, height))
        width, height = max(1, round(width * scale)), max(1, round(height * scale))
    elif size is not None:
        width, height = int(size[0]), int(size[1])
    if width < 1 or height < 1:
        raise BadInput(f"A picture of {width} x {height} pixels has no content; ask for at least 1 x 1.")
    return width, height


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


def spread_blocks(width: int, height: int, block: tuple[int, int], count: int) -> list[Window]:
    """At most about `count` blocks of (rows, columns) pixels, spread evenly over a scene of `width` x `height`."""
    rows, columns = block
    down, across = -(-height // rows), -(-width // columns)
    per_row = min(across, round(count**0.5) if down > 1 else count)
    return [
        (j * columns, i * rows, min(columns, width - j * columns), min(rows, height - i * rows))
        for i in np.unique(np.linspace(0, down - 1, count // per_row).round().astype(int)).tolist()
        for j in np.unique(np.linspace(0, across - 1, per_row).round().astype(int)).tolist()
    ]
