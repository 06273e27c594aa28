"""Two dates of one ground: a texture that is known at every point, so that any grid of it is exact."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from fake.rasters import UTM, geotiff
from rsvlm.geo.pair import Pair

SIDE = 320  # pixels of 5 m
_CELLS = (8.0, 20.0, 45.0, 140.0)  # metres: cells of the noise


def ground(x: NDArray[Any], y: NDArray[Any], seed: int = 0) -> NDArray[np.float64]:
    """(3, H, W) of values in 20..230 at eastings and northings (H, W) in metres: smooth noise of several sizes."""
    random, bands = np.random.default_rng(seed), []
    grey = sum(_noise(x / cell, y / cell, random) * weight for cell, weight in zip(_CELLS, (1, 2, 2, 3), strict=True))
    for _ in range(3):
        bands.append(grey * 23 + _noise(x / 60, y / 60, random) * 20 + 20)
    return np.stack(bands)


def _noise(x: NDArray[Any], y: NDArray[Any], random: np.random.Generator) -> NDArray[np.float64]:
    lattice = random.random((97, 101))
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = ((3 - 2 * part) * part**2 for part in (x - column, y - row))

    def at(dx: int, dy: int) -> NDArray[np.float64]:
        return lattice[(row + dy) % 97, (column + dx) % 101]

    top, bottom = (at(0, dy) * (1 - right) + at(1, dy) * right for dy in (0, 1))
    return top * (1 - down) + bottom * down


def date(
    path: Path, *, transform: Affine = UTM, size: tuple[int, int] = (SIDE, SIDE), crs: str = "EPSG:26914",
    moved: tuple[float, float] = (0.0, 0.0), changed: float = 0.0, line: tuple[float, float] = (1.0, 0.0),
    finish: Callable[[NDArray[np.float64]], NDArray[Any]] = lambda values: values, dtype: str = "uint8", **profile: Any,
) -> Path:  # fmt: skip
    """Write a date of the ground as `path`, `size` (width, height).

    `moved` pixels (x, y) off its place; `changed`: share of the ground, in blocks of 150 m, that is another; `line`:
    gain and offset of its values; `finish`: the last word on the values (3, H, W) before they become `dtype`.
    """
    column, row = np.meshgrid(np.arange(size[0]) + 0.5 - moved[0], np.arange(size[1]) + 0.5 - moved[1])
    a, b, c, d, e, f = transform[:6]
    x, y = a * column + b * row + c, d * column + e * row + f
    if crs != "EPSG:26914":
        x, y = pyproj.Transformer.from_crs(crs, "EPSG:26914", always_xy=True).transform(x, y)
    values = ground(x, y)
    if changed:
        blocks = np.random.default_rng(7).random((89, 83)) < changed
        there = blocks[np.floor(y / 150).astype(int) % 89, np.floor(x / 150).astype(int) % 83]
        values = np.where(there, ground(x, y, seed=9) * 0.7 + 60, values)
    values = finish(values * line[0] + line[1])
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return geotiff(path, values.astype(dtype), transform=transform, crs=crs, **profile)


def notes_of(pair: Pair) -> str:
    """All notes of a pair, a line each."""
    return "\n".join(pair.notes)


def median_difference(pair: Pair) -> float:
    """Of the valid pixels of both dates, 0..255: small where most of the ground stayed and lies on itself."""
    first, second, valid = pair.read()
    return float(np.median(np.abs(first.astype(int) - second)[valid]))
