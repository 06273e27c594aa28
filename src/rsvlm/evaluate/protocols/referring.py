"""Referring phrases made from labels: a box for "the second car from the left". Ours: no paper words them so.

The phrases are those of `rsvlm.data.synth.referring`: true of exactly one box, by a margin.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rsvlm.data.synth.referring import referring_samples
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.protocol import Protocol
from rsvlm.evaluate.protocols.grounding import WORDING, boxes_of
from rsvlm.metrics.grounding import grounding_scores, size_groups
from rsvlm.metrics.score import Score
from rsvlm.sample import Sample


def _asked(samples: Sequence[Sample]) -> list[Item]:
    return items_of(referring_samples(samples), "ground")


def _found(items: Sequence[Item], predictions: Sequence[Any]) -> Mapping[str, Score]:
    """Over all, by kind of phrase, and by COCO's size groups of the target."""
    expected = [[region.box for region in item.regions] for item in items]
    groups: dict[str, Sequence[bool]] = {
        kind: [item.kind == kind for item in items] for kind in sorted({item.kind for item in items})
    }
    areas = [(x2 - x1) * (y2 - y1) for ((x1, y1, x2, y2),) in expected]
    sizes = {name: list(map(bool, marks)) for name, marks in size_groups(areas).items()}
    groups |= {name: marks for name, marks in sizes.items() if any(marks)}
    return grounding_scores(predictions, expected, thresholds=(0.5, 0.7), groups=groups)


def _set(dataset: str, title: str) -> Protocol:
    return Protocol(
        name=f"{dataset}/referring@1", title=f"{title}: a box for a phrase made from its labels", dataset=dataset,
        split="val", ability="grounds", wording=(WORDING,), ask=_asked, reader=boxes_of, measure=_found,
        headline=("acc@0.5", "acc@0.7", "miou"), per_item="acc@0.5", max_new_tokens=64,
        dialect="IoU plain, >=, the first box counts, unread answers count as misses",
    )  # fmt: skip


POSITION = 50
PROTOCOLS = (
    _set("ships", "Ships in aerial images"),
    _set("hit_uav", "HIT-UAV (thermal infrared)"),
)
