"""Readers of sets that pictures and texts are matched on."""

import re
from pathlib import Path

import pytest

from fake import annotations
from rsvlm.data.catalogue import load


def test_rsitmd_leaves_blank_sentences_out(tmp_path):
    train, test = (load("rsitmd", annotations.make("rsitmd", tmp_path), split) for split in ("train", "test"))
    assert [len(s.turns[0].references) for s in train] == [4, 4] and [len(s.turns[0].references) for s in test] == [
        5
    ] * 12
    assert all(s.turns[0].references[-1] == "many planes are parked ." for s in test)


def test_air_slt_has_polygons_and_plain_texts(tmp_path):
    one, two, three = load("air_slt", annotations.make("air_slt", tmp_path), "test")
    assert one.turns[0].question == "there is a green pond." and one.turns[0].task == "locate"
    assert (
        len(two.regions) == 2 and two.regions[1].polygon[0] == (260, 120) and two.regions[0].box == (10.5, 10, 140, 140)
    )
    assert one.images == two.images != three.images and three.id == "air_slt/2"


def test_skyscript_labels_by_name_and_number(tmp_path):
    samples = load("skyscript_cls", annotations.make("skyscript_cls", tmp_path), "test")
    assert [s.turns[0].answer for s in samples] == ["bridge", "wind farm", "wind farm"]
    assert samples[0].meta == {"classes": ["bridge", "wind farm"]}
    assert samples[0].id == "skyscript_cls/SkyScript_cls/images/0.png"


def test_skyscript_attributes_have_two_wordings(tmp_path):
    sample = load("skyscript_surface", annotations.make("skyscript_surface", tmp_path), "test")[2]
    assert sample.turns[0].answer == "grass" and sample.meta["label_v2"] == "grass one"
    assert sample.meta["classes"][:2] == ["asphalt", "concrete"] and len(sample.meta["classes_v2"]) == 5


def test_skyscript_finds_pictures_of_a_set_that_stands_alone(tmp_path):
    folder = annotations.make("skyscript_cls", tmp_path / "a")
    moved = folder.rename(tmp_path / "elsewhere")
    assert all(Path(s.images[0].path).parent == moved / "images" for s in load("skyscript_cls", moved, "test"))


@pytest.mark.parametrize(
    ("name", "file", "text", "says"),
    [
        (
            "air_slt",
            "annotations/anno.json",
            '[{"caption": "a", "jpg_name": "0.jpg", "points": [[[1, 2]]]}]',
            "three points",
        ),
        ("air_slt", "annotations/anno.json", "[1]", "not AIR-SLT's"),
        ("skyscript_cls", "img_txt_pairs_val.csv", "file,label\na,b\n", "not SkyScript's"),
        ("skyscript_cls", "img_txt_pairs_val.csv", "filepath,label\na.png,harbor\n", "'harbor' is none of 2 classes"),
        ("skyscript_cls", "img_txt_pairs_val.csv", "filepath,label\na.png,7\n", "not SkyScript's"),
    ],
)
def test_bad_files_are_one_sentence(name, file, text, says, tmp_path):
    said = annotations.refusal(name, tmp_path, file, text)
    assert re.search(says, said)
