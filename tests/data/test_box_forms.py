"""Replies whose numbers look like boxes of a dialect and are none: named, never turned into slivers or dots."""

import pytest

from rsvlm.data.box_codecs import decode

QUAD = "(100,100),(300,120),(290,200),(90,180)"


@pytest.mark.parametrize(
    "text",
    [f"<|quad_start|>{QUAD}<|quad_end|>", f"<quad>{QUAD}</quad>", f"points {QUAD}", "(1,2)", "(1,2),(3,4),(5,6)"],
)
def test_points_in_a_row_of_another_number_than_two_are_no_boxes(text):
    found = decode(text, "qwen2vl")
    assert found.boxes == () and len(found.problems) == 1 and "not a box of this dialect" in found.problems[0]


def test_pairs_of_points_are_boxes_wherever_they_stand():
    text = "<box>(100,100),(300,200)</box><box>(400,400), (500,500)</box> (1,2), (3,4) and (5,6),(7,8)"
    found = decode(text, "qwen2vl")
    assert len(found.boxes) == 4 and not found.problems
    assert found.boxes[0] == (0.1, 0.1, 0.3, 0.2) and found.boxes[3] == (0.005, 0.006, 0.007, 0.008)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("qwen3vl", '[{"bbox_2d": [0.28, 0.50, 0.52, 0.70], "label": "ship"}]'),
        ("internvl", "<ref>ship</ref><box>[[0.253, 0.231, 0.733, 0.787]]</box>"),
        ("qwen2vl", "(0.1,0.2),(0.3,0.4)"),
    ],
)
def test_fractions_in_a_dialect_of_larger_numbers_are_named(dialect, text):
    found = decode(text, dialect)
    assert found.boxes == () and "fractions, where this dialect counts to 1000" in found.problems[0]


def test_whole_numbers_of_one_pixel_and_fractions_where_they_belong_are_boxes():
    assert decode('[{"bbox_2d": [0, 0, 1, 1]}]', "qwen3vl").boxes == ((0, 0, 0.001, 0.001),)
    assert decode("[0.1, 0.2, 0.3, 0.4]", "lhrs").boxes == ((0.1, 0.2, 0.3, 0.4),)


@pytest.mark.parametrize(
    ("dialect", "where"), [("internvl", "in <box>"), ("nova", "in <bbox>"), ("geochat", "in braces")]
)
def test_a_plain_list_in_a_dialect_with_tags_is_named(dialect, where):
    found = decode("The coordinates are [253, 231, 733, 787].", dialect)
    assert found.boxes == () and found.problems == (
        f"dropped '[253, 231, 733, 787]': boxes of this dialect are written {where}",
    )
    assert decode("There is no ship.", dialect).problems == ()
