"""ChangeChat-105k: whether, how many, where, open questions, and dialogues about two dates (captions apart)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.parsers import free_text, yes_no
from rsvlm.evaluate.protocol import Protocol, Read, Reader
from rsvlm.evaluate.protocol_factories import caption_set
from rsvlm.evaluate.protocols.change_captions import CHANGECHAT_PAIRS, pairs
from rsvlm.metrics.change import (
    CLASSES,
    binary_scores,
    change_count_scores,
    change_location_scores,
    dialogue_scores,
    read_counts,
    read_locations,
)
from rsvlm.metrics.score import Score, mean_score
from rsvlm.metrics.text.captions import spread
from rsvlm.sample import Sample


def _reads(parse: Callable[[str], Any]) -> Reader:
    """The same parser for every item, of whatever it makes of a reply."""
    return lambda _: lambda _, row: None if row.get("error") else parse(row["answer"])


def _asks(samples: Sequence[Sample], task: str, parse: Callable[[str], Any]) -> list[Item]:
    """`pairs` whose references can be read. Raises BadInput, before anything is asked, where one cannot."""
    return _readable(pairs(samples, f"change_{task}"), parse)


def _readable(items: list[Item], parse: Callable[[str], Any]) -> list[Item]:
    broken = [item for item in items if parse(item.references[0]) is None]
    if broken:
        raise BadInput(
            f"{len(broken)} of {len(items)} reference answers of ChangeChat-105k cannot be read, the first is "
            f"{broken[0].references[0]!r} of {broken[0].id}; take the file as its authors publish it."
        )
    return items


def _classes(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    expected = [yes_no(item.references[0]) == "yes" for item in items]
    return binary_scores([None if answer is None else answer == "yes" for answer in answers], expected)


def _counts(items: Sequence[Item], answers: Sequence[Any]) -> Mapping[str, Score]:
    expected = [read_counts(item.references[0]) or {} for item in items]
    right = [answer == reference for answer, reference in zip(answers, expected, strict=True)]
    return change_count_scores(answers, expected) | {"exact": mean_score("exact", right)}


def _places(items: Sequence[Item], answers: Sequence[Any]) -> Mapping[str, Score]:
    expected = [read_locations(item.references[0]) or {} for item in items]
    scores = change_location_scores(answers, expected)
    both = np.min([scores[f"subset_accuracy_{name}"].per_item for name in CLASSES], axis=0)
    return scores | {"exact": mean_score("exact", both)}


def _dialogues(samples: Sequence[Sample]) -> list[Item]:
    """Every turn with the turns before it in the question, answered rightly, as in training.

    Raises BadInput where an answer is not what its turn asks for.
    """
    items: list[Item] = []
    for item in items_of(samples, "change_dialogue"):
        before = "" if item.kind == "turn1" else f"{items[-1].question} a: {items[-1].references[0]}  q: "
        items.append(
            Item(
                id=item.id, question=before + item.question if before else f"q: {item.question}", images=item.images,
                references=item.references, kind=item.kind, meta=item.meta,
            )
        )  # fmt: skip
    for kind, parse in _TURNS.items():
        _readable([item for item in items if item.kind == kind], parse)
    return items


_TURNS: Mapping[str, Callable[[str], Any]] = {"turn1": yes_no, "turn2": read_counts, "turn3": free_text}


def _turn(_: Sequence[Item]) -> Read:
    """Reads yes or no, counts, a caption, by the place of the turn."""
    return lambda item, row: None if row.get("error") else _TURNS.get(item.kind, free_text)(row["answer"])


def _dialogue(items: Sequence[Item], answers: Sequence[Any]) -> Mapping[str, Score]:
    """The scores of each turn, and `turn_score`: right, exact, or the caption's ROUGE-L."""
    parts: list[Mapping[str, Score]] = []
    whole = np.zeros(len(items))
    for kind, measure, shown in (
        ("turn1", _classes, "accuracy"), ("turn2", _counts, "exact"), ("turn3", _OPEN.measure, "rouge_l"),
    ):  # fmt: skip
        among = np.array([item.kind == kind for item in items], bool)
        at = np.flatnonzero(among)
        scores = measure([items[i] for i in at.tolist()], [answers[i] for i in at.tolist()]) if len(at) else {}
        parts.append({name: spread(score, among) for name, score in scores.items()})
        whole[at] = scores[shown].per_item if len(at) else 0.0
    return dialogue_scores(parts) | {"turn_score": mean_score("turn_score", whole)}


_OPEN = replace(
    caption_set("changechat", "ChangeChat-105k: open questions", name="changechat_qa"), wording=("",),
    ask=partial(pairs, task="change_qa"), ability="compares", max_new_tokens=64, per_item="rouge_l",
    counts={"train": 26600, "test": 7527},
)  # fmt: skip


def _changechat(task: str, title: str, protocol: str, parse: Callable[[str], Any], **more: Any) -> Protocol:
    defaults: dict[str, Any] = {"ask": partial(_asks, task=task, parse=parse), "reader": _reads(parse)}
    return Protocol(
        name=f"changechat_{task}/{protocol}", title=f"ChangeChat-105k: {title}", dataset="changechat", wording=("",),
        ability="compares", **defaults | more,
    )  # fmt: skip


POSITION = 90
PROTOCOLS = (
    _changechat(
        "class", "has anything changed?", "yes-no@1", yes_no, measure=_classes,
        headline=("accuracy", "precision", "recall", "f1"), per_item="accuracy", counts=CHANGECHAT_PAIRS,
    ),
    _changechat(
        "count", "how many roads and buildings changed", "plain@1", read_counts, measure=_counts,
        headline=("mae_road", "rmse_road", "mae_building", "rmse_building"), per_item="exact", max_new_tokens=48,
        counts=CHANGECHAT_PAIRS,
        dialect="numbers beside the words road and building; an unread answer is 0, and at least one off",
    ),
    _changechat(
        "locate", "where in the 3 x 3 grid", "grid@1", read_locations, measure=_places,
        headline=("f1_road", "f1_building", "jaccard_road", "jaccard_building", "exact"), per_item="exact",
        max_new_tokens=128, counts=CHANGECHAT_PAIRS,
        dialect="two lists of cells; Jaccard of nothing and nothing is 1 (jaccard_released: 0, as published)",
    ),
    _OPEN,
    _changechat(
        "dialogue", "three turns, each asked with the right answers before it", "turns@1", free_text,
        ask=_dialogues, reader=_turn, measure=_dialogue, graded=False, max_new_tokens=48, per_item="turn_score",
        wrong_below=0.5,
        headline=("turn1_accuracy", "turn1_f1", "turn2_exact", "turn2_mae_road", "turn2_mae_building", "turn3_cider_d"),
        counts={split: 3 * count for split, count in CHANGECHAT_PAIRS.items()},
        dialect="history as q: ... a: ...  q: ...",
    ),
)  # fmt: skip
