"""Question benchmarks: open questions by type.

RSVQA's high-resolution set has two test sets that are never mixed: the first, and Philadelphia, a city seen in no
training picture. GeoChat's paper speaks of 47k questions of the second, its file (`hrben.jsonl`) holds 62,554: all its
presence and comparison questions. Which 47k are meant was never published.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rsvlm.data.sources.rsvqa import LIST_47K
from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.protocol import Ask, Protocol
from rsvlm.evaluate.protocol_factories import always, question_set, refusal_set
from rsvlm.sample import Sample

POLAR = ("presence", "comp")  # what the field averages over; counts and areas are left out
LR_TYPES = (*POLAR, "rural_urban")
_LHRS_FAULT = (
    "LHRS-Bot's rule takes any part of the reference for right, also an empty reply, and normalises only the reply."
)
_LHRS: dict[str, Any] = {
    "match": "lhrs_v1", "numbers": False, "reader": always(str.strip), "max_new_tokens": 50, "legacy": _LHRS_FAULT,
}  # fmt: skip


def _test_set(samples: Sequence[Sample], test_set: str, kinds: Collection[str] = ()) -> list[Item]:
    """Questions of one of RSVQA-HR's two test sets ("" or "phili"); of another split, all of it."""
    chosen = [s for s in samples if s.split != "test" or s.meta.get("test_set", "") == test_set]
    return items_of(chosen, "vqa", kinds=kinds)


def _listed(samples: Sequence[Sample]) -> list[Item]:
    """The questions of the second test set that the user's list names; of another split, presence and comparison."""
    items: list[Item] = []
    for sample in samples:
        if sample.split != "test" or sample.meta.get("test_set") == "phili":
            asked = items_of([sample], "vqa", kinds=POLAR)
            if sample.split == "test":
                if "geochat_47k" not in sample.meta:
                    raise BadInput(
                        "GeoChat never published which 47k questions of RSVQA-HR's second test set it asked: give "
                        f"them as {LIST_47K} beside the questions, or take rsvqa_hr/phili-geochat-62554@1."
                    )
                asked = [i for i in asked if int(i.id.rpartition("#")[2]) in sample.meta["geochat_47k"]]
            items += asked
    return items


def _hr(
    title: str, protocol: str, test_set: str, kinds: Collection[str] = (), ask: Ask | None = None, **more: Any
) -> Protocol:
    ask = ask or partial(_test_set, test_set=test_set, kinds=kinds)
    return question_set("rsvqa_hr", f"RSVQA-HR, {title}", protocol, ask=ask, **more)


def _yes_or_no(samples: Sequence[Sample]) -> list[Item]:
    """The questions of presence whose answer is yes or no."""
    items = items_of(samples, "vqa", kinds=("presence",))
    return [replace(item, choices=_YES_NO) for item in items if set(item.references) <= set(_YES_NO)]


_YES_NO = ("yes", "no")

POSITION = 20
PROTOCOLS = (
    question_set("rsivqa", "RSIVQA (UCM part): open questions by type", "evalai-numbers@1", split="val"),
    question_set(
        "rsivqa", "RSIVQA (UCM part): presence by the likelihood of yes and no", "yes-no-likelihood@1", split="val",
        ask=_yes_or_no, ability="chooses", headline=("yes_no",), dialect="the likelier of yes and no",
    ),
    question_set(
        "rsvqa_lr", "RSVQA-LR: presence, comparison, rural or urban (what the field quotes)", "presence-comp-ru@1",
        kinds=LR_TYPES,
    ),
    question_set("rsvqa_lr", "RSVQA-LR: all questions, counts exact", "all@1", counts={"test": 10004}),
    question_set(
        "rsvqa_lr", "RSVQA-LR: all questions, counts in the five ranges of its authors", "all-buckets@1",
        match="rsvqa_buckets", counts={"test": 10004},
    ),
    question_set(
        "rsvqa_lr", "RSVQA-LR as LHRS-Bot scores it", "lhrs-legacy@1", kinds=LR_TYPES, **_LHRS,
    ),
    _hr("first test set: presence and comparison", "test1-presence-comp@1", "", POLAR, counts={"test": 131468}),
    _hr("first test set: all questions, counts and areas exact", "test1-all@1", "", counts={"test": 222684}),
    _hr(
        "second test set (Philadelphia): presence and comparison, GeoChat's file of 62,554 questions",
        "phili-geochat-62554@1", "phili", POLAR, counts={"test": 62554},
    ),
    _hr(
        "second test set (Philadelphia): the 47k questions of GeoChat's paper, which a user must list",
        "phili-geochat-47k@1", "phili", ask=_listed,
        legacy="GeoChat's paper counts 47k questions, its file holds 62,554; which 47k were asked is not published.",
    ),
    _hr(
        "second test set (Philadelphia): all questions, counts and areas exact", "phili-all@1", "phili",
        counts={"test": 105647},
    ),
    _hr("first test set as LHRS-Bot scores it", "lhrs-legacy@1", "", POLAR, **_LHRS),
    question_set("floodnet_vqa", "FloodNet-VQA: open questions by type", "evalai-numbers@1", split="val"),
    refusal_set(),
)  # fmt: skip
