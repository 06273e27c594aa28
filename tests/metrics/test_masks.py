"""Mask metrics against the recorded values, by hand, and as functions of sums."""

import math

import numpy as np
import pytest

from fake.golden import golden
from fake.scores import check_sums
from rsvlm.data.masks import decode_rle, encode_rle
from rsvlm.metrics.change import count_scores
from rsvlm.metrics.masks import mask_count_scores, readable_mask, referring_scores

GOLDEN = golden("segmentation.json")
EXACT = {"rel": 0, "abs": 1e-9}
NAMES = {"mIoU": "miou", "oIoU": "oiou", "mDice": "dice"} | {f"Pr@{t}": f"pr@{t}" for t in (0.5, 0.6, 0.7, 0.8, 0.9)}


def pairs(items):
    return [item["pred"] for item in items], [item["gt"] for item in items]


@pytest.mark.parametrize("part", sorted(GOLDEN["referring"]["expect"]))
def test_referring_as_recorded(part):
    items = GOLDEN["referring"]["items"]
    items = items if part == "all" else items[: int(part.removeprefix("first_"))]
    scores, expected = referring_scores(*pairs(items)), GOLDEN["referring"]["expect"][part]
    for theirs, ours in NAMES.items():
        assert scores[ours].value * 100 == pytest.approx(expected[theirs], **EXACT), ours
    falcon = referring_scores(*pairs(items), empty="one")
    assert falcon["miou"].value * 100 == pytest.approx(expected["mIoU_empty1"], **EXACT)
    check_sums(scores)


def test_each_pair_as_recorded():
    items = GOLDEN["referring"]["items"]
    scores = referring_scores(*pairs(items))
    for ours, theirs in {"miou": "iou", "dice": "dice", "vc8": "vc8"}.items():
        assert scores[ours].per_item == pytest.approx(np.array([i[theirs] for i in items]), **EXACT), ours
    assert scores["oiou"].sums.tolist() == [[i["I"], i["U"]] for i in items]
    falcon = referring_scores(*pairs(items), empty="one")
    assert falcon["miou"].per_item == pytest.approx(np.array([i["iou_empty1"] for i in items]), **EXACT)


def test_arrays_and_run_lengths_are_the_same():
    items = GOLDEN["referring"]["items"][:9]
    arrays = referring_scores(*([decode_rle(m) for m in side] for side in pairs(items)))
    assert arrays["oiou"].value == referring_scores(*pairs(items))["oiou"].value


def test_an_unread_mask_counts_and_is_never_right():
    full, none = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    for empty in ("zero", "one"):
        scores = referring_scores([None, None, full], [none, full, full], empty=empty)
        assert scores["miou"].per_item.tolist() == scores["dice"].per_item.tolist() == [0, 0, 1]
        assert scores["oiou"].value == 0.5
        assert scores["pr@0.5"].value == scores["vc8"].value == pytest.approx(1 / 3)
        assert scores["parse_failures"].value == pytest.approx(2 / 3)


def test_volume_consistency_is_eight_per_cent_of_the_mean():
    def row(pixels):
        return np.arange(200)[None] < pixels

    assert referring_scores([row(108), row(109)], [row(100)] * 2)["vc8"].per_item.tolist() == [1, 0]


def test_masks_of_two_sizes_are_a_mistake_of_the_caller():
    small, large = np.ones((2, 3), bool), np.ones((3, 2), bool)
    with pytest.raises(ValueError, match="compared"):
        referring_scores([small], [large])


def test_counts_as_recorded():
    expected = GOLDEN["counts"]["mae_rmse"]
    scores = count_scores(expected["y_pred"], expected["y_true"])
    for name in ("mae", "rmse"):
        assert scores[name].value == pytest.approx(expected[name], **EXACT)


def test_counts_and_areas_of_masks():
    truth = np.zeros((6, 6), bool)
    truth[0, 0] = truth[1, 1] = truth[4:, 4:] = True
    said = truth.copy()
    said[4:, 4:] = False
    scores = mask_count_scores([said, truth, None], [truth, truth, truth])
    assert scores["mae"].per_item.tolist() == [1, 0, 2]
    assert scores["mae_area"].per_item.tolist() == [4, 0, 6]
    assert scores["rmse"].value == pytest.approx(math.sqrt(5 / 3))
    assert mask_count_scores([said], [truth], connectivity=4)["mae"].value == 1
    assert mask_count_scores([said], [truth], min_pixels=3)["mae"].per_item.tolist() == [1]
    check_sums(scores)


def test_nothing():
    for scores in (
        referring_scores([], []),
        mask_count_scores([], []),
    ):
        assert all(score.n == 0 and score.value == 0 for score in scores.values())


MASK = np.array([[0, 1, 1], [0, 1, 0]], bool)


@pytest.mark.parametrize(
    "value", [MASK, MASK.astype(np.uint8) * 255, MASK.astype(int).tolist(), MASK.tolist(), encode_rle(MASK)]
)
def test_readable(value):
    mask, reason = readable_mask(value, (2, 3))
    assert reason == "" and np.array_equal(mask, MASK)


def test_readable_polygons():
    mask, reason = readable_mask([[0, 0, 2, 0, 2, 2, 0, 2]], (3, 3))
    assert reason == "" and mask.sum() == 4
    mask, reason = readable_mask([], (3, 3))
    assert reason == "" and not mask.any()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (None, "given as NoneType"),
        ("mask.png", "given as str"),
        ([1, 0, 1], "given as list"),
        ([[0, "a"]], "given as list"),
        ([[10**400]], "given as list"),
        ([[[0, 1]]], "given as list"),
        (np.zeros((2, 2, 2)), "given as ndarray"),
        (MASK.T, "the size of the target"),
        (MASK.T.astype(int).tolist(), "the size of the target"),
        (np.ones((8, 8), int).tolist(), "the size of the target"),
        (encode_rle(MASK.T), "the size of the target"),
        ([[0, 1], [1]], "polygon"),
        ([[0, 0, 9, 9]], "polygon"),
        ([[0.5, math.nan, 1]], "polygon"),
        ({"size": [2, 3], "counts": "0"}, "run lengths"),
        ({"size": [2**15, 2**15], "counts": [2**30]}, "the size of the target"),
        ({}, "size of a mask"),
    ],
)
def test_unreadable(value, why):
    mask, reason = readable_mask(value, (2, 3))
    assert mask is None
    assert why in reason and reason.endswith(".")
