"""Masks against masks: referring segmentation, change maps, counts and areas.

Every set value is a function of sums over the images, so that it can be resampled. A prediction that could not be read
(None) is never right: it overlaps nothing, and its pixels belong to no class.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsvlm.data.masks import Mask, Rle, components, decode_rle, polygon_mask, rle_size
from rsvlm.errors import BadInput
from rsvlm.metrics.change import count_scores
from rsvlm.metrics.score import Array, Finish, Score, mean_score, pooled_score, ratio

Given = Mask | Rle  # an array, or COCO run lengths that are decoded when their turn comes

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def referring_scores(
    predictions: Iterable[Given | None],
    references: Iterable[Given],
    *,
    empty: Literal["zero", "one"] = "zero",
    thresholds: Sequence[float] = THRESHOLDS,
) -> dict[str, Score]:
    """`miou`, `oiou` (all intersections over all unions), `dice`, `pr@<t>` (IoU >= t), `vc8` and `parse_failures`.

    Fractions; masks of a pair have one shape (ValueError). `empty` is the IoU of two empty masks: 0 in the LAVT family
    (RRSIS-D, RefSegRS), 1 in Falcon; the Dice of two empty masks is 1 (Falcon). `vc8`: the two areas differ by at most
    8 % of their mean (Falcon's volume consistency, blind to where the masks lie).
    """
    pairs = zip(predictions, references, strict=True)
    rows = np.array([_areas(p, t) for p, t in pairs], dtype=np.float64).reshape(-1, 4)
    shared, said, expected, read = rows.T
    both_empty = (said + expected == 0) & (read > 0)
    union = said + expected - shared
    overlap = ratio(np.stack([shared, union], axis=1)) + (both_empty if empty == "one" else 0.0)
    dice = ratio(np.stack([2 * shared, said + expected], axis=1)) + both_empty
    close = np.where(read > 0, np.abs(said - expected) <= 0.08 * (said + expected) / 2, 0.0)
    scores = {
        "miou": mean_score("miou", overlap),
        "oiou": pooled_score("oiou", np.stack([shared, union], axis=1), ratio),
    }
    scores["dice"] = mean_score("dice", dice)
    for t in thresholds:
        scores[f"pr@{t:g}"] = mean_score(f"pr@{t:g}", np.where(read > 0, overlap >= t, 0.0))
    return scores | {"vc8": mean_score("vc8", close), "parse_failures": mean_score("parse_failures", 1 - read)}


def _areas(predicted: Given | None, target: Given) -> tuple[int, int, int, int]:
    """Pixels shared, predicted and expected, and 1 where the prediction was read."""
    expected = _array(target)
    if predicted is None:
        return 0, 0, int(expected.sum()), 0
    said = _array(predicted)
    if said.shape != expected.shape:
        raise ValueError(f"a mask of {said.shape} cannot be compared with one of {expected.shape}")
    return int((said & expected).sum()), int(said.sum()), int(expected.sum()), 1


def _array(mask: Given) -> Mask:
    return decode_rle(mask) if isinstance(mask, Mapping) else np.asarray(mask, bool)


# ---- change maps: one confusion matrix over all pixels ----


def change_scores(predictions: Iterable[Given | None], references: Iterable[Given]) -> dict[str, Score]:
    """Change detection from one confusion matrix over all pixels of all pairs, class 1 = changed, in fractions.

    `precision`, `recall`, `f1`, `iou` of the changed class, `oa`, `kappa`, `miou` and `mf1` over both classes, and
    `iou_per_image`, the mean over pairs, where two empty maps are 1.
    """
    table = _confusions(predictions, references)

    def share(which: int) -> Finish:  # of the pixels predicted (1) or expected (2) to have changed, those that have
        return lambda sums: ratio(np.stack([_per_class(sums)[i][..., 1] for i in (0, which)], axis=-1))

    finishes: dict[str, Finish] = {
        "precision": share(1),
        "recall": share(2),
        "f1": lambda sums: _overlaps(sums, _F1)[..., 1],
        "iou": lambda sums: _overlaps(sums, _IOU)[..., 1],
        "oa": _overall_accuracy,
        "kappa": _kappa,
        "miou": lambda sums: _mean_overlap(sums, _IOU),
        "mf1": lambda sums: _mean_overlap(sums, _F1),
    }
    scores = {name: pooled_score(name, table, finish) for name, finish in finishes.items()}
    quiet = table[:, 1:].sum(axis=1) == 0  # all pixels unchanged in both maps
    scores["iou_per_image"] = mean_score("iou_per_image", scores["iou"].per_item + quiet)
    return scores


def _confusions(predictions: Iterable[Given | None], references: Iterable[Given]) -> Array:
    """(N, 6): rows are true classes, columns what was predicted: unchanged, changed, not read."""
    tables: list[Array] = []
    for predicted, target in zip(predictions, references, strict=True):
        expected = _array(target)
        said = None if predicted is None else _array(predicted)
        if said is not None and said.shape != expected.shape:
            raise ValueError(f"a map of {said.shape} cannot be compared with one of {expected.shape}")
        column = 2 if said is None else said.astype(np.int64)
        cells = 3 * expected.astype(np.int64) + column
        tables.append(np.bincount(cells.ravel(), minlength=6).astype(np.float64))
    return np.array(tables, dtype=np.float64).reshape(-1, 6)


_IOU, _F1 = 1, 2  # overlap counts once or twice: tp / (predicted + expected - tp), 2 tp / (predicted + expected)


def _per_class(sums: Array) -> tuple[Array, Array, Array, Array]:
    """Of each class: pixels correct, predicted and expected (..., 2); and all pixels (...)."""
    table = sums.reshape(*sums.shape[:-1], 2, 3)
    right = np.diagonal(table, axis1=-2, axis2=-1)
    return right, table.sum(axis=-2)[..., :2], table.sum(axis=-1), table.sum(axis=(-2, -1))


def _overlaps(sums: Array, weight: int) -> Array:
    """IoU or F1 of each class, (..., 2)."""
    right, said, expected, _ = _per_class(sums)
    return ratio(np.stack([weight * right, said + expected - (2 - weight) * right], axis=-1))


def _mean_overlap(sums: Array, weight: int) -> Array:
    """The mean over the classes that occur in either map of the set."""
    _, said, expected, _ = _per_class(sums)
    there = (said + expected > 0).sum(axis=-1)
    return _overlaps(sums, weight).sum(axis=-1) / np.maximum(there, 1)


def _overall_accuracy(sums: Array) -> Array:
    right, _, _, pixels = _per_class(sums)
    return ratio(np.stack([right.sum(axis=-1), pixels], axis=-1))


def _kappa(sums: Array) -> Array:
    _, said, expected, pixels = _per_class(sums)
    chance = (said * expected).sum(axis=-1) / np.maximum(pixels, 1) ** 2
    return ratio(np.stack([_overall_accuracy(sums) - chance, 1 - chance], axis=-1))


# ---- counts and areas ----


def mask_count_scores(
    predictions: Iterable[Given | None],
    references: Iterable[Given],
    *,
    connectivity: Literal[4, 8] = 8,
    min_pixels: int = 1,
) -> dict[str, Score]:
    """`mae` and `rmse` of the number of connected parts, `mae_area` and `rmse_area` of the pixels of a mask.

    Parts below `min_pixels` count in neither. None counts as an empty mask, and as at least one off.
    """

    def parts(mask: Given) -> NDArray[np.int64]:
        return components(_array(mask), connectivity=connectivity, min_pixels=min_pixels)

    said = [None if p is None else parts(p) for p in predictions]
    expected = [parts(t) for t in references]
    return count_scores([None if p is None else len(p) for p in said], list(map(len, expected))) | count_scores(
        [None if p is None else int(p.sum()) for p in said], [int(t.sum()) for t in expected], "_area"
    )


# ---- what a user's file may hold ----


def readable_mask(value: object, size: tuple[int, int]) -> tuple[Mask | None, str]:
    """A mask from a user's file: (bool (H, W), "") or (None, a sentence that says what is wrong with it).

    COCO run lengths; polygons `[[x1, y1, x2, y2, ...], ...]` in pixels; or H rows of W pixels, 0 and 1 (or 255).
    `size` is the (height, width) of the target: a mask of another size is refused.
    """
    try:
        if isinstance(value, Mapping):
            _same(rle_size(value), size)  # before decoding: a few letters can claim a mask of any size
            return decode_rle(value), ""
        mask = _rows_or_polygons(value, size)
        _same(mask.shape, size)
        return mask, ""
    except BadInput as err:
        return None, str(err)


def _same(found: tuple[int, ...], size: tuple[int, int]) -> None:
    if found != size:
        found_text = " x ".join(map(str, found))
        raise BadInput(f"The mask has {found_text} pixels; expected {size[0]} x {size[1]}, the size of the target.")


def _rows_or_polygons(value: object, size: tuple[int, int]) -> Mask:
    try:
        rows = [np.asarray(row, dtype=np.float64) for row in value] if isinstance(value, list | np.ndarray) else None
    except (TypeError, ValueError, OverflowError):
        rows = None
    if rows is None or any(row.ndim != 1 for row in rows):
        raise BadInput(
            f"A mask is given as {type(value).__name__}; expected run lengths, polygons, or rows of 0 and 1."
        )
    if rows and len({len(row) for row in rows}) == 1 and np.isin(rows, (0, 1, 255)).all():
        return np.array(rows) > 0
    return polygon_mask([row.tolist() for row in rows], size)
