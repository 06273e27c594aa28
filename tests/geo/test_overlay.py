"""Pictures of answers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fake.rasters import geotiff
from rsvlm.errors import BadInput
from rsvlm.geo.overlay import color_of, draw_regions, preview, save_overlay
from rsvlm.geo.raster import open_scene
from rsvlm.sample import Region

REGIONS = [
    Region(label="boat", box=(10, 10, 30, 30), score=0.93),
    Region(label="field", box=(40, 20, 70, 40), angle=30),
    Region(label="water", box=(0, 40, 20, 60), polygon=((0, 40), (20, 45), (5, 60)), score=0.5),
]


def test_overlay_is_written_whole(tmp_path: Path) -> None:
    with open_scene(geotiff(tmp_path / "a.tif")) as scene:
        path = save_overlay(scene, REGIONS, tmp_path / "out.png")
    picture = np.asarray(Image.open(path))
    assert picture.shape == (640, 800, 3)
    for region in REGIONS:
        assert (picture == color_of(region.label)).all(axis=-1).any()
    assert {file.name for file in tmp_path.iterdir()} == {"a.tif", "out.png"}


def test_large_scenes_are_drawn_small(tmp_path: Path) -> None:
    with open_scene(geotiff(tmp_path / "a.tif", np.zeros((3, 300, 900), np.uint8))) as scene:
        save_overlay(scene, [Region(label="x", box=(300, 150, 400, 200))], tmp_path / "o.png", size=450)
    picture = np.asarray(Image.open(tmp_path / "o.png"))
    rows, columns = np.nonzero((picture == color_of("x")).all(axis=-1))
    assert picture.shape == (150, 450, 3) and columns.min() >= 148 and columns.max() <= 203 and rows.max() <= 103


def test_an_unwritable_folder_says_so(tmp_path: Path) -> None:
    with open_scene(geotiff(tmp_path / "a.tif")) as scene, pytest.raises(BadInput, match="cannot be written"):
        save_overlay(scene, REGIONS, tmp_path / "missing" / "out.png")


def test_empty_labels_and_no_regions_draw() -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    assert np.asarray(draw_regions(pixels, [])).max() == 0
    assert np.asarray(draw_regions(pixels, [Region(label="", box=(2, 2, 9, 9))])).max() > 0
    draw_regions(np.zeros((1, 1, 3), np.uint8), [])


@pytest.mark.parametrize("shape", [(64, 80), (1, 1), (3, 200), (200, 3)])
def test_preview(shape) -> None:
    text = preview(np.full((*shape, 3), 7, np.uint8), 40)
    lines = text.split("\n")
    assert {line.count("▀") for line in lines} == {min(40, shape[1])} and "38;2;7;7;7" in text
