"""The embedded model through the main job; skipped where its package or the language model is not installed."""

from importlib.util import find_spec

import numpy as np
import pytest

import rsvlm
from fake.chat_model import coast
from fake.rasters import geotiff


@pytest.fixture(scope="module")
def mini():
    if find_spec("rsvlm_mini") is None:
        pytest.skip("the package rsvlm-mini is not installed")
    try:
        return rsvlm.load("mini")
    except rsvlm.MissingPart as error:
        pytest.skip(str(error))


def test_the_embedded_model_answers_about_a_scene(mini, tmp_path):
    scene = geotiff(tmp_path / "scene.tif", coast(256, 256, 256))
    caption, water = mini.ask(scene, ["Describe this image.", "Is there water?"], raw=True)
    assert len(caption.answer.split()) > 3 and 0 < caption.confidence <= 1
    assert water.answer.rstrip(".") in ("Yes", "No")
    (ruled,) = mini.ask(scene, ["Is there water?"])
    assert ruled.answer.startswith("mini was trained on 0.05 to 3 m per pixel, this scene has 5 m: unsure")
    assert ruled.confidence <= 0.5 and "limits" in ruled.trace["rules"][0]
    assert caption.trace["model"] == "mini" and len(caption.trace["recipe"]) == 12
    # In bfloat16 another batch may round a near-tie the other way, so the same questions are asked again.
    again, _ = mini.ask(scene, ["Describe this image.", "Is there water?"], raw=True)
    assert again.answer == caption.answer


def test_tiles_do_not_change_what_is_said_about_equal_ground(mini, tmp_path):
    scene = geotiff(tmp_path / "scene.tif", coast(128, 384, 384))
    answer = mini.ask(scene, "What land cover is this?", tile=128, batch=2)
    replies = {window["reply"] for window in answer.trace["windows"][:-1]}
    assert len(replies) == 1 and answer.regions[0]["properties"]["share"] == 1


def test_it_finds_what_a_phrase_names(mini):
    sea = np.full((256, 256, 3), (18, 38, 52), np.uint8)
    sea[60:76, 150:200] = 225  # a bright hull on dark water
    found, none = mini.model.detect([sea, sea], ["the boat", "people"])
    x1, y1, x2, y2 = found[0].box
    assert x1 < 175 < x2 and y1 < 68 < y2 and none == ()
