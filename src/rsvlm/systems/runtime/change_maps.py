"""Maps of change of pairs of any size, from a function that maps squares: overlapping tiles, feathered, in strips.

Memory is that of a row of tiles. No PyTorch.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from rsvlm.data.augment import resized_window
from rsvlm.errors import BadInput
from rsvlm.systems.abilities import ChangeStrip, CompareSquares, Maps, Pixels, ReadPair

BATCH = 4  # pairs of tiles at once
OVERLAP = 0.25  # of a tile's side
THRESHOLD = 0.5
# Beginnings of words that ask for one class alone, the first class that has one; other phrases ask for any change.
WORDS = {
    "damaged": ("damage", "destroy", "ruin", "collaps", "wreck"),
    "built": ("built", "rebuil", "build", "house", "construct", "road"),
}


def change_strips(
    read: ReadPair, width: int, height: int, compare: CompareSquares, *, size: int, part: int, classes: int
) -> Iterator[ChangeStrip]:
    """The probability of each class of change, strip by strip from the top; together they cover the pair once.

    Parts of `part` pixels a side are shown to `compare` as squares of `size` pixels, as in training; where they overlap
    they fade into one another. Parts without a valid pixel are not shown, and nothing has changed there.
    """
    side = min(part, height, width)
    columns, rows = _starts(width, side), _starts(height, side)
    fade = np.hanning(side + 2)[1:-1, None].astype(np.float32)
    weight = fade * fade.T
    maps, weights = np.zeros((classes, side, width), np.float32), np.full((side, width), 1e-9, np.float32)
    valid = np.zeros((side, width), bool)
    for top, following in zip(rows, [*rows[1:], height], strict=True):
        shown: list[tuple[int, Pixels, Pixels]] = []
        for x in columns:
            before, after, valid[:, x : x + side] = read((x, top, side, side))
            if valid[:, x : x + side].any():
                first, second = (resized_window(date, (0, 0, side, side), size, "bicubic") for date in (before, after))
                shown.append((x, first, second))
            if shown and (len(shown) == BATCH or x == columns[-1]):
                found_maps = compare([before for _, before, _ in shown], [after for _, _, after in shown])
                for (at, *_), found in zip(shown, found_maps, strict=True):
                    weights[:, at : at + side] += weight
                    for total, one in zip(maps, found, strict=True):
                        total[:, at : at + side] += weight * _resized(one, side)
                shown = []
        done = min(following - top, side)
        yield ChangeStrip(top, maps[:, :done] / weights[:done], valid[:done].copy())
        for buffer, empty in ((maps, 0.0), (weights, 1e-9), (valid, False)):
            buffer[..., : side - done, :] = buffer[..., done:, :].copy()
            buffer[..., side - done :, :] = empty


def change_maps(before: Pixels, after: Pixels, compare: CompareSquares, *, size: int, part: int, classes: int) -> Maps:
    """(C, H, W): `change_strips` of whole pictures. Raises BadInput for dates of two sizes."""
    if before.shape != after.shape:
        raise BadInput(
            f"The dates have {before.shape[1]} x {before.shape[0]} and {after.shape[1]} x {after.shape[0]} pixels; "
            "bring them onto one grid."
        )
    height, width = after.shape[:2]
    strips = change_strips(in_memory(before, after), width, height, compare, size=size, part=part, classes=classes)
    return np.concatenate([strip.maps for strip in strips], axis=1)


class MarksChange:
    """`MapsChange` and `SegmentsChange` of a model that compares squares: a base beside that of the model.

    `change_size` is the side of the squares, `change_part` that of the part of a pair that one shows.
    """

    change_classes: tuple[str, ...]
    change_size: int
    change_part: int

    def compare_squares(self, before: list[Pixels], after: list[Pixels]) -> NDArray[np.float32]:
        """Probabilities (N, C, h, w) of N pairs of squares."""
        raise NotImplementedError(f"{type(self).__name__} compares no squares")

    def segment_change(
        self, before: Sequence[Pixels], after: Sequence[Pixels], phrases: Sequence[str]
    ) -> list[NDArray[np.bool_]]:
        """One mask (H, W) per (before, after, phrase): a class of the head that the phrase names, else any change."""
        return [
            change_mask(self.change_maps(one, other), self.change_classes, phrase)
            for one, other, phrase in zip(before, after, phrases, strict=True)
        ]

    def change_maps(self, before: Pixels, after: Pixels) -> Maps:
        """(C, H, W) probabilities of a pair of any size."""
        return change_maps(before, after, self.compare_squares, **self._parts)

    def change_strips(self, read: ReadPair, width: int, height: int) -> Iterator[ChangeStrip]:
        """As `change_maps`, strip by strip of a pair that is read by windows."""
        return change_strips(read, width, height, self.compare_squares, **self._parts)

    @property
    def _parts(self) -> dict[str, int]:
        return {"size": self.change_size, "part": self.change_part, "classes": len(self.change_classes)}


def in_memory(before: Pixels, after: Pixels) -> ReadPair:
    """A reader of windows of two pictures that are there, valid everywhere."""

    def read(window: tuple[int, int, int, int]) -> tuple[Pixels, Pixels, NDArray[np.bool_]]:
        x, y, width, height = window
        part = slice(y, y + height), slice(x, x + width)
        return before[part], after[part], np.ones((height, width), bool)

    return read


def change_mask(maps: Maps, classes: Sequence[str], phrase: str) -> NDArray[np.bool_]:
    """(H, W): where the class that a phrase asks for, or any, has a probability of at least THRESHOLD."""
    asked = class_of(phrase, classes)
    wanted = [classes.index(asked)] if asked else list(range(len(classes)))
    return maps[wanted].max(0) >= THRESHOLD


def class_of(phrase: str, classes: Sequence[str]) -> str:
    """The class of change that a phrase asks for, "" where it asks for none of its own."""
    said = re.findall(r"\w+", phrase.lower())
    named = (name for name, words in WORDS.items() if name in classes and any(word.startswith(words) for word in said))
    return next(named, "")


def _starts(length: int, side: int) -> list[int]:
    """Evenly spread, with at least OVERLAP of a side between neighbours."""
    count = 1 if length <= side else 1 + int(np.ceil((length - side) / (side * (1 - OVERLAP))))
    return [round(at) for at in np.linspace(0, length - side, count)]


def _resized(values: Maps, side: int) -> Maps:
    return np.array(PILImage.fromarray(values).resize((side, side), PILImage.Resampling.BILINEAR))
