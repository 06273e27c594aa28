"""Referring expressions: accuracy at an IoU, mean IoU, cumulative IoU; and the released protocols under their names.

Ours: every item is in the denominator, an answer that could not be read has IoU 0, plain IoU, `>=`. Where an expression
has one target, the first box of the answer counts. Where it has several, predicted and target boxes are paired one to
one so that the sum of IoU is largest, and the item scores its pairs divided by the larger of the two numbers of boxes:
a missed target and a superfluous box cost the same.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rsvlm.data.box_codecs import Numbers
from rsvlm.metrics.boxes import Mode, as_rows, best_pairs, iou, overlaps, quotient
from rsvlm.metrics.score import Array, Score, mean_score, pooled_score
from rsvlm.sample import Box

Marks = Sequence[bool] | NDArray[np.bool_]

_SMALL, _MEDIUM = 32**2, 96**2  # COCO's bounds, in square pixels


def grounding_scores(
    predictions: Sequence[Sequence[Numbers] | None],
    references: Sequence[Sequence[Numbers]],
    *,
    mode: Mode = "plain",
    thresholds: Sequence[float] = (0.5, 0.7),
    strict: bool = False,
    groups: Mapping[str, Marks] | None = None,
) -> dict[str, Score]:
    """`acc@<t>`, `miou`, `cum_iou`, `cum_iou_all` and `parse_failures` of N expressions, all in fractions.

    `predictions` are the boxes of each answer (`Decoded.boxes`), None or none where it could not be read; `references`
    one or more target boxes, in the same unit, which the legacy modes name. `strict` counts IoU > t instead of >= t.
    `cum_iou` is the sum of intersections over the sum of unions of the answers that were read (VRSBench); in
    `cum_iou_all` an unread answer adds its targets to the unions. Both weigh by area: in pixels large images count more
    than in fractions. `groups` names subsets (unique, small), which give the same scores as `<score>_<name>`.

    Raises ValueError when the lengths differ or an item has no target.
    """
    if len(predictions) != len(references) or not all(len(targets) for targets in references):
        raise ValueError(f"{len(predictions)} answers need as many non-empty lists of boxes, not {len(references)}")
    limits = np.asarray(thresholds, dtype=np.float64)[:, None]
    said = [(p or ())[: 1 if len(t) == 1 else None] for p, t in zip(predictions, references, strict=True)]
    hits, mean, areas = np.zeros((len(limits), len(said))), np.zeros(len(said)), np.zeros((len(said), 2))
    for k, (shared, union, pairs, count) in enumerate(_measured(said, references, mode)):
        areas[k] = shared, union
        mean[k] = pairs.sum() / count
        hits[:, k] = (pairs > limits if strict else pairs >= limits).sum(axis=1) / count
    read = np.array([len(p) > 0 for p in said], bool)
    scores: dict[str, Score] = {}
    for group, marks in {"": np.ones(len(said), bool), **(groups or {})}.items():
        tail, among = f"_{group}" if group else "", np.asarray(marks, bool)
        for t, hit in zip(thresholds, hits, strict=True):
            scores[f"acc@{t:g}{tail}"] = mean_score(f"acc@{t:g}{tail}", hit, among)
        scores[f"miou{tail}"] = mean_score(f"miou{tail}", mean, among)
        scores[f"cum_iou{tail}"] = pooled_score(f"cum_iou{tail}", areas, among=among & read)
        scores[f"cum_iou_all{tail}"] = pooled_score(f"cum_iou_all{tail}", areas, among=among)
        scores[f"parse_failures{tail}"] = mean_score(f"parse_failures{tail}", np.where(read, 0.0, 1.0), among)
    return scores


def _measured(
    predictions: Sequence[Sequence[Numbers]], references: Sequence[Sequence[Numbers]], mode: Mode
) -> Iterator[tuple[float, float, Array, int]]:
    """Of each item: intersection, union, the IoU of its pairs, and the larger of its numbers of boxes."""
    said, expected = (as_rows([box for item in side for box in item], mode) for side in (predictions, references))
    said_area, expected_area = overlaps(said, said, mode)[1], overlaps(expected, expected, mode)[1]
    sizes = [(len(p), len(t)) for p, t in zip(predictions, references, strict=True)]
    starts = np.cumsum([(0, 0), *sizes], axis=0)[:-1]
    places = [np.indices(size).reshape(2, -1) + start[:, None] for size, start in zip(sizes, starts, strict=True)]
    p, t = np.concatenate(places or [np.zeros((2, 0), int)], axis=1)
    shared, union = overlaps(said[p], expected[t], mode)  # every box of an item with every target of it, in one go
    every, done = quotient(shared, union), 0
    for (n, m), (p0, t0) in zip(sizes, starts, strict=True):
        pair = np.arange(done, done + n * m)
        if n * m > 1:
            i, j = best_pairs(every[pair].reshape(n, m))
            pair = pair[i * m + j]
        alone = (
            np.delete(said_area[p0 : p0 + n], p[pair] - p0).sum()
            + np.delete(expected_area[t0 : t0 + m], t[pair] - t0).sum()
        )
        yield float(shared[pair].sum()), float(union[pair].sum() + alone), every[pair], max(n, m)
        done += n * m


def size_groups(areas: Sequence[float]) -> dict[str, NDArray[np.bool_]]:
    """`groups` by the area of the target in square pixels of the stored image: small below 32^2, medium below 96^2."""
    pixels = np.asarray(areas, dtype=np.float64)
    large, small = pixels >= _MEDIUM, pixels < _SMALL
    return {"small": small, "medium": ~small & ~large, "large": large}


# ---- released protocols, with their faults, for comparison with published numbers ----


def vrsbench_scores(answers: Sequence[str], targets: Sequence[str]) -> dict[str, Score]:
    """VRSBench's notebook: `acc@0.5`, `acc@0.7`, `miou`, `cum_iou`, `parse_failures` of raw texts, in fractions.

    The first four whole numbers anywhere in the answer are its box ("there are 2 ships" gives x1 = 2), unordered,
    unclipped; "+1" IoU on the 0-100 grid; `>=`; every item counts, cumulative IoU over the read ones. Source:
    lx709/VRSBench d38cee1.
    """
    said, expected = [_first_four(text) for text in answers], [_first_four(text) for text in targets]
    boxes = np.array([box or (0, 0, -1, -1) for box in said]), np.array([box or (0, 0, -1, -1) for box in expected])
    shared, union = overlaps(boxes[0].reshape(-1, 4), boxes[1].reshape(-1, 4), "legacy_plus1_grid100")
    pairs = zip(said, expected, union, strict=True)
    read = np.array([bool(p and t) and u != 0 for p, t, u in pairs], dtype=bool)  # its division by zero is a failure
    overlap = np.divide(shared, union, out=np.zeros(len(said)), where=read)
    scores = {f"acc@{t}": mean_score(f"acc@{t}", np.where(read, overlap >= t, 0.0)) for t in (0.5, 0.7)}
    return scores | {
        "miou": mean_score("miou", overlap),
        "cum_iou": pooled_score("cum_iou", np.stack([shared, union], axis=1), among=read),
        "parse_failures": mean_score("parse_failures", np.where(read, 0.0, 1.0)),
    }


def _first_four(text: str) -> Numbers | None:
    found = re.findall(r"\d+", text)[:4]
    # A number of ten digits overlaps nothing, and one of four thousand would stop the program: neither is a box.
    return tuple(map(float, found)) if len(found) == 4 and max(map(len, found)) < 10 else None


def lhrs_scores(answers: Sequence[str], targets: Sequence[str]) -> dict[str, Score]:
    """LHRS-Bot's main_vg.py: `accuracy` over the boxes that were read and `accuracy_with_fail` over all, in fractions.

    Boxes are all `[...]` of an answer, paired with those of the target in order; more than four numbers are cut to
    four; "+1" IoU on 0-1 boxes (any two boxes overlap by a whole image); `>`. Source: NJU-LHRS/LHRS-Bot 84d9fdd.
    """
    rows = [_lhrs_counts(a, t) for a, t in zip(answers, targets, strict=True)]
    sums = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return {
        "accuracy": pooled_score("accuracy", sums[:, [0, 1]]),
        "accuracy_with_fail": pooled_score("accuracy_with_fail", sums[:, [0, 2]]),
        "parse_failures": pooled_score("parse_failures", sums[:, [3, 2]]),
    }


def _lhrs_counts(answer: str, target: str) -> tuple[int, int, int, int]:
    """Right, read, all, and failed boxes of one answer."""
    try:
        said = _lhrs_boxes(answer)
    except ValueError:
        return 0, 0, 1, 1
    pairs = list(zip(said, _lhrs_boxes(target), strict=False))
    whole = [(p[:4], t) for p, t in pairs if len(p) >= 4]
    right = sum(iou(p, t, "legacy_plus1_unit") > 0.5 for p, t in whole)
    failed = len(pairs) - len(whole) + (not said)
    return right, len(whole), len(whole) + failed, failed


def _lhrs_boxes(text: str) -> list[list[float]]:
    return [[float(n) for n in found.split(",")] for found in re.findall(r"\[([0-9., ]+)\]", text)]


def minigpt_scores(
    answers: Sequence[str], targets: Sequence[Box], sizes: Sequence[tuple[int, int]]
) -> dict[str, Score]:
    """MiniGPT-v2's eval_ref.py (SkyEyeGPT): `acc@0.5` of the answers in the 0-100 grid, in fractions.

    `targets` (x1, y1, x2, y2) in pixels, `sizes` (width, height) of the images. An answer must start with
    `{<x1><y1><x2><y2>}` and hold just four numbers; "+1" IoU in pixels; `>`; every expression counts. Source:
    Vision-CAIR/MiniGPT-4 d94738a, without its asking again up to 20 times.
    """
    said = [_minigpt_box(answer) for answer in answers]
    hits = [
        box is not None and iou([n / 100 * size[k % 2] for k, n in enumerate(box)], target, "legacy_plus1_pixel") > 0.5
        for box, target, size in zip(said, targets, sizes, strict=True)
    ]
    return {
        "acc@0.5": mean_score("acc@0.5", hits),
        "parse_failures": mean_score("parse_failures", [box is None for box in said]),
    }


def _minigpt_box(answer: str) -> Numbers | None:
    text = answer.replace("<unk>", "").replace(" ", "").strip()
    numbers = re.findall(r"\d+", text)
    fits = len(numbers) == 4 and re.match(r"\{<\d{1,3}><\d{1,3}><\d{1,3}><\d{1,3}>\}", text)
    return tuple(map(float, numbers)) if fits else None
