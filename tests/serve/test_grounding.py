"""Boxes for a phrase: from whoever can give them, over tiles and seams, on the Earth alike."""

import json

import pytest
from pyproj import Geod
from shapely.geometry import shape

from fake.chat_model import Speaker, coast
from fake.detectors import Detector, Writer
from fake.rasters import geotiff
from rsvlm.data.box_codecs import DIALECTS
from rsvlm.data.referring_parser import parse_phrase
from rsvlm.geo.raster import open_scene
from rsvlm.geo.vector import feature_to_pixels
from rsvlm.sample import Region, Reply
from rsvlm.serve import grounding
from rsvlm.serve.aggregate import ViewReply
from rsvlm.serve.assistant import Assistant

BOATS = [(10, 8), (50, 10), (80, 20), (40, 100)]  # 4 x 4 pixels each
PLACES = {(column, row, column + 4, row + 4) for row, column in BOATS}


def scene(path, boats=BOATS, **more):
    return geotiff(path / "coast.tif", coast(boats=boats, **more))


def found(answer):
    return {tuple(round(n) for n in region["properties"]["box_px"]) for region in answer.regions}


@pytest.mark.parametrize("tile", [None, 32])
def test_boxes_of_a_detector(tmp_path, tile):
    model = Detector()
    answer = Assistant(model).ask(scene(tmp_path), "Find all boats.", tile=tile)
    assert found(answer) == PLACES and answer.answer == "4 found: boats"
    assert set(model.asked) == {"all boats"} and model.calls == [] and answer.trace["prompt"] == "all boats"
    assert answer.trace["kind"] == "find" and 0.5 < answer.confidence <= 0.9
    assert sum(len(row["boxes"]) for row in answer.trace["windows"][:-1]) == (4 if tile else 0)
    json.dumps(dict(answer.trace), allow_nan=False)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_boxes_in_words_of_every_dialect(tmp_path, dialect):
    model = Writer(dialect)
    path = scene(tmp_path, boats=[(10, 12), (50, 100)])
    for tile in (None, 64):
        answer = Assistant(model).ask(path, "Find the boats in this image.", tile=tile)
        assert len(answer.regions) == 2 and answer.confidence == pytest.approx(0.6), answer.trace
        for region, (x1, y1, x2, y2) in zip(answer.regions, [(12, 10, 16, 14), (100, 50, 104, 54)], strict=True):
            assert region["properties"]["box_px"] == pytest.approx([x1, y1, x2, y2], abs=0.7)
        assert (
            answer.trace["prompt"] == grounding.grounding_question(model, "boats") and "boats" in answer.trace["prompt"]
        )


@pytest.mark.parametrize("model", [Detector(), Writer("qwen3vl")], ids=["detects", "writes"])
def test_regions_lie_on_the_earth(tmp_path, model):
    path = scene(tmp_path, boats=[(40, 100)])
    answer = Assistant(model).ask(path, "Find the boats.", tile=32)
    (region,) = answer.regions
    known = region["properties"]
    with open_scene(path) as opened:
        assert feature_to_pixels(region, opened.place).bounds == pytest.approx((100, 40, 104, 44), abs=0.2)
        assert opened.place.to_lonlat([(102, 42)])[0] == pytest.approx(known["lonlat"], abs=1e-6)
    assert known["area_m2"] == pytest.approx(16 * 25, rel=0.05) and known["label"] == "boats"
    ring = shape(region["geometry"])
    assert abs(Geod(ellps="WGS84").geometry_area_perimeter(ring)[0]) == pytest.approx(known["area_m2"], rel=1e-4)


def test_what_a_seam_cuts_is_one_object(tmp_path):
    path = scene(tmp_path, boats=[(10, 30), (30, 62), (70, 70)])  # over a seam, over a corner of four tiles, over none
    answer = Assistant(Detector()).ask(path, "Find all boats.", tile=32)
    assert found(answer) == {(30, 10, 34, 14), (62, 30, 66, 34), (70, 70, 74, 74)}


def test_one_of_several_is_chosen_in_the_whole_scene(tmp_path):
    data = coast(boats=BOATS)
    data[:, 60:72, 40:48] = 255  # a large one
    path = geotiff(tmp_path / "coast.tif", data)
    model = Detector()
    largest, second = Assistant(model).ask(
        path, ["the largest boat", "Find the second boat from the left."], tile=32, batch=3
    )
    assert found(largest) == {(40, 60, 48, 72)} and largest.answer == "1 found: the largest boat"
    assert found(second) == {(10, 50, 14, 54)} and set(model.asked) == {"boats"}
    model.asked.clear()
    Assistant(model).ask(path, "the largest boat")  # in one piece: the model is asked itself
    assert model.asked == ["the largest boat"]


def test_one_that_no_rule_chooses_is_the_surest(tmp_path):
    answer = Assistant(Detector()).ask(scene(tmp_path), "Find the boat by the shore.", tile=32)
    assert len(answer.regions) == 1 and answer.regions[0]["properties"]["score"] == 0.9


def test_nothing_found_is_said(tmp_path):
    path = scene(tmp_path, boats=[])
    for model in (Detector(), Writer("lhrs")):
        answer = Assistant(model).ask(path, "Find all boats.", tile=32)
        assert (answer.answer, answer.regions, answer.confidence) == ("None found: boats", (), 0.0)


def test_a_model_without_boxes_answers_in_words(tmp_path):
    answer = Assistant(Speaker()).ask(scene(tmp_path), "Find all boats.")
    assert answer.answer == "4" and answer.trace["prompt"] == "Find all boats."
    assert answer.trace["rule"].endswith("the model has no boxes, so it answered in words")


def test_questions_of_both_kinds_go_together(tmp_path):
    boats, water = Assistant(Detector()).ask(scene(tmp_path), ["Find all boats.", "Is there water?"], tile=32, batch=3)
    assert boats.answer == "4 found: boats" and water.answer == "Yes" and len(water.regions) == 3


def test_boxes_of_a_view_that_was_shrunk_are_in_pixels_of_the_scene(tmp_path, monkeypatch):
    from rsvlm.serve import tiling

    monkeypatch.setattr(tiling, "READ", 64)
    data = coast()
    data[:, 40:56, 64:96] = 255
    answer = Assistant(Detector()).ask(geotiff(tmp_path / "a.tif", data), "Find all boats.")
    assert answer.regions[0]["properties"]["box_px"] == pytest.approx([64, 40, 96, 56], abs=2)


def test_a_picture_without_a_place_has_boxes_in_pixels(tmp_path):
    from PIL import Image

    path = tmp_path / "a.png"
    Image.fromarray(coast(boats=BOATS).transpose(1, 2, 0)).save(path)
    answer = Assistant(Detector()).ask(path, "Find all boats.")
    assert {shape(region["geometry"]).bounds for region in answer.regions} == PLACES
    assert all(r["properties"]["crs"] is None and "lonlat" not in r["properties"] for r in answer.regions)


# -- views put together ------------------------------------------------------------------------------------------------


def seen(window, *boxes, score=0.8, error=""):
    regions = tuple(Region(label="boats", box=box, score=score) for box in boxes)
    return ViewReply(window=window, valid=1.0, reply=Reply(text="", confidence=score, error=error), found=regions)


def test_where_tiles_overlap_the_better_of_two_stays():
    tiles = [seen((0, 0, 60, 50), (44, 10, 54, 20), score=0.7), seen((40, 0, 60, 50), (5, 10, 15, 20), score=0.9)]
    result = grounding.aggregate_boxes(parse_phrase("boats"), [*tiles, seen((0, 0, 100, 50))], (100, 50))
    assert result.answer == "1 found: boats" and result.evidence[0].score == 0.9


def test_the_whole_adds_only_what_is_larger_than_a_tile():
    tiles = [seen((0, 0, 50, 50), (10, 10, 50, 40)), seen((50, 0, 50, 50), (0, 10, 40, 40))]
    whole = seen((0, 0, 100, 50), (9, 9, 91, 41), (60, 2, 64, 6))
    result = grounding.aggregate_boxes(parse_phrase("boats"), [*tiles, whole], (100, 50))
    assert len(result.evidence) == 1 and result.evidence[0].region.box[0] in (9, 10)


def test_a_box_without_area_is_left_out():
    class Flat(Detector):
        def detect(self, images, phrases):
            return [(Region(label="x", box=(1, 1, 1, 5), score=0.9),) for _ in images]

    (one,) = grounding.ground(Flat(), [coast().transpose(1, 2, 0)], ["boats"], max_new_tokens=9)
    assert one == (Reply(text="no box", confidence=0.0), ())


def test_views_without_a_reply_are_no_absence():
    lost = [seen((0, 0, 50, 50), error="gone"), seen((0, 0, 50, 50), error="gone")]
    assert grounding.aggregate_boxes(parse_phrase("boats"), lost, (50, 50)).answer == ""
    some = grounding.aggregate_boxes(parse_phrase("boats"), [lost[0], seen((0, 0, 50, 50))], (50, 50))
    assert some.answer == "None found: boats" and "1 views got no reply" in some.rule
