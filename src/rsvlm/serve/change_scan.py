"""A pair of scenes looked through for change: a map of classes, its regions on Earth, and how much was compared."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from rsvlm.geo.class_raster import NO_DATA, ClassRaster, ClassRegion
from rsvlm.geo.geodesy import pixel_areas
from rsvlm.geo.pair import Pair
from rsvlm.geo.vector import feature
from rsvlm.systems.abilities import ChangeStrip, MapsChange, Pixels, SegmentsChange
from rsvlm.systems.runtime.change_maps import THRESHOLD, change_strips

LEAST = 9  # connected pixels: smaller regions are taken for noise, and left out of the mask, too
MOST = 20_000  # regions that are listed, the largest first
_TILE = 512  # pixels, for a model that marks pictures and has no size of its own
_ANY = "what has changed"
# Class of a model -> what the ground was and became, where the class says it.
MEANING: Mapping[str, tuple[str | None, str | None]] = {
    "built": (None, "built-up"), "damaged": ("building", "damaged building"),
}  # fmt: skip

Advance = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class ChangeRegion:
    """A connected region of one class: its outline in pixels of the grid (shapely), and its Feature on Earth.

    `area_m2` is geodesic, None without a place; `score` in [0, 1] is the mean probability of its pixels, or, where it
    was computed from bands, 1, and 0.5 where its border is not clear.
    """

    label: str
    outline: Any
    pixels: int
    score: float
    area_m2: float | None
    feature: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ChangeScan:
    """What was found. `classes` are those that the model knows; `peak` is the largest probability of any pixel.

    `compared` are pixels that both dates show, `compared_m2` their area; `unlisted` the regions beyond `MOST`.
    """

    classes: tuple[str, ...]
    regions: tuple[ChangeRegion, ...]
    compared: int
    compared_m2: float | None
    peak: float
    identical: bool = False
    unlisted: int = 0


def scan(
    pair: Pair, model: MapsChange | SegmentsChange, raster: ClassRaster, advance: Advance,
    only: tuple[str, ...] | None = None,
) -> ChangeScan:  # fmt: skip
    """Look through a pair, strip by strip, and fill `raster` (values 1, 2, ... in the order of the classes).

    Identical dates are not shown to the model; `only` are the classes that are wanted, and where none is the model is
    not asked. `advance` is called with the rows done and their number.
    """
    every = tuple(model.change_classes) if isinstance(model, MapsChange) else ("changed",)
    classes = every if only is None else tuple(one for one in every if one in only)
    rows_of = [every.index(one) for one in classes]
    compared, area, peak = 0, 0.0, 0.0
    looked = bool(classes) and not pair.identical
    for strip in _strips(pair, model) if looked else _unchanged(pair):
        rows = np.arange(strip.top, strip.top + len(strip.valid))
        maps = strip.maps[rows_of] if looked else strip.maps
        likely = np.where(strip.valid, maps.max(0), np.float32(0))
        found = np.where(likely >= THRESHOLD, maps.argmax(0) + 1, 0)
        raster.write(
            strip.top, np.where(strip.valid, found, NO_DATA).astype(np.uint8), np.rint(100 * likely).astype(np.uint8)
        )
        peak = max(peak, float(likely.max()))
        compared += int(strip.valid.sum())
        if pair.place is not None:
            each = pixel_areas(pair.place, [pair.width / 2], rows + 0.5)[:, 0]
            area += float(np.nan_to_num(each) @ strip.valid.sum(1))
        advance(strip.top + len(rows), pair.height)
    regions = raster.regions(LEAST)
    return ChangeScan(
        classes=classes, regions=tuple(_region(one, classes, pair) for one in regions[:MOST]), compared=compared,
        compared_m2=area if pair.place else None, peak=peak, identical=pair.identical,
        unlisted=max(0, len(regions) - MOST),
    )  # fmt: skip


def _strips(pair: Pair, model: MapsChange | SegmentsChange) -> Iterator[ChangeStrip]:
    if isinstance(model, MapsChange):
        return model.change_strips(pair.read, pair.width, pair.height)

    def compare(before: list[Pixels], after: list[Pixels]) -> Any:
        masks = model.segment_change(before, after, [_ANY] * len(after))
        return np.stack([mask[None].astype(np.float32) for mask in masks])

    return change_strips(pair.read, pair.width, pair.height, compare, size=_TILE, part=_TILE, classes=1)


def _unchanged(pair: Pair) -> Iterator[ChangeStrip]:
    for top in range(0, pair.height, _TILE):
        height = min(_TILE, pair.height - top)
        *_, valid = pair.read((0, top, pair.width, height))
        yield ChangeStrip(top, np.zeros((1, height, pair.width), np.float32), valid)


def _region(found: ClassRegion, classes: tuple[str, ...], pair: Pair) -> ChangeRegion:
    label, score = classes[found.value - 1], round(found.percent / 100, 4)
    was, became = MEANING.get(label, (None, None))
    properties: dict[str, Any] = {"label": label, "score": score, "pixels": found.pixels, "from": was, "to": became}
    made = feature(found.outline, pair.place, **properties)
    return ChangeRegion(
        label=label, outline=found.outline, pixels=found.pixels, score=score, feature=made,
        area_m2=made["properties"].get("area_m2"),
    )  # fmt: skip


def clipped(outline: Any, box: tuple[float, float, float, float]) -> float:
    """Pixels of an outline within a box (x1, y1, x2, y2)."""
    return float(shapely.clip_by_rect(outline, *box).area)
