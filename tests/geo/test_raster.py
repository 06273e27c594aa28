"""Scenes: what is opened, what is refused, what the pixels are."""

import logging
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image
from rasterio.control import GroundControlPoint

from fake import rasters
from fake.rasters import HOSTILE, REFUSED_NAMES, geotiff, pixels
from rsvlm.errors import BadInput
from rsvlm.geo.raster import open_scene


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_and_broken_rasters_give_one_sentence(name: str, tmp_path: Path, caplog, capfd) -> None:
    file, make = HOSTILE[name]
    path = tmp_path / file
    make(path)
    capfd.readouterr()
    with pytest.raises(BadInput) as caught, open_scene(path) as scene:
        for _ in scene.tiles(100, 10):
            pass
    text = str(caught.value)
    assert file in text and "\n" not in text and rasters.SECRET not in text
    out, err = capfd.readouterr()
    assert not out and not err


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(HOSTILE) + len(REFUSED_NAMES) >= 40


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_names_that_are_not_local_files_are_refused(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as caught:
        open_scene(name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_refusals_say_what_the_file_is(tmp_path: Path) -> None:
    for name, word in {"vrt named tif": "VRT", "mrf named tif": "MRF", "wms named tif": "WMS", "zip": "zip"}.items():
        file, make = HOSTILE[name]
        make(tmp_path / file)
        with pytest.raises(BadInput, match=word):
            open_scene(tmp_path / file)
    for name, word in {
        "all nodata": "no valid pixel",
        "bomb png": "budget",
        "bomb tile": "blocks",
        "bomb sparse": "bomb",
        "empty": "0 bytes",
    }.items():
        file, make = HOSTILE[name]
        make(tmp_path / file)
        with pytest.raises(BadInput, match=word):
            open_scene(tmp_path / file)


@pytest.mark.parametrize("compress", [None, "deflate", "lzw", "zstd", "packbits"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_a_cut_tiff_never_comes_back_as_zeros(tmp_path: Path, compress, share) -> None:
    path = geotiff(tmp_path / "a.tif", pixels(200, 200), compress=compress, tiled=True, blockxsize=64, blockysize=64)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(BadInput, match="damaged or cut short"), open_scene(path) as scene:
        scene.read_rgb()


def test_the_extension_does_not_matter(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif").rename(tmp_path / "a.vrt")
    with open_scene(path) as scene:
        assert scene.driver == "GTiff" and scene.read_rgb().shape == (64, 80, 3)


def test_sidecars_change_nothing(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", transform=None, crs=None)
    (tmp_path / "a.tfw").write_text("1\n0\n0\n-1\n0\n0\n")
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>")
    geotiff(tmp_path / "a.tif.ovr", np.zeros((3, 32, 40), np.uint8))
    with open_scene(path) as scene:
        assert scene.crs is None and scene.transform is None and "geotransform" in scene.unplaced
        assert scene.read_rgb(size=40).min() > 0
    assert {file.name for file in tmp_path.iterdir()} == {"a.tif", "a.tfw", "a.tif.aux.xml", "a.tif.ovr"}


def test_facts_of_a_utm_scene(tmp_path: Path) -> None:
    data = pixels(40, 50, 4)
    path = geotiff(
        tmp_path / "a.tif",
        data,
        nodata=0,
        photometric="minisblack",
        tags={"ACQUISITIONDATETIME": "2016-08-16T10:00:00"},
    )
    with open_scene(path) as scene:
        assert (scene.width, scene.height, scene.dtype, scene.driver) == (50, 40, "uint8", "GTiff")
        assert scene.crs == "EPSG:26914" and scene.transform == tuple(rasters.UTM)[:6]
        assert scene.nodata == 0 and scene.date == "2016-08-16" and scene.gsd_m == pytest.approx(5, rel=1e-3)
        assert scene.bands == ("band1", "band2", "band3", "band4") and scene.shown == (1, 2, 3)
        np.testing.assert_array_equal(scene.read_rgb(), data[:3].transpose(1, 2, 0))
        np.testing.assert_array_equal(scene.read_rgb((10, 5, 20, 30)), data[:3, 5:35, 10:30].transpose(1, 2, 0))


def test_web_mercator_metres_are_geodesic(tmp_path: Path) -> None:
    path = geotiff(
        tmp_path / "a.tif", crs="EPSG:3857", transform=Affine(10, 0, 0, 0, -10, 8399737.9)
    )  # 60 degrees north
    with open_scene(path) as scene:
        assert scene.gsd_m == pytest.approx(5.0, rel=0.005)


def test_closed_scenes_and_wrong_windows_say_so(tmp_path: Path) -> None:
    with open_scene(geotiff(tmp_path / "a.tif")) as scene:
        for window in [(-1, 0, 5, 5), (0, 0, 81, 5), (0, 0, 0, 5), (79, 63, 2, 1)]:
            with pytest.raises(BadInput, match="inside"):
                scene.read_rgb(window)
        with pytest.raises(BadInput, match="overlap"):
            list(scene.tiles(16, 16))
    with pytest.raises(BadInput, match="closed"):
        scene.read_rgb()


def test_budget_bounds_every_read(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", pixels(200, 200), tiled=True, blockxsize=16, blockysize=16)
    with open_scene(path, max_pixels=10_000) as scene:
        with pytest.raises(BadInput, match="over the budget"):
            scene.read_rgb()
        assert scene.read_rgb(size=100).shape == (100, 100, 3)


# -- bands and stretch -------------------------------------------------------------------------------------------------


def test_one_stretch_for_the_whole_scene(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.arange(1, 1001, dtype=np.uint16), (3, 300, 1000)) * 10
    with open_scene(geotiff(tmp_path / "a.tif", np.ascontiguousarray(ramp))) as scene:
        whole = scene.read_rgb()
        for tile in scene.tiles(128, 32):
            column, row, width, height = tile.window
            np.testing.assert_array_equal(tile.pixels, whole[row : row + height, column : column + width])
        assert whole[0, :15].max() == 0 and whole[0, -15:].min() == 255
        assert int(whole[0, 500, 0]) == pytest.approx(127, abs=2)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int8", "float32", "float64", "int32"])
def test_stretch_ignores_nodata(tmp_path: Path, dtype: str) -> None:
    data = np.random.default_rng(0).normal(60, 8, (1, 100, 100)).astype(dtype)
    hole = np.iinfo(dtype).max if dtype[0] in "iu" else -9999
    data[0, :60] = hole
    with open_scene(geotiff(tmp_path / "a.tif", data, nodata=hole)) as scene:
        rgb, good = scene.read_rgb(), scene.valid()
        assert not good[:60].any() and good[60:].all()
        assert rgb[:60].max() == 0 and 100 < rgb[60:].mean() < 155


def test_nan_is_a_hole_even_without_nodata(tmp_path: Path) -> None:
    data = np.random.default_rng(0).random((3, 50, 50)).astype(np.float32)
    data[1, 10:20, 10:20] = np.nan
    data[0, 30, 30] = np.inf
    with open_scene(geotiff(tmp_path / "a.tif", data)) as scene:
        good = scene.valid()
        assert not good[10:20, 10:20].any() and not good[30, 30] and good.sum() == 2500 - 101
        assert scene.read_rgb()[12, 12].tolist() == [0, 0, 0]


def test_one_black_band_is_no_hole(tmp_path: Path) -> None:
    data = pixels()
    data[0, 5, 5] = 0
    data[:, 6, 6] = 0
    with open_scene(geotiff(tmp_path / "a.tif", data, nodata=0)) as scene:
        tile = next(scene.tiles(64))
        assert scene.valid()[5, 5] and not scene.valid()[6, 6]
        np.testing.assert_array_equal(tile.valid, scene.valid()[:64, :64])


def test_nodata_out_of_range_marks_nothing(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", pixels().astype(np.float32), nodata=-9999)
    with open_scene(path) as scene:
        assert scene.valid().all()


@pytest.mark.parametrize(
    ("bands", "count", "shown"),
    [
        (None, 1, (1,)),
        (None, 4, (1, 2, 3)),
        ("naip", 4, (1, 2, 3)),
        ("landsat", 7, (4, 3, 2)),
        ("landsat", 6, (3, 2, 1)),
        ("landsat-swir", 4, (1, 2, 3)),
        ("sentinel2", 13, (4, 3, 2)),
        ("sentinel2", 4, (3, 2, 1)),
        ("4,3,2", 4, (4, 3, 2)),
        ((4, "2", "band1"), 4, (4, 2, 1)),
        (2, 4, (2,)),
        ("Band3", 4, (3,)),
    ],
)
def test_band_choice(tmp_path: Path, bands, count, shown) -> None:
    data = pixels(8, 8, count)
    with open_scene(geotiff(tmp_path / "a.tif", data, photometric="minisblack"), bands=bands) as scene:
        assert scene.shown == shown
        expected = np.stack([data[number - 1] for number in (shown if len(shown) == 3 else shown * 3)], axis=-1)
        np.testing.assert_array_equal(scene.read_rgb(), expected)


def test_bands_by_their_own_names(tmp_path: Path) -> None:
    path = geotiff(
        tmp_path / "a.tif", pixels(8, 8, 4), descriptions=("B02", "B03", "B04", "B08"), photometric="minisblack"
    )
    with open_scene(path, bands="sentinel2") as scene:
        assert scene.shown == (3, 2, 1)
    with open_scene(path, bands="b08,B04,B03") as scene:
        assert scene.shown == (4, 3, 2)


@pytest.mark.parametrize("bands", ["B99", "5", 0, "1,2", "landsat", ("red", "green", "blue"), "", []])
def test_unknown_bands_give_a_sentence(tmp_path: Path, bands) -> None:
    path = geotiff(tmp_path / "a.tif", pixels(8, 8, 4), photometric="minisblack")
    with pytest.raises(BadInput, match="band"):
        open_scene(path, bands=bands)


# -- pictures without a place ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "I;16"])
def test_plain_png(tmp_path: Path, mode: str) -> None:
    rgb = pixels(30, 40).transpose(1, 2, 0)
    if mode == "I;16":
        picture = Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50)
    else:
        picture = Image.fromarray(rgb).quantize(64) if mode == "P" else Image.fromarray(rgb).convert(mode)
        if "A" in mode:
            alpha = np.full((30, 40), 255, np.uint8)
            alpha[:10] = 0
            picture.putalpha(Image.fromarray(alpha))
    picture.save(tmp_path / "a.png")
    with open_scene(tmp_path / "a.png") as scene:
        seen, good = scene.read_rgb(), scene.valid()
        assert seen.shape == (30, 40, 3) and scene.crs is None and scene.gsd_m is None
        if mode != "I;16":
            np.testing.assert_array_equal(seen[10:], np.asarray(picture.convert("RGB"))[10:])
        else:
            assert (np.diff(seen[..., 0].ravel().astype(int)) >= 0).all() and seen.max() == 255
        assert good[10:].all() and good[:10].all() == ("A" not in mode)
        with pytest.raises(BadInput, match="no place on Earth"):
            scene.pixel_to_lonlat([(0, 0)])


def test_plain_jpeg_and_jp2(tmp_path: Path) -> None:
    picture = Image.fromarray(pixels(8, 8).transpose(1, 2, 0)).resize((64, 64))
    picture.save(tmp_path / "a.jpg", quality=95)
    picture.save(tmp_path / "a.jp2", irreversible=False)
    with open_scene(tmp_path / "a.jpg") as scene:
        assert scene.driver == "JPEG"
        assert np.abs(scene.read_rgb().astype(int) - np.asarray(Image.open(tmp_path / "a.jpg"))).mean() < 2
    with open_scene(tmp_path / "a.jp2") as scene:
        assert scene.driver == "JP2OpenJPEG"
        np.testing.assert_array_equal(scene.read_rgb(), np.asarray(picture))


def test_shrinking_averages_and_leaves_nodata_out(tmp_path: Path) -> None:
    data = np.full((3, 64, 64), 100, np.uint8)
    data[:, :, :31] = 0
    with open_scene(geotiff(tmp_path / "a.tif", data, nodata=0)) as scene:
        small = scene.read_rgb(size=16)
        assert small.shape == (16, 16, 3) and set(np.unique(small)) == {0, 100}
        assert scene.read_rgb(size=500).shape == (64, 64, 3) and scene.read_rgb(size=(20, 10)).shape == (10, 20, 3)


# -- tiles and memory --------------------------------------------------------------------------------------------------


def test_memory_is_that_of_a_tile(tmp_path: Path) -> None:
    path = tmp_path / "big.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=3000, height=3000, count=3, dtype="uint8", tiled=True, blockxsize=256,
        blockysize=256, compress="deflate", ZLEVEL=1, crs="EPSG:26914", transform=rasters.UTM,
    ) as out:  # fmt: skip
        out.write(np.broadcast_to(np.uint8(7), (3, 3000, 3000)))
    tracemalloc.start()
    with open_scene(path) as scene:
        count = sum(1 for tile in scene.tiles(512, 64) if tile.valid.all() and tile.pixels.min() == 7)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 7 * 7 and peak < 4 * 2**20  # numpy reports its arrays; the raster is 26 MiB


def test_large_scene_without_overviews_is_sampled(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(100, 900, (1, 4200, 4200)).astype(np.uint16)
    for name, layout in {"tiles": {"tiled": True, "blockxsize": 128, "blockysize": 128}, "strips": {}}.items():
        with open_scene(geotiff(tmp_path / f"{name}.tif", data, **layout)) as scene:
            assert len(scene._stretch_windows()) == 64
            assert 120 < scene.read_rgb(size=200).mean() < 135


def test_gcps_place_a_scene(tmp_path: Path) -> None:
    def points(bend: float) -> list[GroundControlPoint]:
        corners = [(0, 0), (64, 0), (0, 80), (64, 80), (32, 40)]
        return [
            GroundControlPoint(row=row, col=col, x=10 + col * 0.001 + bend * (row == 32), y=50 - row * 0.001)
            for row, col in corners
        ]

    path = geotiff(tmp_path / "a.tif", transform=None, crs="EPSG:4326", gcps=(points(0), "EPSG:4326"))
    with open_scene(path) as scene:
        assert scene.crs == "EPSG:4326"
        np.testing.assert_allclose(scene.pixel_to_lonlat([(40, 32)]), [(10.04, 49.968)], atol=1e-9)
    path = geotiff(tmp_path / "b.tif", transform=None, crs="EPSG:4326", gcps=(points(0.01), "EPSG:4326"))
    with open_scene(path) as scene:
        assert scene.crs is None and "control points" in scene.unplaced


def test_no_crs_stays_in_pixels(tmp_path: Path) -> None:
    with open_scene(geotiff(tmp_path / "a.tif", crs=None)) as scene:
        assert scene.place is None and "coordinate reference system" in scene.unplaced


def test_gdal_says_nothing_on_the_side(tmp_path: Path, caplog) -> None:
    caplog.set_level(logging.ERROR)
    with open_scene(geotiff(tmp_path / "a.tif", transform=None, crs=None)) as scene:
        scene.read_rgb()
    assert not caplog.records and os.environ.get("GDAL_DISABLE_READDIR_ON_OPEN") is None
