"""Change captions of LEVIR-CC, SECOND-CC and ChangeChat-105k: in words, and in the word numbers of the papers."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rsvlm.errors import MissingPart
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.parsers import free_text
from rsvlm.evaluate.protocol import Protocol, Read, Row
from rsvlm.evaluate.protocol_factories import always, parsed_by
from rsvlm.metrics.change import Lone, change_caption_scores
from rsvlm.metrics.score import Score
from rsvlm.metrics.text.meteor import meteor
from rsvlm.metrics.text.tokenizer import UNKNOWN, Tokenizer, ptb, split_words, vocabulary_ids, whitespace, word_map
from rsvlm.sample import Sample

WORDING = "Please briefly describe the changes in these two images."


def pairs(samples: Sequence[Sample], task: str, question: str = "") -> list[Item]:
    """`items_of` two dates. Whether anything has changed, which readers note as the kind, is moved to the meta.

    Nobody may know it before (a baseline that answers by kind would), but metrics tell the two apart.
    """
    items = items_of(samples, task, question)
    return [replace(item, kind="", meta={**item.meta, "changed": item.kind == "changed"}) for item in items]


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
    return " ".join(split_words(text))


def _as_deltavlm(text: str) -> str:
    """Its caption cleaner: some marks deleted, the first fifty words."""
    return " ".join(re.sub(r'[.!"()*#:;~]', " ", text.lower()).split()[:50])


def _in_ids(known: Sequence[Item], least: int, clean: Callable[[str], str]) -> Read:
    """Reads a caption, and with it the references, as numbers of words of the known captions."""
    words = vocabulary_ids(word_map((clean(text) for item in known for text in item.references), least))

    def read(item: Item, row: Row) -> dict[str, Any] | None:
        text = parsed_by(free_text)(item, row)
        expected = [words(clean(reference)) for reference in item.references]
        return None if text is None else {"prediction": words(clean(text)), "references": expected}

    return read


def _ids_measure(
    items: Sequence[Item], answers: Sequence[dict[str, Any] | None], clean: Callable[[str], str]
) -> Mapping[str, Score]:
    """References of a caption that was not read take the numbers that their words have elsewhere."""
    numbers: dict[str, str] = {UNKNOWN: "0"}
    for item, answer in zip(items, answers, strict=True):
        for text, ids in zip(item.references, answer["references"] if answer else (), strict=False):
            numbers |= zip(clean(text).split(), ids.split(), strict=True)
    expected = [
        answer["references"] if answer else [_numbered(clean(text), numbers) for text in item.references]
        for item, answer in zip(items, answers, strict=True)
    ]
    return _caption_scores([a["prediction"] if a else "" for a in answers], expected, items, whitespace, "ref_len_1")


def _numbered(text: str, numbers: Mapping[str, str]) -> str:
    return " ".join(numbers.get(word, numbers[UNKNOWN]) for word in text.split())


def _caption_set(dataset: str, title: str, protocol: str, *, name: str = "", **more: Any) -> Protocol:
    defaults: dict[str, Any] = {
        "ask": partial(pairs, task="change_caption", question=WORDING), "reader": always(free_text),
        "measure": _change_captions, "dialect": "tokenizer ptb; changed and unchanged pairs each with their own IDF",
        "ability": "compares",
    }  # fmt: skip
    return Protocol(
        name=f"{name or dataset}/{protocol}", title=title, dataset=dataset, wording=(WORDING,),
        headline=("bleu_4", "meteor", "rouge_l", "cider_d", "s_m", "cider_d_changed", "s_m_changed"),
        per_item="cider_d", wrong_below=0.5, graded=False, max_new_tokens=48, **defaults | more,
    )  # fmt: skip


def _id_set(dataset: str, title: str, protocol: str, *, least: int = 5, **more: Any) -> Protocol:
    clean = more.pop("clean", _as_words)
    dialect = f"tokenizer vocabulary_ids: words that occur more than {least} times in the training and scored captions"
    return _caption_set(
        dataset, title, protocol, reader=partial(_in_ids, least=least, clean=clean),
        measure=partial(_ids_measure, clean=clean), dialect=dialect, **more,
    )  # fmt: skip


CHANGECHAT_PAIRS = {"train": 6815, "test": 1929}
_LEVIR = {**CHANGECHAT_PAIRS, "val": 1333}
_TRUE_MAPS = (
    "The model is shown the true maps, as MModalCC's released code needs them: they are drawn only where something "
    "changed, so they tell what is asked."
)
POSITION = 80
PROTOCOLS = (
    _caption_set("levir_cc", "LEVIR-CC: one caption a pair against five", "coco-ptb@1", counts=_LEVIR),
    _id_set("levir_cc", "LEVIR-CC: one caption a pair, in the papers' word numbers", "vocabulary-ids@1", counts=_LEVIR),
    _caption_set("second_cc", "SECOND-CC: one caption a pair against five", "coco-ptb@1"),
    _id_set("second_cc", "SECOND-CC: one caption a pair, in its paper's word numbers", "vocabulary-ids@1", least=10),
    _caption_set(
        "second_cc", "SECOND-CC: one caption a pair against five, by its true semantic maps", "coco-ptb-true-maps@1",
        ability="compares_with_maps", legacy=_TRUE_MAPS,
    ),
    _id_set(
        "second_cc", "SECOND-CC: one caption a pair, in word numbers, by its true semantic maps",
        "vocabulary-ids-true-maps@1", least=10, ability="compares_with_maps", legacy=_TRUE_MAPS,
    ),
    _caption_set(
        "changechat", "ChangeChat-105k: one caption a pair against five", "coco-ptb@1", name="changechat_caption",
        counts=CHANGECHAT_PAIRS,
    ),
    _id_set(
        "changechat", "ChangeChat-105k: captions as DeltaVLM's notebook scores them", "deltavlm-vocab-ids@1",
        name="changechat_caption", clean=_as_deltavlm, counts=CHANGECHAT_PAIRS,
        legacy="Words become numbers: all rare words are one and match one another, METEOR sees neither stems nor "
        "synonyms, and what follows the fiftieth word does not count.",
    ),
)  # fmt: skip
