"""Resizing to the square input of a vision tower (stretch, letterbox or centre crop), and the crop window it shows.

| `fit` | resize mode | systems |
|---|---|---|
| `squash` | both sides are resized to the square's | ours, LHRS-Bot-Nova, SkyEyeGPT, RS-MoE |
| `pad` | a square of CLIP's mean colour around the picture, then resized | LLaVA-1.5, GeoChat, RS-GPT4V |
| `crop` | the short side is resized to the square's, and the middle kept | LHRS-Bot, CLIP's own processor |

It is a number of the recipe (`model.vision.fit`), because what a model was trained to see is what it must be shown.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

ResizeMode = Literal["squash", "pad", "crop"]
RESIZE_MODES: tuple[str, ...] = get_args(ResizeMode)
CropWindow = tuple[float, float, float, float]  # x, y, width, height in pixels of the stored picture
CropWindowOf = Callable[[tuple[int, int]], CropWindow]  # (width, height) of a picture -> its crop window

PAD_COLOUR = (122, 116, 104)  # CLIP's mean, 0-255, decimals cut off: LLaVA's `expand2square`, mm_utils.py


def resize_square(pixels: NDArray[np.uint8], size: int, fit: str = "squash") -> NDArray[np.uint8]:
    """(H, W, 3) uint8 -> (size, size, 3) uint8, resized by Pillow's bicubic filter."""
    picture = PILImage.fromarray(pixels)
    width, height = picture.size
    if fit == "pad" and width != height:
        side = max(width, height)
        square = PILImage.new("RGB", (side, side), PAD_COLOUR)
        square.paste(picture, ((side - width) // 2, (side - height) // 2))
        picture = square
    elif fit == "crop":
        columns, rows = _short_side_size(width, height, size)
        left, top = (columns - size) // 2, (rows - size) // 2
        resized = picture.resize((columns, rows), PILImage.Resampling.BICUBIC)
        return np.asarray(resized.crop((left, top, left + size, top + size)))
    return np.asarray(picture.resize((size, size), PILImage.Resampling.BICUBIC))


def crop_window(extent: tuple[int, int], size: int, fit: str = "squash") -> CropWindow:
    """The window of a picture of `extent` (width, height) that its square of `size` shows, both in pixels.

    (x, y, width, height) in pixels of the picture; with "pad" (letterbox) it reaches beyond the picture.
    """
    width, height = extent
    if fit == "pad":
        side = max(extent)
        return -((side - width) // 2), -((side - height) // 2), side, side
    if fit == "crop":
        columns, rows = _short_side_size(width, height, size)
        x, y = width / columns, height / rows  # of one pixel of the square
        return (columns - size) // 2 * x, (rows - size) // 2 * y, size * x, size * y
    return full_window(extent)


def full_window(extent: tuple[int, int]) -> CropWindow:
    """The window of a whole picture of `extent` (width, height): (0, 0, width, height)."""
    return 0, 0, *extent


def box_window(size: int, fit: str, sides: str) -> CropWindowOf:
    """The window that box coordinates are fractions of: the crop window, or with `sides` "stored" the whole picture.

    A system says which it is (`VisionLanguageModel.box_sides`); with "squash" both are the whole.
    """
    return full_window if sides == "stored" else partial(crop_window, size=size, fit=fit)


def _short_side_size(width: int, height: int, size: int) -> tuple[int, int]:
    """CLIP's processor: the short side becomes `size`, the long one is rounded down."""
    short = min(width, height)
    return (size, int(size * height / width)) if width == short else (int(size * width / height), size)
