"""Two runs side by side: is one better than the other, by how much, and on which items?

Both are scored again from their answers over the items that both answered, and resampled alike (paired bootstrap), so
that what is hard for both does not widen the interval of the difference. McNemar's test (1947, exact binomial form)
looks at right and wrong answers only and takes items as independent; the bootstrap draws whole pictures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import find
from rsvlm.evaluate.items import Item, number_pictures
from rsvlm.evaluate.protocol import Protocol
from rsvlm.evaluate.report.text import Run, read_result, words
from rsvlm.evaluate.result import read_answers
from rsvlm.metrics.score import Array, Interval, Score, interval, lower_is_better, resample

NAMED = 10  # items that one run lacks, by name
_SAME = ("protocol", "split", "data_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One metric of two runs: both values, how far the second is above the first, and how sure that is.

    `p` is two-sided, of no difference, from the bootstrap; never below 2 / (draws + 1).
    """

    name: str
    first: float
    second: float
    spread: Interval
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One item with its line of answers.jsonl in both runs; `gain` is by how much the second scores better."""

    item: Item
    first: Mapping[str, Any]
    second: Mapping[str, Any]
    gain: float

    @property
    def differs(self) -> bool:
        """Whether the two were scored differently, or understood differently (vectors and maps always are)."""
        readable = "vector" not in self.first and "map" not in self.first
        return self.gain != 0 or (readable and self.first["parsed"] != self.second["parsed"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs over their common items. `pairs` is empty where the metric has no value for each item."""

    runs: tuple[Run, Run]
    names: tuple[str, str]
    metrics: Sequence[Difference]
    pairs: Sequence[Pair]
    graded: bool
    notes: Sequence[str]

    @property
    def tally(self) -> tuple[int, int, int]:
        """Items on which the second is better, worse, and the same."""
        gains = [pair.gain for pair in self.pairs]
        return sum(g > 0 for g in gains), sum(g < 0 for g in gains), sum(g == 0 for g in gains)


def comparison(run_a: Path, run_b: Path, *, data: Path | None = None, every: bool = False) -> Comparison:
    """The numbers behind `compare`. Raises like it."""
    first, second = (read_result(run / "result.json") for run in (run_a, run_b))
    changed = [
        f"{words(key)} ({first.get(key)} and {second.get(key)})" for key in _SAME if first.get(key) != second.get(key)
    ]
    if changed:
        raise BadInput(
            f"{run_a} and {run_b} differ in {', '.join(changed)}; give two runs of one protocol on the same items."
        )
    protocol = find(first["protocol"])
    if protocol.name != first["protocol"]:
        raise BadInput(f"{run_a} was scored by {first['protocol']}, which is not known here any more; run it again.")
    lines_a, lines_b = _lines(run_a), _lines(run_b)
    shared = [key for key in lines_a if key in lines_b]
    if not shared:
        raise BadInput(f"{run_a} and {run_b} have no item in common; run one of them again.")
    names = _names(first, second, run_a, run_b)
    notes = [
        note
        for name, mine, theirs in ((names[0], lines_a, lines_b), (names[1], lines_b, lines_a))
        for note in _absent(name, [key for key in theirs if key not in mine])
    ]
    if first.get("prompt_hash") != second.get("prompt_hash"):
        notes.append("the two were asked in different words (the hash of the prompts differs)")
    items = [_rooted(lines_a[key][0], data) for key in shared]
    rows_a, rows_b = ([lines[key][1] for key in shared] for lines in (lines_a, lines_b))
    try:
        scores = [protocol.measure(items, [line["parsed"] for line in rows]) for rows in (rows_a, rows_b)]
    except BadInput as error:
        if data is not None:
            raise
        raise BadInput(
            f"{protocol.name} cannot be scored again without its pictures ({error}); give the data root too."
        ) from error
    if not notes:
        notes += _stale(names, (first, second), scores)
    wanted = list(scores[0]) if every else [name for name in protocol.headline if name in scores[0]]
    return Comparison(
        runs=(first, second),
        names=names,
        metrics=differences(scores[0], scores[1], number_pictures(items), wanted),
        pairs=_pairs(protocol, items, (rows_a, rows_b), scores),
        graded=protocol.graded,
        notes=notes,
    )


def _lines(run: Path) -> dict[str, tuple[Item, dict[str, Any]]]:
    items, _, lines = read_answers(run)
    return {item.id: (item, line) for item, line in zip(items, lines, strict=True)}


def _names(first: Run, second: Run, run_a: Path, run_b: Path) -> tuple[str, str]:
    """The models' names; the folders where one model was run twice."""
    one, other = first["model"], second["model"]
    return (one, other) if one != other else (str(run_a), str(run_b))


def _absent(name: str, keys: Sequence[str]) -> list[str]:
    if not keys:
        return []
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return [f"{name} lacks {len(keys)} items, which are left out of both: {', '.join(keys[:NAMED])}{more}"]


def _stale(names: tuple[str, str], runs: tuple[Run, Run], scores: Sequence[Mapping[str, Score]]) -> list[str]:
    """Where scoring again gives another value than the result file has."""
    return [
        f"{name}: {metric} is {found[metric].value:.4f} when scored again, its result file has {recorded['value']:.4f}"
        for name, run, found in zip(names, runs, scores, strict=True)
        for metric, recorded in run["metrics"].items()
        if metric in found and not math.isclose(found[metric].value, recorded["value"], rel_tol=1e-6, abs_tol=1e-9)
    ]


def _rooted(item: Item, data: Path | None) -> Item:
    if data is None:
        return item
    return replace(item, images=tuple(replace(image, path=str(data.resolve() / image.path)) for image in item.images))


def differences(
    first: Mapping[str, Score], second: Mapping[str, Score], groups: Sequence[int], names: Sequence[str]
) -> list[Difference]:
    """Of each metric of `names` that both have: second minus first, over the same resamples of the items.

    `groups` numbers what is drawn as one, as in `resample`; metrics over other rows (the queries of a retrieval) are
    drawn by their rows.
    """
    found: list[Difference] = []
    for name in names:
        if name not in second:
            continue
        one, other = first[name], second[name]
        unit = groups if len(one.sums) == len(groups) else None
        drawn = resample({"first": one, "second": other}, groups=unit)
        gains = drawn["second"] - drawn["first"]
        found.append(
            Difference(name=name, first=one.value, second=other.value, spread=interval(gains), p=bootstrap_p(gains))
        )
    return found


def bootstrap_p(gains: Array) -> float:
    """Two-sided: twice the share of resamples on the rarer side of 0, counting the set itself among them."""
    tail = min(int(np.sum(gains <= 0)), int(np.sum(gains >= 0)))
    return min(1.0, 2 * (tail + 1) / (len(gains) + 1))


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact two-sided p: the binomial probability of a split at least as uneven as this, at even chances.

    `only_first` and `only_second` count the items that just one of the two runs got right.
    """
    count, rarer = only_first + only_second, min(only_first, only_second)
    tail = sum(
        math.exp(math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1) - count * math.log(2))
        for k in range(rarer + 1)
    )
    return min(1.0, 2 * tail)


def _pairs(
    protocol: Protocol, items: Sequence[Item], rows: Sequence[Sequence[Mapping[str, Any]]],
    scores: Sequence[Mapping[str, Score]],
) -> list[Pair]:  # fmt: skip
    """The items with both answers; none where the metric shown beside a sample has no value for each item."""
    first, second = (found[protocol.per_item].per_item for found in scores)
    sign = -1 if lower_is_better(protocol.per_item) else 1
    if len(first) != len(items) or len(second) != len(items):
        return []
    each = zip(items, rows[0], rows[1], sign * (second - first), strict=True)
    return [
        Pair(item=item, first=one, second=other, gain=float(gain))
        for item, one, other, gain in each
        if np.isfinite(gain)  # an item that is never scored has none
    ]
