"""Maps of change of whole pictures, from a function that maps one square: overlapping tiles, feathered. No PyTorch."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from rsvlm.data.augment import resized_window
from rsvlm.errors import BadInput
from rsvlm.systems.abilities import Pixels

Maps = NDArray[np.float32]
# Squares of two dates (N, S, S, 3) each -> probabilities (N, C, h, w)
Compare = Callable[[list[Pixels], list[Pixels]], Maps]

BATCH = 4  # pairs of tiles at once
OVERLAP = 0.25  # of a tile's side
THRESHOLD = 0.5
# Words of a phrase that ask for one class alone, the first class that has one; other phrases ask for any change.
WORDS = {"damaged": ("damage", "destroy", "ruin"), "built": ("built", "build", "house", "construct", "road")}


def change_maps(before: Pixels, after: Pixels, compare: Compare, *, size: int, part: int, classes: int) -> Maps:
    """(C, H, W): the probability of each class of change at each pixel of `after`.

    Parts of `part` pixels a side are shown as squares of `size` pixels, as in training; where they overlap they fade
    into one another. Raises BadInput for dates of two sizes.
    """
    if before.shape != after.shape:
        raise BadInput(
            f"The dates have {before.shape[1]} x {before.shape[0]} and {after.shape[1]} x {after.shape[0]} pixels; "
            "bring them onto one grid."
        )
    height, width = after.shape[:2]
    side = min(part, height, width)
    fade = np.hanning(side + 2)[1:-1, None].astype(np.float32)
    weight = fade * fade.T
    total, weights = np.zeros((classes, height, width), np.float32), np.full((height, width), 1e-9, np.float32)
    windows = list(_windows(height, width, side))
    for start in range(0, len(windows), BATCH):
        some = windows[start : start + BATCH]
        shown = [
            [resized_window(date, (x, y, side, side), size, "bicubic") for x, y in some] for date in (before, after)
        ]
        for (x, y), found in zip(some, compare(shown[0], shown[1]), strict=True):
            for total_of, one in zip(total, found, strict=True):
                total_of[y : y + side, x : x + side] += weight * _resized(one, side)
            weights[y : y + side, x : x + side] += weight
    return total / weights


def change_mask(maps: Maps, classes: Sequence[str], phrase: str) -> NDArray[np.bool_]:
    """(H, W): where the class that a phrase asks for, or any, has a probability of at least THRESHOLD."""
    said = phrase.lower()
    asked = [name for name, words in WORDS.items() if name in classes and any(word in said for word in words)]
    wanted = [classes.index(asked[0])] if asked else list(range(len(classes)))
    return maps[wanted].max(0) >= THRESHOLD


def _windows(height: int, width: int, side: int) -> Iterator[tuple[int, int]]:
    for y in _starts(height, side):
        for x in _starts(width, side):
            yield x, y


def _starts(length: int, side: int) -> list[int]:
    """Evenly spread, with at least OVERLAP of a side between neighbours."""
    count = 1 if length <= side else 1 + int(np.ceil((length - side) / (side * (1 - OVERLAP))))
    return [round(at) for at in np.linspace(0, length - side, count)]


def _resized(values: Maps, side: int) -> Maps:
    return np.array(PILImage.fromarray(values).resize((side, side), PILImage.Resampling.BILINEAR))
