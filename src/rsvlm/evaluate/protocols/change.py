"""Change benchmarks: captions of two dates, ChangeChat-105k's six tasks, CDVQA."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from rsvlm.errors import BadInput, MissingPart
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.parsers import free_text, scene_name, yes_no
from rsvlm.evaluate.protocol import Protocol, Read, Reader, Row
from rsvlm.evaluate.protocol_factories import always, caption_set, said
from rsvlm.metrics.accuracy import MATCHERS, vqa_scores
from rsvlm.metrics.change import (
    CLASSES,
    Lone,
    binary_scores,
    change_caption_scores,
    change_count_scores,
    change_location_scores,
    dialogue_scores,
    read_counts,
    read_locations,
)
from rsvlm.metrics.score import Score, mean_score
from rsvlm.metrics.text.captions import spread
from rsvlm.metrics.text.meteor import meteor
from rsvlm.metrics.text.tokenizer import UNKNOWN, Tokenizer, ptb, vocabulary_ids, whitespace, word_map
from rsvlm.sample import Sample

WORDING = "Please briefly describe the changes in these two images."


def pairs(samples: Sequence[Sample], task: str, question: str = "") -> list[Item]:
    """`items_of` two dates. Whether anything has changed, which readers note as the kind, is moved to the meta.

    Nobody may know it before (a baseline that answers by kind would), but metrics tell the two apart.
    """
    items = items_of(samples, task, question)
    return [replace(item, kind="", meta={**item.meta, "changed": item.kind == "changed"}) for item in items]


# ---- captions ----


def _change_captions(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return _caption_scores([answer or "" for answer in answers], [i.references for i in items], items, ptb)


def _caption_scores(
    texts: Sequence[str],
    expected: Sequence[Sequence[str]],
    items: Sequence[Item],
    tokenizer: Tokenizer,
    lone: Lone = "zero",
) -> Mapping[str, Score]:
    score = partial(
        change_caption_scores, texts, expected, [i.meta["changed"] for i in items], tokenizer=tokenizer, lone=lone
    )
    try:
        return score(meteor=meteor)
    except MissingPart:  # the result says that it is missing
        return score()


def _as_words(text: str) -> str:
    return " ".join(text.lower().replace(".", " ").split())


def _as_deltavlm(text: str) -> str:
    """Its caption cleaner: some marks deleted, the first fifty words."""
    return " ".join(re.sub(r'[.!"()*#:;~]', " ", text.lower()).split()[:50])


def _in_ids(known: Sequence[Item], least: int, clean: Callable[[str], str]) -> Read:
    """Reads a caption, and with it the references, as numbers of words of the known captions."""
    words = vocabulary_ids(word_map((clean(text) for item in known for text in item.references), least))

    def read(item: Item, row: Row) -> dict[str, Any] | None:
        text = said(free_text)(item, row)
        expected = [words(clean(reference)) for reference in item.references]
        return None if text is None else {"said": words(clean(text)), "told": expected}

    return read


def _ids_measure(
    items: Sequence[Item], answers: Sequence[dict[str, Any] | None], clean: Callable[[str], str]
) -> Mapping[str, Score]:
    """References of a caption that was not read take the numbers that their words have elsewhere."""
    numbers: dict[str, str] = {UNKNOWN: "0"}
    for item, answer in zip(items, answers, strict=True):
        for text, ids in zip(item.references, answer["told"] if answer else (), strict=False):
            numbers |= zip(clean(text).split(), ids.split(), strict=True)
    expected = [
        answer["told"] if answer else [_numbered(clean(text), numbers) for text in item.references]
        for item, answer in zip(items, answers, strict=True)
    ]
    return _caption_scores([a["said"] if a else "" for a in answers], expected, items, whitespace, "ref_len_1")


def _numbered(text: str, numbers: Mapping[str, str]) -> str:
    return " ".join(numbers.get(word, numbers[UNKNOWN]) for word in text.split())


def _caption_set(dataset: str, title: str, protocol: str, *, name: str = "", **more: Any) -> Protocol:
    defaults: dict[str, Any] = {
        "ask": partial(pairs, task="change_caption", question=WORDING), "reader": always(free_text),
        "measure": _change_captions, "dialect": "tokenizer ptb; changed and unchanged pairs each with their own IDF",
    }  # fmt: skip
    return Protocol(
        name=f"{name or dataset}/{protocol}", title=title, dataset=dataset, wording=(WORDING,), ability="compares",
        headline=("bleu_4", "meteor", "rouge_l", "cider_d", "s_m", "cider_d_changed", "s_m_changed"),
        per_item="cider_d", wrong_below=0.5, graded=False, max_new_tokens=48, **defaults | more,
    )  # fmt: skip


def _ids(dataset: str, title: str, protocol: str, *, least: int = 5, **more: Any) -> Protocol:
    clean = more.pop("clean", _as_words)
    dialect = f"tokenizer vocabulary_ids: words that occur more than {least} times in the training and scored captions"
    return _caption_set(
        dataset, title, protocol, reader=partial(_in_ids, least=least, clean=clean),
        measure=partial(_ids_measure, clean=clean), dialect=dialect, **more,
    )  # fmt: skip


# ---- ChangeChat-105k ----


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


# ---- CDVQA ----

_RANGE = re.compile(r"(\d+)\s*%?\s*(?:-|–|to)\s*(\d+)\s*%?")
_GROUND = re.compile(r"non[- ]vegetated ground( surface)?", re.IGNORECASE)


def _closed(known: Sequence[Item]) -> Read:
    """Reads one of the answers that a question's type has; "30-40 %" and the full name of NVG_surface too."""
    answers: dict[str, set[str]] = {}
    for item in known:
        answers.setdefault(item.kind, set()).update(item.references)
    parsers = {kind: yes_no if names <= {"yes", "no"} else scene_name(sorted(names)) for kind, names in answers.items()}

    def read(item: Item, row: Row) -> str | None:
        return said(lambda text: parsers[item.kind](_RANGE.sub(r"\1 to \2", _GROUND.sub("NVG_surface", text))))(
            item, row
        )

    return read


def _test_set(samples: Sequence[Sample], test_set: str) -> list[Item]:
    return items_of([s for s in samples if s.meta.get("test_set", test_set) == test_set], "change_qa")


def _by_type(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return vqa_scores(answers, [i.references for i in items], [i.kind for i in items], MATCHERS["exact"])


def _cdvqa(test_set: str, count: int) -> Protocol:
    return Protocol(
        name=f"cdvqa/{test_set}-by-type@1", title=f"CDVQA, {test_set}: questions about change by type", dataset="cdvqa",
        wording=("",), ask=partial(_test_set, test_set=test_set), reader=_closed, measure=_by_type, ability="compares",
        headline=("overall", "average", "yes_no"), per_item="overall", counts={"val": 16441, "test": count},
        dialect="one of the answers of the question's type in the reply, exact",
    )  # fmt: skip


_PAIRS = {"train": 6815, "test": 1929}
_LEVIR = {**_PAIRS, "val": 1333}
PROTOCOLS = (
    _caption_set("levir_cc", "LEVIR-CC: one caption a pair against five", "coco-ptb@1", counts=_LEVIR),
    _ids("levir_cc", "LEVIR-CC: one caption a pair, in the papers' word numbers", "vocabulary-ids@1", counts=_LEVIR),
    _caption_set("second_cc", "SECOND-CC: one caption a pair against five", "coco-ptb@1"),
    _ids("second_cc", "SECOND-CC: one caption a pair, in its paper's word numbers", "vocabulary-ids@1", least=10),
    _caption_set(
        "changechat", "ChangeChat-105k: one caption a pair against five", "coco-ptb@1", name="changechat_caption",
        counts=_PAIRS,
    ),
    _ids(
        "changechat", "ChangeChat-105k: captions as DeltaVLM's notebook scores them", "deltavlm-vocab-ids@1",
        name="changechat_caption", clean=_as_deltavlm, counts=_PAIRS,
        legacy="Words become numbers: all rare words are one and match one another, METEOR sees neither stems nor "
        "synonyms, and what follows the fiftieth word does not count.",
    ),
    _changechat(
        "class", "has anything changed?", "yes-no@1", yes_no, measure=_classes,
        headline=("accuracy", "precision", "recall", "f1"), per_item="accuracy", counts=_PAIRS,
    ),
    _changechat(
        "count", "how many roads and buildings changed", "plain@1", read_counts, measure=_counts,
        headline=("mae_road", "rmse_road", "mae_building", "rmse_building"), per_item="exact", max_new_tokens=48,
        counts=_PAIRS,
        dialect="numbers beside the words road and building; an unread answer is 0, and at least one off",
    ),
    _changechat(
        "locate", "where in the 3 x 3 grid", "grid@1", read_locations, measure=_places,
        headline=("f1_road", "f1_building", "jaccard_road", "jaccard_building", "exact"), per_item="exact",
        max_new_tokens=128, counts=_PAIRS,
        dialect="two lists of cells; Jaccard of nothing and nothing is 1 (jaccard_released: 0, as published)",
    ),
    _OPEN,
    _changechat(
        "dialogue", "three turns, each asked with the right answers before it", "turns@1", free_text,
        ask=_dialogues, reader=_turn, measure=_dialogue, graded=False, max_new_tokens=48, per_item="turn_score",
        wrong_below=0.5,
        headline=("turn1_accuracy", "turn1_f1", "turn2_exact", "turn2_mae_road", "turn2_mae_building", "turn3_cider_d"),
        counts={split: 3 * count for split, count in _PAIRS.items()}, dialect="history as q: ... a: ...  q: ...",
    ),
    _cdvqa("test1", 39686),
    _cdvqa("test2", 31036),
)  # fmt: skip
