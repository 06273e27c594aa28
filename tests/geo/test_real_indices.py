"""Water and vegetation of real scenes, as benchmarks/indices.py has them, against labels drawn by eye."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("RSVLM_DATA", ROOT / ".." / "shared" / "data"))
needs_scenes = pytest.mark.skipif(
    not (DATA / "scenes").is_dir() or not (DATA / "OSCD" / "bercy" / "imgs_1").is_dir(),
    reason=f"no real scenes at {DATA}; set RSVLM_DATA",
)
LEAST = {  # intersection over union off the drawn lines; what it was when this was written, less a little
    ("naip 2009 water", "NDWI"): 0.93,
    ("naip 2009 vegetation", "NDVI"): 0.87,
    ("landsat 1985 water", "MNDWI"): 0.89,
    ("landsat 1985 water", "NDWI"): 0.80,
    ("landsat 1985 vegetation", "NDVI"): 0.93,
    ("paris 2016 water", "MNDWI"): 0.69,
    ("paris 2016 water", "NDWI"): 0.83,
    ("paris 2017 water", "MNDWI"): 0.72,
    ("paris 2017 water", "NDWI"): 0.84,
    ("paris 2017 vegetation", "NDVI"): 0.91,
}


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    monkeypatch.setenv("RSVLM_DATA", str(DATA))
    spec = importlib.util.spec_from_file_location("index_benchmark", ROOT / "benchmarks" / "indices.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@needs_scenes
def test_real_covers_agree_with_labels(benchmark):
    found = {(line["name"], line["index"]): line["iou_inner"] for line in benchmark.measured()}
    assert found.keys() == LEAST.keys()
    assert {name: iou for name, iou in found.items() if iou < LEAST[name]} == {}


def test_a_label_counts_what_it_says(benchmark):
    square = [[2, 2], [8, 2], [8, 8], [2, 8]]
    hole, aside = [[4, 4], [6, 4], [6, 6], [4, 6]], [[8, 0], [10, 0], [10, 10], [8, 10]]
    label = {"window": [0, 0, 10, 10], "inside": [square], "outside": [hole], "ignore": [aside], "counted": []}
    cover, counted, inner = benchmark.labelled(label)
    assert cover.sum() == 36 - 4 and counted.sum() == 80 and not counted[:, 8:].any()
    assert not inner[1:9, 1:8].any() and inner[0, 0] and not inner[0, 8:].any()
    moved = benchmark.labelled({**label, "window": [2, 2, 6, 6]})[0]
    assert np.array_equal(moved, cover[2:8, 2:8])
    assert benchmark.labelled({**label, "counted": [square]})[1].sum() == 36
