"""Parsers of replies in words: class names, yes or no, whole numbers, refusals.

A parser gives None for a reply that is not an answer of its kind. Such replies are counted (`parse_failures`) and are
never right.
"""

import re
from collections.abc import Callable, Iterable

from rsvlm.data.prompt import REFUSAL
from rsvlm.data.reply import whole_number

Parse = Callable[[str], str | None]


def plain(text: str) -> str:
    """Normalises a text to compare class names: lower case, words of letters and digits, single blanks."""
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
    """`REFUSAL`, the refusal that models are trained on, where the reply is a refusal in any words; else the reply."""
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
        value = whole_number(word) if word.isascii() and word.isdigit() else _VALUES.get(word)
        if value is not None and after_ten and 0 < value < 10:
            found[-1] += value
        elif value is not None:
            found.append(value)
        after_ten = word in _TENS
    return str(found[0]) if len(found) == 1 else None
