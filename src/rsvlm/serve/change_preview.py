"""Small pictures of a pair: both dates as a whole, and the later one with what changed drawn on it."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image as PILImage

from rsvlm.geo.overlay import draw_regions
from rsvlm.geo.pair import Pair
from rsvlm.geo.scene import Pixels
from rsvlm.geo.vector import polygon_to_region
from rsvlm.serve.change_scan import ChangeRegion

LARGEST = 1600  # pixels of the longer side
_SMALLEST = 800  # smaller pairs are enlarged, so that lines and words fit
_DRAWN = 500  # regions that are drawn, the largest first


class Preview(NamedTuple):
    """Both dates (h, w, 3), and pixels of the preview per pixel of the pair."""

    before: Pixels
    after: Pixels
    scale: float


def preview(pair: Pair, largest: int = LARGEST) -> Preview:
    """A whole pair with at most `largest` pixels a side."""
    before, after, _ = pair.read(size=largest)
    return Preview(before, after, after.shape[1] / pair.width)


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
