"""Metrics of class maps against the recorded values, by hand, and as functions of sums."""

import numpy as np
import pytest

from fake.golden import golden
from fake.scores import check_sums
from rsvlm.metrics.maps import change_scores, semantic_scores

GOLDEN = golden("segmentation.json")
EXACT = {"rel": 0, "abs": 1e-9}


def pairs(items):
    return [item["pred"] for item in items], [item["gt"] for item in items]


def test_change_as_recorded():
    scores, expected = change_scores(*pairs(GOLDEN["change"]["pairs"])), GOLDEN["change"]["expect"]
    total = scores["oa"].sums.sum(axis=0)
    assert total.tolist() == [expected["tn"], expected["fp"], 0, expected["fn"], expected["tp"], 0]
    for theirs in ("precision", "recall", "F1", "IoU", "OA", "kappa", "mIoU", "mF1"):
        assert scores[theirs.lower()].value == pytest.approx(expected[theirs], **EXACT), theirs
    assert scores["iou_per_image"].value == pytest.approx(expected["per_image_mean_IoU_change_empty1"], **EXACT)
    check_sums(scores)


def test_an_unread_change_map_has_no_right_pixel():
    quiet, half = np.zeros((2, 2), bool), np.array([[1, 1], [0, 0]], bool)
    scores = change_scores([None, half], [quiet, half])
    assert (scores["oa"].value, scores["iou_per_image"].value, scores["precision"].value) == (0.5, 0.5, 1)
    scores = change_scores([None, half], [half, half])
    assert (scores["recall"].value, scores["f1"].value, scores["iou"].value) == (0.5, pytest.approx(2 / 3), 0.5)
    perfect = change_scores([quiet], [quiet])
    assert (perfect["oa"].value, perfect["miou"].value, perfect["iou_per_image"].value) == (1, 1, 1)


def labels(text, shape):
    return np.array([255 if n == "f" else int(n, 16) for n in text]).reshape(shape)


def test_semantic_as_recorded():
    expected = GOLDEN["semantic"]
    predicted, references = ([labels(p[side], p["shape"]) for p in expected["pairs"]] for side in ("pred", "gt"))
    scores = semantic_scores(predicted, references, len(expected["IoU"]), ignore=expected["ignore"])
    assert scores["miou"].value == pytest.approx(expected["mIoU"], **EXACT)
    assert scores["oa"].value == pytest.approx(expected["OA"], **EXACT)
    for k, (iou, f1) in enumerate(zip(expected["IoU"], expected["F1"], strict=True)):
        assert scores[f"iou_{k}"].value == pytest.approx(iou, **EXACT)
        assert scores[f"f1_{k}"].value == pytest.approx(f1, **EXACT)
    check_sums(scores)


def test_a_class_that_never_occurs_and_a_number_that_is_none():
    expected = np.array([[0, 0, 1, 255]])
    scores = semantic_scores([np.array([[0, 9, 1, 2]])], [expected], 3)
    assert [scores[f"iou_{k}"].value for k in range(3)] == [0.5, 1, 0]
    assert scores["miou"].value == 0.75, "class 2 occurs nowhere that counts"
    assert scores["oa"].value == pytest.approx(2 / 3)
    assert semantic_scores([None], [expected], 3)["oa"].value == 0


def test_maps_of_two_sizes_and_unknown_classes_are_a_mistake_of_the_caller():
    small, large = np.ones((2, 3), bool), np.ones((3, 2), bool)
    with pytest.raises(ValueError, match="compared"):
        change_scores([small], [large])
    with pytest.raises(ValueError, match="outside"):
        semantic_scores([np.zeros((1, 2), int)], [np.array([[0, 7]])], 3)


def test_nothing():
    for scores in (change_scores([], []), semantic_scores([], [], 3)):
        assert all(score.n == 0 and score.value == 0 for score in scores.values())
