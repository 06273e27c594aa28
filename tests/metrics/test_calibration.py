"""Calibration against values by hand, brute force and scikit-learn."""

import itertools
import math

import numpy as np
import pytest

from rsvlm.errors import BadInput
from rsvlm.metrics.calibration import BINS, calibration_scores
from rsvlm.metrics.score import resample


def made(count, seed=0):
    rng = np.random.default_rng(seed)
    sure = rng.random(count)
    return (rng.random(count) < sure).astype(float), sure


def test_values_by_hand():
    right, sure = [1, 0, 1, 1], [0.9, 0.9, 0.5, 0.1]
    scores, curves = calibration_scores(right, sure, bins=2)
    # bins (0, .5] with .5 and .1, both right: |2 - .6| = 1.4; (.5, 1]: |1 - 1.8| = .8
    assert scores["ece"].value == pytest.approx((1.4 + 0.8) / 4)
    # equal sizes: {.1, .5}, {.9, .9}: the same cut here
    assert scores["adaptive_ece"].value == pytest.approx((1.4 + 0.8) / 4)
    assert scores["brier"].value == pytest.approx((0.01 + 0.81 + 0.25 + 0.81) / 4)
    assert curves["risk_coverage"] == {"coverage": [0.5, 0.75, 1.0], "risk": pytest.approx([0.5, 1 / 3, 0.25])}
    assert curves["reliability"] == {
        "confidence": pytest.approx([0.3, 0.9]), "accuracy": [1.0, 0.5], "count": [2.0, 2.0]
    }  # fmt: skip
    # the two of .9 in both orders: risks 1 or 0, then 1/2, 1/3, 1/4
    assert scores["aurc"].value == pytest.approx((0.5 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_aurc_is_the_mean_risk_over_all_orders_of_ties():
    right, sure = np.array([1.0, 0, 0, 1, 0]), np.array([0.8, 0.8, 0.8, 0.3, 0.3])
    areas = []
    for order in itertools.permutations(range(5)):
        if all(sure[a] >= sure[b] for a, b in itertools.pairwise(order)):
            wrong = np.cumsum(1 - right[list(order)])
            areas.append(np.mean(wrong / np.arange(1, 6)))
    assert calibration_scores(right, sure)[0]["aurc"].value == pytest.approx(np.mean(areas))


def test_ece_equals_brute_force_and_brier_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    right, sure = made(1000)
    scores, _ = calibration_scores(right, sure)
    ece = 0.0
    for i in range(BINS):
        inside = (sure > i / BINS) & (sure <= (i + 1) / BINS)
        if inside.any():
            ece += inside.mean() * abs(right[inside].mean() - sure[inside].mean())
    assert scores["ece"].value == pytest.approx(ece, abs=1e-12)
    parts = np.array_split(np.argsort(sure), BINS)
    adaptive = sum(len(part) / 1000 * abs(right[part].mean() - sure[part].mean()) for part in parts)
    assert scores["adaptive_ece"].value == pytest.approx(adaptive, abs=0.01)
    assert scores["brier"].value == pytest.approx(metrics.brier_score_loss(right, sure), abs=1e-12)
    wrong = np.cumsum(1 - right[np.argsort(-sure)])
    assert scores["aurc"].value == pytest.approx(np.mean(wrong / np.arange(1, 1001)), abs=1e-12)


def test_the_sure_and_right_have_nothing_to_mend_and_the_edges_belong_somewhere():
    scores, curves = calibration_scores([1, 1, 0], [1.0, 1.0, 0.0])
    assert all(score.value == 0 for score in (scores["ece"], scores["brier"], scores["adaptive_ece"]))
    assert curves["risk_coverage"]["risk"] == pytest.approx([0, 1 / 3])


def test_scores_resample_together():
    right, sure = made(400, 1)
    scores, _ = calibration_scores(right, sure)
    drawn = resample(scores, draws=200)
    for name, score in scores.items():
        assert float(score.finish(score.sums.sum(0))) == pytest.approx(score.value)
        assert 0 < np.std(drawn[name]) < 0.1


def test_no_answers_score_nothing():
    scores, curves = calibration_scores([], [])
    assert {score.value for score in scores.values()} == {0.0}
    assert curves["risk_coverage"] == {"coverage": [], "risk": []}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1, 1.5])
def test_confidences_that_are_no_probabilities_are_refused(bad):
    with pytest.raises(BadInput, match=r"1 of 2 confidences are not in \[0, 1\]"):
        calibration_scores([1, 0], [0.5, bad])


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="confidences"):
        calibration_scores([1, 0], [0.5])
