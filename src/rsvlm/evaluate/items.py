"""How a benchmark asks, and how it reads what came back: the frozen question of each task and the answer parsers.

A parser gives None for a reply that is not an answer of its kind. Such replies are counted (`parse_failures`) and are
never right.
"""

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rsvlm.data.prompt import REFUSAL, TASK_QUESTIONS
from rsvlm.sample import Image, Region, Sample, Turn

Parse = Callable[[str], str | None]


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


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CHOOSE = "Answer with the letter of the right option only."
_LOOKS_FOR = ("ground", "segment", "locate", "change_mask", "detect")  # tasks whose answer is the sample's regions


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
    and not in `without`. What the readers note as the kind of a scene is its class, which nobody may know before.
    """
    return [
        Item(
            id=f"{sample.id}#{index}",
            images=sample.images,
            question=_worded(turn, question),
            references=(LETTERS[turn.choices.index(turn.answer)],) if turn.choices else turn.accepted,
            kind="" if task in ("scene", "caption") else turn.kind,
            choices=turn.choices,
            regions=sample.regions if task in _LOOKS_FOR else (),
            meta=sample.meta,
        )
        for sample in samples
        for index, turn in enumerate(sample.turns)
        if turn.task == task and (not kinds or turn.kind in kinds) and turn.kind not in without
    ]


def _worded(turn: Turn, question: str) -> str:
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


def plain(text: str) -> str:
    """Lower case, every mark but letters and digits a blank, single blanks: how class names are compared."""
    return " ".join(re.sub(r"[^\w]|_", " ", text.lower()).split())


def free_text(text: str) -> str | None:
    """The reply as it is; None where it is empty."""
    return text.strip() or None


def scene_name(classes: Iterable[str]) -> Parse:
    """A parser for class names: the reply is one of `classes`, or else the longest that occurs in it as whole words.

    Among equally long ones the first in the reply wins. The parser returns the name as `classes` spells it.
    """
    names = {plain(name): name for name in classes}
    longest = sorted(names, key=len, reverse=True)

    def parse(text: str) -> str | None:
        said = plain(text)
        if said in names:
            return names[said]
        padded = f" {said} "
        found = [(-len(name), padded.find(f" {name} "), name) for name in longest if f" {name} " in padded]
        return names[min(found)[2]] if found else None

    return parse


def yes_no(text: str) -> str | None:
    """ "yes" or "no" from the first word of the reply, or from the only one of the two that occurs in it."""
    words = plain(text).split()
    if words and words[0] in ("yes", "no"):
        return words[0]
    found = {"yes", "no"} & set(words)
    return found.pop() if len(found) == 1 else None


_REFUSED = re.compile(r"(sorry )?(i )?(cannot|can not|can t|am unable to|do not know|don t know)\b")


def refusal(text: str) -> str | None:
    """The plain refusal that models are trained on where the reply is one in any words, else the reply as it is."""
    return REFUSAL if refused(text) else free_text(text)


def refused(text: str) -> bool:
    """Whether a reply says that it cannot answer."""
    return _REFUSED.match(plain(text)) is not None


_TEENS = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_UNITS = f"zero one two three four five six seven eight nine ten {_TEENS}".split()
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: i for i, word in enumerate(_UNITS)} | {word: 20 + 10 * i for i, word in enumerate(_TENS)} | {"none": 0}


_LARGER = re.compile(r"\b(hundred|thousand|million|dozen)")


def number(text: str) -> str | None:
    """The reply's whole number as digits when it holds exactly one (digits, or words up to ninety-nine); else None."""
    if _LARGER.search(text.lower()):
        return None
    found: list[int] = []
    after_ten = False
    for word in plain(re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)).split():
        value = int(word) if word.isascii() and word.isdigit() else _VALUES.get(word)
        if value is not None and after_ten and 0 < value < 10:
            found[-1] += value
        elif value is not None:
            found.append(value)
        after_ten = word in _TENS
    return str(found[0]) if len(found) == 1 else None
