"""BLEU-1..4, ROUGE-L and CIDEr-D in one pass over the n-grams, equal to pycocoevalcap 1.2.

Papineni et al. 2002; Lin 2004; Vedantam et al. 2015 (arXiv:1411.5726). Kept from the reference: BLEU's smoothing and
closest reference length, ROUGE-L's independent maxima of precision and recall over the references, CIDEr-D's IDF from
the very set that is scored (a single image scores 0) and its length penalty on the number of bigrams.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rsvlm.evaluate.metrics.score import Array, Score, mean_score
from rsvlm.evaluate.metrics.tokenizer import ptb, tokenize

ORDERS = 4
_TINY, _SMALL = 1e-15, 1e-9  # pycocoevalcap's smoothing of matches and of totals
_BETA = 1.2  # ROUGE-L weighs recall over precision
_SIGMA = 6.0  # CIDEr-D's length penalty, in bigrams

Gram = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Caption:
    """One distinct caption, counted once however often it occurs."""

    words: tuple[str, ...]  # BLEU, CIDEr-D: split at any blanks
    pieces: tuple[str, ...]  # ROUGE-L: split at each blank, so "" is one empty token
    grams: tuple[Counter[Gram], ...]


def _count(text: str) -> _Caption:
    words = tuple(text.split())
    grams = tuple(Counter(zip(*(words[i:] for i in range(n)), strict=False)) for n in range(1, ORDERS + 1))
    return _Caption(words, tuple(text.split(" ")), grams)


def caption_scores(
    predictions: Sequence[str], references: Sequence[Sequence[str]], *, tokenizer: Callable[[str], str] = ptb
) -> dict[str, Score]:
    """bleu_1..bleu_4, rouge_l (fractions) and cider_d (0..10) of one caption an image against its references.

    `predictions` (N,) and `references` (N lists of one or more) are raw captions; `tokenizer` makes tokens of them.
    Raises ValueError when the lengths differ or an image has no reference.
    """
    if len(predictions) != len(references) or not all(references):
        raise ValueError(
            f"{len(predictions)} captions need as many non-empty lists of references, not {len(references)}"
        )
    seen: dict[str, _Caption] = {}

    def counted(text: str) -> _Caption:
        if text not in seen:
            seen[text] = _count(text)
        return seen[text]

    said = [counted(text) for text in tokenize(predictions, tokenizer)]
    told = [[counted(text) for text in tokenize(accepted, tokenizer)] for accepted in references]
    bleu_sums = np.array(
        [_bleu_sums(caption, refs) for caption, refs in zip(said, told, strict=True)], dtype=np.float64
    )
    scores = {
        score.name: score for score in (_bleu(n, bleu_sums.reshape(-1, 2 * ORDERS + 2)) for n in range(1, ORDERS + 1))
    }
    scores["rouge_l"] = mean_score("rouge_l", [_rouge_l(c, refs) for c, refs in zip(said, told, strict=True)])
    scores["cider_d"] = mean_score("cider_d", _cider_d(said, told))
    return scores


def _bleu_sums(caption: _Caption, references: Sequence[_Caption]) -> list[int]:
    """Matches of each order, n-grams of each order, own length, closest reference length (ties: the shorter)."""
    length = len(caption.words)
    matches = []
    distinct = list({id(reference): reference for reference in references}.values())
    for n in range(ORDERS):
        tables = [reference.grams[n] for reference in distinct]
        matches.append(
            sum(min(count, max([table.get(gram, 0) for table in tables])) for gram, count in caption.grams[n].items())
        )
    _, closest = min((abs(len(reference.words) - length), len(reference.words)) for reference in distinct)
    return [*matches, *(max(0, length - n) for n in range(ORDERS)), length, closest]


def _bleu(order: int, sums: Array) -> Score:
    def finish(totals: Array) -> Array:
        precisions = (totals[..., :order] + _TINY) / (totals[..., ORDERS : ORDERS + order] + _SMALL)
        ratio = (totals[..., -2] + _TINY) / (totals[..., -1] + _SMALL)
        penalty = np.where(ratio < 1, np.exp(np.minimum(0.0, 1 - 1 / ratio)), 1.0)
        return np.prod(precisions, axis=-1) ** (1 / order) * penalty

    value = float(finish(sums.sum(axis=0))) if len(sums) else 0.0
    return Score(name=f"bleu_{order}", value=value, per_item=finish(sums), n=len(sums), sums=sums, finish=finish)


def _rouge_l(caption: _Caption, references: Sequence[_Caption]) -> float:
    at: dict[str, int] = {}
    for i, piece in enumerate(caption.pieces):
        at[piece] = at.get(piece, 0) | 1 << i
    size = len(caption.pieces)
    full = (1 << size) - 1
    precision = recall = 0.0
    for reference in references:
        row = full  # bit-parallel longest common subsequence (Hyyrö 2004): a zero bit is one matched piece
        for piece in reference.pieces:
            hit = row & at.get(piece, 0)
            row = (row + hit) | (row - hit)
        common = size - (row & full).bit_count()
        precision, recall = max(precision, common / size), max(recall, common / len(reference.pieces))
    if not precision or not recall:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


_Vector = tuple[tuple[dict[Gram, float], ...], tuple[float, ...], int]  # weights and norm per order, number of bigrams


def _cider_d(said: Sequence[_Caption], told: Sequence[Sequence[_Caption]]) -> list[float]:
    images: Counter[Gram] = Counter()
    for references in told:
        images.update({gram for reference in references for table in reference.grams for gram in table})
    whole = math.log(len(told)) if told else 0.0
    idf = {gram: whole - math.log(count) for gram, count in images.items()}
    vectors: dict[int, _Vector] = {}

    def vector(caption: _Caption) -> _Vector:
        known = vectors.get(id(caption))
        if known is None:
            weights = tuple({g: c * idf.get(g, whole) for g, c in table.items()} for table in caption.grams)
            norms = tuple(math.sqrt(sum(w * w for w in table.values())) for table in weights)
            known = vectors[id(caption)] = weights, norms, max(0, len(caption.words) - 1)
        return known

    return [
        10 / ORDERS * sum(_likeness(vector(caption), vector(r)) for r in references) / len(references)
        for caption, references in zip(said, told, strict=True)
    ]


def _likeness(said: _Vector, told: _Vector) -> float:
    """Clipped cosine summed over the orders, times the Gaussian penalty for a difference in length."""
    total = 0.0
    for mine, theirs, my_norm, their_norm in zip(said[0], told[0], said[1], told[1], strict=True):
        dot = 0.0
        for gram, weight in mine.items():
            other = theirs.get(gram)
            if other is not None:
                dot += (weight if weight < other else other) * other
        if my_norm and their_norm:
            dot /= my_norm * their_norm
        total += dot
    return total * math.exp(-((said[2] - told[2]) ** 2) / (2 * _SIGMA**2))
