"""BLEU-1..4, ROUGE-L and CIDEr-D in one pass over the n-grams, equal to pycocoevalcap 1.2.

Papineni et al. 2002; Lin 2004; Vedantam et al. 2015 (arXiv:1411.5726). Kept from the reference: BLEU's smoothing and
closest reference length, ROUGE-L's independent maxima of precision and recall over the references, CIDEr-D's IDF from
the very set that is scored (a single image scores 0) and its length penalty on the number of bigrams.

Each distinct caption is counted once. Its n-grams are numbers in one table for the whole set, so that what a caption
shares with its references is one join of two sorted arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsvlm.metrics.score import Array, Score, mean_score
from rsvlm.metrics.text.tokenizer import Tokenizer, ptb, tokenize

ORDERS = 4
_TINY, _SMALL = 1e-15, 1e-9  # pycocoevalcap's smoothing of matches and of totals
_BETA = 1.2  # ROUGE-L weighs recall over precision
_SIGMA = 6.0  # CIDEr-D's length penalty, in bigrams

Lone = Literal["zero", "ref_len_1"]
_Ints = NDArray[np.int64]


def caption_scores(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    tokenizer: Tokenizer = ptb,
    lone: Lone = "zero",
) -> dict[str, Score]:
    """bleu_1..bleu_4, rouge_l (fractions) and cider_d (0..10) of one caption an image against its references.

    `predictions` (N,) and `references` (N lists of one or more) are raw captions; `tokenizer` makes tokens of them.
    `lone` is for a set of one image, where every IDF is 0 and so CIDEr-D ("zero"); the change captioning repositories
    put 1 for the logarithm of the set's size there ("ref_len_1"). Raises ValueError when the lengths differ or an image
    has no reference.
    """
    if len(predictions) != len(references) or not all(references):
        raise ValueError(
            f"{len(predictions)} captions need as many non-empty lists of references, not {len(references)}"
        )
    number: dict[str, int] = {}
    said = np.array([number.setdefault(text, len(number)) for text in predictions], np.int64)
    expected = [[number.setdefault(text, len(number)) for text in accepted] for accepted in references]
    texts = tokenize(list(number), tokenizer)
    pairs = _pairs(expected, len(texts))
    bleu, cider = _bleu_and_cider(_count(texts), said, pairs, lone)
    scores = {score.name: score for score in (_bleu(n, bleu) for n in range(1, ORDERS + 1))}
    scores["rouge_l"] = mean_score("rouge_l", _rouge_l(texts, said, pairs))
    scores["cider_d"] = mean_score("cider_d", cider)
    return scores


def spread(score: Score, among: NDArray[np.bool_]) -> Score:
    """A score of the items marked in `among` (n of N) as one that resamples together with the scores of all N."""
    sums = np.zeros((len(among), score.sums.shape[1]))
    sums[among] = score.sums
    return replace(score, sums=sums)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The distinct references of each image, sorted by image: reference `caption` of `image`, given `times` times."""

    image: _Ints
    caption: _Ints
    times: _Ints


def _pairs(expected: Sequence[Sequence[int]], captions: int) -> _Pairs:
    image = np.repeat(np.arange(len(expected)), [len(accepted) for accepted in expected])
    flat = np.array([number for accepted in expected for number in accepted], np.int64)
    keys, times = np.unique(image * captions + flat, return_counts=True)
    return _Pairs(keys // max(captions, 1), keys % max(captions, 1), times)


@dataclass(frozen=True, slots=True, eq=False)
class _Grams:
    """The n-grams of C captions: entry e says that caption[e] holds gram[e], of order[e] + 1 words, count[e] times.

    Sorted by caption, then gram; the entries of caption c are those from start[c] to start[c + 1]. `length` (C,) is in
    words, `size` the number of different n-grams.
    """

    caption: _Ints
    gram: _Ints
    order: _Ints
    count: _Ints
    start: _Ints
    length: _Ints
    size: int

    def of(self, captions: _Ints) -> tuple[_Ints, _Ints]:
        """The entries of each of `captions` in turn, and for each the place of its caption in that list."""
        many = self.start[captions + 1] - self.start[captions]
        place = np.repeat(np.arange(len(captions)), many)
        first = np.cumsum(many) - many
        return np.arange(len(place)) - first[place] + self.start[captions][place], place


def _count(texts: Sequence[str]) -> _Grams:
    words: dict[str, int] = {}
    split = [text.split() for text in texts]
    length = np.array([len(caption) for caption in split], np.int64)
    flat = np.array([words.setdefault(word, len(words)) for caption in split for word in caption], np.int64)
    caption = np.repeat(np.arange(len(texts)), length)
    gram, sizes = flat, [len(words)]  # of the n-gram that begins at each word; across captions it means nothing
    owners, grams = [caption], [flat]
    for n in range(1, ORDERS):
        known, gram = np.unique(gram[:-1] * len(words) + flat[n:], return_inverse=True)
        inside = caption[n:] == caption[: len(gram)]
        owners.append(caption[n:][inside])
        grams.append(gram[inside] + sum(sizes))
        sizes.append(len(known))
    size = sum(sizes)
    keys, count = np.unique(np.concatenate(owners) * size + np.concatenate(grams), return_counts=True)
    caption, gram = keys // max(size, 1), keys % max(size, 1)
    order = np.searchsorted(np.cumsum(sizes), gram, side="right")
    start = np.searchsorted(caption, np.arange(len(texts) + 1))
    return _Grams(caption, gram, order, count, start, length, size)


def _bleu_and_cider(grams: _Grams, said: _Ints, pairs: _Pairs, lone: Lone) -> tuple[Array, Array]:
    """(N, 10) sums of BLEU: matches and n-grams of each order, own and closest reference length; (N,) CIDEr-D."""
    mine, image = grams.of(said)
    theirs, pair = grams.of(pairs.caption)
    held = image * grams.size + grams.gram[mine]  # ascending: what the captions hold
    wanted = pairs.image[pair] * grams.size + grams.gram[theirs]
    at = np.searchsorted(held, wanted)
    at[at == len(held)] = 0
    shared = held[at] == wanted if len(held) else np.zeros(len(at), bool)
    at, shared_pair, shared_theirs = at[shared], pair[shared], theirs[shared]

    most = np.zeros(len(mine), np.int64)
    np.maximum.at(most, at, grams.count[shared_theirs])
    matches = _by_order(image, grams.order[mine], np.minimum(grams.count[mine], most), len(said))
    length = grams.length[said]
    possible = np.maximum(length[:, None] - np.arange(ORDERS), 0)
    bleu = np.column_stack([matches, possible, length, _closest(length, grams.length, pairs)]).astype(np.float64)

    whole = 1.0 if len(said) == 1 and lone == "ref_len_1" else np.log(max(len(said), 1))
    wanted.sort()  # np.unique without counts takes several times as long here
    used = wanted[np.diff(wanted, prepend=-1) > 0] % max(grams.size, 1)
    images = np.bincount(used, minlength=grams.size)  # whose references use the n-gram
    weight = grams.count * (whole - np.log(np.maximum(images, 1)))[grams.gram]
    norm = np.sqrt(_by_order(grams.caption, grams.order, weight**2, len(grams.length)))
    clipped = np.minimum(weight[mine[at]], weight[shared_theirs]) * weight[shared_theirs]
    dot = _by_order(shared_pair, grams.order[shared_theirs], clipped, len(pairs.image))
    norms = norm[said[pairs.image]] * norm[pairs.caption]
    cosine = np.divide(dot, norms, out=np.zeros_like(dot), where=norms > 0).sum(1)
    bigrams = np.maximum(grams.length - 1, 0)
    far = bigrams[said[pairs.image]] - bigrams[pairs.caption]
    likeness = cosine * np.exp(-(far**2) / (2 * _SIGMA**2)) * pairs.times
    total, given = (np.bincount(pairs.image, weights=w, minlength=len(said)) for w in (likeness, pairs.times))
    return bleu, 10 / ORDERS * total / given


def _by_order(row: _Ints, order: _Ints, values: _Ints | Array, rows: int) -> Array:
    """(rows, ORDERS): the sums of `values` by row and order."""
    sums = np.bincount(row * ORDERS + order, weights=values.astype(np.float64), minlength=rows * ORDERS)
    return sums.astype(np.float64, copy=False).reshape(rows, ORDERS)


def _closest(length: _Ints, lengths: _Ints, pairs: _Pairs) -> _Ints:
    """The length of each image's reference that is closest to its caption's; of two the shorter."""
    if not len(length):
        return length
    theirs = lengths[pairs.caption]
    span = int(lengths.max()) + 1
    first = np.searchsorted(pairs.image, np.arange(len(length)))
    return np.minimum.reduceat(np.abs(theirs - length[pairs.image]) * span + theirs, first) % span


def _bleu(order: int, sums: Array) -> Score:
    def finish(totals: Array) -> Array:
        precisions = (totals[..., :order] + _TINY) / (totals[..., ORDERS : ORDERS + order] + _SMALL)
        ratio = (totals[..., -2] + _TINY) / (totals[..., -1] + _SMALL)
        penalty = np.where(ratio < 1, np.exp(np.minimum(0.0, 1 - 1 / ratio)), 1.0)
        return np.prod(precisions, axis=-1) ** (1 / order) * penalty

    value = float(finish(sums.sum(axis=0))) if len(sums) else 0.0
    return Score(name=f"bleu_{order}", value=value, per_item=finish(sums), n=len(sums), sums=sums, finish=finish)


def _rouge_l(texts: Sequence[str], said: _Ints, pairs: _Pairs) -> list[float]:
    """ROUGE-L of each image. Split at each blank, so that "" is one empty token, as in the reference."""
    pieces = [text.split(" ") for text in texts]
    scores: list[float] = []
    edges = np.searchsorted(pairs.image, np.arange(len(said) + 1)).tolist()
    captions = pairs.caption.tolist()
    for own, first, last in zip(said.tolist(), edges, edges[1:], strict=False):
        at: dict[str, int] = {}
        for i, piece in enumerate(pieces[own]):
            at[piece] = at.get(piece, 0) | 1 << i
        size = len(pieces[own])
        full = (1 << size) - 1
        precision = recall = 0.0
        for reference in captions[first:last]:
            row = full  # bit-parallel longest common subsequence (Hyyrö 2004): a zero bit is one matched piece
            for piece in pieces[reference]:
                hit = row & at.get(piece, 0)
                row = (row + hit) | (row - hit)
            common = size - (row & full).bit_count()
            precision, recall = max(precision, common / size), max(recall, common / len(pieces[reference]))
        both = recall + _BETA**2 * precision
        scores.append((1 + _BETA**2) * precision * recall / both if both else 0.0)
    return scores
