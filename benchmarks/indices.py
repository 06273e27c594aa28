"""Water and vegetation by the indices of `rsvlm.geo.indices`, against labels that were drawn by eye.

The labels are tests/golden/index_labels.json, the scenes lie below RSVLM_DATA: NAIP, Landsat, and Sentinel-2 of OSCD,
whose bands are stacked first. Each line of `labels` has the intersection over union within the label's window, how much
of the labelled cover was found (`recall`), how much of the found one is labelled (`precision`), and the intersection
over union without the pixels within 1.5 pixels of a drawn line (`iou_inner`): a hand draws no better, and a river of
ten pixels is mostly edge. The border is sought in the whole scene, as a user has it.
`seconds` and `peak_mib` (NumPy's arrays) are those of one cover of a made scene.
"""

import json
import os
import tempfile
import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling

from harness import run, timed
from rsvlm.errors import MissingPart
from rsvlm.geo.indices import COVERS, INDICES, Cover, classify
from rsvlm.geo.raster import open_scene
from rsvlm.geo.vector import polygon_to_mask, shapely

LABELS = Path(__file__).parents[1] / "tests" / "golden" / "index_labels.json"
SENTINEL = tuple(f"B{name}" for name in ["01", "02", "03", "04", "05", "06", "07", "08", "8A", "09", "10", "11", "12"])
SIDE = 8192  # pixels of the made scene
TARGET = 0.8  # intersection over union
NEAR = 1.5  # pixels


def labelled(label: dict[str, Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """(cover, counted, inner) of a label (H, W): the pixels drawn as the cover, those that count, and of these the ones
    that are no nearer than NEAR to a drawn line.
    """
    inside, outside, ignored, counted = (
        shapely.union_all([shapely.Polygon(ring).buffer(0) for ring in label[key]])
        for key in ("inside", "outside", "ignore", "counted")
    )
    window = label["window"]
    if counted.is_empty:
        column, row, width, height = window
        counted = shapely.box(column, row, column + width, row + height)
    cover, counts = inside.difference(outside), counted.difference(ignored)
    whole, inner = (polygon_to_mask(one, window) for one in (counts, counts.difference(cover.boundary.buffer(NEAR))))
    return polygon_to_mask(cover, window), whole, inner


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks."""
    return round(float((a & b).sum() / (a | b).sum()), 3)


def agreement(found: Cover, label: dict[str, Any]) -> dict[str, Any]:
    """How a cover that was found agrees with a label, within the label's window."""
    column, row, width, height = label["window"]
    at = slice(row, row + height), slice(column, column + width)
    drawn, counted, inner = labelled(label)
    truth, mask = drawn & counted, found.mask[at] & counted
    both = int((truth & mask).sum())
    return {
        "name": label["name"], "iou": overlap(truth, mask), "iou_inner": overlap(truth & inner, mask & inner),
        "recall": round(both / int(truth.sum()), 3), "precision": round(both / max(1, int(mask.sum())), 3),
        "index": found.index, "border": round(found.border.value, 3), "by": found.border.method,
        "eta": round(found.border.eta, 3),
    }  # fmt: skip


def stacked(folder: Path, target: Path) -> Path:
    """The thirteen files of OSCD's bands as one GeoTIFF of 10 m with their names; pixels are repeated."""
    files = {path.stem.rsplit("_", 1)[1]: path for path in folder.glob("*.tif")}
    with rasterio.open(files["B02"]) as ten_metres:
        profile = {**ten_metres.profile, "count": len(SENTINEL)}
    shape = profile["height"], profile["width"]
    with rasterio.open(target, "w", **profile) as out:
        for number, name in enumerate(SENTINEL, start=1):
            with rasterio.open(files[name]) as band:
                out.write(band.read(1, out_shape=shape, resampling=Resampling.nearest), number)
        out.descriptions = SENTINEL
    return target


def made(path: Path, side: int) -> Path:
    """A scene of green and near infrared (uint16) with a lake in the middle that covers a quarter of it."""
    random = np.random.default_rng(0)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 2, "dtype": "uint16", "crs": "EPSG:32631"}
    place = rasterio.Affine(10, 0, 400_000, 0, -10, 5_400_000)
    with rasterio.open(path, "w", **profile, transform=place, tiled=True, blockxsize=256, blockysize=256) as out:
        out.descriptions = ("green", "nir")
        block = min(side, 512)
        for row in range(0, side, block):
            values = random.normal((700, 3000), (70, 300), (block, side, 2)).transpose(2, 0, 1)
            lake = np.zeros((block, side), bool)
            lake[:, side // 4 : 3 * side // 4] = side // 4 <= row + block / 2 < 3 * side // 4
            if side == block:
                lake[: side // 4] = lake[3 * side // 4 :] = False
            values[:, lake] *= np.array([0.7, 0.05])[:, None]
            out.write(values.clip(1, 10_000).astype(np.uint16), window=((row, row + block), (0, side)))
    return path


@contextmanager
def scenes() -> Iterator[list[tuple[dict[str, Any], Path]]]:
    """Each label with the file of its scene, while the stacked ones are there. Raises MissingPart without the data."""
    root = Path(os.environ.get("RSVLM_DATA", ""))
    labels = json.loads(LABELS.read_text(encoding="utf-8"))["labels"]
    if missing := [label["scene"] for label in labels if not (root / label["scene"]).exists()]:
        raise MissingPart(f"{missing[0]} is needed below RSVLM_DATA.")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        paths = {}
        for scene in dict.fromkeys(label["scene"] for label in labels):
            path = root / scene
            paths[scene] = stacked(path, Path(folder, f"{path.name}.tif")) if path.is_dir() else path
        yield [(label, paths[label["scene"]]) for label in labels]


def measured() -> list[dict[str, Any]]:
    """The agreement of every label, by each index that the bands allow, the one that is taken unasked first."""
    lines = []
    with scenes() as found:
        for label, path in found:
            with open_scene(path, bands=label["bands"]) as scene:
                for name in COVERS[label["cover"]].indices:
                    if {INDICES[name].first, INDICES[name].second} <= set(scene.band_roles):
                        lines.append(agreement(classify(scene, label["cover"], index=name), label))
    return lines


def main(*, smallest: bool) -> dict[str, Any]:
    side = 256 if smallest else SIDE
    with tempfile.TemporaryDirectory() as folder, open_scene(made(Path(folder, "made.tif"), side)) as scene:
        seconds, cover = timed(lambda: classify(scene, "water"))
        tracemalloc.start()
        classify(scene, "water")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    ring = [[side / 4, side / 4], [3 * side / 4, side / 4], [3 * side / 4, 3 * side / 4], [side / 4, 3 * side / 4]]
    lake = {"name": "made", "window": [0, 0, side, side], "inside": [ring], "outside": [], "ignore": [], "counted": []}
    labels = [agreement(cover, lake)] if smallest else measured()
    return {
        "labels": labels, "target_iou": TARGET, "pixels": side * side, "seconds": round(seconds, 2),
        "peak_mib": round(peak / 2**20),
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
