"""Covers from bands: indices, borders, areas and patches."""

import numpy as np
import pytest
import rasterio
from affine import Affine

from fake.rasters import GEOS, geotiff
from rsvlm.errors import BadInput
from rsvlm.geo.cells import Cells
from rsvlm.geo.geodesy import geodesic_area, pixel_areas
from rsvlm.geo.indices import COVERS, can_classify, classify
from rsvlm.geo.place import Place, pyproj
from rsvlm.geo.raster import open_scene
from rsvlm.geo.thresholds import find_border, histogram, otsu
from rsvlm.geo.vector import feature_to_pixels, window_feature

SIX = ["blue", "green", "red", "nir", "swir1", "swir2"]
SPECTRA = {  # reflectance of the six bands, as spectral libraries have it
    "water": (0.06, 0.05, 0.03, 0.02, 0.01, 0.01),
    "plants": (0.03, 0.07, 0.04, 0.45, 0.20, 0.09),
    "city": (0.12, 0.14, 0.17, 0.22, 0.30, 0.26),
    "burnt": (0.04, 0.05, 0.06, 0.10, 0.18, 0.22),
    "snow": (0.90, 0.88, 0.86, 0.75, 0.10, 0.08),
}
SHOWN = {"water": "water", "vegetation": "plants", "built-up": "city", "burnt": "burnt", "snow": "snow"}


def ground(kinds, scale=10_000, dtype=np.uint16, noise=0.03, seed=0):
    """(6, H, W) values of a map (H, W) of the names in SPECTRA, with noise."""
    random = np.random.default_rng(seed)
    values = np.zeros((6, *kinds.shape))
    for kind, spectrum in SPECTRA.items():
        values[:, kinds == kind] = np.array(spectrum)[:, None]
    values *= 1 + noise * random.standard_normal(values.shape)
    return np.clip(values * scale, 1, None).astype(dtype)


def land(height=120, width=160, left=40, kind="water", rest="plants"):
    """A map whose first `left` columns are of one kind and the others of another."""
    kinds = np.full((height, width), rest, dtype=object)
    kinds[:, :left] = kind
    return kinds


def scene_of(path, values, names=SIX, bands=None, **profile):
    geotiff(path, values, descriptions=names, **profile)
    return open_scene(path, bands=bands)


# ---- the border ----


def groups(*parts, seed=0):
    random = np.random.default_rng(seed)
    return histogram(np.concatenate([random.normal(m, s, n) for m, s, n in parts]).clip(-1, 1).astype(np.float32))


def border(counts, **more):
    return find_border(counts, more.pop("limits", (-0.1, 0.3)), (-0.1, 0.7), 0.0, **{"fixed": False, **more})


def test_two_groups_are_parted_between_them():
    found = border(groups((-0.4, 0.05, 5000), (0.5, 0.05, 5000)))
    assert found.method == "otsu" and found.clear and found.eta > 0.95 and -0.1 <= found.value <= 0.3
    assert border(groups((-0.4, 0.05, 5000), (0.5, 0.05, 5000)), limits=(0.0, 0.02)).value == pytest.approx(
        0.01, abs=0.012
    )
    assert border(groups((-0.4, 0.05, 5000), (0.5, 0.05, 5000)), fixed=True).method == "fixed"


def test_a_gap_is_parted_in_its_middle():
    assert border(groups((-0.5, 0.001, 500), (0.5, 0.001, 500)), limits=(-1, 1)).value == pytest.approx(0, abs=0.01)


def test_values_on_one_side_of_the_limits_are_not_parted():
    for mean in (-0.9, 0.9):
        for seed in range(20):
            assert otsu(groups((mean, 0.03, 3000 + seed), seed=seed), (-0.1, 0.3))[1] < 1e-6


def test_otsu_is_that_of_the_definition():
    counts = groups((-0.3, 0.1, 900), (0.2, 0.2, 700))
    values = np.repeat((np.arange(512) + 0.5) / 256 - 1, counts)
    cuts = np.arange(1, 512) / 256 - 1
    between = [
        (values < cut).mean() * (values > cut).mean() * (values[values < cut].mean() - values[values > cut].mean()) ** 2
        if (values < cut).any() and (values > cut).any()
        else 0.0
        for cut in cuts
    ]
    value, eta = otsu(counts, (-1, 1))
    assert value == cuts[np.argmax(between)] and eta == pytest.approx(max(between) / values.var())


def test_a_small_group_is_found_by_its_valley():
    found = border(groups((0.1, 0.12, 50_000), (0.8, 0.04, 900)))
    assert found.method == "valley" and 0.5 < found.value < 0.75 and found.clear


def test_one_group_keeps_the_published_border():
    through = border(groups((0.05, 0.1, 50_000)))
    assert (through.method, through.value, through.clear) == ("default", 0.0, False) and 0.5 < through.eta < 0.7
    beside = border(groups((0.7, 0.05, 50_000)))
    assert (beside.method, beside.clear) == ("default", True)
    assert border(groups((0.05, 0.1, 50_000), (0.9, 0.01, 40))).method == "default", "40 values are no group"


# ---- areas and cells ----


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:26914", Affine(5.0, 0, 485900, 0, -5, 5209247)),
        ("EPSG:4326", Affine(0.01, 0, 10, 0, -0.01, 60)),
        ("EPSG:4326", Affine(0.5, 0, 170, 0, -0.5, 85)),  # over the antimeridian, far north
        ("EPSG:3413", Affine(1000, 0, -20_000, 0, -1000, 20_000)),  # the pole is in the middle
    ],
)
def test_areas_of_pixels(crs, transform):
    place = Place(tuple(transform)[:6], pyproj.CRS(crs), (20, 20))
    areas = pixel_areas(place, np.arange(40) + 0.5, np.arange(40) + 0.5)
    for column, row in ((0, 0), (7, 31), (39, 39)):
        wanted = window_feature((column, row, 1, 1), place)["properties"]["area_m2"]
        assert areas[row, column] == pytest.approx(wanted, rel=2e-4)
    whole = window_feature((0, 0, 40, 40), place)["properties"]["area_m2"] if crs != "EPSG:3413" else None
    assert whole is None or areas.sum() == pytest.approx(whole, rel=1e-3)


def test_cells_cover_a_scene_once():
    cells = Cells.over(1050, 430, largest=100)
    assert (cells.step, cells.shape) == (11, (40, 96))
    seen = np.zeros(cells.shape, int)
    for (_, _, width, height), at in cells.windows():
        seen[at] += 1
        assert {width / seen[at].shape[1], height / seen[at].shape[0]} <= {11.0, 5.0, 1.0}
    assert (seen == 1).all()
    place = Place((0.01, 0.0, 10.0, 0.0, -0.02, 70.0), pyproj.CRS("EPSG:4326"), (525, 215))
    whole = window_feature((0, 0, 1050, 430), place)["properties"]["area_m2"]
    assert cells.areas(place).sum(dtype=float) == pytest.approx(whole, rel=1e-4)


def test_patches_by_size_with_holes_and_without_specks():
    mask = np.zeros((40, 60), bool)
    mask[2:22, 3:23], mask[8:14, 9:15] = True, False  # 400 less a hole of 36
    mask[4, 4] = False  # a hole of 1
    mask[30:40, 50:60] = True
    mask[35, 2:5] = True
    patches, count = Cells(600, 395, 10).patches(mask, 5, 9)
    assert count == 2 and [one.cells.sum() for one in patches] == [364, 100]
    assert patches[0].outline.area == 36_400 and patches[1].outline.bounds == (500, 300, 600, 395)
    assert len(Cells(600, 395, 10).patches(mask, 1, 9)[0]) == 1


def test_noise_is_outlined_in_bounded_numbers():
    mask = np.random.default_rng(0).random((700, 700)) > 0.5
    patches, count = Cells(700, 700, 1).patches(mask, 20, 1)
    assert len(patches) <= 20 and count < 40_000


# ---- covers ----


@pytest.mark.parametrize("cover", COVERS)
@pytest.mark.parametrize(("scale", "dtype"), [(10_000, np.uint16), (1, np.float32)])
def test_each_cover_is_found_where_it_is(tmp_path, cover, scale, dtype):
    kinds = land(kind=SHOWN[cover], rest="city" if cover == "vegetation" else "plants")
    values = np.maximum(ground(kinds, 10_000, np.float32), 1) / (10_000 / scale)
    with scene_of(tmp_path / "a.tif", values.astype(dtype)) as scene:
        found = classify(scene, cover)
    truth = kinds == SHOWN[cover]
    assert (found.mask == truth).mean() > 0.99 and found.share == pytest.approx(0.25, abs=0.01)
    assert found.area_m2 == pytest.approx(25 * truth.sum(), rel=0.02) and found.valid_share == 1
    assert found.patch_count == 1 and found.patches[0].area_m2 == pytest.approx(found.area_m2, rel=0.01)
    assert found.patches[0].outline.label == cover and (found.patches[0].mean > found.border.value) == found.above
    assert cover.split("-")[0] in found.sentence.lower() and "digital" not in " ".join(found.notes)


def test_the_better_index_is_taken_where_its_bands_are(tmp_path):
    values = ground(land())
    with scene_of(tmp_path / "a.tif", values) as scene:
        best = classify(scene, "water")
    assert (best.index, best.numbers) == ("MNDWI", (2, 5))
    assert best.formula == (
        "(green (band 2) - shortwave infrared 1 (band 5)) / (green (band 2) + shortwave infrared 1 (band 5))"
    )
    with scene_of(tmp_path / "b.tif", values[:4], SIX[:4]) as scene:
        other = classify(scene, "water")
        assert "built-up" not in other.sentence and can_classify(scene, "built-up").startswith("Built-up land cannot")
        assert can_classify(scene, "water") == ""
    assert (other.index, other.numbers) == ("NDWI", (2, 4)) and "McFeeters" in other.source


def test_a_large_scene_is_read_on_cells(tmp_path):
    kinds = land(413, 307, 105)
    with scene_of(
        tmp_path / "a.tif", ground(kinds, noise=0), transform=Affine(20, 0, 485900, 0, -20, 5209247)
    ) as scene:
        fine, coarse = classify(scene, "water"), classify(scene, "water", largest=60)
        assert coarse.cells.step == 7 and coarse.mask.shape == (59, 44)
        assert coarse.area_m2 == pytest.approx(fine.area_m2, rel=1e-4)
        assert "cells of 7 x 7 pixels (44 x 59 cells)" in " ".join(coarse.notes)
        (one,) = coarse.features(scene)
        x1, y1, x2, y2 = feature_to_pixels(one, scene.place).bounds
        assert (x1, y1, y2) == pytest.approx((0, 0, 413), abs=1e-3) and x2 == pytest.approx(105, abs=1e-3)
        assert one["properties"]["area_m2"] == pytest.approx(coarse.patches[0].area_m2, rel=1e-3)


def test_eight_bits_are_digital_numbers(tmp_path):
    with scene_of(tmp_path / "a.tif", ground(land(), 255, np.uint8)) as scene:
        found = classify(scene, "water")
    assert found.share == pytest.approx(0.25, abs=0.01)
    assert found.notes[0].startswith("its 8-bit values are digital numbers of a display, not reflectance")
    names = [f"SR_B{number}" for number in (1, 2, 3, 4, 5, 7)]
    with scene_of(tmp_path / "b.tif", ground(land()), names) as scene:
        assert "scale 0.0000275" in classify(scene, "water").notes[0]
    with rasterio.open(tmp_path / "b.tif", "r+") as file:
        file.scales, file.offsets = [1e-4] * 6, [0.0] * 6
    with open_scene(tmp_path / "b.tif") as scene:
        assert "0.0000275" not in " ".join(classify(scene, "water").notes)


def test_the_scale_and_offset_of_the_file_count(tmp_path):
    values = ground(land(rest="city"), noise=0)
    with scene_of(tmp_path / "a.tif", values + np.uint16(5000)) as scene:
        assert classify(scene, "vegetation").values.max() < 0.2
    with rasterio.open(tmp_path / "a.tif", "r+") as file:
        file.scales, file.offsets = [1e-4] * 6, [-0.5] * 6
    with open_scene(tmp_path / "a.tif") as scene:
        assert np.allclose(classify(scene, "water").values[0, 0], 4 / 6, atol=1e-3)


def test_holes_are_no_ground(tmp_path):
    values = ground(land())
    values[4, :60] = 65_535
    with scene_of(tmp_path / "a.tif", values, nodata=65_535) as scene:
        found = classify(scene, "water")
    assert found.valid_share == 0.5 and found.share == pytest.approx(0.25, abs=0.01) and not found.mask[:60].any()
    assert "of the pixels with data" in found.sentence


def test_values_that_are_no_measurements_are_holes(tmp_path):
    values = ground(land()).astype(np.float32) / 10_000
    values[1, 0], values[4, 1], values[1, 2], values[4, 2], values[:, 3] = np.inf, -np.inf, 3e38, 3e38, np.nan
    with scene_of(tmp_path / "a.tif", values) as scene:
        found = classify(scene, "water")
    assert found.valid_share == pytest.approx(116 / 120) and not found.mask[:4].any()


def test_a_dark_pixel_is_no_hole(tmp_path):
    """Where nodata is 0 and one band alone is 0: 8-bit near infrared of clear water."""
    values = ground(land(), 255, np.uint8)
    values[4, :, :40] = 0
    values[:, 0] = 0
    with scene_of(tmp_path / "a.tif", values, nodata=0) as scene:
        found = classify(scene, "water")
    assert found.share == pytest.approx(0.25, abs=0.01) and found.valid_share == pytest.approx(119 / 120)


def test_water_is_no_snow(tmp_path):
    kinds = land()
    kinds[:, 100:] = "snow"
    for scale, dtype in ((10_000, np.uint16), (255, np.uint8), (1, np.float32)):
        values = ground(kinds, 255 if scale == 255 else 10_000, np.float32) / (10_000 if scale == 1 else 1)
        with scene_of(tmp_path / f"{scale}.tif", values.astype(dtype)) as scene:
            assert classify(scene, "snow").share == pytest.approx(60 / 160, abs=0.01)
    with scene_of(tmp_path / "b.tif", ground(kinds)[[1, 4]], ["green", "swir1"]) as scene:
        found = classify(scene, "snow")
        assert found.share == pytest.approx(100 / 160, abs=0.01) and "near infrared is not known" in found.notes[0]


def test_a_scene_of_one_cover(tmp_path):
    with scene_of(tmp_path / "sea.tif", ground(land(rest="water"))) as scene:
        sea, dry = classify(scene, "water"), classify(scene, "vegetation")
    assert sea.share == 1 and sea.border.clear and dry.share == 0 and dry.border.clear and dry.patches == ()
    with scene_of(tmp_path / "city.tif", ground(land(kind="city", rest="city"), noise=0.3)) as scene:
        town = classify(scene, "vegetation")
    assert town.border.method == "default" and not town.border.clear and "uncertain" in " ".join(town.notes)


def test_without_a_place_there_is_no_area(tmp_path):
    with scene_of(tmp_path / "a.tif", ground(land()), crs=None, transform=None) as scene:
        found = classify(scene, "water")
        assert found.area_m2 is None and found.patches[0].area_m2 is None and "square" not in found.sentence
        assert found.patches[0].area_px == pytest.approx(40 * 120, rel=0.01)
        assert found.features(scene)[0]["properties"]["crs"] is None


def test_the_sky_is_no_ground(tmp_path):
    """A scene of the whole disc: what is not on the Earth is not counted, and every patch can be placed."""
    disc = Affine(2e5, 0, -6.4e6, 0, -2e5, 6.4e6)
    with scene_of(tmp_path / "a.tif", ground(land(64, 64, 30)), crs=GEOS, transform=disc) as scene:
        for largest in (2048, 20):
            found = classify(scene, "water", largest=largest)
            assert 0.45 < found.valid_share < 0.57 and 5e13 < found.area_m2 < 2.2e14 and len(found.features(scene)) == 1


def test_areas_count_by_latitude(tmp_path):
    kinds = np.full((120, 60), "plants", dtype=object)
    kinds[:60] = "water"  # the northern half
    far = Affine(0.5, 0, 0, 0, -0.5, 80)
    with scene_of(tmp_path / "a.tif", ground(kinds, noise=0), crs="EPSG:4326", transform=far) as scene:
        found = classify(scene, "water")
        north = window_feature((0, 0, 60, 60), scene.place)["properties"]["area_m2"]
    assert found.share == 0.5 and found.area_m2 == pytest.approx(north, rel=2e-3)


def zero_band(values):
    values[3] = 0


def equal_bands(values):
    values[3] = values[1]


def no_data_band(values):
    values[3] = 65_535


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (zero_band, r"band 4 \(near infrared\) holds nothing but zeros"),
        (equal_bands, "the bands 2 and 4 hold the same values"),
        (no_data_band, r"band 4 \(near infrared\) holds no data"),
    ],
)
def test_bands_that_tell_nothing(tmp_path, harm, says):
    values = ground(land())[:4]
    harm(values)
    with (
        scene_of(tmp_path / "a.tif", values, SIX[:4], nodata=65_535) as scene,
        pytest.raises(BadInput, match=f"Water cannot be computed from a.tif: {says}"),
    ):
        classify(scene, "water")


def test_bands_of_unknown_roles(tmp_path):
    with (
        scene_of(tmp_path / "a.tif", ground(land()), [f"x{n}" for n in range(6)]) as scene,
        pytest.raises(BadInput, match="no band is known by its name; name the bands in the file"),
    ):
        classify(scene, "water")
    with open_scene(tmp_path / "a.tif", bands="landsat") as scene:
        assert classify(scene, "water").index == "MNDWI"
        with pytest.raises(BadInput, match="No cover is named 'wood'"):
            classify(scene, "wood")


def test_a_pixel(tmp_path):
    with scene_of(tmp_path / "a.tif", ground(land(1, 1))) as scene:
        assert classify(scene, "water", least=1).share == 1
    assert geodesic_area(feature_to_pixels(window_feature((0, 0, 1, 1), None), None)) > 0
