"""Thumbnails as inline SVG for an HTML page, with targets and predictions drawn on them.

Each picture is embedded once, however many questions are about it, and drawn in its own pixels: boxes, polygons and
masks need no scaling.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from rsvlm.data.images import read_rgb
from rsvlm.data.masks import decode_rle
from rsvlm.errors import BadInput, RsvlmError
from rsvlm.evaluate.protocol import Row
from rsvlm.evaluate.solvers import read_map
from rsvlm.html import escape
from rsvlm.sample import Image, Region

THUMBNAIL = 160  # pixels, longer side
COLOURS = {"target": "#14c45a", "said": "#f02828", "other": "#2874f0"}
_SHADE = 0.45  # opacity of a mask
_LETTERS = 10_500  # of a thumbnail at most, so that 500 pictures, however busy, make a page that opens at once
_STEPS = 32  # of 256, between opacities: fewer of them make smaller files


class Album:
    """The pictures of one page. `missing` says which could not be read, and why."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}
        self._shown: dict[Image, tuple[str, int, int, str]] = {}  # name, width, height, definition

    def show(self, image: Image, marks: str = "") -> str:
        """The picture with `marks` (SVG in its pixels) on it; words where it cannot be read."""
        if image not in self._shown and image.path not in self.missing:
            try:
                self._shown[image] = self._read(image)
            except RsvlmError as error:
                self.missing[image.path] = str(error)
        if image.path in self.missing:
            return '<span class="none">no picture</span>'
        name, width, height, _ = self._shown[image]
        return f'<svg class="picture" viewBox="0 0 {width} {height}"><use href="#{name}"/>{marks}</svg>'

    def _read(self, image: Image) -> tuple[str, int, int, str]:
        name, picture = f"p{len(self._shown)}", PIL.Image.fromarray(read_rgb(image))
        (width, height), whole = picture.size, picture.copy()
        whole.thumbnail((THUMBNAIL, THUMBNAIL))
        tries = (_encoded(whole, "JPEG", quality=quality) for quality in (75, 50, 25, 5))
        content = next(text for text in tries if len(text) < _LETTERS)
        return name, width, height, f'<image id="{name}" width="{width}" height="{height}" href="{content}"/>'

    def definitions(self) -> str:
        """The SVG definitions that the pictures refer to; they go once into the page, before the pictures."""
        inner = "\n".join(definition for *_, definition in self._shown.values())
        return f'<svg width="0" height="0" class="defs"><defs>\n{inner}\n</defs></svg>'


def _encoded(picture: PIL.Image.Image, kind: str, **options: Any) -> str:
    with io.BytesIO() as file:
        picture.save(file, kind, **options)
        return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


# ---- marks: SVG in the pixels of the picture ----


def legend(names: Mapping[str, str]) -> str:
    """Which colour of `COLOURS` stands for what."""
    keys = (f'<span style="color:{COLOURS[colour]}">&#9632;</span> {escape(name)}' for colour, name in names.items())
    return f'<p class="key">On the pictures: {", ".join(keys)}</p>'


def targets(regions: Sequence[Region], image: int = 0) -> str:
    """SVG of the target regions in the picture of that number."""
    return "".join(_region(region) for region in regions if region.image == image)


def _region(region: Region) -> str:
    if region.mask is not None:
        return _mask(region.mask, "target")
    if region.polygon:
        return _ring([n for point in region.polygon for n in point], "target")
    return _box([*region.box, region.angle], "target")


def marked(row: Row, parsed: object, colour: str = "said") -> str:
    """SVG of a prediction: its boxes, mask or map. A mask that was not read (another size) is not drawn."""
    drawn = "".join(_box(box, colour) for box in row.get("boxes") or ())
    if isinstance(parsed, Mapping) and "mask" in row:
        drawn += _mask(parsed, colour)
    if isinstance(parsed, str) and row.get("map") == parsed:
        drawn += _heat(read_map(parsed), colour)
    return drawn


def _box(numbers: Sequence[float], colour: str) -> str:
    """(x1, y1, x2, y2), with an angle in degrees (counter-clockwise), or four corners; nothing for what is neither."""
    if len(numbers) not in (4, 5, 8) or not np.isfinite(np.asarray(numbers, dtype=np.float64)).all():
        return ""
    if len(numbers) == 8:
        return _ring(numbers, colour)
    x1, y1, x2, y2, *angle = numbers
    (left, right), (top, bottom) = sorted((x1, x2)), sorted((y1, y2))
    turned = f' transform="rotate({-angle[0]:g} {(x1 + x2) / 2:g} {(y1 + y2) / 2:g})"' if angle and angle[0] else ""
    place = f'x="{left:g}" y="{top:g}" width="{right - left:g}" height="{bottom - top:g}"'
    return f'<rect class="mark" stroke="{COLOURS[colour]}" {place}{turned}/>'


def _ring(numbers: Sequence[float], colour: str) -> str:
    return f'<polygon class="mark" stroke="{COLOURS[colour]}" points="{" ".join(f"{n:g}" for n in numbers)}"/>'


def _mask(rle: Mapping[str, Any], colour: str) -> str:
    try:
        return _heat(decode_rle(rle).astype(np.uint8) * 255, colour)
    except BadInput:
        return ""


def _heat(values: NDArray[np.uint8], colour: str) -> str:
    """Values 0-255 as a veil of one colour, as large as a thumbnail."""
    height, width = values.shape
    veil = PIL.Image.fromarray((values // _STEPS * (_STEPS * _SHADE)).astype(np.uint8), "L")
    veil.thumbnail((THUMBNAIL, THUMBNAIL), PIL.Image.Resampling.NEAREST)  # no new opacities
    tinted = PIL.Image.new("RGBA", veil.size, COLOURS[colour])
    tinted.putalpha(veil)
    return f'<image width="{width}" height="{height}" href="{_encoded(tinted, "PNG")}"/>'
