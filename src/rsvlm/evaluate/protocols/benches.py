"""Mixed benchmarks: VRSBench, GeoChat-Bench, LHRS-Bench, GEOBench-VLM, XLRS-Bench-lite.

GeoChat-Bench's scene and question parts are lists over sets that have entries of their own: AID, UC Merced, RSVQA-LR
(presence-comp-ru) and RSVQA-HR (phili-geochat-62554).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rsvlm.data.prompt import LETTERS
from rsvlm.data.sources.vrsbench import LEAK
from rsvlm.errors import BadInput
from rsvlm.evaluate.items import CHOOSE, Item, items_of
from rsvlm.evaluate.protocol import Protocol, Read, Row
from rsvlm.evaluate.protocol_factories import always, caption_set, question_set
from rsvlm.evaluate.protocols.grounding import WORDING, ground_set, words_set
from rsvlm.metrics.accuracy import MATCHERS, vqa_scores
from rsvlm.metrics.choice import CHOICE_RULES, choice_scores, letter
from rsvlm.metrics.grounding import vrsbench_scores
from rsvlm.metrics.score import Score
from rsvlm.sample import Sample
from rsvlm.systems.lhrs_bot.prompts import CHOICE

# ---- VRSBench ----

_SCENE = {"image": "scene type", "rural or urban": "scene type"}  # as the notebook's table has them


def _vrsbench_questions(samples: Sequence[Sample]) -> list[Item]:
    return [replace(item, kind=_SCENE.get(item.kind, item.kind)) for item in items_of(samples, "vqa")]


def _leak_free(samples: Sequence[Sample]) -> list[Item]:
    """Referring sentences over pictures that are not cut from an image of DIOR-RSVG's training split."""
    items = items_of(samples, "ground")
    if any(sample.split == "val" and sample.regions and LEAK not in sample.meta for sample in samples):
        raise BadInput(
            "Which pictures of VRSBench are in DIOR-RSVG's training split is known only where DIOR-RSVG is at hand: "
            "put its folder DIOR_RSVG (annotations and lists) beside that of VRSBench."
        )
    return [item for item in items if not item.meta.get(LEAK)]


def _notebook(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return vrsbench_scores([answer or "" for answer in answers], [item.meta.get("ground_truth", "") for item in items])


_REFERRED = {"val": 16159}
_VRS_HEAD = ("acc@0.5", "acc@0.7", "acc@0.5_unique", "acc@0.5_non_unique", "miou", "cum_iou")
VRSBENCH = (
    replace(
        caption_set("vrsbench", "VRSBench: a caption of several sentences against one", name="vrsbench_caption"),
        split="val", ask=partial(items_of, task="caption"), wording=("",), max_new_tokens=256, counts={"val": 9350},
    ),
    question_set(
        "vrsbench", "VRSBench: open questions by type, judged by words and synonyms", "local-judge@1",
        name="vrsbench_vqa", match="vrsbench_local", numbers=False, split="val", ask=_vrsbench_questions,
        counts={"val": 37409},
    ),
    question_set(
        "vrsbench", "VRSBench: open questions by the notebook's rule without its judge", "notebook@1",
        name="vrsbench_vqa", match="vrsbench_rule", numbers=False, split="val", ask=_vrsbench_questions,
        reader=always(str.strip), counts={"val": 37409},
        legacy="A reply is right where the reference is any part of it ('no' in 'not sure', '1' in '12'); the judge "
        "model that the notebook asks about the others is left out.",
    ),
    ground_set(
        "vrsbench", "VRSBench: a box for a sentence", name="vrsbench_referring", split="val", headline=_VRS_HEAD,
        counts=_REFERRED,
    ),
    ground_set(
        "vrsbench", "VRSBench: a box for a sentence, without pictures of DIOR-RSVG's training split", "leak-free@1",
        name="vrsbench_referring", split="val", headline=_VRS_HEAD, ask=_leak_free,
    ),
    words_set(
        "vrsbench", "VRSBench: a box for a sentence as its notebook has it", "vrsbench-notebook@1", WORDING, _notebook,
        name="vrsbench_referring", split="val", headline=("acc@0.5", "acc@0.7", "miou", "cum_iou"), per_item="acc@0.5",
        max_new_tokens=64, counts=_REFERRED, dialect="IoU legacy_plus1_grid100, first four numbers of the reply",
        legacy="The notebook adds a hundredth of the picture to every side, which favours small boxes, and takes the "
        "first four numbers anywhere in a reply for its box.",
    ),
)  # fmt: skip

# ---- multiple choice ----


def _letters(_: Sequence[Item]) -> Read:
    def read(item: Item, row: Row) -> str | None:
        return None if row.get("error") else letter(row["answer"], item.choices)

    return read


def choices_measure(
    items: Sequence[Item], answers: Sequence[str | None], rule: Callable[[str, str], bool] = CHOICE_RULES["letter"]
) -> Mapping[str, Score]:
    """`accuracy`, one a type, and `average`, the unweighted mean over types (a question's first)."""
    expected = [item.references[0] for item in items]
    scores = choice_scores(answers, expected, [_types(item) for item in items], rule)
    average = vqa_scores(answers, [(one,) for one in expected], [item.kind for item in items], rule)["average"]
    return scores | {"average": average}


def _types(item: Item) -> Sequence[str]:
    """All types of a question where the set gives several (LHRS-Bench), by the number of its turn."""
    types = item.meta.get("types")
    return types[int(item.id.rpartition("#")[2])] if types else (item.kind,)


def choice_set(dataset: str, title: str, protocol: str, **more: Any) -> Protocol:
    """Multiple choice: the letter of an option."""
    defaults: dict[str, Any] = {
        "ask": partial(items_of, task="choice"), "reader": _letters, "measure": choices_measure,
        "wording": ("", CHOOSE),
        "headline": ("accuracy", "average"), "per_item": "accuracy", "dialect": "the letter a reply names",
    }  # fmt: skip
    return Protocol(name=f"{dataset}/{protocol}", title=title, dataset=dataset, **defaults | more)


_LHRS_WORDING = CHOICE.replace("{question}", "{}").replace("{choices}", "{options}")


def _lhrs_ask(samples: Sequence[Sample]) -> list[Item]:
    items = items_of(samples, "choice")
    turns = [turn for sample in samples for turn in sample.turns if turn.task == "choice"]
    return [
        replace(item, question=_LHRS_WORDING.replace("{}", turn.question).replace("{options}", _lettered(turn.choices)))
        for item, turn in zip(items, turns, strict=True)
    ]


def _lettered(choices: Sequence[str]) -> str:
    return " ".join(f"{mark}. {choice}" for mark, choice in zip(LETTERS, choices, strict=False))


def _part(samples: Sequence[Sample], part: str, task: str = "choice") -> list[Item]:
    return items_of([sample for sample in samples if sample.meta["part"] == part], task)


_SEVERAL = "Overall Land use classification"  # the one category where several options may be right
_CHOOSE_SEVERAL = "There may be more than one right option: answer with the letters of all right ones only."


def _xlrs(samples: Sequence[Sample], pictures: int) -> list[Item]:
    items = items_of([sample for sample in samples if len(sample.images) == pictures], "choice")
    return [_several(item) if item.kind == _SEVERAL else item for item in items]


def _several(item: Item) -> Item:
    asked = "\n".join([*item.question.splitlines()[:-1], _CHOOSE_SEVERAL])
    return replace(item, question=asked, references=(item.meta.get("right", item.references[0]),))


def _xlrs_letters(known: Sequence[Item]) -> Read:
    """One letter; of a question with several right options all letters of the reply, in order ("AC", "C and A")."""
    single = _letters(known)

    def read(item: Item, row: Row) -> str | None:
        if item.kind != _SEVERAL or row.get("error"):
            return single(item, row)
        found = re.findall(rf"\b[{LETTERS[: len(item.choices)]}]+\b", row["answer"])
        return "".join(sorted(set("".join(found)))) or None

    return read


_XLRS: dict[str, Any] = {
    "reader": _xlrs_letters, "measure": partial(choices_measure, rule=MATCHERS["exact"]),
    "dialect": "the letter a reply names; where several are right, exactly these",
    "wording": ("", CHOOSE, _CHOOSE_SEVERAL),
}  # fmt: skip
CHOICES = (
    choice_set("lhrs_bench", "LHRS-Bench: one option by type", "letter@1", counts={"test": 690}),
    choice_set(
        "lhrs_bench", "LHRS-Bench as LHRS-Bot scores it", "lhrs-legacy@1", counts={"test": 690}, max_new_tokens=10,
        ask=_lhrs_ask, wording=(_LHRS_WORDING,), reader=always(str.strip), dialect="first character",
        measure=partial(choices_measure, rule=CHOICE_RULES["lhrs_first"]),
        legacy="LHRS-Bot's script drops the article 'a': any reply that starts with a mark is right where A is.",
    ),
    choice_set(
        "geobench_vlm", "GEOBench-VLM, single image: one option of five, first of five wordings", "single@1",
        ask=partial(_part, part="Single"), headline=("average", "accuracy"), counts={"test": 3211},
    ),
    choice_set(
        "geobench_vlm", "GEOBench-VLM, two dates: one option of five, first of five wordings", "temporal@1",
        ask=partial(_part, part="Temporal"), headline=("average", "accuracy"), ability="compares",
        counts={"test": 1713},
    ),
    ground_set(
        "geobench_vlm", "GEOBench-VLM: boxes for a referring expression", "ref-det@1", mode="rotated",
        thresholds=(0.5, 0.25), ask=partial(_part, part="Ref-Det", task="ground"),
    ),
    choice_set(
        "xlrs_bench_lite", "XLRS-Bench-lite: questions about one picture", "one-image@1",
        ask=partial(_xlrs, pictures=1), **_XLRS,
    ),
    choice_set(
        "xlrs_bench_lite", "XLRS-Bench-lite: questions about two dates", "two-dates@1", ask=partial(_xlrs, pictures=2),
        ability="compares", **_XLRS,
    ),
)  # fmt: skip

# ---- GeoChat-Bench ----

_REGION = "What is the object present at {}"
_GEO_HEAD = ("acc@0.5", "acc@0.5_small", "acc@0.5_medium", "acc@0.5_large", "acc@0.5_unique", "acc@0.5_non_unique")
GEOCHAT = (
    ground_set(
        "geochat_bench", "GeoChat-Bench: boxes for a phrase, turned", "referring-rotated@1", mode="rotated",
        headline=_GEO_HEAD,
    ),
    ground_set("geochat_bench", "GeoChat-Bench: boxes for a phrase, upright", "referring-plain@1", headline=_GEO_HEAD),
    replace(
        caption_set("geochat_bench", "GeoChat-Bench: a phrase for a box", protocol="region-caption@1"),
        ask=partial(items_of, task="region_caption", question=_REGION), wording=(_REGION,),
        headline=("rouge_l", "bleu_1"), per_item="rouge_l",
        dialect="tokenizer ptb; the box is in the question in GeoChat's words",
    ),
)  # fmt: skip

POSITION = 70
PROTOCOLS = (*VRSBENCH, *GEOCHAT, *CHOICES)
