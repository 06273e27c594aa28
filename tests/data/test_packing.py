"""Which conversations share a row: in order, the first with room."""

from itertools import pairwise

import numpy as np
import pytest

from rsvlm.data.packing import first_fit
from rsvlm.errors import BadInput


def test_each_goes_to_the_first_row_with_room():
    assert first_fit([60, 50, 40, 30, 20], 100) == [0, 1, 0, 1, 1]
    assert first_fit([100, 1, 100, 99], 100) == [0, 1, 2, 1]
    assert first_fit([5], 5) == [0]


def test_no_row_is_too_long_and_none_is_empty():
    rng = np.random.default_rng(0)
    for _ in range(20):
        lengths = rng.integers(1, 101, 50).tolist()
        rows = first_fit(lengths, 100)
        filled = np.bincount(rows, weights=lengths)
        assert filled.min() > 0 and filled.max() <= 100
        assert all(a + b > 100 for a, b in pairwise(filled))  # two neighbours would not fit in one
        assert rows == first_fit(lengths, 100)


def test_only_one_kind_shares_a_row():
    assert first_fit([10, 10, 10, 10], 100, [0, 1, 0, -1]) == [0, 1, 0, 2]


def test_a_conversation_longer_than_a_row_is_refused():
    with pytest.raises(
        BadInput, match="may have 101 tokens and a packed row has 100; raise the stage's pack, or lower"
    ):
        first_fit([7, 101], 100)
