"""Calibration of confidences: calibration error, Brier score, and risk against coverage.

ECE: Naeini et al. 2015, Guo et al. 2017 (arXiv:1706.04599), also in bins of equal size (Nixon et al. 2019,
arXiv:1904.01685). Risk-coverage and its area: Geifman et al. 2019 (arXiv:1805.08206). The confidence is the model's own
(`Reply.confidence`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.metrics.score import Array, Finish, Score, mean_score

BINS = 15

Curves = dict[str, dict[str, list[float]]]  # curve -> axis -> points, for a plot; JSON values


def calibration_scores(
    right: Sequence[float] | Array, confidence: Sequence[float] | Array, *, bins: int = BINS
) -> tuple[dict[str, Score], Curves]:
    """`ece`, `adaptive_ece`, `brier`, `aurc` (all in [0, 1], lower is better), and the points of two plots.

    `right` (N,) is 1 where the answer was right, else 0; `confidence` (N,) in [0, 1]. ECE has `bins` bins of equal
    width (a value on an edge is in the bin below, as in the reference), adaptive ECE as many of equal size, with equal
    confidences never parted. Curves: `reliability` (confidence, accuracy, count: a point a bin that is not empty) and
    `risk_coverage` (coverage, risk: a point a distinct confidence). For the bootstrap, edges of bins and ranks of
    confidence stay those of the set. Raises BadInput for a confidence that is NaN or outside [0, 1].
    """
    hits, sure = np.asarray(right, dtype=np.float64), np.asarray(confidence, dtype=np.float64)
    if hits.shape != sure.shape or hits.ndim != 1:
        raise ValueError(f"{hits.shape} answers need as many confidences, not {sure.shape}")
    wrong = ~((sure >= 0) & (sure <= 1))  # NaN is neither
    if wrong.any():
        raise BadInput(
            f"{int(wrong.sum())} of {len(sure)} confidences are not in [0, 1] (the first is {sure[wrong][0]}); a "
            "confidence is a probability: mend it, or leave calibration out."
        )
    equal = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    scores = {
        "ece": _ece("ece", hits, sure, equal, bins),
        "adaptive_ece": _ece("adaptive_ece", hits, sure, _equal_sizes(sure, bins), bins),
        "brier": mean_score("brier", (sure - hits) ** 2),
        "aurc": mean_score("aurc", (1 - hits) * _rank_weights(sure)),
    }
    return scores, {"reliability": _reliability(hits, sure, equal), "risk_coverage": _risk_coverage(hits, sure)}


def _ece(name: str, hits: Array, sure: Array, at: NDArray[np.int64], bins: int) -> Score:
    """The mean over answers of |accuracy - confidence| of their bin: sums are each bin's difference, and the number."""
    sums = np.zeros((len(sure), bins + 1))
    sums[np.arange(len(sure)), at] = hits - sure
    sums[:, bins] = 1

    def finish(totals: Array) -> Array:
        return np.abs(totals[..., :-1]).sum(-1) / np.maximum(totals[..., -1], 1)

    value = _value(finish, sums)
    return Score(name=name, value=value, per_item=np.abs(hits - sure), n=len(sure), sums=sums, finish=finish)


def _value(finish: Finish, sums: Array) -> float:
    return float(finish(sums.sum(axis=0)))


def _equal_sizes(sure: Array, bins: int) -> NDArray[np.int64]:
    """The bin of each answer when the sorted confidences are cut in equal parts; equal ones share the first's bin."""
    ordered = np.sort(sure)
    return np.searchsorted(ordered, sure, side="left") * bins // max(len(sure), 1)


def _rank_weights(sure: Array) -> Array:
    """What an error of each answer adds to N times the area: the sum of 1/k over the coverages k that include it.

    Answers of one confidence share the mean of their weights: the expected area over all orders among them.
    """
    count = len(sure)
    order = np.argsort(-sure, kind="stable")
    weights = np.cumsum(1 / np.arange(count, 0, -1))[::-1]  # of rank 1, 2, ...
    _, group = np.unique(sure, return_inverse=True)
    totals = np.bincount(group, weights=weights[np.argsort(order)])
    return (totals / np.maximum(np.bincount(group), 1))[group]


def _reliability(hits: Array, sure: Array, at: NDArray[np.int64]) -> dict[str, list[float]]:
    used = np.unique(at)
    return {
        "confidence": [float(sure[at == i].mean()) for i in used],
        "accuracy": [float(hits[at == i].mean()) for i in used],
        "count": [float((at == i).sum()) for i in used],
    }


def _risk_coverage(hits: Array, sure: Array) -> dict[str, list[float]]:
    """Share of answers that are at least so sure, and the share of errors among them, from the surest on."""
    levels, group = np.unique(-sure, return_inverse=True)
    answered = np.cumsum(np.bincount(group, minlength=len(levels)))
    errors = np.cumsum(np.bincount(group, weights=1 - hits, minlength=len(levels)))
    return {"coverage": (answered / max(len(sure), 1)).tolist(), "risk": (errors / answered).tolist()}
