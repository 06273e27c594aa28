"""Detection: average precision as PASCAL VOC counts it, F1 and counts; for upright and turned boxes, and polygons.

A vision-language model gives no confidence. Its boxes then have equal scores, the precision-recall curve is one point,
and the average precision is called `map_nc` ("no confidence", RSCoVLM): never to be compared with a detector's `map`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsvlm.metrics.boxes import best_pairs
from rsvlm.metrics.change import count_scores
from rsvlm.metrics.coco import coco_scores
from rsvlm.metrics.regions import Regions, labels_of, region_ious, score_of_images, shares_inside, with_label
from rsvlm.metrics.score import Array, Finish, Score, mean_score, pooled_score, ratio

Curve = Literal["area", "voc11", "coco101"]


def detection_scores(
    predictions: Sequence[Regions | None], references: Sequence[Regions], *, ignored: Sequence[Regions] = ()
) -> dict[str, Score]:
    """`f1@0.5`, `precision@0.5`, `recall@0.5`, `mae` and `rmse` of the number of boxes, `parse_failures`; and COCO's
    scores where every predicted region has a score, else `map_nc` (`ap_score` at IoU 0.5).

    N images; regions in pixels, matched within a label; None: the answer could not be read (no box, counted).
    `ignored`, where given, are regions of each image that are neither right nor wrong (`without_ignored`).
    """
    if ignored:
        predictions = without_ignored(predictions, references, ignored)
    predicted = [p or () for p in predictions]
    scored = all(region.score is not None for regions in predicted for region in regions)
    scores = f1_scores(predicted, references)
    scores |= count_scores([None if p is None else len(p) for p in predictions], list(map(len, references)))
    scores["parse_failures"] = mean_score("parse_failures", [p is None for p in predictions])
    if scored and any(predicted):
        return scores | coco_scores(predicted, references)
    predicted = [[replace(region, score=None) for region in regions] for regions in predicted]
    return scores | {"map_nc": ap_score(predicted, references, name="map_nc")}


def without_ignored(
    predictions: Sequence[Regions | None], references: Sequence[Regions], ignored: Sequence[Regions], *,
    threshold: float = 0.5,
) -> list[Regions | None]:  # fmt: skip
    """Predictions without those that lie on an ignored region (crowds, "difficult", "DontCare") and on no target.

    A prediction lies on a target of its label with an IoU of `threshold` or more, and on an ignored region with that
    share of its own area, as COCO does with crowds. Ignored regions with the label "" are of every label.
    """
    kept: list[Regions | None] = []
    for predicted, expected, crowd in zip(predictions, references, ignored, strict=True):
        if not predicted or not crowd:
            kept.append(predicted)
            continue
        on_target = (region_ious(predicted, expected) >= threshold) & _same_label(predicted, expected)
        on_crowd = (shares_inside(predicted, crowd) >= threshold) & _same_label(predicted, crowd)
        lost = set(np.flatnonzero(on_crowd.any(axis=1) & ~on_target.any(axis=1)).tolist())
        kept.append([region for at, region in enumerate(predicted) if at not in lost])
    return kept


def _same_label(predicted: Regions, others: Regions) -> NDArray[np.bool_]:
    same = [[other.label in ("", one.label) for other in others] for one in predicted]
    return np.array(same, dtype=np.bool_).reshape(len(predicted), len(others))


# ---- without confidence ----


def f1_scores(
    predictions: Sequence[Regions | None], references: Sequence[Regions], *, threshold: float = 0.5
) -> dict[str, Score]:
    """`precision@t`, `recall@t` and `f1@t` over all boxes of all images (micro), matched one to one within a label.

    As many pairs of IoU >= t as possible are made, so neither scores nor the order of the boxes matter.
    """
    rows: list[tuple[int, int, int]] = []
    for predicted, expected in zip(predictions, references, strict=True):
        right = 0
        for label in labels_of([expected]):
            fits = region_ious(with_label(label, predicted or ()), with_label(label, expected)) >= threshold
            i, j = best_pairs(fits.astype(np.float64))
            right += int(fits[i, j].sum())
        rows.append((right, len(predicted or ()), len(expected)))
    sums = np.array(rows, dtype=np.float64).reshape(-1, 3)
    finishes: dict[str, Finish] = {
        "precision": lambda s: ratio(s[..., :2]),
        "recall": lambda s: ratio(s[..., ::2]),
        "f1": lambda s: ratio(np.stack([2 * s[..., 0], s[..., 1] + s[..., 2]], axis=-1)),
    }
    return {
        f"{name}@{threshold:g}": pooled_score(f"{name}@{threshold:g}", sums, finish)
        for name, finish in finishes.items()
    }


# ---- PASCAL VOC ----


def ap_score(
    predictions: Sequence[Regions | None],
    references: Sequence[Regions],
    *,
    threshold: float = 0.5,
    curve: Curve = "area",
    ties: Literal["together", "listed"] = "together",
    name: str = "map",
) -> Score:
    """Mean over labels of the average precision at one IoU, matched as PASCAL VOC and DOTA do.

    By falling score, a box takes the target it overlaps most; where that one is taken, or IoU < t, the box is false.
    `curve`: `area` under the envelope (VOC 2010), the mean of it at 11 recalls (`voc11`, VOC 2007, mmrotate's default)
    or at 101 (`coco101`). No score is a score of 0. Boxes of equal score enter the curve together, so that it does not
    hang on their order in the list; `ties="listed"` lets them in one by one, as released code does. Labels without a
    target do not count.
    """
    images = [(p or (), t) for p, t in zip(predictions, references, strict=True)]
    labels = [
        [_matched(with_label(k, p), with_label(k, t), threshold) for p, t in images] for k in labels_of(references)
    ]
    together = ties == "together"

    def mean(rows: Sequence[Sequence[tuple[Array, Array, int]]]) -> float:
        aps = [_average_precision(row, curve, together) for row in rows if any(targets for _, _, targets in row)]
        return float(np.mean(aps)) if aps else 0.0

    each = [mean([[row[i]] for row in labels]) for i in range(len(images))]
    return score_of_images(name, mean(labels), each, [bool(t) for _, t in images])


def _matched(predicted: Regions, expected: Regions, threshold: float) -> tuple[Array, Array, int]:
    """Scores and hits (0, 1) of one image's boxes of a label by falling score, and the number of its targets."""
    scores = np.array([region.score or 0.0 for region in predicted], dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    hits = np.zeros(len(predicted))
    if predicted and expected:
        table = region_ious(predicted, expected)
        taken: set[int] = set()
        for rank, row in enumerate(table[order]):
            best = int(row.argmax())
            hits[rank] = row[best] >= threshold and best not in taken
            if row[best] >= threshold:
                taken.add(best)
    return scores[order], hits, len(expected)


def _average_precision(images: Sequence[tuple[Array, Array, int]], curve: Curve, together: bool) -> float:
    scores, hits = (np.concatenate([image[k] for image in images]) for k in (0, 1))
    order = np.argsort(-scores, kind="stable")
    right = hits[order].cumsum()
    last = np.append(np.diff(scores[order]) != 0, True)[: len(order)] if together else np.ones(len(order), bool)
    recall = right[last] / sum(image[2] for image in images)
    envelope = np.maximum.accumulate((right / np.arange(1, len(right) + 1))[last][::-1])[::-1]
    if curve == "area":
        return float((np.diff(recall, prepend=0.0) * envelope).sum())
    at = np.searchsorted(recall, np.linspace(0, 1, 11 if curve == "voc11" else 101), side="left")
    return float(np.append(envelope, 0.0)[at].mean())
