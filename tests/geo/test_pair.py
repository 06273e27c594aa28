"""Two dates on one grid: shift, brightness, grids of every kind, windows and sizes."""

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from PIL import Image

from fake.pairs import SIDE, date, median_difference, notes_of
from fake.rasters import GEOS, UTM, geotiff
from rsvlm.errors import BadInput
from rsvlm.geo.aligned_read import Source
from rsvlm.geo.pair import open_pair
from rsvlm.geo.raster import open_scene

WEB = Affine(7.3, 0, -11041280, 0, -7.3, 5948040)  # Web Mercator, about 5 m on the ground


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return date(tmp_path_factory.mktemp("dates") / "before.tif")


# -- shift and brightness ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [(0.4, -0.3), (3.25, -5.6), (-12.7, 8.2)])
def test_a_shift_is_found_and_corrected_though_a_fifth_changed_and_the_light_did(before, tmp_path, moved):
    after = date(tmp_path / "after.tif", moved=moved, changed=0.2, line=(0.7, 30))
    with open_pair(before, after) as pair:
        assert pair.shift.corrected and pair.shift.confidence > 0.9
        assert (pair.shift.dx, pair.shift.dy) == pytest.approx(moved, abs=0.1)
        assert median_difference(pair) <= 1
        assert f"{pair.shift.dx:+.2f} pixels in x" in notes_of(pair) and "moving after.tif" in notes_of(pair)
        first, second, valid = pair.read()
        edge = int(abs(moved[0]))
        assert valid.mean() == pytest.approx((1 - abs(moved[0]) / SIDE) * (1 - abs(moved[1]) / SIDE), abs=0.01)
        assert not valid[:, : edge - 1 if moved[0] < 0 else 0].any() and not first[~valid].any()
        assert not second[~valid].any()


def test_a_shift_over_the_limit_is_said_and_left(before, tmp_path):
    after = date(tmp_path / "after.tif", moved=(25, -6.5))
    with open_pair(before, after) as pair:
        assert not pair.shift.corrected and (pair.shift.dx, pair.shift.dy) == pytest.approx((25, -6.5), abs=0.1)
        assert "more than 16 pixels are not corrected" in notes_of(pair) and pair.read()[2].all()
    with open_pair(before, after, max_shift=30) as pair:
        assert pair.shift.corrected and median_difference(pair) <= 1


def test_less_than_a_tenth_of_a_pixel_is_not_resampled(before, tmp_path):
    after = date(tmp_path / "after.tif", moved=(0.04, -0.05))
    with open_pair(before, after) as pair, rasterio.open(after) as file:
        assert not pair.shift.corrected and "left as it is" in notes_of(pair)
        assert (pair.read()[1].transpose(2, 0, 1) == file.read()).all()


def test_grounds_that_have_nothing_in_common_have_no_shift(before, tmp_path):
    after = date(tmp_path / "after.tif", changed=1.0)
    with open_pair(before, after) as pair:
        assert pair.shift is None and "do not agree on one shift" in pair.shift_reason
        assert pair.shift_reason in notes_of(pair) and pair.read()[2].all()


def test_a_flat_date_has_no_shift(before, tmp_path):
    after = date(tmp_path / "after.tif", finish=lambda values: values * 0 + 90)
    with open_pair(before, after) as pair:
        assert pair.shift is None and "no contrast" in pair.shift_reason


def test_brightness_is_that_of_what_did_not_change(before, tmp_path):
    after = date(tmp_path / "after.tif", changed=0.3, line=(0.6, 50))
    with open_pair(before, after) as pair, open_pair(before, after, normalise=False) as raw:
        first, second, _ = pair.read()
        equal = np.abs(first.astype(int) - second).max(axis=2) <= 3
        assert 0.6 < equal.mean() < 0.85  # the rest has changed, and still looks so
        assert median_difference(raw) > 5 and "brightness of after.tif was brought" in notes_of(pair)
        assert "brightness" not in notes_of(raw)


# -- grids -------------------------------------------------------------------------------------------------------------

OTHER_GRIDS = {
    "web mercator": {"crs": "EPSG:3857", "transform": WEB},
    "rotated": {"transform": UTM @ Affine.translation(60, 10) @ Affine.rotation(20) @ Affine.scale(0.97)},
    "half a pixel off": {"transform": UTM @ Affine.translation(0.5, 0.25)},
    "finer": {"transform": UTM @ Affine.scale(0.4), "size": (800, 800)},
    "coarser": {"transform": UTM @ Affine.scale(1.5), "size": (213, 213)},
    "part": {"transform": UTM @ Affine.translation(100, -60), "size": (200, 200)},
}


@pytest.mark.parametrize("name", OTHER_GRIDS)
@pytest.mark.parametrize("swapped", [False, True])
def test_other_grids_come_to_lie_on_the_coarser_one(before, tmp_path, name, swapped):
    after = date(tmp_path / "after.tif", changed=0.1, **OTHER_GRIDS[name])
    first, second = (after, before) if swapped else (before, after)
    with open_pair(first, second) as pair, open_scene(first) as one, open_scene(second) as other:
        assert pair.gsd_m == pytest.approx(max(one.gsd_m, other.gsd_m), rel=0.03)
        assert abs(pair.shift.dx) < 0.1 and abs(pair.shift.dy) < 0.1
        assert median_difference(pair) <= 2
        assert pair.crs == (one if one.gsd_m * 1.02 >= other.gsd_m else other).crs
        # The middle of the grid is where the grid's own scene has it.
        lonlat = pair.place.to_lonlat([(10, 20)])
        assert pair.place.to_pixel(lonlat)[0] == pytest.approx((10, 20), abs=1e-6)


def test_a_resolution_and_a_part_are_said(before, tmp_path):
    after = date(tmp_path / "after.tif", transform=UTM @ Affine.translation(160, 0) @ Affine.scale(2), size=(160, 160))
    with open_pair(before, after) as pair:
        assert (pair.width, pair.height, pair.gsd_m) == (80, 160, pytest.approx(10, rel=1e-3))
        assert "5 m a pixel and after.tif 10 m: both are compared at 10 m" in notes_of(pair)
        assert "50 % of before.tif lies in the other date, too" in notes_of(pair)


@pytest.mark.parametrize("name", ["shifted", *OTHER_GRIDS])
def test_windows_in_pieces_equal_the_whole(before, tmp_path, name):
    after = date(tmp_path / "after.tif", **OTHER_GRIDS.get(name, {"moved": (2.3, 1.4)}))
    with open_pair(before, after) as pair:
        whole = pair.read()
        for tile in pair.tiles(96, 17):
            column, row, width, height = tile.window
            part = slice(row, row + height), slice(column, column + width)
            assert (tile.valid == whole[2][part]).mean() > 0.999
            both = tile.valid & whole[2][part]
            for got, all_of_it in ((tile.before, whole[0]), (tile.after, whole[1])):
                apart = np.abs(got.astype(int) - all_of_it[part])[both]
                assert apart.max(initial=0) <= 1 and apart.mean() < 0.08


def test_only_the_window_is_read(before, tmp_path, monkeypatch):
    after = date(tmp_path / "after.tif", transform=UTM @ Affine.scale(0.4), size=(800, 800), moved=(3, 2))
    largest, read = [0], Source.read

    def spy(self, window, size=None):
        largest[0] = max(largest[0], (size or window[2:])[0] * (size or window[2:])[1])
        return read(self, window, size)

    with open_pair(before, after) as pair:
        monkeypatch.setattr(Source, "read", spy)
        pair.read((40, 30, 32, 32))
        assert largest[0] <= 60 * 60  # of 800 x 800: half a dozen pixels around 32 x 32, or 2 x 2 means of them


def test_a_window_outside_is_refused(before):
    with open_pair(before, before) as pair, pytest.raises(BadInput, match="does not lie inside the common part"):
        pair.read((300, 0, 64, 64))


@pytest.mark.parametrize("name", ["shifted", "web mercator", "rotated", "finer"])
def test_a_smaller_size_is_the_mean_of_what_is_there(before, tmp_path, name):
    after = date(tmp_path / "after.tif", **OTHER_GRIDS.get(name, {"moved": (4, -8)}))
    with open_pair(before, after) as pair:
        window = 32, 16, 256, 240
        small, whole = pair.read(window, 64), pair.read(window)
        assert small[0].shape == (60, 64, 3) and small[2].shape == (60, 64)
        for got, pixels in zip(small[:2], whole[:2], strict=True):
            means = pixels.reshape(60, 4, 64, 4, 3).mean(axis=(1, 3))
            inner = small[2] & whole[2].reshape(60, 4, 64, 4).all(axis=(1, 3))
            assert np.abs(got - means)[inner].mean() < 3


def test_a_finer_first_date_is_the_one_that_moves(before, tmp_path):
    after = date(tmp_path / "after.tif", transform=UTM @ Affine.scale(1.5), size=(213, 213), moved=(2.4, -1.3))
    with open_pair(before, after) as pair, rasterio.open(after) as file:
        assert (pair.shift.dx, pair.shift.dy) == pytest.approx((2.4, -1.3), abs=0.1)
        assert "moving before.tif" in notes_of(pair) and median_difference(pair) <= 2
        valid = pair.read()[2]
        # The grid is that of the second date: it is not resampled, only its brightness may be.
        assert np.corrcoef(pair.read()[1][valid][:, 0], file.read(1)[valid])[0, 1] > 0.9999


def test_a_scene_over_180_degrees_and_one_of_a_whole_side_of_the_earth(tmp_path):
    world = geotiff(
        tmp_path / "world.tif", np.random.default_rng(0).integers(1, 255, (3, 90, 180), np.uint8), crs="EPSG:4326",
        transform=Affine(2, 0, -180, 0, -2, 90),
    )  # fmt: skip
    disk = geotiff(
        tmp_path / "disk.tif", np.random.default_rng(1).integers(1, 255, (3, 100, 100), np.uint8), crs=GEOS,
        transform=Affine(108000, 0, -5.4e6, 0, -108000, 5.4e6),
    )  # fmt: skip
    for pair in (open_pair(world, disk), open_pair(disk, world)):
        with pair:
            assert 0.9 < pair.read()[2].mean() < 1
    transform = Affine(0.0005, 0, 179.95, 0, -0.0005, -17)
    first = date(tmp_path / "a.tif", crs="EPSG:4326", transform=transform, size=(200, 150))
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32701", always_xy=True).transform(179.96, -17.01)
    second = date(tmp_path / "b.tif", crs="EPSG:32701", transform=Affine(50, 0, x, 0, -50, y), size=(140, 100))
    with open_pair(first, second) as pair:
        assert pair.crs == "EPSG:4326" and pair.read()[2].mean() > 0.95


# -- pictures without a place ------------------------------------------------------------------------------------------


def test_pictures_lie_pixel_on_pixel(before, tmp_path):
    with rasterio.open(before) as file:
        values = file.read().transpose(1, 2, 0)
    Image.fromarray(values[:, :-3]).save(tmp_path / "a.png")
    Image.fromarray(values[:, 3:]).save(tmp_path / "b.png")
    with open_pair(tmp_path / "a.png", tmp_path / "b.png") as pair:
        assert (pair.place, pair.crs, pair.transform, pair.gsd_m) == (None, None, None, None)
        assert (pair.shift.dx, pair.shift.dy) == pytest.approx((-3, 0), abs=0.1) and median_difference(pair) <= 1
    Image.fromarray(values).save(tmp_path / "whole.png")
    with open_pair(before, tmp_path / "whole.png") as pair:
        assert pair.crs == "EPSG:26914" and pair.identical
        assert "whole.png has no place on Earth: it is taken to lie pixel on pixel" in notes_of(pair)
    with pytest.raises(BadInput, match=r"a.png has 317 x 320 pixels and whole.png 320 x 320.*of equal size"):
        open_pair(tmp_path / "a.png", tmp_path / "whole.png")


@pytest.mark.parametrize("side", [1, 5, 20, 40])
def test_pictures_smaller_than_any_tile(tmp_path, side):
    first = geotiff(tmp_path / "a.tif", np.random.default_rng(0).integers(1, 255, (3, side, side), np.uint8))
    with open_pair(first, first) as pair:
        assert pair.read()[0].shape == (side, side, 3) and pair.identical
        assert [tile.window for tile in pair.tiles(512)] == [(0, 0, side, side)]
        assert pair.shift is None or side >= 16


def test_a_date_one_and_a_half_times_as_fine_is_averaged(before, tmp_path):
    noise = np.random.default_rng(0).integers(1, 255, (3, 480, 480), dtype=np.uint8)
    after = geotiff(tmp_path / "after.tif", noise, transform=UTM @ Affine.scale(2 / 3))
    with open_pair(before, after, normalise=False) as pair:
        assert pair.read()[1].std() < 0.8 * noise.std()
