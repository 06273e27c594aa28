"""Files that people have: band names, alpha bands, fill values, bit depths, neighbours, pages, places off the Earth."""

import struct

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from fake.rasters import geotiff
from rsvlm.cli.scenes import info
from rsvlm.errors import BadInput
from rsvlm.geo.band_meaning import common_names
from rsvlm.geo.bands import band_names, choose_bands
from rsvlm.geo.place import fit_gcps
from rsvlm.geo.raster import open_scene
from rsvlm.geo.tiff_header import ROWS_PER_STRIP, read_tiff_tags
from rsvlm.printable import printable

# ---- which bands are red, green and blue ----


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["B02", "B03", "B04", "B08"], (3, 2, 1)),
        (["B2", "B3", "B4", "B8"], (3, 2, 1)),
        (["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12"], (4, 3, 2)),
        (["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B6", "SR_B7"], (4, 3, 2)),
        (["SR_B1", "SR_B2", "SR_B3", "SR_B4", "SR_B5", "SR_B7"], (3, 2, 1)),
        (
            ["B4, central wavelength 665 nm", "B3, central wavelength 560 nm", "B2, central wavelength 490 nm"],
            (1, 2, 3),
        ),
        (["Blue (490 nm)", "Green (560 nm)", "Red (665 nm)", "NIR (842 nm)"], (3, 2, 1)),
        (["Blue", "Green", "Red", "Near Infrared"], (3, 2, 1)),
        (["coastal_blue", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"], (6, 4, 2)),
        (["Coastal", "Blue", "Green", "Yellow", "Red", "Red Edge", "NIR1", "NIR2"], (5, 3, 2)),
        (["red edge", "nir", "green", "blue"], (1, 2, 3)),  # no red: the first three
        (["Band 4 Red", "Band 3 Green", "Band 2 Blue"], (1, 2, 3)),
        (["B", "G", "R"], (3, 2, 1)),
        (["band1", "band2", "band3", "band4"], (1, 2, 3)),
        (["VV", "VH"], (1,)),
    ],
)
def test_names_tell_the_order_of_bands(names, shown):
    assert choose_bands(None, names, "x.tif") == shown


def test_meanings_beyond_the_visible():
    assert common_names(["B02", "B03", "B04", "B08", "B11", "B12"]) == ("blue", "green", "red", "nir", "swir1", "swir2")
    assert common_names(["red", "red_2", "Red (650 nm)"]) == ("red", "", "")
    assert common_names([]) == ()


def test_the_ground_is_red_whatever_the_order(tmp_path):
    pixels = np.full((4, 16, 16), 500, np.uint16)
    pixels[:, :8] = np.array([600, 900, 2500, 1500], np.uint16)[:, None, None]
    pixels[:, 0] = 3000
    path = geotiff(tmp_path / "s2.tif", pixels)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("B02", "B03", "B04", "B08")
    with open_scene(path) as scene:
        assert scene.shown == (3, 2, 1) and scene.notes == ()
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("one", "two", "three", "four")
    with open_scene(path) as scene:
        assert "do not say which is red, green and blue: 1, 2, 3" in " ".join(scene.notes)
    with open_scene(path, bands="3,2,1") as scene:
        assert scene.notes == (), "who chooses bands knows them"


def test_as_many_bands_as_a_file_can_have_keep_names_of_their_own():
    """Each name is looked up once: a list would be searched 65,535 times."""
    names = band_names(["same"] * 65_535, ["undefined"] * 65_535)
    assert len(set(names)) == 65_535 and names[:2] == ("same", "same_2")


# ---- what is a mask, and what a value ----


def rgbn(path, fourth, **profile):
    ramp = np.tile(np.linspace(40, 200, 64).astype(np.uint8), (64, 1))
    geotiff(path, np.stack([ramp, ramp, ramp, fourth]), **profile)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    return path


def test_near_infrared_flagged_as_alpha_is_no_mask(tmp_path):
    infrared = np.tile(np.linspace(0, 180, 64).astype(np.uint8), (64, 1))
    infrared[:, :24] = 0  # a lake
    with open_scene(rgbn(tmp_path / "rgbn.tif", infrared)) as scene:
        assert scene.valid().all() and scene.shown == (1, 2, 3) and scene.bands[3] == "band4"
        assert "band 4 is flagged as alpha but holds data" in scene.notes[0]
    path = rgbn(tmp_path / "named.tif", np.where(infrared > 90, 255, 0).astype(np.uint8))
    with rasterio.open(path, "r+") as file:
        file.set_band_description(4, "NIR")
    with open_scene(path) as scene:
        assert scene.valid().all(), "a name that is not alpha's decides"


def test_a_true_alpha_band_is_a_mask(tmp_path):
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:, :16] = 0
    with open_scene(rgbn(tmp_path / "rgba.tif", alpha)) as scene:
        assert scene.valid().mean() == 0.75 and scene.bands[3] == "alpha" and not scene.notes


@pytest.mark.parametrize(
    ("fill", "nodata"),
    [(np.finfo("float32").min, -3.4e38), (np.finfo("float32").min, None), (9.96921e36, None), (-np.inf, None),
     (np.nan, -9999.0), (-9999.9, -9999.9), (-32768.0, -32768.0)],
)  # fmt: skip
def test_fill_values_are_missing_whatever_the_tag(tmp_path, fill, nodata):
    values = np.random.default_rng(0).uniform(0, 1, (1, 64, 64)).astype(np.float32)
    values[..., :16] = fill
    with open_scene(geotiff(tmp_path / "fill.tif", values, nodata=nodata)) as scene:
        assert scene.valid().mean() == 0.75 and 110 < scene.read_rgb()[:, 16:].mean() < 145


@pytest.mark.parametrize(
    ("profile", "left", "right"),
    [
        ({"photometric": "MINISWHITE"}, 25, 230),
        ({"nbits": 4}, 230 & 15, 25 & 15),
        ({"nbits": 1}, 1, 0),
        ({"nbits": 2, "photometric": "MINISWHITE"}, 3, 1),
    ],
)
def test_eight_bit_storage_that_is_not_0_to_255(tmp_path, profile, left, right):
    bits = profile.get("nbits", 8)
    stored = {8: (230, 25), 4: (230 & 15, 25 & 15), 2: (3, 1), 1: (1, 0)}[bits]
    pixels = np.full((1, 32, 32), stored[0], np.uint8)
    pixels[..., 16:] = stored[1]
    with open_scene(geotiff(tmp_path / "bits.tif", pixels, **profile)) as scene:
        shown = scene.read_rgb()[0, [0, 31], 0].tolist()
    top = 2**bits - 1
    light = [value * 255 / top for value in stored]
    assert shown == [round(255 - one) if "photometric" in profile else round(one) for one in light]
    assert bits < 8 or shown == [left, right]


def test_white_as_zero_of_sixteen_bits_is_inverted_too(tmp_path):
    pixels = np.tile(np.linspace(0, 60000, 64).astype(np.uint16), (1, 64, 1))
    with open_scene(geotiff(tmp_path / "white.tif", pixels, photometric="MINISWHITE")) as scene:
        shown = scene.read_rgb()[0, :, 0]
    assert shown[0] == 255 and shown[-1] == 0


# ---- what lies beside, behind, or turned ----


def test_neighbours_are_named_and_not_read(tmp_path):
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "ortho.jpg")
    (tmp_path / "ortho.jgw").write_text("0.5\n0\n0\n-0.5\n500000\n5000000\n")
    (tmp_path / "ortho.prj").write_text("EPSG:32632")
    with open_scene(tmp_path / "ortho.jpg") as scene:
        (note,) = scene.notes
        assert scene.place is None and note.startswith("ortho.jgw, ortho.prj beside the file are not read")
        assert "gdal_translate ortho.jpg" in note


def _pages(path, pages, kind=np.uint8, **tags):
    first, *rest = [Image.fromarray(page.astype(kind)) for page in pages]
    first.save(path, save_all=True, append_images=rest, **tags)
    return path


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("name", ["four.tif", 'a:b "c?d=1#.tif'])
def test_pages_of_one_band_each_are_the_bands_of_one_scene(tmp_path, capsys, kind, name):
    bands = np.random.default_rng(0).integers(1, 255, (4, 40, 300)).astype(kind)
    path = _pages(tmp_path / name, bands, kind, compression="tiff_adobe_deflate")
    stacked = geotiff(tmp_path / "stacked.tif", bands, crs=None, transform=None, photometric="MINISBLACK")
    with open_scene(path) as scene, open_scene(stacked) as same:
        assert scene.bands == ("band1", "band2", "band3", "band4") and scene.shown == (1, 2, 3)
        for window, size in ((None, None), ((30, 5, 200, 20), None), (None, 50), ((7, 3, 100, 30), (10, 20))):
            assert (scene.read_rgb(window, size) == same.read_rgb(window, size)).all()
            assert (scene.valid(window, size) == same.valid(window, size)).all()
        assert [tile.pixels.sum() for tile in scene.tiles(64)] == [tile.pixels.sum() for tile in same.tiles(64)]
    with open_scene(path, bands="band4") as scene:
        assert kind != np.uint8 or (scene.read_rgb()[..., 0] == bands[3]).all()
    info(path)
    assert "the file has 4 pages, one band each, taken as the bands of one scene" in capsys.readouterr().out


def test_pages_keep_names_nodata_and_place(tmp_path):
    path = tmp_path / "named.tif"
    for number, name in enumerate(("blue", "green", "red")):
        more = {"APPEND_SUBDATASET": "YES"} if number else {}
        geotiff(path, np.full((1, 20, 30), 10 * number, np.uint16), descriptions=[name], nodata=0, **more)
    with open_scene(path) as scene:
        assert (scene.bands, scene.shown, scene.nodata) == (("blue", "green", "red"), (3, 2, 1), 0)
        assert scene.crs == "EPSG:26914" and scene.valid().all()
        assert scene.notes == ("the file has 3 pages, one band each, taken as the bands of one scene",)


_FLAT = np.full((1, 20, 30), 90, np.uint8)


@pytest.mark.parametrize(
    "second",
    [
        {"data": np.full((1, 10, 15), 90, np.uint8)},
        {"data": np.full((1, 20, 30), 90, np.uint16)},
        {"data": np.full((3, 20, 30), 90, np.uint8)},
        {"data": _FLAT, "crs": "EPSG:32633"},
        {"data": _FLAT, "transform": rasterio.Affine(5, 0, 0, 0, -5, 0)},
        {"data": _FLAT, "nbits": 4},
        {"data": _FLAT, "photometric": "MINISWHITE"},
        {"data": _FLAT.astype(np.complex64)},
    ],
)
def test_other_pages_are_not_taken_for_bands(tmp_path, second):
    path = geotiff(tmp_path / "two.tif", _FLAT)
    geotiff(path, APPEND_SUBDATASET="YES", **second)
    with open_scene(path) as scene:
        assert len(scene.bands) == 1 and (scene.read_rgb() == 90).all()
        assert scene.notes == ("the file has 2 pages, of which the first alone is read",)


def test_overviews_and_masks_are_no_pages(tmp_path):
    path = geotiff(tmp_path / "overviews.tif", np.full((1, 64, 64), 90, np.uint8))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.build_overviews([2])
        file.write_mask(np.full((64, 64), 255, np.uint8))
    with open_scene(path) as scene:
        assert len(scene.bands) == 1 and scene.notes == ()


def test_a_page_with_a_mask_of_its_own_is_no_band(tmp_path):
    path = geotiff(tmp_path / "masked.tif", _FLAT)
    geotiff(path, _FLAT, APPEND_SUBDATASET="YES")
    with open_scene(path) as scene:
        assert len(scene.bands) == 2
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(np.eye(20, 30, dtype=np.uint8) * 255)
    with open_scene(path) as scene:
        assert len(scene.bands) == 1 and scene.valid().sum() == 20


def test_a_page_has_its_own_budget(tmp_path):
    values = np.ones((1, 3000, 3000), np.uint8)
    path = geotiff(tmp_path / "strips.tif", values, blockysize=10, compress="deflate")
    geotiff(path, values, APPEND_SUBDATASET="YES", blockysize=3000, compress="deflate")
    assert read_tiff_tags(path, page=1)[ROWS_PER_STRIP] == 10 and read_tiff_tags(path, page=2)[ROWS_PER_STRIP] == 3000
    for budget, bands in ((8_000_000, 1), (10_000_000, 2)):
        with open_scene(path, max_pixels=budget) as scene:
            assert len(scene.bands) == bands


def test_a_scanned_text_and_more_pages_than_bands_are_no_scene_of_bands(tmp_path, monkeypatch):
    text = Image.fromarray(np.eye(20, dtype=bool))
    text.save(tmp_path / "text.tif", save_all=True, append_images=[text, text])
    monkeypatch.setattr("rsvlm.geo.pages.MAX_PAGES", 3)
    four = _pages(tmp_path / "four.tif", np.ones((4, 20, 30)))
    for path, count in ((tmp_path / "text.tif", 3), (four, 4)):
        with open_scene(path) as scene:
            assert len(scene.bands) == 1
            assert f"the file has {count} pages, of which the first alone is read" in scene.notes


def test_pages_and_orientation_are_said(tmp_path, capsys):
    page = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page, page])
    with open_scene(tmp_path / "pages.tif") as scene:
        assert scene.notes == ("the file has 3 pages, of which the first alone is read",)
    turned = page.getexif()
    turned[274] = 6
    page.save(tmp_path / "turned.jpg", exif=turned)
    page.save(tmp_path / "turned.tif", tiffinfo={274: 6})
    for name in ("turned.jpg", "turned.tif"):
        info(tmp_path / name)
        assert "notes      the picture is stored turned by 90 degrees" in capsys.readouterr().out


def test_south_up_is_said(tmp_path):
    up = rasterio.Affine(10, 0, 500000, 0, 10, 5000000)
    with open_scene(geotiff(tmp_path / "up.tif", transform=up)) as scene:
        assert "north at the bottom" in scene.notes[0]


# ---- places ----


def test_a_geocentric_system_is_no_map(tmp_path):
    with open_scene(geotiff(tmp_path / "ecef.tif", crs="EPSG:4978")) as scene:
        assert scene.place is None and "geocentric" in scene.unplaced


def test_metres_called_degrees_lie_off_the_earth(tmp_path):
    at = rasterio.Affine(10, 0, 500000, 0, -10, 5000000)
    with open_scene(geotiff(tmp_path / "utm.tif", transform=at, crs="EPSG:4326")) as scene:
        assert scene.place is None
        assert "lie off the Earth in EPSG:4326" in scene.unplaced and "gdal_edit -a_srs" in scene.unplaced


def test_control_points_on_both_sides_of_180_degrees():
    def point(column, row):
        lon = 179.9 + column * 0.001
        return GroundControlPoint(row=row, col=column, x=lon if lon <= 180 else lon - 360, y=45 - row * 0.001)

    points = [point(column, row) for column in (0, 200, 400) for row in (0, 300)]
    fitted, misfit = fit_gcps(points, x_period=360.0)
    assert misfit < 1e-6 and fitted[0] == pytest.approx(0.001) and fitted[2] == pytest.approx(179.9)
    assert fit_gcps(points)[1] > 10, "without the turn no affine fits"


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(0, 0, 1, 1)] * 4,
        [(0, 0, 5, 1), (0, 9, 5, 2), (9, 0, 5, 3), (9, 9, 5, 4)],
        [(0, 0, 0, 0), (0, 9, 9, 9), (9, 0, 18, 18), (9, 9, 27, 27)],
        [(0, 0, float("nan"), 1), (0, 9, 1, 2), (9, 0, 3, 4)],
        [(0, 0, 1e308, -1e308), (0, 9, -1e308, 1e308), (9, 0, 1e308, 1e308)],
        [(float("nan"), 0, 1, 1), (0, 9, 1, 2), (9, 0, 3, 4)],
    ],
)
@pytest.mark.parametrize("x_period", [None, 360.0])
def test_control_points_that_tell_no_place(points, x_period):
    made = [GroundControlPoint(row=row, col=column, x=x, y=y) for row, column, x, y in points]
    assert fit_gcps(made, x_period=x_period) == (None, float("inf"))


def test_a_scene_whose_control_points_lie_on_one_line_opens(tmp_path):
    path, points = tmp_path / "line.tif", [GroundControlPoint(row=n, col=n * n, x=10 + n, y=40 + n) for n in range(4)]
    kind = {"driver": "GTiff", "width": 9, "height": 9, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", gcps=points, crs="EPSG:4326", **kind) as file:
        file.write(np.ones((1, 9, 9), np.uint8))
    with open_scene(path) as scene:
        assert scene.place is None and scene.unplaced.startswith(
            "its 4 ground control points do not lie on one affine map;"
        )


# ---- budgets and what is printed ----


def test_one_long_compressed_strip_counts_as_a_block(tmp_path):
    path = tmp_path / "strip.tif"
    geotiff(path, np.zeros((1, 3000, 3000), np.uint8), compress="deflate", blockysize=3000)
    assert read_tiff_tags(path)[ROWS_PER_STRIP] == 3000
    with pytest.raises(BadInput, match=r"blocks of 3000 x 3000 pixels"):
        open_scene(path, max_pixels=8_000_000)
    open_scene(path, max_pixels=10_000_000).close()


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*" + struct.pack(">I", 8) + b"\xff\xff"]
)
def test_a_header_that_is_cut_short_has_no_numbers(tmp_path, data):
    (tmp_path / "cut.tif").write_bytes(data)
    assert read_tiff_tags(tmp_path / "cut.tif") == {}


def test_band_names_cannot_steer_a_terminal(tmp_path, capsys):
    path = geotiff(tmp_path / "escape.tif")
    with rasterio.open(path, "r+") as file:
        file.set_band_description(1, "red\x1b[31m\u202e")
    info(path)
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\u202e" not in out and "red[31m\\u202e" in out, "GDAL itself drops \\x1b"
    assert printable("a\tb\x07\n\x9b") == "a b\\x07\n\\x9b" and printable("Häfen 港") == "Häfen 港"
