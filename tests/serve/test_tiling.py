"""Tiles part the scene exactly, their side follows the resolution, and pixels without data never reach the model."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from fake.chat_model import coast
from fake.rasters import geotiff, pixels
from rsvlm.errors import BadInput
from rsvlm.geo.raster import open_scene
from rsvlm.serve.tiling import MOST_TILES, default_side, partition, plan_tiles, read_views


@given(st.integers(1, 400), st.integers(1, 400), st.integers(16, 200))
def test_tiles_part_the_scene_without_overlap(width, height, side):
    count = np.zeros((height, width), int)
    for column, row, w, h in partition(width, height, side):
        assert 1 <= w <= 1.5 * side + 1 and 1 <= h <= 1.5 * side + 1
        count[row : row + h, column : column + w] += 1
    assert (count == 1).all()


def test_a_scene_of_up_to_one_and_a_half_tiles_is_seen_whole():
    assert len(list(partition(768, 768, 512))) == 1
    assert len(list(partition(769, 768, 512))) == 2


@pytest.mark.parametrize(
    ("gsd", "side"),
    [(None, 512), (0.05, 1024), (0.1, 800), (0.3, 512), (2.0, 512), (3.0, 427), (5.0, 128), (10.0, 64), (30.0, 64)],
)
def test_the_side_of_a_tile_follows_the_ground_that_it_shows(gsd, side):
    assert default_side(gsd) == side


def test_without_the_rules_a_coarse_tile_is_as_large_as_a_fine_one():
    assert [default_side(gsd, raw=True) for gsd in (None, 0.3, 5.0, 10.0, 30.0)] == [512, 512, 256, 128, 128]


def test_a_coarse_scene_has_few_tiles_of_which_the_middle_is_shown_where_a_class_is_asked_for(tmp_path):
    place = Affine(5, 0, 5e5, 0, -5, 5e6)
    with open_scene(geotiff(tmp_path / "a.tif", coast(700, 900), transform=place)) as scene:
        plan = plan_tiles(scene)
        assert plan.wanted == 128 and len(plan.windows) <= 24 and plan.tile * 5 <= 1.02 * 1280
        views = [view for view in read_views(scene, plan) if view is not None]
        for view in views[:-1]:
            part = view.middle(64)
            assert part.shape[:2] == (64, 64) and view.middle(plan.tile) is view.pixels
            top, left = (view.pixels.shape[0] - 64) // 2, (view.pixels.shape[1] - 64) // 2
            assert (part == view.pixels[top : top + 64, left : left + 64]).all()
        assert views[-1].middle(64) is views[-1].pixels


def test_tiles_grow_where_they_would_be_too_many_but_a_given_side_is_kept(tmp_path):
    path = geotiff(tmp_path / "a.tif", np.ones((1, 40, 12000), np.uint8), transform=Affine(10, 0, 5e5, 0, -10, 5e6))
    with open_scene(path) as scene:
        assert plan_tiles(scene, raw=True).tile == plan_tiles(scene, raw=True).wanted == 128
        assert len(plan_tiles(scene, 32).windows) == 375
    path = geotiff(tmp_path / "b.tif", np.ones((1, 3000, 3000), np.uint8), transform=Affine(10, 0, 5e5, 0, -10, 5e6))
    with open_scene(path) as scene:
        assert plan_tiles(scene).wanted == 64 < plan_tiles(scene).tile and len(plan_tiles(scene).windows) <= MOST_TILES
        with pytest.raises(BadInput, match="31 pixels"):
            plan_tiles(scene, 31)


def test_the_whole_is_put_together_from_the_tiles(tmp_path):
    from PIL import Image

    height, width = 1500, 2300  # larger than a view, so that it shrinks
    yy, xx = np.mgrid[:height, :width]
    smooth = np.stack([xx * 255 // width, yy * 255 // height, (xx + yy) * 255 // (width + height)]).astype(np.uint8)
    with open_scene(geotiff(tmp_path / "a.tif", smooth)) as scene:
        *tiles, whole = read_views(scene, plan_tiles(scene, 300))
    assert len(tiles) == len(plan_tiles(scene, 300).windows) and whole.whole and whole.window == (0, 0, width, height)
    assert max(whole.pixels.shape) == 1024 and whole.valid == pytest.approx(1)
    shrunk = Image.fromarray(smooth.transpose(1, 2, 0)).resize(whole.pixels.shape[1::-1], Image.Resampling.BOX)
    assert np.abs(whole.pixels.astype(int) - np.asarray(shrunk)).max() <= 3


def test_pixels_without_data_are_filled_and_empty_tiles_left_out(tmp_path):
    data = np.full((3, 128, 256), 100, np.uint8)
    data[:, :, :64] = 0  # a whole tile
    data[:, :32, 64:128] = 0  # half of the upper one
    data[:, 64:, 192:] = 0
    data[:, 64, 192] = 100  # one pixel is left of this one
    with open_scene(geotiff(tmp_path / "a.tif", data, nodata=0)) as scene:
        *tiles, whole = read_views(scene, plan_tiles(scene, 64))
    there = [tile for tile in tiles if tile is not None]
    assert len(tiles) == 8 and len(there) == 5
    assert sorted(tile.valid for tile in there) == [0.5, 1, 1, 1, 1]
    assert all((tile.pixels == 100).all() for tile in there) and (whole.pixels == 100).all()
    assert whole.valid == pytest.approx((5 - 0.5 + 1 / 64**2) / 8)


def test_a_small_scene_is_one_view(tmp_path):
    with open_scene(geotiff(tmp_path / "a.tif", pixels(60, 90))) as scene:
        found = list(read_views(scene, plan_tiles(scene)))
    assert len(found) == 1 and found[0].whole and found[0].pixels.shape == (60, 90, 3)
