"""What a benchmark asks: the turns of a data set as Items, in the frozen wording of each task."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rsvlm.data.prompt import LETTERS, TASK_QUESTIONS
from rsvlm.sample import Image, Region, Sample, Turn


def task_question(task: str) -> str:
    """The wording of the benchmarks: the first one that `rsvlm.data.prompt` lists for the task."""
    return TASK_QUESTIONS[task][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question put to a model: about which pictures, what is accepted, of which type. `id` is unique in the set.

    `images` holds one picture, two for a question about two dates, none for a text that is matched with pictures.
    `references` are the accepted answers, `regions` what is to be found in the picture (boxes, polygons, masks),
    `choices` the options of a multiple-choice question. `meta` is the sample's, where a metric needs more.
    """

    id: str
    question: str
    images: tuple[Image, ...] = ()
    references: tuple[str, ...] = ()
    kind: str = ""
    choices: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def image(self) -> Image:
        """The picture (the first of two)."""
        return self.images[0]


CHOOSE = "Answer with the letter of the right option only."
_LOCATING = ("ground", "segment", "locate", "change_mask", "detect")  # tasks whose answer is the sample's regions


def items_of(
    samples: Iterable[Sample],
    task: str,
    question: str = "",
    *,
    kinds: Collection[str] = (),
    without: Collection[str] = (),
) -> list[Item]:
    """Every turn of `task` as an Item, asked by `question`, or by the turn's own words where `question` is "".

    A `{}` in `question` is where the turn's own words go. Only turns whose kind is in `kinds` (all where it is empty)
    and not in `without`. The kind of a scene or caption turn is its class, so
    it is left out of the Item.
    """
    return [
        Item(
            id=f"{sample.id}#{index}",
            images=sample.images,
            question=_question(turn, question),
            references=(LETTERS[turn.choices.index(turn.answer)],) if turn.choices else turn.accepted,
            kind="" if task in ("scene", "caption") else turn.kind,
            choices=turn.choices,
            regions=sample.regions if task in _LOCATING else (),
            meta=sample.meta,
        )
        for sample in samples
        for index, turn in enumerate(sample.turns)
        if turn.task == task and (not kinds or turn.kind in kinds) and turn.kind not in without
    ]


def _question(turn: Turn, question: str) -> str:
    asked = question.replace("{}", turn.question) if question else turn.question
    if not turn.choices:
        return asked
    options = (f"{letter}. {choice}" for letter, choice in zip(LETTERS, turn.choices, strict=False))
    return "\n".join((asked, *options, CHOOSE))


def items_over(samples: Sequence[Sample], questions: Sequence[str], reference: str) -> list[Item]:
    """Each of `questions` put once, to pictures spread evenly over `samples`; `reference` is the right reply to all."""
    places = [index * len(samples) // len(questions) for index in range(len(questions))]
    return [
        Item(id=f"{samples[at].id}?{index}", images=samples[at].images[:1], question=question, references=(reference,))
        for index, (at, question) in enumerate(zip(places, questions, strict=True))
    ]


def as_support(item: Item) -> Item:
    """An item of another split that is asked so that what is scored can be compared with it: it is never scored."""
    return replace(item, meta={**item.meta, "support": True})


def is_support(item: Item) -> bool:
    """Whether an item is only there for others to be compared with."""
    return bool(item.meta.get("support"))


def number_pictures(items: Sequence[Item]) -> list[int]:
    """The number of each item's picture: the questions about one picture are resampled together."""
    number: dict[object, int] = {}
    return [number.setdefault(item.images or item.meta.get("image") or item.id, len(number)) for item in items]


def digest(items: Sequence[Item]) -> str:
    """16 hex digits of the SHA-256 over ids, questions (with choices), types, references and regions."""
    sha = hashlib.sha256()
    for item in items:
        found = [json.dumps(asdict(region), sort_keys=True, default=list) for region in item.regions]
        sha.update("\x1f".join((item.id, item.question, item.kind, *item.references, *found, "\x1e")).encode())
    return sha.hexdigest()[:16]
