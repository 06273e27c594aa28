"""Exact search: order, what was seen, ties, and what is no index or no query."""

import numpy as np
import pytest

from rsvlm.errors import BadInput
from rsvlm.index.exact import ExactIndex


def test_it_finds_what_a_matrix_product_finds_and_leaves_out_what_was_seen():
    rng = np.random.default_rng(0)
    vectors, query = rng.normal(size=(10, 4)), rng.normal(size=4)
    index = ExactIndex([f"p{n}" for n in range(10)], vectors)
    cosines = vectors @ query / np.linalg.norm(vectors, axis=1) / np.linalg.norm(query)
    order = [f"p{n}" for n in np.argsort(-cosines)]
    found = index.search(3 * query, most=4)
    assert [one.id for one in found] == order[:4] and len(index) == 10
    assert np.allclose([one.score for one in found], np.sort(cosines)[::-1][:4], atol=1e-6)
    assert [one.id for one in index.search(query, most=4, seen=order[:2])] == order[2:6]
    assert [one.id for one in index.search(query, most=99)] == order and index.search(
        query, seen=order
    ) == index.search(query, most=0) == []


def test_equal_scores_stay_in_order():
    index = ExactIndex(["b", "a", "c"], np.array([[1, 0], [2, 0], [0, 1]]))
    assert [one.id for one in index.search(np.array([1, 0]), most=3)] == ["b", "a", "c"]


@pytest.mark.parametrize(("ids", "vectors", "match"), [
    (["a"], [[1, 0], [0, 1]], r"shape \(2, 2\) for 1 ids"),
    (["a", "a"], [[1, 0], [0, 1]], "comes twice"),
    (["a", "b"], [[1, 0], [0, 0]], "no direction"),
    (["a", "b"], [[1, 0], [0, np.nan]], "no direction"),
    (["a", "b"], [1, 0], r"shape \(2,\)"),
])  # fmt: skip
def test_what_is_no_index_is_refused(ids, vectors, match):
    with pytest.raises(BadInput, match=match):
        ExactIndex(ids, np.array(vectors, float))


@pytest.mark.parametrize(("query", "match"), [([1, 0, 0], "has the shape .3,.; the index"), ([0, 0], "no direction")])
def test_what_is_no_query_is_refused(query, match):
    with pytest.raises(BadInput, match=match):
        ExactIndex(["a"], np.ones((1, 2))).search(np.array(query))
