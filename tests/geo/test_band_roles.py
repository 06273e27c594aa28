"""What each band is, what the picture shows, and values of bands."""

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from fake.rasters import geotiff, pixels
from rsvlm.errors import BadInput
from rsvlm.geo.band_meaning import common_names
from rsvlm.geo.band_roles import band_roles
from rsvlm.geo.bands import BAND_RECIPES
from rsvlm.geo.raster import open_scene

NAIP = "m_4709963_se_14_1_20090818.tif"
RGBN = ("red", "green", "blue", "nir")


def opened(path, bands=4, choice=None, *, names=None, colours=None, dtype="uint8", **profile):
    geotiff(path, pixels(bands=bands).astype(dtype), **profile)
    with rasterio.open(path, "r+") as file:
        file.colorinterp = colours or [ColorInterp.gray, *[ColorInterp.undefined] * (bands - 1)]
        if names:
            file.descriptions = names
    return open_scene(path, bands=choice)


@pytest.mark.parametrize(
    ("bands", "choice", "names", "roles", "shows"),
    [
        (4, None, ["B02", "B03", "B04", "B08"], ("blue", "green", "red", "nir"), "natural colour"),
        (4, "naip", None, RGBN, "natural colour"),
        (4, "landsat-swir", None, ("swir1", "nir", "red", "green"), "false colour: SWIR1, NIR, red"),
        (3, "landsat-swir", None, ("swir1", "nir", "red"), "false colour: SWIR1, NIR, red"),
        (6, "landsat", None, ("blue", "green", "red", "nir", "swir1", "swir2"), "natural colour"),
        (7, "landsat", None, ("", "blue", "green", "red", "nir", "swir1", "swir2"), "natural colour"),
        (4, "sentinel2", None, ("blue", "green", "red", "nir"), "natural colour"),
        (4, "nir", ["Red", "Green", "Blue", "NIR"], RGBN, "one band: nir"),
        (4, "4,1,2", ["Red", "Green", "Blue", "NIR"], RGBN, "false colour: NIR, red, green"),
        (4, "4,3,2", None, ("", "", "", ""), "unknown order"),
        (4, None, None, ("", "", "", ""), "unknown order"),
        (2, None, ["VV", "VH"], ("", ""), "grey"),
        (4, "naip", ["B02", "B03", "B04", "B08"], ("blue", "green", "red", "nir"), "false colour: blue, green, red"),
    ],
)
def test_roles_of_bands(tmp_path, bands, choice, names, roles, shows):
    with opened(tmp_path / "a.tif", bands, choice, names=names) as scene:
        assert (scene.band_roles, scene.composite) == (roles, shows)


def test_roles_of_a_recipe_are_those_of_the_products_own_names():
    sentinel = [f"B{n}" for n in (*range(1, 9), "8A", 9, 10, 11, 12)]
    assert BAND_RECIPES["sentinel2"].roles[13] == common_names(sentinel)
    assert BAND_RECIPES["sentinel2"].roles[12] == common_names([name for name in sentinel if name != "B10"])
    assert BAND_RECIPES["landsat"].roles[7] == common_names([f"SR_B{n}" for n in range(1, 8)])
    assert BAND_RECIPES["landsat"].roles[6] == common_names([f"SR_B{n}" for n in (1, 2, 3, 4, 5, 7)])
    assert all(
        set(recipe.shows) <= set(roles) and len(roles) == count
        for recipe in map(BAND_RECIPES.__getitem__, BAND_RECIPES)
        for count, roles in recipe.roles.items()
    )
    assert common_names(["B7, central wavelength 783 nm", "B8, central wavelength 842 nm"]) == ("", "nir")


def test_three_bands_of_colour_are_natural_colour(tmp_path):
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    with opened(tmp_path / "a.tif", 3, colours=colours) as scene:
        assert scene.composite == "natural colour" and scene.band_roles == RGBN[:3] and not scene.notes
    with opened(tmp_path / "b.tif", 4, "naip", colours=[*colours, ColorInterp.undefined]) as scene:
        assert scene.band_roles == RGBN, "the recipe completes what the file says"


def test_a_palette_and_a_grey_picture(tmp_path):
    geotiff(tmp_path / "p.tif", pixels(bands=1))
    with open_scene(tmp_path / "p.tif") as scene:
        assert scene.composite == "grey"
    with rasterio.open(tmp_path / "p.tif", "r+") as file:
        file.write_colormap(1, {n: (n, 0, 0, 255) for n in range(256)})
    with open_scene(tmp_path / "p.tif") as scene:
        assert scene.composite == "palette"


def test_a_file_name_of_naip_tells_its_bands(tmp_path):
    with opened(tmp_path / NAIP) as scene:
        assert scene.band_roles == RGBN and scene.composite == "natural colour"
        assert scene.notes == ("by its file name a NAIP image: bands are red, green, blue, near infrared",)
    with opened(tmp_path / "m_3807708_sw_18_060_20181005_20190205.tif") as scene:
        assert scene.band_roles == RGBN
    with opened(tmp_path / NAIP, choice="landsat-swir") as scene:
        assert scene.band_roles[0] == "swir1", "what the user says comes before a file's name"
    for bands, dtype in ((3, "uint8"), (4, "uint16")):
        with opened(tmp_path / NAIP, bands, dtype=dtype) as scene:
            assert not any(scene.band_roles)
    with opened(tmp_path / "my_m_4709963_se_14_1_20090818.tif") as scene:
        assert not any(scene.band_roles)


def test_bands_of_one_name(tmp_path):
    with opened(tmp_path / "a.tif", names=["red", "green", "blue", "Red"]) as scene:
        assert scene.band_roles == ("red", "green", "blue", "")
        assert scene.notes == ("by their names the bands 1, 4 are all red: the first of them is taken as such",)


# ---- values ----


def test_values_are_scaled_and_masked_band_by_band(tmp_path):
    stored = np.arange(2 * 6 * 8, dtype=np.int16).reshape(2, 6, 8) + 100
    stored[0, 0, 0] = -9999
    path = geotiff(tmp_path / "a.tif", stored, nodata=-9999)
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.5, 0.1), (-10.0, 0.0)
    with open_scene(path) as scene:
        values = scene.read_bands((2, 1))
        assert values.dtype == np.float32 and values.shape == (2, 6, 8)
        assert values[0].data == pytest.approx(stored[1] * 0.1) and values[1, 1, 1] == stored[0, 1, 1] * 0.5 - 10
        assert values.mask.sum() == 1 and values.mask[1, 0, 0], "the other band has data there"
        assert scene.read_bands([1], (2, 3, 4, 2)).data == pytest.approx(stored[:1, 3:5, 2:6] * 0.5 - 10)
        half = scene.read_bands([2], size=(4, 3))
        assert half.data == pytest.approx(stored[1].reshape(3, 2, 4, 2).mean((1, 3))[None] * 0.1, abs=0.06)


def test_values_without_meaning_are_masked(tmp_path):
    stored = np.ones((1, 8, 8), np.float32)
    stored[0, 0], stored[0, 1, 0] = np.nan, 9.96921e36
    with open_scene(geotiff(tmp_path / "a.tif", stored)) as scene:
        assert scene.read_bands([1]).mask.sum() == 9
        assert (scene.read_bands([1], size=4).compressed() == 1).all(), "no mean of data and fill values"
    stored = np.ones((1, 64, 64), np.float32)
    stored[0, 1, 1] = 9.96921e36  # one of 1024: their mean is under what a fill value has
    with open_scene(geotiff(tmp_path / "c.tif", stored)) as scene:
        assert (scene.read_bands([1], size=2).compressed() == 1).all()
    path = geotiff(tmp_path / "b.tif", pixels(8, 8, 1))
    with rasterio.open(path, "r+") as file:
        file.scales = (0.0,)
        file.write_mask(np.tile(np.array([0, 255], np.uint8), (8, 4)))
    with open_scene(path) as scene:
        values = scene.read_bands([1])
        assert values.mask[0, :, ::2].all() and not values.mask[0, :, 1::2].any()
        assert (values.data == pixels(8, 8, 1)).all(), "a scale of 0 is none"


def test_bands_that_are_not_there_and_too_much_at_once(tmp_path):
    with open_scene(geotiff(tmp_path / "a.tif"), max_pixels=64 * 80 * 2) as scene:
        for numbers in ([0], [4], []):
            with pytest.raises(BadInput, match="bands 1 to 3"):
                scene.read_bands(numbers)
        assert scene.read_bands([1, 2]).shape == (2, 64, 80)
        with pytest.raises(BadInput, match="of 3 bands"):
            scene.read_bands([1, 2, 3])


def test_a_recipe_of_the_user_wins_over_colours_that_a_program_flagged():
    """GDAL flags the first bands of any file of three or four bytes as red, green and blue; descriptions are names."""
    flagged = ("red", "green", "blue", "band4")
    assert band_roles(flagged, "landsat-swir", "x.tif", "uint8")[0] == ("swir1", "nir", "red", "green")
    assert band_roles(flagged, None, "x.tif", "uint8")[0] == ("red", "green", "blue", "")
    named = ("red", "green", "blue", "nir")
    assert band_roles(named, "landsat-swir", "x.tif", "uint8")[0] == named
