"""What holds of the Scores of every metric."""

from collections.abc import Mapping

import pytest

from rsvlm.metrics.score import Score, intervals


def check_sums(scores: Mapping[str, Score]) -> None:
    """Each value is the function of its sums that the bootstrap resamples, with a share of each item."""
    for score in scores.values():
        assert float(score.finish(score.sums.sum(axis=0))) == pytest.approx(score.value, abs=1e-12), score.name
        assert len(score.per_item) == score.n
    assert all(spread.stderr >= 0 for spread in intervals(scores, draws=20).values())
