"""Two random views of each picture, parts of both hidden, and where each lies: to learn from pictures alone (CMID)."""

import numpy as np
import torch
from numpy.typing import NDArray

from rsvlm.data.augment import Augmentation, draw_window, resized_window
from rsvlm.data.images import read_rgb
from rsvlm.data.loader import Collate, ScheduledSample, dihedral_view, to_tensor
from rsvlm.data.resize import resize_square
from rsvlm.errors import BadInput
from rsvlm.parts.masked_reconstruction import block_mask
from rsvlm.sample import Batch
from rsvlm.train.objectives.base import Setting

KEYS = ("hidden", "window", "step")
TEXT_ONLY = CACHED = AUGMENTED = False

SCALE = (0.3, 1.0)  # share of the square that a view shows: CMID's code, Dataset/transform.py
COLOURS = Augmentation(jitter=0.8, blur=1.0, noise=0.6, solarize=0.2, gray=0.2)  # of the second view, ibid.


def collate(setting: Setting) -> Collate:
    """Of each draw's picture, as a square, two random windows; the first is seen as it is, the second in other colours.

    Each is mirrored half of the time, and blocks of each are hidden. In runs with `views` each visit turns or mirrors
    the picture first. Raises BadInput for a size that is not made of whole blocks.
    """
    size, block = setting.pictures.size, setting.model.block
    if size % block or block % setting.model.vision.stem_stride:
        raise BadInput(
            f"Stage {setting.stage.name!r} sees pictures of {size} pixels, which are not made of whole blocks of "
            f"{block}; give it a size that is a multiple of the block, and a block of whole cells of the tower."
        )

    def batch(draws: list[ScheduledSample]) -> Batch:
        pixels: list[NDArray[np.uint8]] = []
        windows: list[list[float]] = []
        hidden: list[NDArray[np.bool_]] = []
        for draw in draws:
            rng = np.random.default_rng([setting.recipe.seed, draw.position])
            square = resize_square(read_rgb(draw.sample.images[0]), size, setting.pictures.fit)
            square = dihedral_view(square, setting.pictures.view(draw))
            for colours in (None, COLOURS):
                x, y, width, height = draw_window((size, size), rng, SCALE)
                mirrored = rng.random() < 0.5
                view = resized_window(square, (x, y, width, height), size)
                view = np.ascontiguousarray(view[:, ::-1]) if mirrored else view
                pixels.append(colours.coloured(view, rng) if colours else view)
                windows.append([height, width, y, x, mirrored])
                hidden.append(block_mask(size // block, setting.model.mask_ratio, rng))
        return {
            "image": to_tensor(pixels), "hidden": torch.from_numpy(np.stack(hidden)), "window": torch.tensor(windows),
            "step": torch.tensor([draws[0].position // setting.stage.batch, setting.stage.steps]),
        }  # fmt: skip

    return lambda draws, own: [batch(part) for part in own]
