"""How likely given replies are to a language model that decodes step by step: a walk over the tree of their tokens.

Replies that begin alike share their beginning, the replies of one prompt share the prompt, and a branch that has become
far less likely than the likeliest reply is followed no further.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.systems.onnx.language import Bools, Floats, OnnxLanguage, Past

FAR = 8.0  # nats below the likeliest: e^-8, about 3e-4
_PROMPTS = 4  # that are walked over at once
_ROWS = 64  # branches that are run over at once: each needs a copy of its cache

Tree = dict[int, Any]  # token -> the tree below it; at the end of a reply, `_REPLY` -> its number
_REPLY = -1


@dataclass(slots=True)
class _Branch:
    """A beginning of replies: of which prompt, its log-probability, what may follow, and where its cache is."""

    prompt: int
    log: float
    token: int
    below: Tree
    cache: int  # row of the caches of the step before


def log_likelihoods(
    language: OnnxLanguage, start: tuple[Floats, Bools, Past | None], replies: Sequence[Sequence[Sequence[int]]]
) -> NDArray[np.float64]:
    """(B, R): natural log-probability of the ids of each reply after each prompt, one and more of them.

    `start` are the prompts: embeddings (B, T, D), the mask (B, P + T) and the past, as of `OnnxLanguage.forward`. A
    branch `FAR` below the likeliest reply gives its replies its own log-probability, which is no less than theirs.
    """
    x, real, past = start
    logits, past = language.forward(x, real, past)
    rows = []
    for first in range(0, len(replies), _PROMPTS):
        own = slice(first, first + _PROMPTS)
        trees = [_tree(ids) for ids in replies[own]]
        walk = partial(_walk, language, logits[own], real[own], [one[own] for one in past], trees, len(replies[0]))
        found, whole = walk(np.full(len(trees), np.inf))
        if (found > whole.max(1, keepdims=True) - FAR)[np.isinf(whole)].any():
            # A beginning that looked likely led nowhere, and for it others were given up that now are likely enough.
            found, _ = walk(whole.max(1))
        rows.append(found)
    return np.concatenate(rows)


def _walk(
    language: OnnxLanguage, logits: Floats, real: Bools, past: Past, trees: Sequence[Tree], count: int,
    best: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:  # fmt: skip
    """Log-probabilities (B, R) of all replies, and of those alone that were followed to their end (else -inf).

    `best` (B,): log-probability of the likeliest reply, inf where it is not known: of the likeliest beginning then.
    """
    whole = np.full((len(trees), count), -np.inf)
    bounds = whole.copy()
    opened = _grow([_Branch(prompt, 0.0, 0, tree, prompt) for prompt, tree in enumerate(trees)], logits, whole)
    while opened:
        known = np.where(np.isinf(best), whole.max(1), best)
        for branch in opened:
            if np.isinf(best[branch.prompt]):
                known[branch.prompt] = max(known[branch.prompt], branch.log)
        likely: list[_Branch] = []
        for branch in opened:
            if branch.log > known[branch.prompt] - FAR:
                likely.append(branch)
            else:
                bounds[branch.prompt, _replies(branch.below)] = branch.log
        opened, pasts, reals = [], [], []
        for first in range(0, len(likely), _ROWS):
            some = likely[first : first + _ROWS]
            rows = [branch.cache for branch in some]
            reals.append(np.concatenate([real[rows], np.ones((len(rows), 1), bool)], 1))
            tokens = np.array([[branch.token] for branch in some])
            logits, grown = language.forward(language.embed(tokens), reals[-1], [one[rows] for one in past])
            opened += _grow(some, logits, whole, first)
            pasts.append(grown)
        if opened:
            past, real = [np.concatenate(layer) for layer in zip(*pasts, strict=True)], np.concatenate(reals)
    return np.maximum(whole, bounds), whole


def _grow(branches: Sequence[_Branch], logits: Floats, whole: NDArray[np.float64], first: int = 0) -> list[_Branch]:
    """The branches below some, whose logits (N, V) these are; the log-probability of replies that end goes to `whole`.

    The caches of `branches` are rows `first` and on of those of this step.
    """
    top = logits.max(-1, keepdims=True)
    logs = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    grown = []
    for row, branch in enumerate(branches):
        for token, below in branch.below.items():
            if token == _REPLY:
                continue
            log = branch.log + float(logs[row, token])
            whole[branch.prompt, below.get(_REPLY, [])] = log
            if len(below) > (_REPLY in below):
                grown.append(_Branch(branch.prompt, log, token, below, first + row))
    return grown


def _tree(replies: Sequence[Sequence[int]]) -> Tree:
    root: Tree = {}
    for number, ids in enumerate(replies):
        below = root
        for token in ids:
            below = below.setdefault(token, {})
        below.setdefault(_REPLY, []).append(number)
    return root


def _replies(tree: Tree) -> list[int]:
    """The numbers of all replies in a tree."""
    return [number for token, below in tree.items() for number in (below if token == _REPLY else _replies(below))]
