"""Sentence metrics of RS-RAG (arXiv:2504.04988): means over answers of NLTK's BLEU and METEOR and of ROUGE-L.

Not comparable to `captions`: each sentence is smoothed and scored by itself, words are split at blanks and keep their
case (BLEU), and METEOR is NLTK's with WordNet, not METEOR 1.5. CIDEr-D is the same, on raw words.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np

from rsvlm.metrics.score import Score, mean_score
from rsvlm.metrics.text.captions import caption_scores, spread
from rsvlm.metrics.text.porter import stem
from rsvlm.metrics.text.tokenizer import whitespace
from rsvlm.metrics.text.wordnet import WordNet

# The weights of the released script: those of BLEU-3 sum to .99.
WEIGHTS = {1: (1.0,), 2: (0.5, 0.5), 3: (0.33, 0.33, 0.33), 4: (0.25, 0.25, 0.25, 0.25)}
_EPSILON = 0.1  # NLTK's smoothing method1: the matches of an order that has none
_ALPHA, _BETA, _GAMMA = 0.9, 3.0, 0.5  # NLTK's METEOR

Empty = Literal["zero", "skip"]


def sentence_scores(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    wordnet: WordNet | None = None,
    empty: Empty = "zero",
) -> dict[str, Score]:
    """sentence_bleu_1..4, sentence_rouge_l, sentence_meteor (with `wordnet`) as fractions, and cider_d (0..10).

    Each against the best of its references (RS-RAG has one). An empty prediction, or None, scores 0; the released
    script leaves out rows whose reference or prediction is empty ("skip"). Raises ValueError where the lengths differ.
    """
    said = [prediction or "" for prediction in predictions]
    kept = np.array([empty == "zero" or (p != "" and all(r)) for p, r in zip(said, references, strict=True)], bool)
    rows = [(p, r) for p, r, keep in zip(said, references, kept, strict=True) if keep]

    def mean(name: str, score: Callable[[str, str], float]) -> Score:
        values = np.zeros(len(kept))
        values[kept] = [max(score(p, reference) for reference in accepted) for p, accepted in rows]
        return mean_score(name, values, kept)

    scores: dict[str, Score] = {}
    for order, weights in WEIGHTS.items():
        values = np.zeros(len(kept))
        values[kept] = [sentence_bleu(p.split(), [r.split() for r in accepted], weights) for p, accepted in rows]
        scores[f"sentence_bleu_{order}"] = mean_score(f"sentence_bleu_{order}", values, kept)
    scores["sentence_rouge_l"] = mean("sentence_rouge_l", rouge_l)
    if wordnet is not None:
        score = mean("sentence_meteor", lambda p, r: meteor(p.split(), r.split(), wordnet))
        scores["sentence_meteor"] = replace(score, note="NLTK's: words, Porter stems, WordNet synonyms")
    cider = caption_scores([p for p, _ in rows], [r for _, r in rows], tokenizer=whitespace)["cider_d"]
    return scores | {"cider_d": spread(cider, kept)}


def sentence_bleu(said: Sequence[str], expected: Sequence[Sequence[str]], weights: Sequence[float]) -> float:
    """BLEU of one sentence as nltk's `sentence_bleu` with `SmoothingFunction().method1`. 0 where no word matches."""
    logs = 0.0
    for order, weight in enumerate(weights, 1):
        mine = _grams(said, order)
        most: Counter[tuple[str, ...]] = Counter()
        for reference in expected:
            most |= _grams(reference, order)
        matches = (mine & most).total()
        if not matches and order == 1:
            return 0.0
        logs += weight * math.log((matches or _EPSILON) / max(mine.total(), 1))
    closest = min((abs(len(reference) - len(said)), len(reference)) for reference in expected)[1]
    return math.exp(logs) * (1.0 if len(said) > closest else math.exp(1 - closest / len(said)))


def _grams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[i:] for i in range(order)), strict=False))


def rouge_l(prediction: str, reference: str) -> float:
    """ROUGE-L F1 as rouge_score with its stemmer: ASCII letters and digits, words over three letters stemmed."""
    said, expected = _rouge_tokens(prediction), _rouge_tokens(reference)
    common = _longest_common(said, expected)
    return 2 * common / (len(said) + len(expected)) if common else 0.0


def _rouge_tokens(text: str) -> list[str]:
    return [stem(word) if len(word) > 3 else word for word in re.sub(r"[^a-z0-9]+", " ", text.lower()).split()]


def _longest_common(said: Sequence[str], expected: Sequence[str]) -> int:
    """Length of the longest common subsequence, bit-parallel (Hyyrö 2004): a zero bit is one matched word."""
    at: dict[str, int] = {}
    for i, word in enumerate(said):
        at[word] = at.get(word, 0) | 1 << i
    full = row = (1 << len(said)) - 1
    for word in expected:
        hit = row & at.get(word, 0)
        row = ((row + hit) | (row - hit)) & full
    return len(said) - row.bit_count()


def meteor(said: Sequence[str], expected: Sequence[str], wordnet: WordNet) -> float:
    """METEOR of one sentence as nltk's `single_meteor_score`: words, Porter stems, then synonyms, from the right.

    As there, synonyms are looked up for the stems that the stage before left over.
    """
    mine, theirs = list(enumerate(map(str.lower, said))), list(enumerate(map(str.lower, expected)))
    pairs: list[tuple[int, int]] = []
    _match(mine, theirs, pairs, lambda word: (word,))
    mine, theirs = [(i, stem(word)) for i, word in mine], [(i, stem(word)) for i, word in theirs]
    _match(mine, theirs, pairs, lambda word: (word,))
    _match(mine, theirs, pairs, wordnet.synonyms)
    if not pairs:
        return 0.0
    pairs.sort()
    chunks = 1 + sum((a + 1, b + 1) != after for (a, b), after in pairwise(pairs))
    precision, recall = len(pairs) / len(said), len(pairs) / len(expected)
    fmean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
    return (1 - _GAMMA * (chunks / len(pairs)) ** _BETA) * fmean


_Words = list[tuple[int, str]]  # (place in the sentence, word)


def _match(mine: _Words, theirs: _Words, pairs: list[tuple[int, int]], alike: Callable[[str], Collection[str]]) -> None:
    """Moves to `pairs` each word of `mine`, the last first, with the last free word of `theirs` that is `alike`."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, word in theirs:
        places[word].append(place)
    for entry in reversed(mine.copy()):
        free = [places[word] for word in alike(entry[1]) if places.get(word)]
        if free:
            pairs.append((entry[0], max(free, key=lambda found: found[-1]).pop()))
            mine.remove(entry)
    left = {place for found in places.values() for place in found}
    theirs[:] = [(place, word) for place, word in theirs if place in left]


def truncated(value: float, digits: int = 4) -> str:
    """The value as the released tables print it: cut off, not rounded, after `digits` decimals."""
    whole, _, decimals = f"{value:.10f}".partition(".")
    return f"{whole}.{decimals[:digits].ljust(digits, '0')}"
