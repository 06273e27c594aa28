"""Benchmarks on sets with boxes: how many of a kind there are, and where each one is. Ours: no paper words them so."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from rsvlm.evaluate.items import Item
from rsvlm.evaluate.parsers import number
from rsvlm.evaluate.protocol import Protocol, Read, Row
from rsvlm.evaluate.protocol_factories import always
from rsvlm.metrics.accuracy import hits
from rsvlm.metrics.change import count_scores
from rsvlm.metrics.detection import detection_scores
from rsvlm.metrics.score import Score, mean_score
from rsvlm.sample import Region, Sample

_COUNT = "How many {} are there?"
_FIND = "Locate in the image: all {}"


def _plural(label: str) -> str:
    return {"person": "people"}.get(label, f"{label}s")


def _asked(samples: Sequence[Sample], wording: str) -> list[Item]:
    """Each kind of object asked of each picture, also where there is none."""
    labels = sorted({region.label for sample in samples for region in sample.regions})
    items: list[Item] = []
    for sample in samples:
        for label in labels:
            own = [at for at, region in enumerate(sample.regions) if region.label == label]
            regions = tuple(sample.regions[at] for at in own)
            difficult = [number for number, at in enumerate(own) if at in sample.meta.get("difficult", ())]
            meta = {"ignore": sample.meta.get("ignore", ()), "difficult": difficult}
            items.append(
                Item(
                    id=f"{sample.id}#{label}", images=sample.images, question=wording.replace("{}", _plural(label)),
                    references=(str(len(regions)),), kind=label, regions=regions, meta=meta,
                )
            )  # fmt: skip
    return items


def _counts(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    right = hits(answers, [item.references for item in items])
    predicted = [None if answer is None else float(answer) for answer in answers]
    scores = {"accuracy": mean_score("accuracy", right)}
    scores |= count_scores(predicted, [float(item.references[0]) for item in items])
    kinds = sorted({item.kind for item in items})
    for kind in kinds if len(kinds) > 1 else ():
        name = f"accuracy_{kind}"
        scores[name] = mean_score(name, right, np.array([item.kind == kind for item in items]))
    return scores


def _list_of(_: Sequence[Item]) -> Read:
    """The boxes of a row; a reply without any says that there is nothing. None where no reply came."""

    def read(_: Item, row: Row) -> Any:
        return None if row.get("error") else row.get("boxes") or []

    return read


def _found(items: Sequence[Item], predictions: Sequence[Any]) -> Mapping[str, Score]:
    predicted = [
        None if boxes is None else [_region(item.kind, box) for box in boxes]
        for item, boxes in zip(items, predictions, strict=True)
    ]
    ignored = [[Region(label="", box=tuple(box)) for box in item.meta.get("ignore", ())] for item in items]
    difficult = [set(item.meta.get("difficult", ())) for item in items]
    references = [
        [region for at, region in enumerate(item.regions) if at not in hard]
        for item, hard in zip(items, difficult, strict=True)
    ]
    for one, item, hard in zip(ignored, items, difficult, strict=True):
        one += [item.regions[at] for at in sorted(hard)]
    return detection_scores(predicted, references, ignored=ignored)


def _region(label: str, numbers: Sequence[float]) -> Region:
    if len(numbers) == 8:
        ring = tuple(zip(numbers[::2], numbers[1::2], strict=True))
        xs, ys = numbers[::2], numbers[1::2]
        return Region(label=label, box=(min(xs), min(ys), max(xs), max(ys)), polygon=ring)
    x1, y1, x2, y2, *angle = numbers
    return Region(label=label, box=(x1, y1, x2, y2), angle=angle[0] if angle else 0.0)


def _count_set(dataset: str, title: str) -> Protocol:
    return Protocol(
        name=f"{dataset}/count@1", title=f"{title}: how many there are", dataset=dataset, split="val",
        wording=(_COUNT,), ask=partial(_asked, wording=_COUNT), reader=always(number), measure=_counts,
        headline=("accuracy", "mae", "rmse"), per_item="accuracy", dialect="the one number in the reply",
    )  # fmt: skip


def _detection_set(dataset: str, title: str) -> Protocol:
    return Protocol(
        name=f"{dataset}/detection@1", title=f"{title}: where each one is", dataset=dataset, split="val",
        ability="grounds", wording=(_FIND,), ask=partial(_asked, wording="{}"), reader=_list_of, measure=_found,
        headline=("f1@0.5", "map", "map_nc"), per_item="f1@0.5", wrong_below=0.5, graded=False, max_new_tokens=256,
        dialect="IoU plain, >= 0.5, boxes without scores: map_nc",
    )  # fmt: skip


POSITION = 40
PROTOCOLS = (
    _count_set("ships", "Ships in aerial images"),
    _count_set("hit_uav", "HIT-UAV (thermal infrared)"),
    _detection_set("ships", "Ships in aerial images"),
    _detection_set("hit_uav", "HIT-UAV (thermal infrared)"),
)
