"""The Snowball stemmer for English (Porter2), in the edition inside METEOR 1.5.

snowballstem.org/algorithms/english/stemmer.html; later editions of it stem some words differently.
"""

import re
from collections.abc import Iterable


def _rules(text: str) -> dict[str, str]:
    """`from>to` pairs parted by blanks."""
    return {before: after for before, _, after in (rule.partition(">") for rule in text.split())}


_WHOLE = _rules(
    "skis>ski skies>sky dying>die lying>lie tying>tie idly>idl gently>gentl ugly>ugli early>earli only>onli "
    "singly>singl sky>sky news>news howe>howe atlas>atlas cosmos>cosmos bias>bias andes>andes"
)
_AFTER_PLURAL = _rules("inning outing canning herring earring proceed exceed succeed")
_VOWELS = "aeiouy"
_REGION = re.compile(r"[aeiouy][^aeiouy]")  # what follows it is a region
_LONG_START = re.compile(r"gener|commun|arsen")
_POSSESSIVE = re.compile(r"'(?:s'?)?$")
_SHORT_END = re.compile(r"(?:[^aeiouy][aeiouy][^aeiouywxY]|^[aeiouy][^aeiouy])$")
_DOUBLE = re.compile(r"(bb|dd|ff|gg|mm|nn|pp|rr|tt)$")
_STEP_2 = _rules(
    "tional>tion enci>ence anci>ance abli>able entli>ent izer>ize ization>ize ational>ate ation>ate ator>ate alism>al "
    "aliti>al alli>al fulness>ful ousli>ous ousness>ous iveness>ive iviti>ive biliti>ble bli>ble ogi>og fulli>ful "
    "lessli>less li>"
)
_STEP_3 = _rules("tional>tion ational>ate alize>al icate>ic iciti>ic ical>ic ful> ness> ative>")
_STEP_4 = _rules("al ance ence er ic able ible ant ement ment ent ism ate iti ous ive ize ion")
_PAST = ("eedly", "ingly", "edly", "eed", "ing", "ed")


def stem(word: str) -> str:
    """The stem of one lower-case word."""
    if word in _WHOLE:
        return _WHOLE[word]
    if len(word) < 3:
        return word
    word = _mark_y(word.removeprefix("'"))
    one, two = _regions(word)
    word = _plural(_POSSESSIVE.sub("", word))
    if word not in _AFTER_PLURAL:
        word = _past(word, one)
        if len(word) > 2 and word[-1] in "yY" and word[-2] not in _VOWELS:
            word = word[:-1] + "i"
        for step in (_second, _third, _fourth, _last):
            word = step(word, one, two)
    return word.replace("Y", "y")


def _mark_y(word: str) -> str:
    """Write the consonant y as Y: at the start, and after a vowel (which another Y is not)."""
    letters = list(word)
    for i, letter in enumerate(letters):
        if letter == "y" and (i == 0 or letters[i - 1] in _VOWELS):
            letters[i] = "Y"
    return "".join(letters)


def _regions(word: str) -> tuple[int, int]:
    first = _LONG_START.match(word) or _REGION.search(word)
    one = first.end() if first else len(word)
    second = _REGION.search(word, one)
    return one, second.end() if second else len(word)


def _plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _vowel(word[:-2]):
        return word[:-1]
    return word


def _past(word: str, one: int) -> str:
    suffix = _longest(word, _PAST)
    if suffix is None:
        return word
    start = len(word) - len(suffix)
    if suffix.startswith("eed"):
        return word[:start] + "ee" if start >= one else word
    if not _vowel(word[:start]):
        return word
    word = word[:start]
    if word.endswith(("at", "bl", "iz")):
        return word + "e"
    if _DOUBLE.search(word):
        return word[:-1]
    return word + "e" if len(word) == one and _SHORT_END.search(word) else word


def _second(word: str, one: int, two: int) -> str:
    suffix = _longest(word, _STEP_2)
    if suffix is None or len(word) - len(suffix) < one:
        return word
    before = word[: len(word) - len(suffix)]
    if (suffix == "ogi" and not before.endswith("l")) or (suffix == "li" and before[-1:] not in set("cdeghkmnrt")):
        return word
    return before + _STEP_2[suffix]


def _third(word: str, one: int, two: int) -> str:
    suffix = _longest(word, _STEP_3)
    start = len(word) - len(suffix or "")
    if suffix is None or start < one or (suffix == "ative" and start < two):
        return word
    return word[:start] + _STEP_3[suffix]


def _fourth(word: str, one: int, two: int) -> str:
    suffix = _longest(word, _STEP_4)
    start = len(word) - len(suffix or "")
    if suffix is None or start < two or (suffix == "ion" and word[start - 1 : start] not in ("s", "t")):
        return word
    return word[:start]


def _last(word: str, one: int, two: int) -> str:
    start = len(word) - 1
    if word.endswith("e") and (start >= two or (start >= one and not _SHORT_END.search(word[:-1]))):
        return word[:-1]
    return word[:-1] if word.endswith("ll") and start >= two else word


def _vowel(text: str) -> bool:
    return any(letter in _VOWELS for letter in text)


def _longest(word: str, suffixes: Iterable[str]) -> str | None:
    return max((suffix for suffix in suffixes if word.endswith(suffix)), key=len, default=None)
