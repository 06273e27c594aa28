"""A synthetic archive: scenes of 100 tiles spread between 60 degrees south and north, vectors in clusters."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from rsvlm.index.archive import Archive
from rsvlm.index.rows import Bounds, Tile
from rsvlm.index.writing import SceneRows

TILES, STEP = 100, 0.005  # of a scene, 10 x 10; degrees of a tile
CLUSTERS, SPREAD = 2000, 0.8
_SCENES = 100  # a commit


def vectors(count: int, width: int, seed: int) -> NDArray[np.float32]:
    """(count, width) of unit length around the same centres for every seed."""
    centres = np.random.default_rng(0).standard_normal((CLUSTERS, width), np.float32)
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(0, CLUSTERS, count)] + SPREAD * rng.standard_normal((count, width), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def scenes(rows: int, width: int) -> Iterator[SceneRows]:
    """Scenes with `rows` tiles in all."""
    rng = np.random.default_rng(1)
    for number in range(-(-rows // TILES)):
        count = min(TILES, rows - number * TILES)
        west, south = float(rng.uniform(-180, 179)), float(rng.uniform(-60, 60))
        name, date = f"/scenes/{number:06}.tif", datetime(2015, 1, 1, tzinfo=UTC) + timedelta(days=number % 3000)
        tiles = [_tile(name, date, at, west, south) for at in range(count)]
        yield SceneRows(scene=name, fingerprint="synthetic", tiles=tiles, vectors=vectors(count, width, number + 2))


def _tile(scene: str, date: datetime, at: int, west: float, south: float) -> Tile:
    left, bottom = west + at % 10 * STEP, south + at // 10 * STEP
    bounds: Bounds = left, bottom, left + STEP, bottom + STEP
    return Tile(
        scene=scene, window=(at % 10 * 512, at // 10 * 512, 512, 512), bounds=bounds, date=date, gsd=1.0,
        footprint=shapely.box(*bounds).wkb, sensor="synthetic",
    )  # fmt: skip


def fill(archive: Archive, rows: int) -> None:
    """Put `rows` tiles into an archive, 100 scenes a commit, as indexing does."""
    waiting: list[SceneRows] = []
    for scene in scenes(rows, archive.width):
        waiting.append(scene)
        if len(waiting) == _SCENES:
            archive.replace_scenes(waiting)
            waiting = []
    archive.replace_scenes(waiting)


def make(folder: Path, rows: int, width: int) -> Archive:
    """A new archive of `rows` tiles, with its indices."""
    archive = Archive.create(folder, width=width, model="synthetic", weights_hash="0")
    fill(archive, rows)
    archive.build_index()
    return archive
