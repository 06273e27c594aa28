"""What of two dates is left out, noticed, refused and said."""

import shutil

import numpy as np
import pytest
import rasterio
from affine import Affine

from fake.pairs import SIDE, date, median_difference, notes_of
from fake.rasters import UTM, geotiff
from rsvlm.errors import BadInput
from rsvlm.geo import pair_fit
from rsvlm.geo.pair import open_pair
from rsvlm.geo.scene import Scene


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    return date(tmp_path_factory.mktemp("dates") / "before.tif")


# -- no data -----------------------------------------------------------------------------------------------------------


def blank(part):
    def finish(values):
        values[:, *part] = 0
        return values

    return finish


def test_no_data_of_either_date_is_left_out_and_said(tmp_path, before):
    after = date(tmp_path / "after.tif", moved=(1.5, 0.4), finish=blank((slice(0, 80), slice(None))), nodata=0)
    with open_pair(before, after) as pair:
        assert pair.left_out == {"after: no data": pytest.approx(0.25, abs=0.01)}
        first, second, valid = pair.read()
        assert not valid[:79].any() and valid[81:-1, 2:-3].all() and not first[:79].any()
        assert median_difference(pair) <= 1 and first[82:-1, 3:-3].min() > 0
        edge = valid[79:82]  # beside what is no data, which must not darken it
        assert np.abs(first[79:82].astype(int) - second[79:82])[edge].mean() < 4
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
    quality[0, 101, 201] = 1 << 3
    landsat = geotiff(
        tmp_path / "l.tif", np.concatenate([values.astype(np.uint16) * 40, quality]),
        descriptions=("red", "green", "blue", "QA_PIXEL"), transform=UTM @ Affine.scale(0.5),
    )  # fmt: skip
    with open_pair(landsat, landsat) as pair:
        assert pair.left_out["before: clouds"] == pytest.approx(0.2, abs=0.01)
    with open_pair(date(tmp_path / "coarse.tif", transform=UTM, size=(160, 160)), landsat) as pair:
        valid = pair.read()[2]
        assert not valid[:, :32].any() and (~valid[:, 33:]).sum() == 1 and not valid[50, 100]


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
            assert median_difference(pair) <= 2 and pair.read()[0].std() > 20
            assert ("differ in kind" in notes_of(pair)) == (first != second)


def test_files_are_closed_where_a_pair_is_refused(before, tmp_path, monkeypatch):
    closed = []
    close = Scene.close
    monkeypatch.setattr(Scene, "close", lambda self: (closed.append(self.path.name), close(self))[1])
    far = date(tmp_path / "far.tif", transform=UTM @ Affine.translation(5000, 0))
    with pytest.raises(BadInput):
        open_pair(before, far)
    assert sorted(closed) == ["before.tif", "far.tif"]
