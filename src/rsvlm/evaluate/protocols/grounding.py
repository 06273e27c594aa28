"""Grounding benchmarks: where in the picture is what a phrase speaks of.

Ours compare boxes in pixels by plain IoU (turned ones by the IoU of polygons), with every phrase in the denominator.
The legacy ones read the words of a reply as the released script of a paper does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from rsvlm.data.box_codecs import Numbers
from rsvlm.data.images import picture_size
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.protocol import Ask, Protocol, Read, Row
from rsvlm.evaluate.protocol_factories import always
from rsvlm.metrics.boxes import Mode
from rsvlm.metrics.grounding import grounding_scores, lhrs_scores, minigpt_scores, size_groups
from rsvlm.metrics.score import Score
from rsvlm.sample import Box, Region
from rsvlm.systems.lhrs_bot.prompts import PROMPTS

WORDING = "Locate in the image: {}"
PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9)
_KINDS = ("ref", "grounding")  # GeoChat-Bench's two ways to ask


def boxes_of(_: Sequence[Item]) -> Read:
    """The boxes of a row, in pixels; None where the reply had none."""

    def read(_: Item, row: Row) -> Any:
        return row.get("boxes") or None

    return read


def ground_scores(
    items: Sequence[Item], predictions: Sequence[Any], mode: Mode = "plain", thresholds: Sequence[float] = (0.5, 0.7)
) -> Mapping[str, Score]:
    """`grounding_scores` in pixels, over all, by size, and where the authors mark it by uniqueness and kind."""
    expected = [[_target(region, mode) for region in item.regions] for item in items]
    return grounding_scores(predictions, expected, mode=mode, thresholds=thresholds, groups=_groups(items))


def _target(region: Region, mode: Mode) -> Numbers:
    if mode == "rotated" and len(region.polygon) == 4:
        return tuple(n for point in region.polygon for n in point)
    return (*region.box, region.angle) if mode == "rotated" and region.angle else region.box


def _groups(items: Sequence[Item]) -> dict[str, Sequence[bool]]:
    """Published size groups; where there are none COCO's, by the area of the first target's box."""
    groups: dict[str, Sequence[bool]] = {}
    if all("unique" in item.meta for item in items):
        groups["unique"] = [item.meta["unique"] for item in items]
        groups["non_unique"] = [not item.meta["unique"] for item in items]
    if all(item.meta.get("size_group") for item in items):
        sizes = sorted({item.meta["size_group"] for item in items})
        groups |= {size: [item.meta["size_group"] == size for item in items] for size in sizes}
    else:
        areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (item.regions[0].box for item in items)]
        groups |= {size: list(map(bool, marks)) for size, marks in size_groups(areas).items()}
    groups |= {kind: [item.kind == kind for item in items] for kind in _KINDS}
    return {name: marks for name, marks in groups.items() if any(marks)}


def ground_set(
    dataset: str,
    title: str,
    protocol: str = "plain-iou@1",
    *,
    name: str = "",
    mode: Mode = "plain",
    thresholds: Sequence[float] = (0.5, 0.7),
    **more: Any,
) -> Protocol:
    """A phrase and its boxes: accuracy at IoU thresholds, mean and cumulative IoU."""
    ask: Ask = partial(items_of, task="ground")
    defaults: dict[str, Any] = {
        "ask": ask, "headline": (*(f"acc@{t:g}" for t in thresholds), "miou", "cum_iou"), "per_item": "acc@0.5",
        "dialect": f"IoU {mode}, >=, unread answers count as misses", "max_new_tokens": 64,
    }  # fmt: skip
    return Protocol(
        name=f"{name or dataset}/{protocol}", title=title, dataset=dataset, wording=(WORDING,), ability="grounds",
        reader=boxes_of, measure=partial(ground_scores, mode=mode, thresholds=thresholds), **defaults | more,
    )  # fmt: skip


# ---- released scripts, which read the words of a reply ----


def words_set(
    dataset: str,
    title: str,
    protocol: str,
    wording: str,
    measure: Callable[[Sequence[Item], Sequence[Any]], Mapping[str, Score]],
    *,
    name: str = "",
    **more: Any,
) -> Protocol:
    """A phrase put in a script's own words, and the reply as it is, for the script to read."""
    return Protocol(
        name=f"{name or dataset}/{protocol}", title=title, dataset=dataset, wording=(wording,),
        ask=partial(items_of, task="ground", question=wording), reader=always(str.strip), measure=measure, **more,
    )  # fmt: skip


def _lhrs(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    expected = [f"[{', '.join(f'{n:.4f}' for n in _fractions(item))}]" for item in items]
    return lhrs_scores([answer or "" for answer in answers], expected)


def _minigpt(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    sizes = [picture_size(item.image) for item in items]
    return minigpt_scores([answer or "" for answer in answers], [item.regions[0].box for item in items], sizes)


def _fractions(item: Item) -> Box:
    width, height = picture_size(item.image)
    x1, y1, x2, y2 = item.regions[0].box
    return x1 / width, y1 / height, x2 / width, y2 / height


_LHRS: dict[str, Any] = {
    "headline": ("accuracy", "accuracy_with_fail"), "per_item": "accuracy_with_fail", "max_new_tokens": 100,
    "dialect": "IoU legacy_plus1_unit, >",
    "legacy": "LHRS-Bot's script adds 1 to the sides of boxes in 0-1, so that almost any box passes IoU 0.5.",
}  # fmt: skip
_MINIGPT: dict[str, Any] = {
    "headline": ("acc@0.5",), "per_item": "acc@0.5", "max_new_tokens": 20, "dialect": "IoU legacy_plus1_pixel, >",
    "legacy": "MiniGPT-v2's script adds a pixel to every side and reads only `{<x1><y1><x2><y2>}` in hundredths.",
}  # fmt: skip
_VG, _REFER = PROMPTS["ground"].replace("{question}", "{}"), "[refer] give me the location of {}"
_DIOR, _RSVG = {"train": 26991, "val": 3829, "test": 7500}, {"train": 5505, "val": 1201, "test": 1227}

POSITION = 60
PROTOCOLS = (
    ground_set("dior_rsvg", "DIOR-RSVG: a box for a phrase", thresholds=PRECISIONS, counts=_DIOR),
    words_set("dior_rsvg", "DIOR-RSVG as LHRS-Bot scores it", "lhrs-legacy@1", _VG, _lhrs, counts=_DIOR, **_LHRS),
    words_set(
        "dior_rsvg", "DIOR-RSVG as MiniGPT-v2 scores it", "minigpt-legacy@1", _REFER, _minigpt, counts=_DIOR, **_MINIGPT
    ),
    ground_set("rsvg", "RSVG: a box for a phrase", thresholds=PRECISIONS, counts=_RSVG),
    words_set("rsvg", "RSVG as LHRS-Bot scores it", "lhrs-legacy@1", _VG, _lhrs, counts=_RSVG, **_LHRS),
    words_set("rsvg", "RSVG as MiniGPT-v2 scores it", "minigpt-legacy@1", _REFER, _minigpt, counts=_RSVG, **_MINIGPT),
)
