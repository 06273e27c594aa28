"""How a benchmark asks, and how it reads what came back: the frozen question of each task and the answer parsers.

A parser gives None for a reply that is not an answer of its kind. Such replies are counted (`parse_failures`) and are
never right.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rsvlm.data.prompt import REFUSAL, TASK_QUESTIONS
from rsvlm.sample import Image, Sample

Parse = Callable[[str], str | None]


def task_question(task: str) -> str:
    """The wording of the benchmarks: the first one that `rsvlm.data.prompt` lists for the task."""
    return TASK_QUESTIONS[task][0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One question put to a model: about which picture, what is accepted, of which type. `id` is unique in the set."""

    id: str
    image: Image
    question: str
    references: tuple[str, ...]
    kind: str = ""


def items_of(samples: Iterable[Sample], task: str, question: str) -> list[Item]:
    """Every turn of `task` as an Item, asked by `question`, or by the turn's own words where `question` is "".

    Only questions have a type: what the readers note as the kind of a scene is its class, which nobody may know before.
    """
    return [
        Item(
            id=f"{sample.id}#{index}",
            image=sample.images[0],
            question=question or turn.question,
            references=turn.accepted,
            kind=turn.kind if turn.task == "vqa" else "",
        )
        for sample in samples
        for index, turn in enumerate(sample.turns)
        if turn.task == task
    ]


def items_over(samples: Sequence[Sample], questions: Sequence[str], reference: str) -> list[Item]:
    """Each of `questions` put once, to pictures spread evenly over `samples`; `reference` is the right reply to all."""
    places = [index * len(samples) // len(questions) for index in range(len(questions))]
    return [
        Item(id=f"{samples[at].id}?{index}", image=samples[at].images[0], question=question, references=(reference,))
        for index, (at, question) in enumerate(zip(places, questions, strict=True))
    ]


def digest(items: Sequence[Item]) -> str:
    """16 hex digits of the SHA-256 over ids, questions, types and references: what was asked and what counts."""
    sha = hashlib.sha256()
    for item in items:
        sha.update("\x1f".join((item.id, item.question, item.kind, *item.references, "\x1e")).encode())
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
    said = plain(text)
    return REFUSAL if _REFUSED.match(said) else free_text(text)


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
