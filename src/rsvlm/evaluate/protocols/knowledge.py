"""RSWK: RS-RAG's captions, classes and questions about landmarks, by its sentence metrics and by ours."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from rsvlm.errors import MissingPart
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.parsers import free_text, scene_name
from rsvlm.evaluate.protocol import Protocol
from rsvlm.evaluate.protocol_factories import always
from rsvlm.metrics.accuracy import scene_scores
from rsvlm.metrics.measured_values import read_value, value_scores
from rsvlm.metrics.score import Score
from rsvlm.metrics.text.sentences import Empty, sentence_scores
from rsvlm.metrics.text.wordnet import WordNet, find_wordnet
from rsvlm.sample import Sample

_HEAD = ("sentence_bleu_1", "sentence_bleu_4", "sentence_meteor", "sentence_rouge_l", "cider_d")


# The 16 classes that the whole set asks for, in its order.
CLASSES = (
    "Airport", "Amusement Park", "Beach", "Bridge", "Casino", "Church", "Government Building", "Historic Site",
    "Mansion", "Museum", "Park", "Stadium", "Theater", "Tower", "University", "Forest",
)  # fmt: skip


def _sentences(items: Sequence[Item], answers: Sequence[str | None], empty: Empty = "zero") -> Mapping[str, Score]:
    return sentence_scores(answers, [item.references for item in items], wordnet=_wordnet(), empty=empty)


def _values(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    said = [read_value(answer or "", item.question) for item, answer in zip(items, answers, strict=True)]
    return value_scores(said, [read_value(item.references[0]) for item in items])


def _of_the_sixteen(samples: Sequence[Sample]) -> list[Item]:
    known = {name.lower() for name in CLASSES}
    return [item for item in items_of(samples, "scene") if item.references[0].strip().lower() in known]


def _classes(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return scene_scores(answers, [item.references for item in items])


def _wordnet() -> WordNet | None:
    try:
        return find_wordnet()
    except MissingPart:  # the result says that METEOR is missing
        return None


def _sentence_sets(
    dataset: str, title: str, name: str, task: str, kinds: Collection[str] = (), **more: Any
) -> tuple[Protocol, ...]:
    """RS-RAG's metrics over all answers, and as its script has them."""
    ours = Protocol(
        name=f"{name}/rsrag-sentences@1", title=title, dataset=dataset, wording=("",),
        ask=partial(items_of, task=task, kinds=kinds), reader=always(free_text), measure=_sentences, headline=_HEAD,
        per_item="sentence_rouge_l", wrong_below=0.5, graded=False, **more,
        dialect="means over sentences; words split at blanks; NLTK's METEOR; an unread answer scores 0",
    )  # fmt: skip
    released = replace(
        ours, name=f"{name}/rsrag-released@1", measure=partial(_sentences, empty="skip"),
        legacy="answers that are empty are left out of the means, so that silence costs nothing",
    )  # fmt: skip
    return ours, released


def _class_sets(dataset: str, title: str, count: int, known: int) -> tuple[Protocol, ...]:
    exact = Protocol(
        name=f"{dataset}_class/exact@1", title=title, dataset=dataset, wording=("",),
        ask=partial(items_of, task="scene"), reader=always(free_text), measure=_classes,
        headline=("accuracy", "balanced_accuracy"), per_item="accuracy", counts={"test": count},
        dialect="the whole reply, case and blanks at the ends aside",
    )  # fmt: skip
    sixteen = replace(
        exact, name=f"{dataset}_class/sixteen@1", ask=_of_the_sixteen, reader=always(scene_name(CLASSES)),
        counts={"test": known}, dialect="a class that the reply names, of the 16; other labels left out",
    )  # fmt: skip
    return exact, sixteen


def _value_set(dataset: str, title: str, name: str, kinds: Collection[str], count: int) -> Protocol:
    return Protocol(
        name=f"{name}/values@1", title=title, dataset=dataset, wording=("",),
        ask=partial(_measured, kinds=kinds), reader=always(free_text), measure=_values,
        headline=("value_within_5", "value_within_1", "unit_accuracy"), per_item="value_within_5",
        max_new_tokens=64, counts={"test": count} if count else {},
        dialect="the one number of the reply, those of the question aside; within a share of the reference's",
    )  # fmt: skip


def _measured(samples: Sequence[Sample], kinds: Collection[str]) -> list[Item]:
    return [item for item in items_of(samples, "vqa", kinds=kinds) if read_value(item.references[0])]


_LONG = 1024  # tokens: captions are of several thousand letters
_KINDS = {"c": ("common sense", 4501), "rsk": ("remote sensing knowledge", 2993), "wk": ("world knowledge", 2993)}
_MINI = "RSWK mini"
POSITION = 130
PROTOCOLS = (
    *_sentence_sets(
        "rswk", "RSWK: a caption of several sentences", "rswk_caption", "caption", max_new_tokens=_LONG,
        counts={"train": 11827, "test": 2993},
    ),
    *_class_sets("rswk", "RSWK: the category of a landmark", 2993, 2958),
    *(
        protocol
        for kind, (what, count) in _KINDS.items()
        for protocol in _sentence_sets(
            "rswk", f"RSWK: questions of {what}", f"rswk_vqa_{kind}", "vqa", (kind,), max_new_tokens=64,
            counts={"test": count},
        )
    ),
    _value_set("rswk", "RSWK: measured values", "rswk_vqa_rsk", ("rsk",), 0),
    *_sentence_sets(
        "rswk_mini", f"{_MINI}: a caption of several sentences", "rswk_mini_caption", "caption", max_new_tokens=_LONG,
        counts={"test": 1496},
    ),
    *_class_sets("rswk_mini", f"{_MINI}: the category of a landmark", 1600, 1600),
    *_sentence_sets(
        "rswk_mini", f"{_MINI}: questions", "rswk_mini_vqa", "vqa", max_new_tokens=64, counts={"test": 5242},
    ),
    _value_set("rswk_mini", f"{_MINI}: measured values", "rswk_mini_vqa", (), 0),
)  # fmt: skip
