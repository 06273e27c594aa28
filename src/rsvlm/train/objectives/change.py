"""What changed between two dates: parts of a pair, and the share of each cell that changed, for a change head.

Besides the pairs of the sets, pairs that are known to show no change are made of one date: the same ground in other
colours, a little shifted or blurred (single-temporal supervision as in ChangeStar, arXiv:2108.07002).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage

from rsvlm.data.augment import Augmentation, resized_window
from rsvlm.data.images import read_rgb
from rsvlm.data.loader import Collate, ScheduledSample, dihedral_view, to_tensor
from rsvlm.data.masks import Mask, decode_rle
from rsvlm.errors import BadInput
from rsvlm.parts.heads.change import PART, STRIDE, ChangeHead
from rsvlm.sample import Batch, Sample
from rsvlm.train.objectives.base import Setting

KEYS = ("change",)
TEXT_ONLY = CACHED = AUGMENTED = False  # it draws its own parts of pictures

SIDES = (0.4, 1.25)  # times PART: the side of the part that is cut out
UNCHANGED = 0.15  # share of visits that see one date twice
CENTRED = 0.5  # share of the others that look at a place that changed
SHIFT = 3  # pixels by which dates may lie apart
COLOURS = Augmentation(jitter=0.8, brightness=0.25, contrast=0.25, saturation=0.25, hue=0.03, blur=0.2, noise=0.2)

Pixels = NDArray[np.uint8]


def collate(setting: Setting) -> Collate:
    """A part of each draw's pair, dates side by side, in its own colours a date, and the change in it.

    Raises BadInput for samples without a mask of one of the head's classes, and pairs of two sizes.
    """
    head: ChangeHead = setting.model.heads["change"]
    for sample in setting.samples:
        if label_of(sample) not in head.classes:
            raise BadInput(
                f"{sample.source or 'A set'}, sample {sample.id}, labels {label_of(sample) or 'no change'!r}; the "
                f"change head learns {', '.join(head.classes)}."
            )

    def batch(draws: list[ScheduledSample]) -> Batch:
        drawn = [_drawn(draw, setting, head) for draw in draws]
        images = [picture for pair, _ in drawn for picture in pair]
        return {"image": to_tensor(images), "change": torch.from_numpy(np.stack([target for _, target in drawn]))}

    return lambda draws, own: [batch(part) for part in own]


def label_of(sample: Sample) -> str:
    """The class of change that a sample is labelled for, whether it shows some or not."""
    return str(sample.meta.get("label") or next((region.label for region in sample.regions), ""))


def _drawn(
    draw: ScheduledSample, setting: Setting, head: ChangeHead
) -> tuple[tuple[Pixels, Pixels], NDArray[np.float32]]:  # fmt: skip
    """Two squares (S, S, 3), and the targets (C, S / 4, S / 4)."""
    sample, size = draw.sample, setting.pictures.size
    rng = np.random.default_rng([setting.recipe.seed, draw.position])
    before, after = (read_rgb(image) for image in sample.images)
    if before.shape != after.shape:
        raise BadInput(f"{sample.source}, sample {sample.id}: the dates have two sizes; bring them onto one grid.")
    mask = decode_rle(sample.regions[0].mask) if sample.regions and sample.regions[0].mask else None
    if rng.random() < UNCHANGED:
        before = after = (before, after)[int(rng.integers(2))]
        mask, labelled = None, head.classes
    else:
        labelled = (label_of(sample),)
    window = _window(after.shape[:2], size, mask, rng)
    shift = rng.integers(-SHIFT, SHIFT + 1, 2)
    view = int(rng.integers(8))
    pair = [_cut(picture, window, size, view, by) for picture, by in ((before, shift), (after, (0, 0)))]
    pair = [COLOURS.coloured(picture, rng) for picture in pair]
    target = np.full((len(head.classes), size // STRIDE, size // STRIDE), -1, np.float32)
    for name in labelled:
        target[head.classes.index(name)] = 0 if mask is None else _cells(mask, window, size // STRIDE, view)
    return (pair[0], pair[1]), target


def _window(
    extent: tuple[int, int], size: int, mask: Mask | None, rng: np.random.Generator
) -> tuple[int, int, int]:  # fmt: skip
    """x, y and side in pixels of the part that is looked at."""
    height, width = extent
    side = min(round(size * PART * rng.uniform(*SIDES)), height, width)
    x, y = int(rng.integers(width - side + 1)), int(rng.integers(height - side + 1))
    if mask is not None and mask.any() and rng.random() < CENTRED:
        places = np.flatnonzero(mask)
        row, column = divmod(int(places[rng.integers(len(places))]), width)
        x = int(np.clip(column - rng.integers(side), 0, width - side))
        y = int(np.clip(row - rng.integers(side), 0, height - side))
    return x, y, side


def _cut(
    picture: Pixels, window: tuple[int, int, int], size: int, view: int, shift: tuple[int, int] | NDArray[np.int64]
) -> Pixels:  # fmt: skip
    """The part at a window, moved by `shift` as far as the picture goes, resized to (size, size, 3), in a view."""
    x, y, side = window
    height, width = picture.shape[:2]
    x, y = (int(np.clip(at + by, 0, most - side)) for at, by, most in ((x, shift[0], width), (y, shift[1], height)))
    return np.ascontiguousarray(dihedral_view(resized_window(picture, (x, y, side, side), size, "bicubic"), view))


def _cells(mask: Mask, window: tuple[int, int, int], cells: int, view: int) -> NDArray[np.float32]:
    """The share of each of (cells, cells) that is marked, in a view."""
    x, y, side = window
    part = dihedral_view(mask[y : y + side, x : x + side, None].astype(np.uint8), view)[..., 0]
    shares = PILImage.fromarray(part.astype(np.float32)).resize((cells, cells), PILImage.Resampling.BOX)
    return np.array(shares)
