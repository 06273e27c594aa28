"""A number for each window in colour over the scene, and the scale below."""

import numpy as np
import pytest
from PIL import Image

from fake.rasters import geotiff
from rsvlm.geo.heat_map import colours, heat_map
from rsvlm.geo.raster import open_scene


def drawn(path, values, **changes):
    with open_scene(path) as scene:
        settings = {"title": "a forest", "measure": "probability", "low": 0.0, "high": 1.0} | changes
        return heat_map(scene, values, **settings)


@pytest.fixture
def grey(tmp_path):
    return geotiff(tmp_path / "grey.tif", np.full((3, 320, 400), 128, np.uint8))


def test_the_scale_is_even_in_lightness_and_clipped():
    made = colours(np.linspace(0, 1, 50), 0, 1) @ [0.299, 0.587, 0.114]
    assert (np.diff(made) > 0).all()
    assert (colours([-3, 7], 0, 1) == colours([0, 1], 0, 1)).all()
    assert np.isfinite(colours([0.2, 0.2], 0.2, 0.2)).all()


def test_windows_have_the_colours_of_their_numbers_and_the_rest_stays_grey(grey):
    picture = np.asarray(drawn(grey, [((0, 0, 200, 160), 0.0), ((200, 0, 200, 160), 1.0)]))
    scale = picture.shape[1] / 400
    left, right, below = (picture[int(y * scale), int(x * scale)] for x, y in ((100, 80), (300, 80), (200, 240)))
    assert left @ [0.299, 0.587, 0.114] < 100 < right @ [0.299, 0.587, 0.114]
    assert below.tolist() == [128, 128, 128]
    bar = picture[int(320 * scale) :].reshape(-1, 3)  # the same colours stand on the scale
    assert all((np.abs(bar.astype(int) - colour).max(1) <= 3).any() for colour in (left, right))


def test_a_small_scene_is_enlarged_and_a_large_one_shrunk(tmp_path):
    small = drawn(geotiff(tmp_path / "s.tif", np.full((3, 20, 30), 99, np.uint8)), [((0, 0, 30, 20), 0.5)])
    assert small.width >= 640
    with open_scene(geotiff(tmp_path / "l.tif", np.full((3, 300, 500), 99, np.uint8))) as scene:
        large = heat_map(scene, [], title="x", measure="m", low=0, high=1, size=200)
    assert large.width <= 800 and large.mode == "RGB"


def test_a_title_that_is_too_long_is_cut_and_steers_nothing(grey):
    whole = drawn(grey, [], title="a forest " * 400 + "\x1b[31m")
    plain = drawn(grey, [], title="")
    assert whole.size == plain.size
    margin = np.asarray(whole)[:, -3:]
    assert isinstance(whole, Image.Image) and (margin == np.asarray(plain)[:, -3:]).all()
