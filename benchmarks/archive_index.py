"""Indexing: tiles a second against a bare loop of reading and embedding; memory while 1,000,000 vectors come in.

Both sides have one model (the embedded one) and the same tiles of one scene of noise; the loop is what a user writes:
rasterio's windows, batches of 32, the vectors in a list. Memory is the peak of a process of its own, which puts
synthetic rows into an archive as indexing does, and then builds the indices.
"""

import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine
from rasterio.windows import Window

from harness import archives, medians, ratio, run, take_turns, timed
from rsvlm.index.archive import Archive
from rsvlm.serve import indexing
from rsvlm.serve.archive_model import load_embedder
from rsvlm.serve.archive_tiles import IndexSettings

TILE, ROUNDS, WIDTH = 256, 3, 256


class MeanColour:
    """Stands for a model in the smallest size."""

    name, trace = "mean colour", {"system": "none"}

    def embed_images(self, images: list[NDArray[np.uint8]]) -> NDArray[np.float32]:
        return np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images])


def write(path: Path, side: int) -> None:
    data = np.random.default_rng(0).integers(0, 256, (3, side, side), np.uint8)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8", "tiled": True,
               "blockxsize": 256, "blockysize": 256, "crs": "EPSG:32617",
               "transform": Affine(1, 0, 4e5, 0, -1, 3e6)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(data)


def bare(model: Any, path: Path, side: int) -> NDArray[np.float32]:
    found, waiting = [], []
    with rasterio.open(path) as file:
        for row in range(0, side, TILE):
            for column in range(0, side, TILE):
                waiting.append(np.moveaxis(file.read(window=Window(column, row, TILE, TILE)), 0, -1))
                if len(waiting) == 32:
                    found.append(model.embed_images(waiting))
                    waiting = []
    if waiting:
        found.append(model.embed_images(waiting))
    return np.concatenate(found)


def filled(rows: int) -> dict[str, float]:
    """Seconds and peak MiB of this process for `rows` synthetic rows."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive.create(Path(folder) / "archive", width=WIDTH, model="synthetic", weights_hash="0")
        adding, _ = timed(lambda: archives.fill(archive, rows))
        indexing_s, _ = timed(archive.build_index)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"add_s": round(adding, 1), "build_index_s": round(indexing_s, 1), "peak_rss_mib": round(peak)}


def main(rows: int = 1_000_000, *, smallest: bool) -> dict[str, Any]:
    side, rows = (2 * TILE, 2000) if smallest else (16 * TILE, rows)
    model = MeanColour() if smallest else load_embedder("mini")
    given = [sys.executable, __file__, "--fill", str(rows)]
    memory = json.loads(subprocess.run(given, capture_output=True, text=True, check=True).stdout)
    with tempfile.TemporaryDirectory() as folder:
        path, count = Path(folder) / "scene.tif", (side // TILE) ** 2
        write(path, side)

        def ours() -> int:
            out = tempfile.mkdtemp(dir=folder) + "/archive"
            settings = IndexSettings(tile_metres=float(TILE))
            with contextlib.redirect_stderr(io.StringIO()):
                return indexing.run([str(path)], out=out, model=model, settings=settings).rows

        seconds, _ = take_turns({"ours_s": ours, "bare_s": lambda: bare(model, path, side)}, ROUNDS, smallest=smallest)
    return {
        "tiles": count, "target_ratio": 0.9, **medians(seconds), "ratio": ratio(seconds, "ours_s", "bare_s"),
        "tiles_per_s": round(count / medians(seconds)["ours_s"], 1), "rows": rows, "width": WIDTH,
        "target_peak_rss_mib": 2048, **memory,
    }  # fmt: skip


if __name__ == "__main__":
    if "--fill" in sys.argv:
        print(json.dumps(filled(int(sys.argv[-1]))))
    else:
        run(main)
