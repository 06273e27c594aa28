"""Mask benchmarks: the pixels that a phrase means, that a class covers, or that have changed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from rsvlm.data.images import picture_size
from rsvlm.data.masks import Mask, Rle, decode_rle, encode_rle
from rsvlm.data.sources.change_captions import MCI_CLASSES
from rsvlm.data.sources.dubai import COLOURS
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.protocol import Measure, Protocol, Read, Row
from rsvlm.metrics.maps import change_scores
from rsvlm.metrics.masks import readable_mask, referring_scores
from rsvlm.metrics.score import Array, Score, mean_score, ratio
from rsvlm.sample import Sample

CHANGED, DAMAGED = "what has changed", "damaged buildings"


def mask_of(_: Sequence[Item]) -> Read:
    """The mask in a row as run lengths; None where there is none, or one of another size than the picture."""

    def read(item: Item, row: Row) -> Rle | None:
        given = row.get("mask")
        mask = None if given is None else readable_mask(given, _size(item))[0]
        return None if mask is None else given if isinstance(given, Mapping) else encode_rle(mask)

    return read


def _size(item: Item) -> tuple[int, int]:
    """(height, width) of the picture whose pixels are marked: the second of two dates."""
    width, height = picture_size(item.images[-1])
    return height, width


def target_of(item: Item) -> Rle:
    """The mask that is asked for; an empty one where the sample has no region."""
    if item.regions and item.regions[0].mask is not None:
        return item.regions[0].mask
    height, width = _size(item)
    return {"size": [height, width], "counts": [height * width]}


def _referring(items: Sequence[Item], predictions: Sequence[Rle | None]) -> Mapping[str, Score]:
    return referring_scores(predictions, map(target_of, items))


def _change(items: Sequence[Item], predictions: Sequence[Rle | None]) -> Mapping[str, Score]:
    return change_scores(predictions, map(target_of, items))


# ---- classes: each is asked for by its name, in every picture ----


def _by_class(samples: Sequence[Sample], task: str) -> list[Item]:
    """What counts of a picture is the region of the class that is asked for, if it is there."""
    return [
        replace(item, regions=tuple(region for region in item.regions if region.label == item.kind))
        for item in items_of(samples, task)
    ]


def _classes(items: Sequence[Item], predictions: Sequence[Rle | None]) -> Mapping[str, Score]:
    """`iou_<class>` over all pixels of the set, `miou` its mean over classes, `dice`, and `mae_area`.

    `mae_area` is the mean error of a class's area, as a share of the picture. Pixels of `meta["ignore_mask"]` do not
    count. A picture without the class, in which nothing was marked, has Dice 1.
    """
    rows = np.array([_pixels(item, p) for item, p in zip(items, predictions, strict=True)], dtype=np.float64)
    shared, mine, theirs, read, pixels = rows.reshape(-1, 5).T
    union = mine + theirs - shared
    names = list(dict.fromkeys(item.kind for item in items))
    scores: dict[str, Score] = {}
    for name in names:
        among = np.array([item.kind == name for item in items])
        sums = np.stack([shared, union], axis=1) * among[:, None]
        scores[f"iou_{name}"] = Score(
            name=f"iou_{name}", value=float(ratio(sums.sum(0))), per_item=ratio(sums[among]), n=int(among.sum()),
            sums=sums, finish=ratio,
        )  # fmt: skip
    dice = np.where(mine + theirs > 0, 2 * shared / np.maximum(mine + theirs, 1), read)
    error = np.where(read > 0, np.abs(mine - theirs), np.maximum(theirs, pixels - theirs))
    return (
        {"miou": _mean(list(scores.values()))}
        | scores
        | {"dice": mean_score("dice", dice), "mae_area": mean_score("mae_area", error / np.maximum(pixels, 1))}
    )


def _pixels(item: Item, predicted: Rle | None) -> tuple[int, int, int, int, int]:
    """Pixels shared, predicted and expected, 1 where the prediction was read, and the pixels that count."""
    expected = decode_rle(target_of(item))
    ignored = item.meta.get("ignore_mask")
    counts: Mask = np.ones_like(expected) if ignored is None else ~decode_rle(ignored)
    if predicted is None:
        return 0, 0, int(expected.sum()), 0, int(counts.sum())
    mine = decode_rle(predicted) & counts
    return int((mine & expected).sum()), int(mine.sum()), int(expected.sum()), 1, int(counts.sum())


def _mean(scores: Sequence[Score]) -> Score:
    """The mean over classes that occur, or are said, in the set."""

    def finish(sums: Array) -> Array:
        parts = sums.reshape(*sums.shape[:-1], -1, 2)
        there = (parts[..., 1] > 0).sum(axis=-1)
        return ratio(parts).sum(axis=-1) / np.maximum(there, 1)

    sums = np.concatenate([score.sums for score in scores], axis=1)
    value = float(finish(sums.sum(0))) if len(sums) else 0.0
    return Score(name="miou", value=value, per_item=finish(sums), n=len(sums), sums=sums, finish=finish)


# ---- entries ----


def _mask_set(dataset: str, title: str, protocol: str, task: str, measure: Measure, **more: Any) -> Protocol:
    """`ask` by default the data set's own phrases."""
    defaults: dict[str, Any] = {"ask": partial(items_of, task=task), "name": f"{dataset}/{protocol}", "wording": ("",)}
    ability = "segments_change" if task == "change_mask" else "segments"
    return Protocol(
        title=title, dataset=dataset, ability=ability, reader=mask_of, measure=measure, wrong_below=0.5, graded=False,
        **defaults | more,
    )  # fmt: skip


def _referring_set(dataset: str, title: str, **more: Any) -> Protocol:
    return _mask_set(
        dataset, title, "miou-oiou@1", "segment", _referring, headline=("miou", "oiou", "pr@0.5", "pr@0.7", "pr@0.9"),
        per_item="miou", dialect="IoU of two empty masks 0, as in the LAVT family", **more,
    )  # fmt: skip


def _change_set(dataset: str, title: str, question: str = CHANGED, **more: Any) -> Protocol:
    return _mask_set(
        dataset, title, "change-f1@1", "change_mask", _change, headline=("f1", "iou", "precision", "recall", "kappa"),
        per_item="iou_per_image", ask=partial(items_of, task="change_mask", question=question), wording=(question,),
        dialect="one confusion matrix over all pixels; the mask lies in the second image", **more,
    )  # fmt: skip


def _class_set(dataset: str, title: str, task: str, classes: tuple[str, ...], **more: Any) -> Protocol:
    return _mask_set(
        dataset, title, "per-class@1", task, _classes, ask=partial(_by_class, task=task),
        headline=("miou", *(f"iou_{name}" for name in classes), "mae_area"),
        per_item="dice", dialect="a mask a class; IoU over the pixels of the set, without a background class", **more,
    )  # fmt: skip


POSITION = 110
PROTOCOLS = (
    _referring_set("rrsis_d", "RRSIS-D: the mask of a phrase", counts={"train": 12181, "val": 1740, "test": 3481}),
    _referring_set("refsegrs", "RefSegRS: the mask of a phrase"),
    _referring_set("geopix_instruct", "GeoPixInstruct: the mask of a description", split="val"),
    _class_set("dubai", "Dubai: a mask for each of five classes", "segment", tuple(COLOURS), split="val"),
    _change_set("levir_cd", "LEVIR-CD: the mask of change"),
    _change_set("dsifn", "DSIFN: the mask of change"),
    _change_set("xbd", "xBD: the mask of damaged buildings", split="val", question=DAMAGED),
    _change_set("oscd", "OSCD: the mask of urban change at 10 m", split="val"),
    _change_set("sztaki", "SZTAKI AirChange: the mask of change", split="val"),
    _class_set("levir_mci", "LEVIR-MCI: masks of changed roads and buildings", "change_mask", tuple(MCI_CLASSES)),
)  # fmt: skip
