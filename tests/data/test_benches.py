"""Readers of mixed benchmarks and of the scene and question sets with a layout of their own."""

import json
import re
from collections import Counter

import pytest

from fake import annotations, benches
from rsvlm.data.catalogue import DATASETS, load
from rsvlm.data.sources.geochat_bench import parse_polygons
from rsvlm.data.sources.lhrs_bench import parse_choices


def test_geochat_bench(tmp_path):
    one, two, region = load("geochat_bench", annotations.make("geochat_bench", tmp_path), "test")
    assert (one.turns[0].question, one.turns[0].kind, one.meta["unique"]) == ("1 large ship at the left", "ref", True)
    assert one.regions[0].box == (4, 4, 20, 14) and len(one.regions[0].polygon) == 4 and one.images[0].width == 40
    assert (len(two.regions), two.meta["unique"], two.meta["size_group"]) == (2, False, "small")
    assert two.images[0].path.endswith("00011_0000.png")  # image_id with and without its ending
    assert (region.turns[0].task, region.turns[0].answer) == ("region_caption", "1 large ship")


def test_polygons_in_the_forms_that_sets_publish():
    square = ((0.0, 0.0), (2.0, 0.0), (2.0, 1.0), (0.0, 1.0))
    flat = [0, 0, 2, 0, 2, 1, 0, 1]
    points = [[0, 0], [2, 0], [2, 1], [0, 1]]
    for value in (flat, [flat], points, [points], [0, 0, 2, 1], [[0, 0, 2, 1]]):
        assert parse_polygons(value) == [square]
    assert parse_polygons([flat, points]) == [square, square] and parse_polygons([]) == []
    for bad in ("0 0 2 1", {"x": 1}, [1, 2, 3], [[1, 2, "x"]]):
        with pytest.raises(ValueError):
            parse_polygons(bad)


def test_lhrs_bench(tmp_path):
    first, second = load("lhrs_bench", annotations.make("lhrs_bench", tmp_path), "test")
    what, colour = first.turns
    assert what.choices == ("airport", "U.S. base, E. wing", "harbour")  # an "E." that is not the next letter is text
    assert (what.task, what.answer, what.kind) == ("choice", "U.S. base, E. wing", "identity")
    assert (colour.answer, colour.kind) == ("red", "color")
    assert first.meta["types"] == [["identity", "reasoning"], ["color"]]
    assert second.turns[0].answer == "4" and second.images[0].path.endswith("1.png")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("A. one B. two", ("one", "two")),
        ("(A) one\n(B) two\n(C) three", ("one", "two", "three")),
        ("A: 1.5 m, B: 2.5 m", ("1.5 m", "2.5 m")),
        (["A. one", "(B) two"], ("one", "two")),
        (["one", "two"], ("one", "two")),
    ],
)
def test_options(text, options):
    assert parse_choices(text) == options


def test_geobench_vlm(tmp_path):
    scene, crop, pond, found = load("geobench_vlm", annotations.make("geobench_vlm", tmp_path), "test")
    assert (scene.turns[0].answer, scene.turns[0].kind) == ("airport", "Scene Classification")
    assert scene.turns[0].question == "Which scene is it, wording 0?" and len(scene.meta["prompts"]) == 5
    assert crop.turns[0].answer == "beach" and len(scene.turns[0].choices) == 5
    assert [image.path[-10:] for image in pond.images] == ["pond_0.png", "pond_2.png"] and pond.meta[
        "part"
    ] == "Temporal"
    assert (found.turns[0].task, len(found.regions), found.meta["unique"]) == ("ground", 2, False)


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_xlrs_bench_lite(kind, tmp_path):
    one, pair, several = load("xlrs_bench_lite", benches.xlrs_bench_lite(tmp_path / "XLRS-Bench-lite", kind), "test")
    assert one.turns[0].choices == ("option A0", "option B0", "option C0", "option D0")
    assert (one.turns[0].answer, one.turns[0].kind) == ("option B0", "Overall counting") and "right" not in one.meta
    assert len(pair.images) == 2 and pair.images[0].data
    assert several.meta["right"] == "AC" and several.turns[0].answer == "option A2"


def test_xlrs_bench_pictures_beside_the_table_are_not_held_in_memory(tmp_path):
    folder = annotations.make("xlrs_bench_lite", tmp_path)
    for stem in ("0", "1_0", "1_1", "2"):
        annotations.picture(folder / "images" / f"{stem}.png")
    one, pair, _ = load("xlrs_bench_lite", folder, "test")
    assert one.images[0].data is None and one.images[0].path.endswith("images/0.png") and len(pair.images) == 2


def test_meter_ml_has_places_of_two_types(tmp_path):
    samples = {s.id: s for s in load("meter_ml", annotations.make("meter_ml", tmp_path), "all")}
    both = samples["meter_ml/test/test0"].turns[0]
    assert both.accepted == ("concentrated animal feeding operation", "landfill") and both.kind == "CAFOs-Landfills"
    assert samples["meter_ml/train/train1"].turns[0].answer == "other"


def test_fmow_leaves_out_false_detections_and_the_other_product(tmp_path):
    samples = load("fmow", annotations.make("fmow", tmp_path), "all")
    assert [s.turns[0].answer for s in samples] == ["airport hangar", "airport hangar", "car dealership"]
    assert samples[0].regions[0].box == (2, 3, 10, 9)  # the file says x, y, width, height


def test_siri_whu_numbers_every_class_alike(tmp_path):
    samples = load("siri_whu", annotations.make("siri_whu", tmp_path), "all")
    assert "siri_whu/pond/0002.tif" in {s.id for s in samples}
    assert Counter(s.turns[0].answer for s in samples) == {"pond": 10, "idle land": 10}
    assert len({tuple(s.split for s in samples if s.turns[0].answer == c) for c in ("pond", "idle land")}) == 2


def test_class_names_of_the_other_scene_sets(tmp_path):
    assert {s.turns[0].answer for s in load("nwpu_resisc45", annotations.make("nwpu_resisc45", tmp_path), "all")} == {
        "golf course", "sea ice",
    }  # fmt: skip
    assert {s.turns[0].answer for s in load("whu_rs19", annotations.make("whu_rs19", tmp_path), "all")} == {
        "football field",
        "park",
    }


def test_floodnet(tmp_path):
    folder = annotations.make("floodnet_vqa", tmp_path)
    samples = load("floodnet_vqa", folder, "all")
    assert {s.split for s in samples} <= {"train", "val"}  # unanswered questions are not asked
    first = next(s for s in samples if s.id.endswith("6000.JPG"))
    assert [turn.kind for turn in first.turns] == ["Yes_No", "Yes_No"]
    assert {turn.answer for s in samples for turn in s.turns} == {"Yes", "4", "2", "flooded,non flooded"}
    answered = {
        "0": {"Image_ID": "9000.JPG", "Question": "How many?", "Question_Type": "Simple_Counting", "Ground_Truth": 0}
    }
    (folder / "Questions" / "Valid Question.json").write_text(json.dumps(answered))
    assert Counter(s.split for s in load("floodnet_vqa", folder, "all")) == {"train": 10, "val": 1}


def test_rsvqa_hr_marks_the_listed_questions(tmp_path):
    folder = annotations.make("rsvqa_hr", tmp_path)
    phili = [s for s in load("rsvqa_hr", folder, "test") if s.meta]
    assert all("geochat_47k" not in s.meta for s in phili)
    number = int(phili[0].id.split("/")[1].removesuffix(".tif"))
    (folder / "hrben_47k.jsonl").write_text(json.dumps({"question_id": number * 10 + 1}) + "\n")
    first, second = (s for s in load("rsvqa_hr", folder, "test") if s.meta)
    assert first.meta["geochat_47k"] == [1] and second.meta["geochat_47k"] == []


@pytest.mark.parametrize(
    ("name", "file", "text", "says"),
    [
        ("geochat_bench", "referring.jsonl", '{"image_id": "P0003_0002"}', "record 0"),
        ("geochat_bench", "referring.jsonl", '{"image_id": "a", "question": "b", "ground_truth": []}', "no target"),
        ("lhrs_bench", "qa.json", '{"qtype": {}, "data": [{"filename": "a", "qa_pairs": [{}]}]}', "not LHRS-Bench"),
        ("geobench_vlm", "Single/qa.json", '[{"image_path": "a", "prompts": []}]', "record 0"),
        (
            "meter_ml",
            "test_dataset.geojson",
            '{"features": [{"properties": {"Image_Folder": "a", "Type": "b"}}]}',
            "METER",
        ),
        ("fmow", "train/airport_hangar/airport_hangar_0/airport_hangar_0_0_rgb.json", "{}", "not an fMoW file"),
        ("floodnet_vqa", "Questions/Training Question.json", '{"0": {"Ground_Truth": "a"}}', "not a FloodNet"),
        ("xlrs_bench_lite", "train/data-00000-of-00001.arrow", "text", "cannot be read as a table"),
        ("rsvqa_hr", "hrben_47k.jsonl", "[{}]", "not a list of questions"),
    ],
)
def test_broken_annotations_are_one_sentence(name, file, text, says, tmp_path):
    said = annotations.refusal(name, tmp_path, file, text)
    assert re.search(says, said) and DATASETS[name].folder in said
