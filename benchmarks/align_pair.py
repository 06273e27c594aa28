"""Aligning two dates of 4,000 x 4,000 pixels: `open_pair` and its tiles against scikit-image and rasterio by hand.

By hand: both read whole, `skimage.registration.phase_cross_correlation` to a twentieth of a pixel on their grey values,
and `rasterio.warp.reproject` (bilinear) of the second by the shift found. Where scikit-image is not installed, what it
does is done in NumPy (the same transforms, the same matrix product), and `by_hand` says so. Ours finds the shift on
windows, brings the brightness of the second to that of the first, and streams both in tiles of 1,024 pixels.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.warp import Resampling, reproject

from harness import medians, ratio, run, take_turns
from rsvlm.geo.pair import open_pair

SIDE, TILE, ROUNDS, FINE = 4000, 1024, 3, 20
MOVED = (3.4, -2.7)  # pixels, x and y
PLACE = Affine(0.5, 0, 4e5, 0, -0.5, 3e6)

Estimate = Callable[[NDArray[Any], NDArray[Any]], tuple[float, float]]


def write(path: Path, side: int, moved: tuple[float, float], changed: bool) -> None:
    """A texture of four sizes, moved; where `changed`, a fifth of its blocks is another and all of it is darker."""
    values = texture(side, moved, 0)
    if changed:
        blocks = np.random.default_rng(1).random((16, 16)) < 0.2
        size = -(-side // 16)
        mask = blocks.repeat(size, 0).repeat(size, 1)[:side, :side]
        values = 0.8 * np.where(mask, texture(side, (0, 0), 5), values) + 10
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True,
               "blockxsize": 256, "blockysize": 256, "crs": "EPSG:32617", "transform": PLACE}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        for band in (1, 2, 3):
            file.write((values + 5 * band).astype(np.uint8), band)


def texture(side: int, moved: tuple[float, float], seed: int) -> NDArray[np.float64]:
    random, values = np.random.default_rng(seed), np.zeros((side, side))
    for cell in (2.5, 6, 20, 90):
        lattice = random.random((side // 2 + 60, side // 2 + 60)).astype(np.float32)
        parts = []
        for shift in moved[::-1]:
            at = (np.arange(side) - shift) / cell + 30
            low = np.floor(at).astype(int)
            parts.append((low, (at - low) ** 2 * (3 - 2 * (at - low))))
        (row, down), (column, right) = parts
        rows = lattice[row] * (1 - down[:, None]) + lattice[row + 1] * down[:, None]
        values += 50 * (rows[:, column] * (1 - right) + rows[:, column + 1] * right)
    return values


def in_numpy(first: NDArray[Any], second: NDArray[Any]) -> tuple[float, float]:
    """(rows, columns) by which the second must be moved: what phase_cross_correlation does."""
    product = np.fft.fft2(first) * np.conj(np.fft.fft2(second))
    product /= np.maximum(np.abs(product), 100 * np.finfo(float).eps)
    at = np.array(np.unravel_index(np.argmax(np.abs(np.fft.ifft2(product))), product.shape), float)
    shape = np.array(product.shape)
    at[at > shape // 2] -= shape[at > shape // 2]
    fine = np.arange(-1.5, 1.5, 1 / FINE)
    rows, columns = (
        np.exp(2j * np.pi * np.outer(one + fine, np.fft.fftfreq(n))) for one, n in zip(at, shape, strict=True)
    )
    best = np.unravel_index(np.argmax(np.abs(rows @ product @ columns.T)), (len(fine), len(fine)))
    return float(at[0] + fine[best[0]]), float(at[1] + fine[best[1]])


def estimator() -> tuple[str, Estimate]:
    try:
        from skimage.registration import phase_cross_correlation
    except ImportError:
        return "numpy", in_numpy
    return "scikit-image", lambda first, second: phase_cross_correlation(first, second, upsample_factor=FINE)[0]


def by_hand(before: Path, after: Path, estimate: Estimate) -> tuple[float, float]:
    """The shift (x, y) of the second; its moved picture is made and dropped."""
    with rasterio.open(before) as one, rasterio.open(after) as other:
        first, second = one.read(), other.read()
        row, column = estimate(first.mean(axis=0), second.mean(axis=0))
        moved = np.zeros_like(second)
        reproject(second, moved, src_transform=other.transform @ Affine.translation(column, row), src_crs=other.crs,
                  dst_transform=one.transform, dst_crs=one.crs, resampling=Resampling.bilinear)  # fmt: skip
    return -float(column), -float(row)


def ours(before: Path, after: Path) -> tuple[float, float]:
    with open_pair(before, after) as pair:
        assert pair.shift is not None
        for tile in pair.tiles(TILE):
            assert tile.valid.any()
        return pair.shift.dx, pair.shift.dy


def main(*, smallest: bool) -> dict[str, Any]:
    side = 512 if smallest else SIDE
    name, estimate = estimator()
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.tif", Path(folder) / "after.tif"
        write(before, side, (0, 0), changed=False)
        write(after, side, MOVED, changed=True)
        sides = {"ours": lambda: ours(before, after), "by_hand": lambda: by_hand(before, after, estimate)}
        seconds, found = take_turns(sides, ROUNDS, smallest=smallest)
    error = {side: round(float(np.hypot(*np.subtract(shift, MOVED))), 3) for side, shift in found.items()}
    return {
        "target_ratio": 1.0, "ratio": ratio(seconds, "ours", "by_hand"), "seconds": medians(seconds), "side": side,
        "by_hand": name, "error_px": error,
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
