"""Overlap of boxes against the reference implementations, and what a user's file may hold instead of a box."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake.golden import golden
from rsvlm.data.box_codecs import decode
from rsvlm.errors import MissingPart
from rsvlm.metrics.boxes import as_rows, best_pairs, iou, ious, outlines, overlaps, readable_box

GOLDEN = golden("grounding.json")
LEGACY = ("legacy_plus1_pixel", "legacy_plus1_grid100", "legacy_plus1_unit")
EXACT = {"rel": 0, "abs": 1e-9}


def turned(rows):
    """Rows of centre, size, degrees -> corners and degrees."""
    x, y, w, h, angle = np.array(rows, dtype=float).T
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2, angle], axis=1)


def test_upright_boxes_as_recorded():
    rows = np.array(GOLDEN["horizontal"])
    assert len(rows)
    assert ious(rows[:, :4], rows[:, 4:8]) == pytest.approx(rows[:, 8], **EXACT)
    for mode in LEGACY:
        assert ious(rows[:, :4], rows[:, 4:8], mode) == pytest.approx(rows[:, 9], **EXACT)


def test_the_legacy_formula_is_raw_on_corners_out_of_order():
    rows = np.array(GOLDEN["swapped_plus1"])
    assert ious(rows[:, :4], rows[:, 4:8], "legacy_plus1_grid100") == pytest.approx(rows[:, 8], **EXACT)


def test_turned_boxes_and_quads_as_recorded():
    rows = np.array(GOLDEN["rotated"])
    assert ious(turned(rows[:, :5]), turned(rows[:, 5:10]), "rotated") == pytest.approx(rows[:, 10], **EXACT)
    corners = outlines(turned(rows[: len(GOLDEN["rotated_polygons"]), :5])).reshape(-1, 8)
    assert corners == pytest.approx(np.array(GOLDEN["rotated_polygons"]), **EXACT)
    quads = np.array(GOLDEN["quads"])
    assert ious(quads[:, :8], quads[:, 8:16], "rotated") == pytest.approx(quads[:, 16], **EXACT)


def test_geochat_answers_turn_as_its_authors_turn_them():
    for case in GOLDEN["geochat_polygons"]:
        (box,) = decode(case["text"], "geochat").pixels((case["width"], case["height"]))
        assert outlines(box).ravel() == pytest.approx(np.array(case["polygon"]), abs=2e-3)


def test_plus_one_does_its_harm_by_the_unit():
    apart = np.array([[0.1, 0.1, 0.2, 0.2], [0.8, 0.8, 0.9, 0.9]])
    assert iou(*apart) == 0
    assert iou(*apart, "legacy_plus1_unit") < 0.1 < iou(*(apart * [[1, 1, 1, 1], [0.5, 0.5, 0.5, 0.5]]), LEGACY[2])
    assert iou(*(apart * 1000), "legacy_plus1_pixel") == 0


def test_no_area_no_overlap():
    assert iou((3, 3, 3, 3), (3, 3, 3, 3)) == 0
    assert iou((3, 3, 3, 9), (3, 3, 3, 9), "rotated") == 0
    assert iou((9, 9, 3, 3), (9, 9, 3, 3)) == 0, "corners out of order have no area"
    for bad in (math.nan, math.inf):
        for mode in ("plain", "rotated", *LEGACY):
            assert iou((0, 0, bad, 1), (0, 0, 1, 1), mode) == 0
            assert iou((0, 0, bad, 1), (0, 0, bad, 1), mode) == 0


def test_a_matrix_is_the_pairs():
    rng = np.random.default_rng(0)
    p, t = (np.sort(rng.uniform(0, 9, (n, 2, 2)), axis=1).reshape(n, 4) for n in (5, 7))
    for mode in ("plain", "rotated", LEGACY[0]):
        table = ious(p[:, None], t[None], mode)
        assert table.shape == (5, 7)
        assert table == pytest.approx(np.array([[iou(a, b, mode) for b in t] for a in p]), **EXACT)
    shared, union = overlaps(p[0], t[0])
    assert shared / union == pytest.approx(iou(p[0], t[0]))


@given(st.lists(st.integers(0, 50), min_size=8, max_size=8))
def test_turned_by_nothing_is_plain(numbers):
    p, t = (tuple(np.sort(np.array(n).reshape(2, 2), axis=0).ravel()) for n in (numbers[:4], numbers[4:]))
    assert iou(p, t, "rotated") == pytest.approx(iou(p, t), **EXACT)
    assert iou(p, t) == iou(t, p)
    assert iou((*p, 30), (*p, 210), "rotated") == pytest.approx(iou(p, p), **EXACT), "half a turn changes nothing"


def test_two_outlines_equal_but_for_rounding():
    """GEOS makes four points of their intersection."""
    assert iou((3, 3, 48, 18, 30), (3, 3, 48, 18, 210), "rotated") == pytest.approx(1.0)
    assert iou((0, 0, 2, 2, 0), (2, 0, 4, 2, 0), "rotated") == 0.0
    boxes = np.array([[3, 3, 48, 18, 30], [0, 0, 2, 2, 0]], dtype=float)
    assert ious(boxes[:, None], boxes[None] + [0, 0, 0, 0, 180], "rotated").diagonal() == pytest.approx([1.0, 1.0])


def test_positive_degrees_turn_against_the_clock():
    top_right = outlines((0, 0, 10, 2, 30))[1]
    assert top_right[1] < 0 and top_right[1] < outlines((0, 0, 10, 2, -30))[1][1]


def test_rows_of_mixed_boxes():
    boxes = [(0, 0, 4, 2), (0, 0, 4, 2, 90), (4, 0, 4, 2, 0, 2, 0, 0)]
    assert as_rows(boxes).tolist() == [[0, 0, 4, 2]] * 3
    quads = as_rows(boxes, "rotated")
    assert quads.shape == (3, 8)
    assert ious(quads[0], quads, "rotated") == pytest.approx([1, 1 / 3, 1])
    assert as_rows([]).shape == (0, 4) and as_rows([], "rotated").shape == (0, 8)


def test_pairs_with_the_largest_sum():
    i, j = best_pairs(np.array([[0.9, 0.8], [0.8, 0.0]]))
    assert list(zip(i, j, strict=True)) == [(0, 1), (1, 0)], "not greedy"


@pytest.mark.parametrize("box", [[0, 0, 1, 1], (1, 2.5, 1, 2.5), [0, 0, 9, 9, -30], [4, 0, 4, 2, 0, 2, 0, 0]])
def test_readable(box):
    assert readable_box(box) == (tuple(box), "")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "not a box"),
        ("1234", "not a box"),
        ([1, 2, 3], "not a box"),
        ({"x": 1}, "not a box"),
        ([[0, 0, 1, 1]], "not a box"),
        ([0, 0, 1, "1"], "not a number"),
        ([0, 0, 1, None], "not a number"),
        ([0, 0, 1, True], "not a number"),
        ([0, 0, math.nan, 1], "not finite"),
        ([0, 0, math.inf, 1], "not finite"),
        ([0, 0, 10**400, 1], "not finite"),
        ([5, 5, 4, 9], "negative side"),
        ([5, 5, 9, 4, 30], "negative side"),
    ],
)
def test_unreadable(value, why):
    box, reason = readable_box(value)
    assert box is None
    assert why in reason and reason.endswith(".") and len(reason) < 200


def test_a_missing_package_is_named(monkeypatch):
    for package in ("shapely", "scipy.optimize"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPart, match=r"rsvlm\[evaluate\]"):
        iou((0, 0, 1, 1), (0, 0, 1, 1), "rotated")
    with pytest.raises(MissingPart, match="scipy"):
        best_pairs(np.ones((2, 2)))
    assert iou((0, 0, 1, 1), (0, 0, 1, 1)) == 1, "plain IoU needs neither"
