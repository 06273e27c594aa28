"""Benchmarks of features: what the vectors of pictures alone know of scenes, learned from those of the train split."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from rsvlm.evaluate.items import Item, is_support, items_of
from rsvlm.evaluate.protocol import Protocol
from rsvlm.evaluate.protocols.matching import feature_rows, vector_of
from rsvlm.metrics.accuracy import scene_scores
from rsvlm.metrics.probes import linear_probe, nearest_neighbours
from rsvlm.metrics.score import Score
from rsvlm.metrics.text.captions import spread
from rsvlm.sample import Sample

Probe = Callable[[Any, Any, Any], Any]


def _pictures(samples: Sequence[Sample]) -> list[Item]:
    return [replace(item, question="", references=item.references[:1]) for item in items_of(samples, "scene")]


def _scores(items: Sequence[Item], predictions: Sequence[Any], probe: Probe) -> Mapping[str, Score]:
    """Those of scenes, over the items that are scored; the others are known, where they have a vector.

    Their spread is that over the scored pictures: the probe is fitted once.
    """
    features = feature_rows(predictions)
    given = np.isfinite(features).all(1)
    scored = np.array([not is_support(item) for item in items], bool)
    classes = sorted({item.references[0] for item in items})
    labels = np.array([classes.index(item.references[0]) for item in items])
    known, asked = given & ~scored, given & scored
    found = np.full(len(items), -1)
    if known.any() and asked.any():
        found[asked] = probe(features[known], labels[known], features[asked])
    names = [classes[at] if at >= 0 else None for at in found[scored]]
    references = [item.references for item, own in zip(items, scored, strict=True) if own]
    return {name: _over_all(score, scored) for name, score in scene_scores(names, references).items()}


def _over_all(score: Score, scored: Any) -> Score:
    """The score of the items in `scored` with a row for every item: no number stands beside the others."""
    whole = spread(score, scored)
    if len(score.per_item) != scored.sum():  # of one class only
        return whole
    shown = np.full(len(scored), np.nan)
    shown[scored] = score.per_item
    return replace(whole, per_item=shown)


def _probes(dataset: str, title: str, name: str) -> tuple[Protocol, Protocol]:
    def entry(protocol: str, what: str, probe: Probe, dialect: str) -> Protocol:
        return Protocol(
            name=f"{name or dataset}/{protocol}@1", title=f"{title} by {what}", dataset=dataset, split="val",
            support="train", ask=_pictures, wording=("",), reader=vector_of, measure=partial(_scores, probe=probe),
            headline=("accuracy", "balanced_accuracy"), per_item="accuracy", ability="embeds", graded=False,
            dialect=dialect,
        )  # fmt: skip

    return (
        entry("knn", "the 20 nearest training pictures", nearest_neighbours, "cosine s, votes of exp(s / 0.07)"),
        entry("linear-probe", "logistic regression on vectors", linear_probe,
              "standardised features, penalty by a fifth of the training pictures"),
    )  # fmt: skip


POSITION = 35
PROTOCOLS = (
    *_probes("ucm_scenes", "UC Merced: 21 scenes", ""),
    *_probes("aid", "AID: 30 scenes", "aid_scenes"),
    *_probes("eurosat", "EuroSAT RGB: 10 land covers", ""),
    *_probes("rsscn7", "RSSCN7: 7 scenes", ""),
    *_probes("nwpu_resisc45", "NWPU-RESISC45: 45 scenes", ""),
    *_probes("whu_rs19", "WHU-RS19: 19 scenes", ""),
    *_probes("siri_whu", "SIRI-WHU: 12 scenes", ""),
)
