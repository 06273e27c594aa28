"""A scene with a number for each of its windows in colour, and the scale below: one picture for one text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from rsvlm.geo.scene import Scene
from rsvlm.geo.tiles import Window
from rsvlm.printable import printable

# Nine of the colours of viridis (matplotlib, CC0): even in lightness, told apart by every kind of sight.
_VIRIDIS = np.array([
    (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141), (39, 173, 129), (92, 200, 99),
    (170, 220, 50), (253, 231, 37),
])  # fmt: skip
_OPAQUE = 0.6  # of a window's colour over the scene, which is shown grey so that only the number has colour
_MAX_SIDE, _MIN_SIDE = 1600, 640  # pixels of the picture
_TICKS = 5
_LONGEST = 300  # letters of a title that are looked at


def colours(values: ArrayLike, low: float, high: float) -> NDArray[np.float64]:
    """Numbers (...) -> RGB (..., 3) in 0..255 on a scale from `low` to `high`; all the same on a scale of no length."""
    span = high - low
    at = np.clip((np.asarray(values, np.float64) - low) / span if span > 0 else np.zeros(np.shape(values)), 0, 1)
    places = np.linspace(0, 1, len(_VIRIDIS))
    return np.stack([np.interp(at, places, channel) for channel in _VIRIDIS.T], axis=-1)


def heat_map(
    scene: Scene, values: Sequence[tuple[Window, float]], *, title: str, measure: str, low: float, high: float,
    size: int = _MAX_SIDE,
) -> Image.Image:  # fmt: skip
    """The scene in grey with each window in the colour of its number; below it the `title` and the scale.

    `values` are (window in scene pixels, number); what no window covers stays grey. `measure` names the numbers, `low`
    and `high` are the ends of the scale. The picture is `size` wide or high at most; small scenes are enlarged.
    """
    pixels = scene.read_rgb(size=size)
    if (times := -(-_MIN_SIDE // max(pixels.shape[:2]))) > 1:
        pixels = pixels.repeat(times, axis=0).repeat(times, axis=1)
    grey = (pixels @ np.array([0.299, 0.587, 0.114]))[..., None].repeat(3, axis=-1)
    across, down = pixels.shape[1] / scene.width, pixels.shape[0] / scene.height
    for (column, row, width, height), value in values:
        part = np.s_[
            round(row * down) : round((row + height) * down), round(column * across) : round((column + width) * across)
        ]
        grey[part] = (1 - _OPAQUE) * grey[part] + _OPAQUE * colours(value, low, high)
    picture = Image.fromarray(np.rint(grey).astype(np.uint8))
    return _with_scale(picture, printable(title), measure, low, high)


def _with_scale(picture: Image.Image, title: str, measure: str, low: float, high: float) -> Image.Image:
    """The picture above its title and a bar of colours with numbers; at least as wide as the scale needs."""
    unit = max(13, round(max(picture.size) / 60))  # pixels: the height of a letter
    font = ImageFont.load_default(size=unit)
    width = max(picture.width, 26 * unit)
    whole = Image.new("RGB", (width, picture.height + 5 * unit), (255, 255, 255))
    whole.paste(picture, ((width - picture.width) // 2, 0))
    pen, top = ImageDraw.Draw(whole), picture.height + unit // 2
    pen.text((unit, top), _fitted(title, width - 2 * unit, font, pen), fill=(0, 0, 0), font=font)
    # The bar lies over the middle grey, as the windows lie over the scene.
    bar = (1 - _OPAQUE) * 128 + _OPAQUE * colours(np.linspace(low, high, width - 2 * unit), low, high)
    strip = np.rint(bar).astype(np.uint8)[None].repeat(unit, axis=0)
    whole.paste(Image.fromarray(strip), (unit, top + round(1.6 * unit)))
    line = top + round(2.9 * unit)
    for tick in range(_TICKS):
        x = unit + (width - 2 * unit) * tick / (_TICKS - 1)
        words = f"{low + (high - low) * tick / (_TICKS - 1):.2f}"
        words = f"{words} {measure}" if tick == 0 else words
        anchor = "la" if tick == 0 else "ra" if tick == _TICKS - 1 else "ma"
        if tick and x - pen.textlength(words, font=font) / 2 < unit + pen.textlength(
            f"{low:.2f} {measure} ", font=font
        ):
            continue  # it would run into the first one, which names the measure
        pen.text((x, line), words, fill=(60, 60, 60), font=font, anchor=anchor)
    return whole


def _fitted(text: str, width: float, font: Any, pen: ImageDraw.ImageDraw) -> str:
    """The text on one line, cut with dots where it is wider than `width` pixels."""
    text = " ".join(text.split())[:_LONGEST]
    if pen.textlength(text, font=font) <= width:
        return text
    while text and pen.textlength(f"{text}...", font=font) > width:
        text = text[:-1]
    return f"{text}..."
