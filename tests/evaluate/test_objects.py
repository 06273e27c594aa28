"""Counts and boxes of a set with labels: who knows is right, an empty picture is a question too."""

import pytest

from rsvlm.evaluate.benchmarks import find
from rsvlm.sample import Image, Region, Sample

BOXES = ((0, 0, 4, 4), (6, 6, 10, 10))
SAMPLES = [
    Sample(
        id="two", images=(Image(path="a", width=16, height=12),),
        regions=tuple(Region(label="person", box=box) for box in BOXES),
    ),
    Sample(
        id="none", images=(Image(path="b", width=16, height=12),), regions=(Region(label="car", box=(1, 1, 3, 3)),)
    ),
]  # fmt: skip


def measured(name, answer_of):
    protocol = find(name)
    items = protocol.ask(SAMPLES)
    read = protocol.reader(items)
    return items, protocol.measure(items, [read(item, answer_of(item)) for item in items])


def test_every_kind_is_asked_of_every_picture():
    items, scores = measured("hit_uav/count@1", lambda item: {"answer": f"There are {item.references[0]}."})
    assert [item.question for item in items] == ["How many cars are there?", "How many people are there?"] * 2
    assert [item.references[0] for item in items] == ["0", "2", "1", "0"]
    assert (scores["accuracy"].value, scores["mae"].value, scores["accuracy_person"].value) == (1.0, 0.0, 1.0)


def test_counts_off_by_one_and_unread():
    said = {"two#person": "3", "none#car": "many"}
    _, scores = measured("hit_uav/count@1", lambda item: {"answer": said.get(item.id, item.references[0])})
    assert scores["accuracy"].value == 0.5
    assert scores["mae"].value == pytest.approx((1 + 1) / 4)


def test_boxes_are_found_and_nothing_is_right_where_nothing_is():
    _, scores = measured("hit_uav/detection@1", lambda item: {"boxes": [list(r.box) for r in item.regions] or None})
    assert scores["f1@0.5"].value == scores["map_nc"].value == 1.0
    assert scores["parse_failures"].value == 0.0
    _, scores = measured("hit_uav/detection@1", lambda item: {"boxes": [[0, 0, 4, 4]]})
    assert scores["f1@0.5"].value == pytest.approx(2 * 1 / (4 + 3))
    _, scores = measured("hit_uav/detection@1", lambda item: {"boxes": None, "answer": "none"})
    assert scores["parse_failures"].value == scores["f1@0.5"].value == 0.0
    _, scores = measured("hit_uav/detection@1", lambda item: {"boxes": None, "error": "timed out"})
    assert scores["parse_failures"].value == 1.0


def test_a_turned_box_of_four_corners():
    ring = [0, 0, 4, 0, 4, 4, 0, 4]
    _, scores = measured("hit_uav/detection@1", lambda item: {"boxes": [ring] if item.id == "two#person" else []})
    assert scores["precision@0.5"].value == 1.0
