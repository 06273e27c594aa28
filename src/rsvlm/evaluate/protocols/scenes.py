"""Scene benchmarks: the class of a picture, by free generation, by likelihood, and as LHRS-Bot asks and scores it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rsvlm.data.sources.scene_classes import CLASSES
from rsvlm.evaluate.items import Item, items_of, task_question
from rsvlm.evaluate.protocol import Protocol, Read, Row
from rsvlm.evaluate.protocol_factories import scene_set
from rsvlm.metrics.accuracy import lhrs_class, scene_scores
from rsvlm.metrics.score import Score
from rsvlm.sample import Sample
from rsvlm.systems.lhrs_bot.prompts import PROMPTS

_LHRS_WORDING = PROMPTS["scene"].replace("{choices}", "{}")
_LHRS_FAULT = (
    "LHRS-Bot's rule gives every reply the class with the longest common run of letters, so that nothing ever fails to "
    "be read; its grammar is kept in the question; all pictures of the set are asked where none is published as test."
)


def _lhrs_ask(samples: Sequence[Sample], published: bool) -> list[Item]:
    """Each picture with all classes in the question and as `choices`, in the order of their folders, lower-cased."""
    turns = [(sample, turn) for sample in samples for turn in sample.turns if turn.task == "scene"]
    names = {turn.kind if published else turn.answer for _, turn in turns}
    classes = tuple(dict.fromkeys(_lhrs_name(name) for name in sorted(names)))
    return [
        Item(
            id=f"{sample.id}#0", question=_LHRS_WORDING.replace("{}", str(list(classes))), images=sample.images,
            references=(_lhrs_name(turn.kind if published else turn.answer),), choices=classes, meta=sample.meta,
        )
        for sample, turn in turns
    ]  # fmt: skip


def _lhrs_name(name: str) -> str:
    return name.lower().replace("_", " ")


def _lhrs_reader(_: Sequence[Item]) -> Read:
    def read(item: Item, row: Row) -> str | None:
        return None if row.get("error") else lhrs_class(row["answer"], item.choices)

    return read


def _lhrs_scores(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return scene_scores(answers, [item.references for item in items])


def _lhrs(
    dataset: str, title: str, *, name: str = "", split: str = "all", published: bool = True, tokens: int = 20
) -> Protocol:
    """`published`: classes as their folders are called; else their names in words (METER-ML's codes are none)."""
    return Protocol(
        name=f"{name or dataset}/lhrs-legacy@1", title=f"{title} as LHRS-Bot scores it", dataset=dataset, split=split,
        wording=(_LHRS_WORDING,), ask=partial(_lhrs_ask, published=published), reader=_lhrs_reader,
        measure=_lhrs_scores, headline=("balanced_accuracy", "accuracy"), per_item="accuracy", max_new_tokens=tokens,
        dialect="longest common substring, else the last class", legacy=_LHRS_FAULT,
    )  # fmt: skip


def _with_choices(samples: Sequence[Sample], question: str, choices: tuple[str, ...]) -> list[Item]:
    return [replace(item, choices=choices) for item in items_of(samples, task="scene", question=question)]


def _likelihood(dataset: str, title: str, *, wording: str = "scene", **more: Any) -> Protocol:
    """The likeliest of the set's classes as a reply: nothing is generated, and every picture gets a class."""
    ask = partial(_with_choices, question=task_question(wording), choices=tuple(CLASSES[dataset]))
    made = scene_set(
        dataset, f"{title} by likelihood", protocol="likelihood@1", wording=wording, ability="chooses", split="val",
        dialect="likeliest class, in sentence case, with or without a full stop", **more,
    )  # fmt: skip
    return replace(made, ask=ask)


POSITION = 30
PROTOCOLS = (
    scene_set("ucm_scenes", "UC Merced: 21 scenes by free generation", split="val"),
    scene_set("aid", "AID: 30 scenes by free generation", name="aid_scenes", split="val"),
    scene_set("eurosat", "EuroSAT RGB: 10 land covers by free generation", wording="landcover", split="val"),
    scene_set("rsscn7", "RSSCN7: 7 scenes by free generation", split="val"),
    scene_set("nwpu_resisc45", "NWPU-RESISC45: 45 scenes by free generation", split="val"),
    scene_set("whu_rs19", "WHU-RS19: 19 scenes by free generation", split="val"),
    scene_set("siri_whu", "SIRI-WHU: 12 scenes by free generation", split="val"),
    scene_set("meter_ml", "METER-ML: sources of methane by free generation; of two, either is right"),
    scene_set("fmow", "fMoW: 62 categories by free generation", split="val"),
    _likelihood("ucm_scenes", "UC Merced: 21 scenes"),
    _likelihood("aid", "AID: 30 scenes", name="aid_scenes"),
    _likelihood("eurosat", "EuroSAT RGB: 10 land covers", wording="landcover"),
    _likelihood("rsscn7", "RSSCN7: 7 scenes"),
    _likelihood("nwpu_resisc45", "NWPU-RESISC45: 45 scenes"),
    _likelihood("whu_rs19", "WHU-RS19: 19 scenes"),
    _likelihood("siri_whu", "SIRI-WHU: 12 scenes"),
    _lhrs("aid", "AID", name="aid_scenes"),
    _lhrs("whu_rs19", "WHU-RS19"),
    _lhrs("nwpu_resisc45", "NWPU-RESISC45"),
    _lhrs("siri_whu", "SIRI-WHU"),
    _lhrs("eurosat", "EuroSAT RGB"),
    _lhrs("meter_ml", "METER-ML", split="test", published=False, tokens=30),
    _lhrs("fmow", "fMoW", split="val"),
)
