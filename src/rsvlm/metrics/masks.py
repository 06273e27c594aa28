"""Masks against masks: referring segmentation, counts and areas.

Every set value is a function of sums over the images, so that it can be resampled. A prediction that could not be read
(None) is never right: it overlaps nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rsvlm.data.masks import Mask, Rle, component_areas, decode_rle, polygon_mask, rle_size
from rsvlm.errors import BadInput
from rsvlm.metrics.change import count_scores
from rsvlm.metrics.score import Score, mean_score, pooled_score, ratio

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
    expected = mask_array(target)
    if predicted is None:
        return 0, 0, int(expected.sum()), 0
    said = mask_array(predicted)
    if said.shape != expected.shape:
        raise ValueError(f"a mask of {said.shape} cannot be compared with one of {expected.shape}")
    return int((said & expected).sum()), int(said.sum()), int(expected.sum()), 1


def maskmask_array(mask: Given) -> Mask:
    """A mask as bool (H, W), run lengths decoded."""
    return decode_rle(mask) if isinstance(mask, Mapping) else np.asarray(mask, bool)


def mask_array(mask: Given) -> Mask:
    """A mask as bool (H, W), run lengths decoded."""
    return decode_rle(mask) if isinstance(mask, Mapping) else np.asarray(mask, bool)


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
        return component_areas(mask_array(mask), connectivity=connectivity, min_pixels=min_pixels)

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
