"""METEOR 1.5 (Denkowski & Lavie 2014) for English, equal to the Java program as pycocoevalcap 1.2 calls it.

`-l en -norm`: stages exact, stem, synonym and paraphrase, the parameters of the ranking task. An item's score is that
of its best reference; the score of a set comes from the summed counts, it is not the mean of the items.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from rsvlm.errors import BadInput, MissingPart
from rsvlm.metrics.score import Array, Score
from rsvlm.metrics.text.meteor_align import Alignments, Corpus
from rsvlm.metrics.text.meteor_table import JAR, STAGES, TABLE, folder, read_lists, read_paraphrases
from rsvlm.metrics.text.meteor_text import words

_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_WEIGHTS = (1.0, 0.6, 0.8, 0.6)  # of the stages
_KINDS = (_DELTA, 1.0 - _DELTA)  # of content and function words


def meteor(
    predictions: Sequence[str | None],
    references: Sequence[Sequence[str]],
    *,
    engine: Literal["native", "java"] = "native",
) -> Score:
    """METEOR (0..1) of one caption an image against its references; `note` says which stages ran, and in what.

    `predictions` (N,) and `references` (N lists of one or more) are captions as the protocol's tokenizer left them:
    METEOR splits and lower-cases them again. None is an empty caption. `engine="java"` runs the original. Raises
    MissingPart without pycocoevalcap (or Java), ValueError when the lengths differ or an image has no reference.
    """
    if len(predictions) != len(references) or not all(references):
        raise ValueError(
            f"{len(predictions)} captions need as many non-empty lists of references, not {len(references)}"
        )
    if engine not in ("native", "java"):
        raise BadInput(f"There is no METEOR engine {engine!r}; use 'native' or 'java'.")
    # The bars part the fields of the Java program's input, where pycocoevalcap also halves double blanks, once.
    said = [_one_line(text or "").replace("|||", "").replace("  ", " ") for text in predictions]
    expected = [[_one_line(text).replace("|||", "") for text in accepted] for accepted in references]
    home = folder()
    sums, stages = (_java if engine == "java" else _native)(home, said, expected)
    return Score(
        name="meteor",
        value=float(_score(sums.sum(axis=0))) if len(sums) else 0.0,
        per_item=_score(sums),
        n=len(sums),
        sums=sums,
        finish=_score,
        note=f"METEOR 1.5 ({engine}), stages: {', '.join(stages)}",
    )


def _one_line(text: str) -> str:
    """Line breaks as blanks: the Java program reads a line an item."""
    return text.replace("\r", " ").replace("\n", " ")


def _native(home: Path, said: list[str], expected: list[list[str]]) -> tuple[Array, list[str]]:
    lists, table = read_lists(home), read_paraphrases(home)
    had = {"synonym": bool(lists.synsets), "paraphrase": table is not None}
    texts: dict[tuple[str, ...], int] = {}
    number = {}
    for text in (*said, *(text for accepted in expected for text in accepted)):
        if text not in number:
            number[text] = texts.setdefault(tuple(words(text, lists.prefixes)), len(texts))
    corpus = Corpus(list(texts), lists, table)
    pairs: dict[tuple[int, int], int] = {}
    choices = [
        [pairs.setdefault((number[text], number[other]), len(pairs)) for other in accepted]
        for text, accepted in zip(said, expected, strict=True)
    ]
    candidates, accepted = np.array(list(pairs), np.int64).reshape(-1, 2).T
    sums = _sums(corpus.align(candidates, accepted))
    value = _score(sums).tolist()
    best = [max(choice, key=value.__getitem__) for choice in choices]
    return sums[best] if best else sums, [stage for stage in STAGES if had.get(stage, True)]


def _java(home: Path, said: list[str], expected: list[list[str]]) -> tuple[Array, list[str]]:
    """The counts of each item's best reference from the original program."""
    java = shutil.which("java")
    if java is None:
        raise MissingPart("METEOR's Java engine needs the program 'java', which is not on the PATH; install a JRE.")
    if not (home / TABLE).is_file():
        raise MissingPart(f"METEOR's Java engine needs {home / TABLE}, which is absent; reinstall pycocoevalcap.")
    lines = "".join(
        f"SCORE ||| {' ||| '.join(accepted)} ||| {text}\n" for text, accepted in zip(said, expected, strict=True)
    )
    command = [java, "-Xmx2G", "-jar", JAR, "-", "-", "-stdio", "-l", "en", "-norm"]
    done = subprocess.run(command, cwd=home, input=lines.encode(errors="replace"), capture_output=True, check=False)
    counts = [line.split() for line in done.stdout.decode(errors="replace").splitlines()]
    if done.returncode or len(counts) != len(said) or any(len(row) != 23 for row in counts):
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]
        raise MissingPart(f"METEOR's Java engine answered {len(counts)} of {len(said)} captions ({reason}).")
    table = np.array(counts, np.float64).astype(np.int64).reshape(len(said), 23)
    # Two lengths, two numbers of function words, four counts a stage, chunks, two sums of matches.
    totals = np.stack([table[:, :2] - table[:, 2:4], table[:, 2:4]], axis=2)
    matched = table[:, 4:20].reshape(-1, len(STAGES), 2, 2).transpose(0, 3, 1, 2)
    return _sums(Alignments(matched, totals, table[:, 20])), list(STAGES)


def _sums(found: Alignments) -> Array:
    """Each pair's share of the corpus score (P, 6).

    Weighted matches and weighted length of candidate and reference, chunks (0 for a perfect match, which is not
    broken), matched words of both sides.
    """
    matched, totals = found.matched.astype(np.float64), found.totals.astype(np.float64)
    weighted = np.zeros(matched.shape[:2])
    for kind, share in enumerate(_KINDS):  # the original's order of additions, so that ties between references stay
        for stage, weight in enumerate(_WEIGHTS):
            weighted += matched[:, :, stage, kind] * weight * share
    lengths = _DELTA * totals[:, :, 0] + (1 - _DELTA) * totals[:, :, 1]
    complete = (matched.sum(axis=(2, 3)) == totals.sum(axis=2)).all(axis=1) & (found.chunks == 1)
    chunks = np.where(complete, 0.0, found.chunks)
    return np.column_stack([weighted, lengths, chunks, matched.sum(axis=(1, 2, 3))])


def _score(sums: Array) -> Array:
    """(..., 6) -> (...): the harmonic mean of precision and recall, less the penalty for broken order."""
    said, expected, said_length, expected_length, chunks, matched = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # no match or no words: NaN or infinity, a score of 0
        mean = 1 / ((1 - _ALPHA) / (said / said_length) + _ALPHA / (expected / expected_length))
        score = mean * (1 - _GAMMA * (chunks / (matched / 2)) ** _BETA)
    return np.maximum(np.nan_to_num(score, nan=0.0), 0.0)
