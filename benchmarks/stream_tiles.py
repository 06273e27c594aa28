"""Streaming 512 px tiles of a 20,000 x 20,000 RGB GeoTIFF: `Scene.tiles` against a bare rasterio loop, in turn.

Each side runs in a process of its own (so that peak memory is its own) and prints seconds and peak RSS. The file is
written once per compression, of real-looking noise (so that it does not compress away), to a temporary folder.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

from harness import medians, ratio, run, timed

SIDE, TILE, OVERLAP, ROUNDS = 20_000, 512, 64, 3


def write(path: Path, compress: str | None, side: int) -> None:
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True,
               "blockxsize": 512, "blockysize": 512, "crs": "EPSG:32617",
               "transform": Affine(0.5, 0, 4e5, 0, -0.5, 3e6), "interleave": "pixel", "compress": compress}  # fmt: skip
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 200, (3, 64, 64), np.uint8).repeat(8, 1).repeat(8, 2)
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, side, 512):
            for col in range(0, side, 512):
                size = (min(512, side - row), min(512, side - col))
                block = coarse[:, : size[0], : size[1]] + rng.integers(0, 16, (3, *size), np.uint8)
                file.write(block, window=Window(col, row, size[1], size[0]))


def bare(path: str) -> int:
    """What a user would write: open, and read each window."""
    total, step = 0, TILE - OVERLAP
    with rasterio.open(path) as file:
        for row in range(0, file.height - OVERLAP, step):
            for col in range(0, file.width - OVERLAP, step):
                window = Window(col, row, min(TILE, file.width - col), min(TILE, file.height - row))
                total += int(file.read((1, 2, 3), window=window)[0, 0, 0])
    return total


def ours(path: str) -> int:
    from rsvlm.geo.raster import open_scene

    with open_scene(path) as scene:
        return sum(int(tile.pixels[0, 0, 0]) for tile in scene.tiles(TILE, OVERLAP))


def main(*, smallest: bool) -> dict[str, Any]:
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for compress in (None, "deflate"):
            path = Path(folder) / f"{compress}.tif"
            write(path, compress, 600 if smallest else SIDE)
            runs: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
            for _ in range(1 if smallest else ROUNDS):
                for side, kept in runs.items():
                    done = subprocess.run([sys.executable, __file__, side, str(path)], check=True, capture_output=True)
                    kept.append(json.loads(done.stdout))
            path.unlink()
            seconds = {side: [run["s"] for run in kept] for side, kept in runs.items()}
            results[compress or "none"] = {
                "ratio": ratio(seconds, "ours", "bare"), "seconds": medians(seconds, 2),
                "peak_rss_mib": {side: round(max(run["rss"] for run in kept)) for side, kept in runs.items()},
            }  # fmt: skip
    return {"target_ratio": 0.8, "target_rss_mib": 1229, **results}


def one(side: str, path: str) -> None:
    """Time one side in this process."""
    seconds, _ = timed(lambda: SIDES[side](path))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"s": seconds, "rss": peak}))


SIDES = {"bare": bare, "ours": ours}

if __name__ == "__main__":
    one(*sys.argv[1:]) if sys.argv[1:2] and sys.argv[1] in SIDES else run(main)
