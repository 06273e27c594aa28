"""A grid of square cells over a scene that is small enough to keep: its windows, areas on Earth, and patches."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsvlm.geo.geodesy import pixel_areas
from rsvlm.geo.place import Place
from rsvlm.geo.tiles import Window
from rsvlm.geo.vector import polygon_to_mask

from rasterio.features import shapes, sieve  # isort: skip  # after vector: it names the missing extra
import shapely  # isort: skip
from shapely.geometry import shape  # isort: skip

LARGEST_SIDE = 2048  # cells
_BLOCK = 512  # cells: side of the windows that are read
_SAMPLES = 129  # pixels a side whose areas are measured; between them areas are interpolated
_MOST_PATCHES = 40_000  # patches that are outlined to find the largest: on a grid of noise the smallest are left out

Bits = NDArray[np.bool_]


class Patch(NamedTuple):
    """A connected group of cells: its outline in pixels of the scene (shapely), its cells (H, W) and where they are."""

    outline: Any
    cells: Bits
    at: tuple[slice, slice]


@dataclass(frozen=True)
class Cells:
    """Cells of `step` x `step` pixels over a scene of `width` x `height`; the last of a row or column may be cut."""

    width: int
    height: int
    step: int

    @classmethod
    def over(cls, width: int, height: int, largest: int = LARGEST_SIDE) -> "Cells":
        """The finest grid with at most `largest` cells a side."""
        return cls(width, height, -(-max(width, height) // largest))

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of cells."""
        return -(-self.height // self.step), -(-self.width // self.step)

    def windows(self) -> Iterator[tuple[Window, tuple[slice, slice]]]:
        """Windows in pixels that cover the scene, each with the (rows, columns) of its cells. All cells of a window
        have one size: cut ones make windows of their own, so that reading at a cell a value shifts nothing.
        """
        for top, bottom in self._spans(self.height):
            for left, right in self._spans(self.width):
                rows = slice(top // self.step, -(-bottom // self.step))
                columns = slice(left // self.step, -(-right // self.step))
                yield (left, top, right - left, bottom - top), (rows, columns)

    def _spans(self, length: int) -> Iterator[tuple[int, int]]:
        whole = length - length % self.step
        cuts = sorted({*range(0, whole, _BLOCK * self.step), whole, length})
        return pairwise(cuts)

    def areas(self, place: Place) -> NDArray[np.float32]:
        """Square metres of each cell (rows, columns) on the ellipsoid; 0 where a part of a cell lies off the Earth."""
        rows, columns = (self._edges(length) for length in (self.height, self.width))
        sizes = np.diff(rows)[:, None] * np.diff(columns)[None]
        middles = [(edges[1:] + edges[:-1]) / 2 for edges in (rows, columns)]
        samples = [np.linspace(one[0], one[-1], min(len(one), _SAMPLES)) for one in middles]
        sampled = pixel_areas(place, samples[1], samples[0])
        if not np.isfinite(sampled).all():  # the edge of the Earth: nothing to interpolate
            every = pixel_areas(place, middles[1], middles[0], self.step)
            return (np.nan_to_num(every) * sizes).astype(np.float32)
        down, across = (_weights(*pair) for pair in zip(middles, samples, strict=True))
        return (down @ sampled @ across.T * sizes).astype(np.float32)

    def _edges(self, length: int) -> NDArray[np.float64]:
        return np.append(np.arange(0, length, self.step), length).astype(np.float64)

    def patches(self, mask: Bits, most: int, least: int) -> tuple[list[Patch], int]:
        """The `most` largest connected groups of cells of a mask (rows, columns), the largest first, and their number.

        Groups of fewer than `least` cells are left out, and holes of fewer are filled; on a mask of noise, `least`
        grows with the grid so that the time is bounded. Cells that meet only at a corner are not connected.
        """
        least = max(least, mask.size // _MOST_PATCHES)
        bits = mask.astype(np.uint8)
        if 1 < least < mask.size:
            bits = sieve(bits, least)
        found = [shape(outline) for outline, value in shapes(bits, mask=bits.astype(bool)) if value]
        found = sorted((one for one in found if one.area >= least), key=lambda one: (-one.area, one.bounds))
        return [self._patch(one) for one in found[:most]], len(found)

    def _patch(self, outline: Any) -> Patch:
        left, top, right, bottom = (int(value) for value in outline.bounds)
        cells = polygon_to_mask(outline, (left, top, right - left, bottom - top))
        return Patch(self.to_pixels(outline), cells, (slice(top, bottom), slice(left, right)))

    def to_pixels(self, outline: Any) -> Any:
        """A shapely geometry in cells as one in pixels of the scene."""
        size = (self.width, self.height)
        return shapely.transform(outline, lambda points: np.minimum(points * self.step, size))


def _weights(wanted: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """(len(wanted), len(known)): the matrix that interpolates linearly between values at `known`."""
    return np.stack([np.interp(wanted, known, row) for row in np.eye(len(known))], axis=1)
