"""Two dates on one grid: what is aligned, left out, refused and said."""

import shutil

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from PIL import Image

from fake.pairs import SIDE, date
from fake.rasters import GEOS, UTM, geotiff
from rsvlm.errors import BadInput
from rsvlm.geo import pair_fit
from rsvlm.geo.aligned_read import Source
from rsvlm.geo.pair import open_pair
from rsvlm.geo.raster import open_scene

WEB = Affine(7.3, 0, -11041280, 0, -7.3, 5948040)  # Web Mercator, about 5 m on the ground


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dates")


@pytest.fixture(scope="module")
def before(folder):
    return date(folder / "before.tif")


def notes_of(pair):
    return "\n".join(pair.notes)


def off(pair, window=None):
    """The median difference of the valid pixels: of ground that mostly stayed."""
    first, second, valid = pair.read(window)
    return float(np.median(np.abs(first.astype(int) - second)[valid]))


# -- shift and brightness ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [(0.4, -0.3), (3.25, -5.6), (-12.7, 8.2)])
def test_a_shift_is_found_and_corrected_though_a_fifth_changed_and_the_light_did(before, tmp_path, moved):
    after = date(tmp_path / "after.tif", moved=moved, changed=0.2, line=(0.7, 30))
    with open_pair(before, after) as pair:
        assert pair.shift.corrected and pair.shift.confidence > 0.9
        assert (pair.shift.dx, pair.shift.dy) == pytest.approx(moved, abs=0.1)
        assert off(pair) <= 1
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
        assert pair.shift.corrected and off(pair) <= 1


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
        assert off(raw) > 5 and "brightness of after.tif was brought" in notes_of(pair)
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
        assert off(pair) <= 2
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


# -- pictures without a place ------------------------------------------------------------------------------------------


def test_pictures_lie_pixel_on_pixel(before, tmp_path):
    with rasterio.open(before) as file:
        values = file.read().transpose(1, 2, 0)
    Image.fromarray(values[:, :-3]).save(tmp_path / "a.png")
    Image.fromarray(values[:, 3:]).save(tmp_path / "b.png")
    with open_pair(tmp_path / "a.png", tmp_path / "b.png") as pair:
        assert (pair.place, pair.crs, pair.transform, pair.gsd_m) == (None, None, None, None)
        assert (pair.shift.dx, pair.shift.dy) == pytest.approx((-3, 0), abs=0.1) and off(pair) <= 1
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


# -- no data -----------------------------------------------------------------------------------------------------------


def blank(part):
    def finish(values):
        values[:, *part] = 0
        return values

    return finish


def test_no_data_of_either_date_is_left_out_and_said(tmp_path, before):
    after = date(tmp_path / "after.tif", moved=(1.5, 0), finish=blank((slice(0, 80), slice(None))), nodata=0)
    with open_pair(before, after) as pair:
        assert pair.left_out == {"after: no data": pytest.approx(0.25, abs=0.01)}
        first, _, valid = pair.read()
        assert not valid[:80].any() and valid[81:, 2:-3].all() and not first[:80].any()
        assert off(pair) <= 1 and first[82:, 3:-3].min() > 0
        assert "about 25 % of the compared part is without data in after.tif, and left out" in notes_of(pair)


def test_clouds_of_a_band_are_left_out_and_said(tmp_path, before):
    with rasterio.open(before) as file:
        values = file.read()
    classes = np.full((1, SIDE, SIDE), 4, np.uint8)
    classes[0, :, :32] = 9
    classes[0, :, 32:64] = 3
    names = ("red", "green", "blue", "SCL")
    after = geotiff(tmp_path / "after.tif", np.concatenate([values, classes]), descriptions=names)
    with open_pair(before, after) as pair:
        assert pair.left_out == {"after: clouds": pytest.approx(0.2, abs=0.01)} and pair.identical
        assert not pair.read()[2][:, :64].any() and pair.read()[2][:, 64:].all()
        assert "about 20 % of the compared part is clouds by its own band in after.tif" in notes_of(pair)
    quality = np.where(classes == 4, 64, 1 << 3).astype(np.uint16)
    landsat = geotiff(
        tmp_path / "l.tif", np.concatenate([values.astype(np.uint16) * 40, quality]),
        descriptions=("red", "green", "blue", "QA_PIXEL"), transform=UTM @ Affine.scale(0.5),
    )  # fmt: skip
    with open_pair(landsat, landsat) as pair:
        assert pair.left_out["before: clouds"] == pytest.approx(0.2, abs=0.01)
    with open_pair(date(tmp_path / "coarse.tif", transform=UTM, size=(160, 160)), landsat) as pair:
        assert not pair.read()[2][:, :32].any() and pair.read()[2][:, 33:].all()


def test_a_date_that_is_all_cloud_or_no_data_is_refused(tmp_path, before):
    half = date(tmp_path / "left.tif", finish=blank((slice(None), slice(0, 160))), nodata=0)
    other = date(tmp_path / "right.tif", finish=blank((slice(None), slice(160, None))), nodata=0)
    with pytest.raises(
        BadInput, match=r"No pixel of the common part of left.tif and right.tif is valid in both \(befo"
    ):
        open_pair(half, other)
    empty = geotiff(tmp_path / "empty.tif", np.zeros((3, SIDE, SIDE), np.uint8), nodata=0)
    with pytest.raises(BadInput, match=r"empty.tif has no valid pixel"):
        open_pair(before, empty)
    values = np.full((4, SIDE, SIDE), 9, np.uint8)
    cloudy = geotiff(tmp_path / "cloudy.tif", values, descriptions=("red", "green", "blue", "SCL"))
    with pytest.raises(BadInput, match=r"after: clouds 100 %"):
        open_pair(before, cloudy)


def test_a_lone_valid_corner_is_found(tmp_path, monkeypatch, before):
    monkeypatch.setattr(pair_fit, "window_side", lambda width, height: 64)
    monkeypatch.setattr(pair_fit, "_PER_SIDE", 2)
    keep = np.zeros((SIDE, SIDE), bool)
    keep[150:153, 150:153] = True
    after = date(tmp_path / "after.tif", finish=lambda values: np.where(keep, values, 0), nodata=0)
    with open_pair(before, after) as pair:
        assert pair.read()[2].sum() == 9 and pair.identical


# -- identical ---------------------------------------------------------------------------------------------------------


def test_identical_pictures_are_noticed(before, tmp_path):
    with rasterio.open(before) as file:
        values = file.read()
    shutil.copy(before, tmp_path / "copy.tif")
    again = geotiff(tmp_path / "tiled.tif", values, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    for other in (before, tmp_path / "copy.tif", again):
        with open_pair(before, other) as pair:
            assert pair.identical and (pair.shift.dx, pair.shift.dy) == (0, 0)
            assert "brightness" not in notes_of(pair)
    values[1, 200, 100] += 1
    with open_pair(before, geotiff(tmp_path / "one.tif", values)) as pair:
        assert not pair.identical


def test_a_difference_between_the_sampled_windows_is_found(before, tmp_path, monkeypatch):
    monkeypatch.setattr(pair_fit, "window_side", lambda width, height: 64)
    monkeypatch.setattr(pair_fit, "_PER_SIDE", 2)
    with rasterio.open(before) as file:
        values = file.read()
    values[1, 150, 150] += 1
    with open_pair(before, geotiff(tmp_path / "one.tif", values)) as pair:
        assert pair._fit.identical_sample and not pair.identical


# -- refused -----------------------------------------------------------------------------------------------------------


def test_pairs_that_do_not_overlap_are_refused_with_both_footprints(before, tmp_path):
    far = date(tmp_path / "far.tif", transform=UTM @ Affine.translation(5000, 0))
    with pytest.raises(BadInput) as error:
        open_pair(before, far)
    text = str(error.value)
    assert "before.tif and far.tif show no common part of the Earth" in text
    assert "longitude -99.186 to -99.164" in text and "longitude -98.857 to -98.835" in text and text.count("lat") == 2
    beside = date(tmp_path / "beside.tif", transform=UTM @ Affine.translation(SIDE, 0))
    with pytest.raises(BadInput, match="no common part"):
        open_pair(before, beside)


@pytest.mark.parametrize("first", [True, False])
def test_a_folder_or_a_vrt_is_refused(before, tmp_path, first):
    vrt = tmp_path / "after.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="8" rasterYSize="8"><!-- {before} --></VRTDataset>')
    for other, words in ((tmp_path, "not a regular file"), (vrt, "a GDAL VRT"), (tmp_path / "none.tif", "no file")):
        with pytest.raises(BadInput, match=words):
            open_pair(*((other, before) if first else (before, other)))


# -- said --------------------------------------------------------------------------------------------------------------


def tagged(path, **tags):
    return date(path, size=(64, 64), tags=tags)


def test_dates_that_are_swapped_and_seasons_that_differ_are_said(tmp_path):
    summer = tagged(tmp_path / "summer.tif", ACQUISITION_DATE="2016-07-10", PLATFORM="Sentinel-2A")
    winter = tagged(tmp_path / "winter.tif", ACQUISITION_DATE="2009-01-05", PLATFORM="Landsat 5")
    with open_pair(summer, winter) as pair:
        assert pair.swapped and "summer.tif is of 2016-07-10 and winter.tif of 2009-01-05" in notes_of(pair)
        assert "the two may be swapped" in notes_of(pair) and "178 days apart in the year" in notes_of(pair)
        assert "the sensors differ (Sentinel-2A and Landsat 5)" in notes_of(pair)
    with open_pair(winter, summer) as pair:
        assert not pair.swapped and "swapped" not in notes_of(pair) and "the seasons differ" in notes_of(pair)
    december = tagged(tmp_path / "december.tif", ACQUISITION_DATE="2010-12-20")
    with open_pair(winter, december) as pair:
        assert "seasons" not in notes_of(pair) and "sensors" not in notes_of(pair)
    with open_pair(december, december) as pair:
        assert "both dates are 2010-12-20" in notes_of(pair)


def test_angles_that_differ_are_said(tmp_path):
    straight = tagged(tmp_path / "a.tif", OFF_NADIR="4.1", SUN_ELEVATION="60")
    slanted = tagged(tmp_path / "b.tif", meanOffNadirViewAngle="28", sun_elevation="57")
    with open_pair(straight, slanted) as pair:
        assert "the viewing angles differ (4 degrees in a.tif, 28 in b.tif)" in notes_of(pair)
        assert "heights of the sun" not in notes_of(pair)


def test_bands_are_paired_by_what_they_are(before, tmp_path):
    with rasterio.open(before) as file:
        red, green, blue = file.read()
    nir = 255 - red
    first = geotiff(tmp_path / "rgb.tif", np.stack([red, green, blue]), descriptions=("red", "green", "blue"))
    second = geotiff(
        tmp_path / "four.tif", np.stack([nir, blue, green, red]), descriptions=("nir", "blue", "green", "red")
    )
    with open_pair(first, second) as pair:
        assert pair.identical
    infrared = geotiff(tmp_path / "cir.tif", np.stack([nir, red, green]), descriptions=("nir", "red", "green"))
    with open_pair(infrared, second) as pair:  # the second shows natural colour alone; the first cannot
        assert pair.identical and "false colour: NIR, red, green" in (pair.before.composite, pair.after.composite)
    with open_pair(first, second, bands="1,2,3", after_bands="4,3,2") as pair:
        assert pair.identical
    with open_pair(first, second, bands="1,2,3") as pair:
        assert not pair.identical and "four.tif false colour: NIR, blue, green" in notes_of(pair)


def test_grey_and_colour_are_compared_in_grey(before, tmp_path):
    with rasterio.open(before) as file:
        values = file.read()
    grey = geotiff(tmp_path / "grey.tif", np.rint(values.mean(axis=0, keepdims=True)).astype(np.uint8))
    with open_pair(before, grey) as pair:
        first, second, _ = pair.read()
        assert (first == first[..., :1]).all() and np.abs(first.astype(int) - second).max() <= 1
        assert "grey.tif has one band and before.tif colours: both are compared in grey" in notes_of(pair)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_kinds_of_values_that_differ_come_to_one_brightness(before, tmp_path, kind):
    after = date(tmp_path / "after.tif", line=(37.0, 900), changed=0.2, dtype=kind)
    for first, second in ((before, after), (after, before), (after, after)):
        with open_pair(first, second) as pair:
            assert off(pair) <= 2 and pair.read()[0].std() > 20
            assert ("differ in kind" in notes_of(pair)) == (first != second)


def test_files_are_closed_where_a_pair_is_refused(before, tmp_path, monkeypatch):
    closed = []
    from rsvlm.geo.scene import Scene

    close = Scene.close
    monkeypatch.setattr(Scene, "close", lambda self: (closed.append(self.path.name), close(self))[1])
    far = date(tmp_path / "far.tif", transform=UTM @ Affine.translation(5000, 0))
    with pytest.raises(BadInput):
        open_pair(before, far)
    assert sorted(closed) == ["before.tif", "far.tif"]


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


def test_what_is_white_in_one_date_alone_is_said_and_left_out_on_request(before, tmp_path):
    def cloud(values):
        values[:, 40:140, 60:200] = np.array([235, 240, 250])[:, None, None]
        return values

    after = date(tmp_path / "after.tif", finish=cloud, changed=0.05)
    with open_pair(before, after) as pair:
        assert "white in after.tif alone: clouds, snow, or new roofs" in notes_of(pair) and pair.read()[2].all()
    with open_pair(after, before, leave_out_white=True) as pair:
        assert pair.left_out == {"before: white": pytest.approx(14000 / SIDE**2, abs=0.02)}
        assert pair.read()[2][50:130, 70:190].mean() < 0.1
        assert pair.read()[2][150:].all()


def test_a_finer_first_date_is_the_one_that_moves(before, tmp_path):
    after = date(tmp_path / "after.tif", transform=UTM @ Affine.scale(1.5), size=(213, 213), moved=(2.4, -1.3))
    with open_pair(before, after) as pair, rasterio.open(after) as file:
        assert (pair.shift.dx, pair.shift.dy) == pytest.approx((2.4, -1.3), abs=0.1)
        assert "moving before.tif" in notes_of(pair) and off(pair) <= 2
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
