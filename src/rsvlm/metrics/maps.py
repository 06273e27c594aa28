"""Maps of classes against maps: change detection and semantic segmentation, from one confusion matrix over all pixels.

Every set value is a function of sums over the images, so that it can be resampled. A prediction that could not be read
(None) is never right: its pixels belong to no class.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rsvlm.data.masks import Mask
from rsvlm.metrics.masks import Given, mask_array
from rsvlm.metrics.score import Array, Finish, Score, mean_score, pooled_score, ratio

Labels = NDArray[np.integer] | Mask


def change_scores(predictions: Iterable[Given | None], references: Iterable[Given]) -> dict[str, Score]:
    """Change detection from one confusion matrix over all pixels of all pairs, class 1 = changed, in fractions.

    `precision`, `recall`, `f1`, `iou` of the changed class, `oa`, `kappa`, `miou` and `mf1` over both classes, and
    `iou_per_image`, the mean over pairs, where two empty maps are 1.
    """
    predicted = (None if p is None else mask_array(p) for p in predictions)
    table = _confusions(zip(predicted, map(mask_array, references), strict=True), 2, None)

    def share(which: int) -> Finish:  # of the pixels predicted (1) or expected (2) to have changed, those that have
        return lambda sums: ratio(np.stack([_per_class(sums, 2)[i][..., 1] for i in (0, which)], axis=-1))

    finishes: dict[str, Finish] = {
        "precision": share(1),
        "recall": share(2),
        "f1": lambda sums: _overlaps(sums, 2, _F1)[..., 1],
        "iou": lambda sums: _overlaps(sums, 2, _IOU)[..., 1],
    }
    scores = {name: pooled_score(name, table, finish) for name, finish in (finishes | _map_finishes(2)).items()}
    quiet = table[:, 1:].sum(axis=1) == 0  # all pixels unchanged in both maps
    scores["iou_per_image"] = mean_score("iou_per_image", scores["iou"].per_item + quiet)
    return scores


def semantic_scores(
    predictions: Iterable[Labels | None], references: Iterable[Labels], classes: int, *, ignore: int = 255
) -> dict[str, Score]:
    """`miou`, `mf1`, `oa`, `kappa` and `iou_<k>`, `f1_<k>` of maps of class numbers 0 to `classes` - 1, in fractions.

    Pixels whose reference is `ignore` do not count; a predicted number that is no class is wrong. A class that occurs
    in neither map of the set is left out of the means. Raises ValueError for maps of two sizes, or a reference with
    other numbers.
    """
    table = _confusions(zip(predictions, references, strict=True), classes, ignore)
    scores = {name: pooled_score(name, table, finish) for name, finish in _map_finishes(classes).items()}
    for k in range(classes):
        for name, weight in (("iou", _IOU), ("f1", _F1)):
            scores[f"{name}_{k}"] = pooled_score(
                f"{name}_{k}", table, lambda sums, k=k, weight=weight: _overlaps(sums, classes, weight)[..., k]
            )
    return scores


def _confusions(pairs: Iterable[tuple[Labels | None, Labels]], classes: int, ignore: int | None) -> Array:
    """(N, classes * (classes + 1)): rows are true classes; the last column is a prediction that is no class."""
    tables: list[Array] = []
    for predicted, target in pairs:
        expected = np.asarray(target, dtype=np.int64).ravel()
        if predicted is not None and np.shape(predicted) != np.shape(target):
            raise ValueError(f"a map of {np.shape(predicted)} cannot be compared with one of {np.shape(target)}")
        valid = expected != ignore
        if ((expected < 0) | (expected >= classes))[valid].any():
            raise ValueError(f"a reference map holds numbers outside 0..{classes - 1} that are not {ignore}")
        found = np.full(expected.shape, classes) if predicted is None else np.asarray(predicted, dtype=np.int64).ravel()
        found = np.where((found < 0) | (found >= classes), classes, found)
        cells = expected[valid] * (classes + 1) + found[valid]
        tables.append(np.bincount(cells, minlength=classes * (classes + 1)).astype(np.float64))
    return np.array(tables, dtype=np.float64).reshape(-1, classes * (classes + 1))


_IOU, _F1 = 1, 2  # overlap counts once or twice: tp / (predicted + expected - tp), 2 tp / (predicted + expected)


def _per_class(sums: Array, classes: int) -> tuple[Array, Array, Array, Array]:
    """Of each class: pixels correct, predicted and expected (..., classes); and all pixels (...)."""
    table = sums.reshape(*sums.shape[:-1], classes, classes + 1)
    correct = np.diagonal(table, axis1=-2, axis2=-1)
    return correct, table.sum(axis=-2)[..., :classes], table.sum(axis=-1), table.sum(axis=(-2, -1))


def _overlaps(sums: Array, classes: int, weight: int) -> Array:
    """IoU or F1 of each class, (..., classes)."""
    correct, predicted, expected, _ = _per_class(sums, classes)
    return ratio(np.stack([weight * correct, predicted + expected - (2 - weight) * correct], axis=-1))


def _map_finishes(classes: int) -> dict[str, Finish]:
    """The scores of a whole map: overall accuracy, Cohen's kappa, means over the classes that occur in either map."""

    def mean(weight: int) -> Finish:
        def finish(sums: Array) -> Array:
            _, predicted, expected, _ = _per_class(sums, classes)
            occurring = (predicted + expected > 0).sum(axis=-1)
            return _overlaps(sums, classes, weight).sum(axis=-1) / np.maximum(occurring, 1)

        return finish

    def accuracy(sums: Array) -> Array:
        correct, _, _, pixels = _per_class(sums, classes)
        return ratio(np.stack([correct.sum(axis=-1), pixels], axis=-1))

    def kappa(sums: Array) -> Array:
        _, predicted, expected, pixels = _per_class(sums, classes)
        chance = (predicted * expected).sum(axis=-1) / np.maximum(pixels, 1) ** 2
        return ratio(np.stack([accuracy(sums) - chance, 1 - chance], axis=-1))

    return {"oa": accuracy, "kappa": kappa, "miou": mean(_IOU), "mf1": mean(_F1)}
