"""Small pictures of a pair: both dates as a whole, and the later one with what changed drawn on it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image as PILImage

from rsvlm.geo.overlay import draw_regions
from rsvlm.geo.pair import Pair
from rsvlm.geo.scene import Pixels
from rsvlm.geo.vector import polygon_to_region
from rsvlm.serve.change_scan import ChangeRegion

LARGEST = 1600  # pixels of the longer side
_SMALLEST = 800  # smaller pairs are enlarged, so that lines and words fit
_BLOCK = 256  # pixels of a preview that are made at once
_DRAWN = 500  # regions that are drawn, the largest first


class Preview(NamedTuple):
    """Both dates (h, w, 3), and pixels of the preview per pixel of the pair."""

    before: Pixels
    after: Pixels
    scale: float


def preview(pair: Pair, largest: int = LARGEST) -> Preview:
    """A whole pair with at most `largest` pixels a side, each the mean of a square; memory is that of some squares."""
    step = -(-max(pair.width, pair.height) // largest)
    width, height = max(1, pair.width // step), max(1, pair.height // step)
    dates = np.zeros((2, height, width, 3), np.uint8)
    for y in range(0, height, _BLOCK):
        for x in range(0, width, _BLOCK):
            w, h = min(_BLOCK, width - x), min(_BLOCK, height - y)
            *seen, _ = pair.read((x * step, y * step, w * step, h * step))
            for date, pixels in zip(dates, seen, strict=True):
                small = PILImage.fromarray(np.ascontiguousarray(pixels)).reduce(step) if step > 1 else pixels
                date[y : y + h, x : x + w] = np.asarray(small)[:h, :w]
    return Preview(dates[0], dates[1], 1 / step)


def enlarged(seen: Preview) -> Preview:
    """Small previews by a whole number, pixel by pixel."""
    times = _SMALLEST // max(seen.after.shape[:2])
    if times < 2:
        return seen
    before, after = (date.repeat(times, axis=0).repeat(times, axis=1) for date in (seen.before, seen.after))
    return Preview(before, after, seen.scale * times)


def overlay(seen: Preview, regions: Sequence[ChangeRegion]) -> PILImage.Image:
    """The later date with the outlines of the largest regions."""
    drawn = [polygon_to_region(one.outline, one.label, one.score) for one in regions[:_DRAWN]]
    return draw_regions(seen.after, drawn, seen.scale, legend=True)
