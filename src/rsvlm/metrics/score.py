"""`Score`, the value of a metric with what its bootstrap needs, and the intervals of scores.

A metric of a whole set is a function of sums over its items (matches and lengths for BLEU, hits and counts for an
accuracy, scores and ones for a mean). Keeping each item's share of those sums makes the bootstrap a matrix product:
nothing is tokenised or matched again.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Finish = Callable[[Array], Array]

DRAWS = 1000
_BLOCK = 50  # resamples multiplied at once


# Words of a name that is an error or a failure: mean and root mean square error, Hamming loss, the offset of SeLo's
# attention, the calibration errors, the area under risk and coverage, answers not read.
_FALLING = re.compile(r"(?<![a-z])(mae|rmse|hamming|ras|ece|brier|aurc|parse_failures?)(?![a-z])")
_CLASS_OF_ITS_OWN = re.compile(r"^(recall|accuracy)_")  # of a class or question type, which may be called anything


def lower_is_better(name: str) -> bool:
    """Whether less of the metric `name` is better. The one place that says so: result files hold names only."""
    return _FALLING.search(name) is not None and _CLASS_OF_ITS_OWN.match(name) is None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Score:
    """One metric over `n` items.

    `value` is the metric of the set, `per_item` (n,) what each item scores by itself. `sums` (items, K) holds each
    item's share of the K sums, `finish` maps sums (..., K) to values (...). `sums` may have more rows than n: items
    that the metric does not count (another question type) have rows of zeros, so that all scores of a set resample
    together. `note` says what a reader of the number must know (which stages of METEOR ran). Whether
    less is better follows from the name: `lower_is_better`.
    """

    name: str
    value: float
    per_item: Array
    n: int
    sums: Array
    finish: Finish
    note: str = ""

    @property
    def lower_is_better(self) -> bool:
        """Whether less of it is better: an error, or a rate of failures. Follows from the name."""
        return lower_is_better(self.name)


def ratio(sums: Array) -> Array:
    """First sum over second, 0 where the second is 0: the finish of every mean. (..., 2) -> (...)."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.zeros(sums.shape[:-1]), where=sums[..., 1] > 0)


def mean_score(
    name: str, values: Sequence[float] | Array, among: Sequence[bool] | NDArray[np.bool_] | None = None
) -> Score:
    """The mean of `values`, only over the items marked in `among` where given."""
    items = np.asarray(values, dtype=np.float64)
    mask = np.ones(len(items), bool) if among is None else np.asarray(among, bool)
    sums = np.stack([np.where(mask, items, 0.0), mask.astype(np.float64)], axis=1)
    value = float(items[mask].mean()) if mask.any() else 0.0
    return Score(name=name, value=value, per_item=items[mask], n=int(mask.sum()), sums=sums, finish=ratio)


def pooled_score(
    name: str,
    sums: Array,
    finish: Finish = ratio,
    *,
    per_item: Sequence[float] | Array | None = None,
    among: NDArray[np.bool_] | None = None,
) -> Score:
    """`finish` of the total of `sums` (N, K), only over the items marked in `among` where given.

    Each item by itself scores `finish` of its own row, or what `per_item` (N,) says.
    """
    mask = np.ones(len(sums), bool) if among is None else among
    sums = sums if among is None else np.where(mask[:, None], sums, 0.0)
    items = finish(sums) if per_item is None else np.asarray(per_item, dtype=np.float64)
    return Score(
        name=name, value=float(finish(sums.sum(axis=0))), per_item=items[mask], n=int(mask.sum()), sums=sums,
        finish=finish,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Interval:
    """How sure a value is: its bootstrap standard error and the 95 % percentile interval."""

    stderr: float
    low: float
    high: float


def intervals(
    scores: Mapping[str, Score], *, groups: Sequence[int] | None = None, draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """Standard error and 95 % interval of each score by `resample`."""
    drawn = resample(scores, groups=groups, draws=draws, seed=seed)
    return {name: interval(values) for name, values in drawn.items()}


def interval(values: Array) -> Interval:
    """The spread of (draws,) bootstrap values; zero where there is nothing to resample."""
    low, high = np.percentile(values, (2.5, 97.5))
    return Interval(float(np.std(values, ddof=1)), float(low), float(high))


def resample(
    scores: Mapping[str, Score], *, groups: Sequence[int] | None = None, draws: int = DRAWS, seed: int = 0
) -> dict[str, Array]:
    """(draws,) bootstrap values of each score, all from the same resamples of the items.

    `groups` (items,) numbers what is drawn as one (the questions about one image are not independent); default: each
    item by itself. All scores must have the same number of rows: two models' scores over the same items, resampled with
    one seed, are paired. A question type that a draw misses counts as 0 there, which is rare at any usable n. The IDF
    weights of CIDEr-D stay those of the set.
    """
    if not scores:
        return {}
    rows = {len(score.sums) for score in scores.values()}
    if len(rows) != 1:
        raise ValueError(f"scores over different item lists cannot be resampled together: {sorted(rows)} rows")
    (count,) = rows
    if count == 0:
        return dict.fromkeys(scores, np.zeros(draws))
    unit = np.arange(count) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    units = int(unit.max()) + 1
    shared = {id(score.sums): score.sums for score in scores.values()}  # metrics over one table of sums share it
    stacked = np.concatenate(list(shared.values()), axis=1)
    pooled = np.zeros((units, stacked.shape[1]))
    np.add.at(pooled, unit, stacked)
    drawn = _draw(pooled, draws, np.random.default_rng(seed))
    ends = np.cumsum([sums.shape[1] for sums in shared.values()])
    columns = {key: drawn[:, end - sums.shape[1] : end] for (key, sums), end in zip(shared.items(), ends, strict=True)}
    return {name: score.finish(columns[id(score.sums)]) for name, score in scores.items()}


def _draw(pooled: Array, draws: int, rng: np.random.Generator) -> Array:
    """(draws, K): the sums of as many resamples of the rows of `pooled` (units, K)."""
    units = len(pooled)
    blocks = []
    for start in range(0, draws, _BLOCK):
        counts = [
            np.bincount(rng.integers(0, units, units), minlength=units) for _ in range(min(_BLOCK, draws - start))
        ]
        blocks.append(np.stack(counts).astype(np.float64) @ pooled)
    return np.concatenate(blocks)
