"""Metrics of answers about two dates: change captions and the tasks of ChangeChat-105k (arXiv:2507.22346).

Change captions are scored over all pairs and, each with the IDF of its own references, over the changed and the
unchanged ones (RSICCformer, Chg2Cap, SECOND-CC, DeltaVLM). All unchanged pairs of LEVIR-CC carry the same five
sentences, so their CIDEr-D is 0 for any prediction, and so is that quarter of their S*m.
"""

import ast
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rsvlm.data.masks import GRID_CELLS
from rsvlm.metrics.score import Array, Finish, Score, mean_score, pooled_score, ratio
from rsvlm.metrics.text.captions import Lone, caption_scores, spread
from rsvlm.metrics.text.tokenizer import Tokenizer, ptb, tokenize, whitespace

# (tokenised captions, tokenised references) -> METEOR in [0, 1]
Meteor = Callable[[Sequence[str], Sequence[Sequence[str]]], Score]
Counts = Mapping[str, int]  # class -> how many objects of it changed
Cells = Mapping[str, Collection[str]]  # class -> the cells of the 3x3 grid where it changed
Reading = Literal["plain", "released"]

CLASSES = ("road", "building")
_S_M = ("bleu_4", "meteor", "rouge_l", "cider_d")


def change_caption_scores(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    changed: Sequence[bool],
    *,
    tokenizer: Tokenizer = ptb,
    meteor: Meteor | None = None,
    lone: Lone = "zero",
) -> dict[str, Score]:
    """Caption metrics over all pairs, and over the `_changed` and the `_unchanged` ones where there are any.

    With `meteor` also `meteor` and `s_m` = (BLEU-4 + METEOR + ROUGE-L + CIDEr-D) / 4, all as fractions but CIDEr-D in
    0..10; the papers print both x 100. `lone` says what CIDEr-D is of a set of one pair (see `caption_scores`).
    """
    predicted = tokenize(predictions, tokenizer)
    expected = [tokenize(accepted, tokenizer) for accepted in references]
    flags = np.asarray(changed, bool)
    scores: dict[str, Score] = {}
    for suffix, mask in (("", np.ones(len(flags), bool)), ("_changed", flags), ("_unchanged", ~flags)):
        chosen = np.flatnonzero(mask)
        if not len(chosen):
            continue
        mine, theirs = [predicted[i] for i in chosen], [expected[i] for i in chosen]
        subset = caption_scores(mine, theirs, tokenizer=whitespace, lone=lone)
        if meteor is not None:
            subset["meteor"] = meteor(mine, theirs)
            subset["s_m"] = _mean_of([subset[name] for name in _S_M], "s_m")
        scores |= {name + suffix: spread(replace(score, name=name + suffix), mask) for name, score in subset.items()}
    return scores


def _mean_of(scores: Sequence[Score], name: str) -> Score:
    """The mean of several scores of the same items."""
    edges = np.cumsum([0, *(score.sums.shape[1] for score in scores)])

    def finish(sums: Array) -> Array:
        return np.mean([s.finish(sums[..., a:b]) for s, a, b in zip(scores, edges, edges[1:], strict=False)], axis=0)

    return Score(
        name=name,
        value=float(np.mean([score.value for score in scores])),
        per_item=np.mean([score.per_item for score in scores], axis=0),
        n=scores[0].n,
        sums=np.concatenate([score.sums for score in scores], axis=1),
        finish=finish,
        note="; ".join(filter(None, (score.note for score in scores))),
    )


def _f_beta(beta: float) -> Finish:
    """F of sums (true positives, predicted, expected)."""
    square = beta**2

    def finish(sums: Array) -> Array:
        return ratio(np.stack([(1 + square) * sums[..., 0], sums[..., 1] + square * sums[..., 2]], axis=-1))

    return finish


def binary_scores(predictions: Sequence[bool | None], references: Sequence[bool]) -> dict[str, Score]:
    """Change or no change: `accuracy`, `precision`, `recall`, `f1`, `f0.5`, `change_accuracy`, `no_change_accuracy`.

    None is an answer that could not be read: wrong in the accuracies and missed in the recall. An empty share is 0.
    """
    predicted = np.array([p is True for p in predictions], bool)
    expected = np.asarray(references, bool)
    right = np.array([p == r for p, r in zip(predictions, references, strict=True)], dtype=np.float64)
    sums = np.stack([predicted & expected, predicted, expected], axis=1).astype(np.float64)
    scores = {"accuracy": mean_score("accuracy", right)}
    if expected.any():
        scores["change_accuracy"] = mean_score("change_accuracy", right, expected)
    if not expected.all():
        scores["no_change_accuracy"] = mean_score("no_change_accuracy", right, ~expected)
    finishes: dict[str, Finish] = {
        "precision": lambda s: ratio(s[..., [0, 1]]), "recall": lambda s: ratio(s[..., [0, 2]]), "f1": _f_beta(1),
        "f0.5": _f_beta(0.5),
    }  # fmt: skip
    return scores | {name: pooled_score(name, sums, finish, per_item=right) for name, finish in finishes.items()}


def count_scores(
    predictions: Sequence[float | None], references: Sequence[float], suffix: str = ""
) -> dict[str, Score]:
    """`mae` and `rmse` of counts of one class, in objects; `per_item` is the absolute error.

    An answer that could not be read (None) counts as 0, but as at least one object off: it is never right.
    """
    errors = np.array(
        [max(abs(r), 1.0) if p is None else abs(p - r) for p, r in zip(predictions, references, strict=True)],
        dtype=np.float64,
    )
    squares = np.stack([errors**2, np.ones_like(errors)], axis=1)
    rmse = pooled_score(f"rmse{suffix}", squares, lambda sums: np.sqrt(ratio(sums)), per_item=errors)
    return {f"mae{suffix}": mean_score(f"mae{suffix}", errors), f"rmse{suffix}": rmse}


def change_count_scores(predictions: Sequence[Counts | None], references: Sequence[Counts]) -> dict[str, Score]:
    """`mae_road`, `rmse_road`, `mae_building`, `rmse_building`: `count_scores` of each class."""
    scores: dict[str, Score] = {}
    for name in CLASSES:
        predicted = [None if p is None else p[name] for p in predictions]
        scores |= count_scores(predicted, [r[name] for r in references], f"_{name}")
    return scores


def location_scores(
    predictions: Sequence[Collection[str] | None], references: Sequence[Collection[str]], suffix: str = ""
) -> dict[str, Score]:
    """Which cells of the 3x3 grid changed, as nine labels: names outside CELLS are ignored.

    `precision`, `recall` and `f1` over all cells of all pairs (micro); `jaccard`, the mean over pairs, where nothing
    said of nothing changed is 1; `jaccard_released`, where it is 0, which most of the data is (the papers' form);
    `subset_accuracy`; `hamming`, the share of wrong cells (lower is better). None (not read): no cells, never right.
    """
    predicted = np.array([[cell in (p or ()) for cell in GRID_CELLS] for p in predictions], bool).reshape(
        -1, len(GRID_CELLS)
    )
    expected = np.array([[cell in r for cell in GRID_CELLS] for r in references], bool).reshape(-1, len(GRID_CELLS))
    if len(predicted) != len(expected):
        raise ValueError(f"{len(predicted)} predictions need as many references, not {len(expected)}")
    read = np.array([p is not None for p in predictions], bool)
    both, either = (predicted & expected).sum(1), (predicted | expected).sum(1)
    sums = np.stack([both, predicted.sum(1), expected.sum(1)], axis=1).astype(np.float64)
    overlap = ratio(np.stack([both, either], axis=1).astype(np.float64))
    means = {
        "jaccard": np.where(either == 0, read, overlap),
        "jaccard_released": overlap,
        "subset_accuracy": read & (predicted == expected).all(1),
        "hamming": np.where(read, (predicted != expected).mean(1), 1.0),
    }
    finishes: dict[str, Finish] = {
        "precision": lambda s: ratio(s[..., [0, 1]]), "recall": lambda s: ratio(s[..., [0, 2]]), "f1": _f_beta(1),
    }  # fmt: skip
    return {name + suffix: pooled_score(name + suffix, sums, finish) for name, finish in finishes.items()} | {
        name + suffix: mean_score(name + suffix, values) for name, values in means.items()
    }


def change_location_scores(predictions: Sequence[Cells | None], references: Sequence[Cells]) -> dict[str, Score]:
    """`location_scores` of each class: `f1_road`, `jaccard_building`, ..."""
    scores: dict[str, Score] = {}
    for name in CLASSES:
        predicted = [None if p is None else p[name] for p in predictions]
        scores |= location_scores(predicted, [r[name] for r in references], f"_{name}")
    return scores


def dialogue_scores(turns: Sequence[Mapping[str, Score]]) -> dict[str, Score]:
    """The scores of each turn of the same dialogues under `turn<i>_<name>`, turns counted from 1."""
    return {
        f"turn{i}_{name}": replace(score, name=f"turn{i}_{name}")
        for i, scores in enumerate(turns, 1)
        for name, score in scores.items()
    }


_UNCHANGED = re.compile(r"\bno (?:\w+ )?(?:changes?|difference)\b|\bnothing (?:has )?changed\b|\bunchanged\b")
_NONE_AT_ALL = re.compile(r"\bno (?:new )?roads? (?:or|and|nor) (?:new )?buildings?\b")
_SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORDS = {word: i for i, word in enumerate(_SMALL)} | {"a": 1, "an": 1}
_SAID = {name: re.compile(rf"\b(\d{{1,18}}|{'|'.join(_WORDS)})\s+(?:\w+\s+)?{name}s?\b") for name in CLASSES}


def read_counts(text: str, reading: Reading = "plain") -> Counts | None:
    """How many roads and buildings an answer says have changed, or None.

    `plain` finds "2 new roads and no buildings", "no roads has changed, and 3 buildings has changed", "there is no
    change". `released` is the authors' parser, which cuts at the word "new" and needs it twice.
    """
    if reading == "released":
        return _released_counts(text)
    text = " ".join(text.lower().split())
    found = {name: pattern.findall(text) for name, pattern in _SAID.items()}
    if _NONE_AT_ALL.search(text) or (_UNCHANGED.search(text) and not any(found.values())):
        return dict.fromkeys(CLASSES, 0)
    if any(len(values) != 1 for values in found.values()):
        return None
    return {name: _WORDS[value] if value in _WORDS else int(value) for name, (value,) in found.items()}


def _released_counts(text: str) -> Counts | None:
    if "there are no changes in roads or buildings" in text or "no new roads or buildings" in text:
        return dict.fromkeys(CLASSES, 0)
    pieces = text.split("new")
    counts: dict[str, int] = {}
    for name, piece in zip(CLASSES, pieces, strict=False):
        number = re.search(r"\d{1,18}", piece)
        if "no" not in piece and number is None:
            return None
        counts[name] = 0 if "no" in piece or number is None else int(number[0])
    return counts if len(counts) == len(CLASSES) else None


# Possessive, and searched only up to the last "]": each "[" has its end, so that the time is linear.
_LIST = {name: re.compile(rf"\b{name}s?+\s*+(?::\s*+)?(\[[^\]]*\])", re.IGNORECASE) for name in CLASSES}
_RELEASED_LIST = {name: re.compile(rf"{name}s\s*+(\[[^\]]*\])") for name in CLASSES}
_CELL = re.compile(r"\b(top|center|bottom)[\s_-]+(left|center|right)\b")


def read_locations(text: str, reading: Reading = "plain") -> Cells | None:
    """The cells that an answer lists as `roads: ['top-left', ...] buildings: [...]`, or None where a list is missing.

    `plain` takes either quote style or none, "top left" and "centre"; `released` is the authors' parser: no colon, and
    a list that Python can evaluate.
    """
    if reading == "released":
        return _released_locations(text)
    cells: dict[str, list[str]] = {}
    for name, pattern in _LIST.items():
        listed = pattern.search(text, 0, text.rfind("]") + 1)
        if listed is None:
            return None
        words = listed[1].lower().replace("centre", "center").replace("middle", "center")
        cells[name] = [f"{row}-{column}" for row, column in _CELL.findall(words)]
        if not cells[name] and words.strip("[] "):
            return None
    return cells


def _released_locations(text: str) -> Cells | None:
    cells: dict[str, list[str]] = {}
    for name, pattern in _RELEASED_LIST.items():
        listed = pattern.search(text, 0, text.rfind("]") + 1)
        if listed is None:
            return None
        try:
            cells[name] = [str(cell) for cell in ast.literal_eval(listed[1])]
        except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
            return None
    return cells
