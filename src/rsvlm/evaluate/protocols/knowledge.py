"""RSWK: RS-RAG's captions, classes and questions about landmarks, by its sentence metrics."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from rsvlm.errors import MissingPart
from rsvlm.evaluate.items import Item, items_of
from rsvlm.evaluate.parsers import free_text
from rsvlm.evaluate.protocol import Protocol
from rsvlm.evaluate.protocol_factories import always
from rsvlm.metrics.accuracy import scene_scores
from rsvlm.metrics.score import Score
from rsvlm.metrics.text.sentences import sentence_scores
from rsvlm.metrics.text.wordnet import WordNet, find_wordnet

_HEAD = ("sentence_bleu_1", "sentence_bleu_4", "sentence_meteor", "sentence_rouge_l", "cider_d")


def _sentences(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return sentence_scores(answers, [item.references for item in items], wordnet=_wordnet())


def _classes(items: Sequence[Item], answers: Sequence[str | None]) -> Mapping[str, Score]:
    return scene_scores(answers, [item.references for item in items])


def _wordnet() -> WordNet | None:
    try:
        return find_wordnet()
    except MissingPart:  # the result says that METEOR is missing
        return None


def _sentence_set(dataset: str, title: str, name: str, task: str, kinds: Collection[str] = (), **more: Any) -> Protocol:
    return Protocol(
        name=f"{name}/rsrag-sentences@1", title=title, dataset=dataset, wording=("",),
        ask=partial(items_of, task=task, kinds=kinds), reader=always(free_text), measure=_sentences, headline=_HEAD,
        per_item="sentence_rouge_l", wrong_below=0.5, graded=False, **more,
        dialect="means over sentences; words split at blanks; NLTK's METEOR; an unread answer scores 0",
    )  # fmt: skip


def _class_set(dataset: str, title: str, count: int) -> Protocol:
    return Protocol(
        name=f"{dataset}_class/exact@1", title=title, dataset=dataset, wording=("",),
        ask=partial(items_of, task="scene"), reader=always(free_text), measure=_classes,
        headline=("accuracy", "balanced_accuracy"), per_item="accuracy", counts={"test": count},
        dialect="the whole reply, case and blanks at the ends aside",
    )  # fmt: skip


_LONG = 1024  # tokens: captions are of several thousand letters
_KINDS = {"c": ("common sense", 4501), "rsk": ("remote sensing knowledge", 2993), "wk": ("world knowledge", 2993)}
POSITION = 130
PROTOCOLS = (
    _sentence_set(
        "rswk", "RSWK: a caption of several sentences", "rswk_caption", "caption", max_new_tokens=_LONG,
        counts={"train": 11827, "test": 2993},
    ),
    _class_set("rswk", "RSWK: the category of a landmark", 2993),
    *(
        _sentence_set(
            "rswk", f"RSWK: questions of {what}", f"rswk_vqa_{kind}", "vqa", (kind,), max_new_tokens=64,
            counts={"test": count},
        )
        for kind, (what, count) in _KINDS.items()
    ),
    _sentence_set(
        "rswk_mini", "RSWK mini: a caption of several sentences", "rswk_mini_caption", "caption", max_new_tokens=_LONG,
        counts={"test": 1496},
    ),
    _class_set("rswk_mini", "RSWK mini: the category of a landmark", 1600),
    _sentence_set(
        "rswk_mini", "RSWK mini: questions", "rswk_mini_vqa", "vqa", max_new_tokens=64, counts={"test": 5242},
    ),
)  # fmt: skip
