"""Probes of features: what neighbours vote for, and the minimum of a logistic regression."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from rsvlm.metrics import probes
from rsvlm.metrics.probes import linear_probe, nearest_neighbours


def clouds(count, classes=3, width=6, noise=1.0, seed=0):
    """Rows about a centre for each class, in a fixed order of classes."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((classes, width)) * 1.5
    labels = np.arange(count) % classes
    return centres[labels] + noise * rng.standard_normal((count, width)), labels


def test_votes_of_neighbours_by_hand():
    known = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 1.0]])
    query = np.array([[5.0, 4.0]])  # nearer to the first; cosines 0.78, 0.62, 0.62
    labels = np.array([1, 0, 0])
    assert nearest_neighbours(known, labels, query, k=1).tolist() == [1]
    assert nearest_neighbours(known, labels, query, k=3).tolist() == [1], "e^(0.16 / 0.07) = 9 outweighs two"
    assert nearest_neighbours(known, labels, query, k=3, temperature=10).tolist() == [0]
    assert nearest_neighbours(known, labels, query, k=99, temperature=10).tolist() == [0]


def test_many_queries_are_those_one_by_one(monkeypatch):
    known, labels = clouds(40)
    queries, _ = clouds(23, seed=1)
    wanted = [int(nearest_neighbours(known, labels, query[None])[0]) for query in queries]
    monkeypatch.setattr(probes, "_CHUNK", 5)
    assert nearest_neighbours(known, labels, queries).tolist() == wanted and len(set(wanted)) == 3
    assert nearest_neighbours(known, labels, queries[:0]).shape == (0,)


@pytest.mark.parametrize("penalty", [1.0, 0.01])
def test_the_regression_is_scikit_learns(monkeypatch, penalty):
    known, labels = clouds(60)
    queries, _ = clouds(500, noise=2.0, seed=1)
    scaler = StandardScaler().fit(known)
    theirs = LogisticRegression(C=1 / (penalty * len(known)), tol=1e-10, max_iter=5000)
    theirs.fit(scaler.transform(known), labels)
    monkeypatch.setattr(probes, "PENALTIES", (penalty,))
    assert linear_probe(known, labels, queries).tolist() == theirs.predict(scaler.transform(queries)).tolist()
    weights = probes._fitted(scaler.transform(known), labels, penalty, 3)
    assert np.allclose(weights[:-1].T, theirs.coef_, atol=1e-4)


def test_the_penalty_is_the_one_that_is_most_often_right_on_what_is_held_out():
    known, labels = clouds(60, width=50, noise=4.0)
    queries, truth = clouds(600, width=50, noise=4.0, seed=1)
    right = {}
    for penalty in probes.PENALTIES:
        held = np.arange(60) % 5 == 4
        scaled = StandardScaler().fit_transform(known)
        weights = probes._fitted(scaled[~held], labels[~held], penalty, 3)
        right[penalty] = np.mean((scaled[held] @ weights[:-1] + weights[-1]).argmax(1) == labels[held])
    best = max(right, key=lambda one: (right[one], one))
    whole = probes._fitted(StandardScaler().fit_transform(known), labels, best, 3)
    seen = StandardScaler().fit(known).transform(queries)
    assert linear_probe(known, labels, queries).tolist() == (seen @ whole[:-1] + whole[-1]).argmax(1).tolist()
    assert np.mean(linear_probe(known, labels, queries) == truth) > 0.6


def test_few_rows_and_features_that_do_not_vary():
    known = np.array([[0.0, 7.0], [1.0, 7.0]])
    assert linear_probe(known, np.array([0, 1]), np.array([[-1.0, 7.0], [3.0, 7.0]])).tolist() == [0, 1]
