"""Tell whether a question is English, by its script and its function words, and mend slips in its key words."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from rsvlm.serve.question_words import ENGLISH, KEY_WORDS, LANGUAGES, PARTICLES, REAL_WORDS, SHORT_FORMS

_SCRIPTS = {  # how the name of a letter begins in the Unicode tables -> the language
    "CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean", "ARABIC": "Arabic script",
    "CYRILLIC": "Russian or another language in Cyrillic script", "GREEK": "Greek", "HEBREW": "Hebrew",
    "DEVANAGARI": "Hindi", "BENGALI": "Bengali", "TAMIL": "Tamil", "THAI": "Thai", "ARMENIAN": "Armenian",
    "GEORGIAN": "Georgian",
}  # fmt: skip
_SAME = str.maketrans({
    **dict.fromkeys("\u2018\u2019\u02bc`\u00b4", "'"), **dict.fromkeys("\u201c\u201d", '"'),
    **dict.fromkeys("\u2013\u2014\u2212", "-"), "\uff1f": "?", "\uff0c": ",", "\uff01": "!",
})  # fmt: skip
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_MENDED = re.compile(r"(?<!\w)[A-Za-z]+(?:'[A-Za-z]+)?(?!\w)")
_THERE = re.compile(r"\b(is|are) their\b", re.IGNORECASE)
_WHERE = re.compile(r"^(?:were|ware|wear)(?= (?:is|are|can|do)\b)", re.IGNORECASE)
_HOW = re.compile(r"\b(?:h[a-z]{0,3}|ow)(?= (?:many|much)\b)", re.IGNORECASE)
_NUMBER_OF = re.compile(r"\bno\.(?= of\b)", re.IGNORECASE)
_MANY = re.compile(r"\b(how) (m[a-z]{2,4})\b", re.IGNORECASE)
_LONGEST = 14  # letters of the longest key word, and three


def lower(text: str) -> str:
    """Small letters for A to Z alone, so that places in the text stay where they are."""
    return text.translate(_LOWER)


def foreign_language(text: str) -> str:
    """The language of a text that is not English: a name, "another language" where that is all that is told, or "".

    Most of the letters decide the script. Words of several languages count for each of them; English wins a draw.
    """
    letters = [letter for letter in text if letter.isalpha()]
    others = [letter for letter in letters if ord(letter) > 0x24F and not "\u1e00" <= letter <= "\u1eff"]
    if 2 * len(others) > len(letters):
        return _language_of_script(others)
    whole = [word.lower() for word in _WORD.findall(text.translate(_SAME))]
    words = [*whole, *(piece for word in whole if "'" in word for piece in word.split("'"))]
    known = sum(word in ENGLISH or word in KEY_WORDS for word in words)
    best, name = max((_hits(words, table), name) for name, table in LANGUAGES.items())
    if best > known or (best == known and re.search(r"[\u00bf\u00a1]", text)):
        return name
    accents = sum(any("\u00c0" <= letter <= "\u1eff" for letter in word) for word in words)
    return "another language" if not known and len(words) > 1 and 2 * accents >= len(words) else ""


def _hits(words: list[str], table: frozenset[str]) -> int:
    found = [word for word in words if word in table]
    telling = any(word not in PARTICLES and word not in ENGLISH for word in found)
    return len(found) if telling or (len(found) >= 4 and 3 * len(found) >= 2 * len(words)) else 0


def _language_of_script(letters: list[str]) -> str:
    names = [unicodedata.name(letter, "").split(" ")[0] for letter in letters[:200]]
    if "HIRAGANA" in names or "KATAKANA" in names:
        return "Japanese"
    return next((_SCRIPTS[name] for name in names if name in _SCRIPTS), "another language")


def plain_english(text: str) -> str:
    """A question with plain marks, short forms written out, and slips in key words mended; blanks squeezed."""
    text = " ".join(text.translate(_SAME).replace("#", " number ").replace("%", " percent ").split())
    text = lower(text) if text.isupper() else text
    text = _NUMBER_OF.sub("number", _WHERE.sub("where", text))
    text = _HOW.sub("how", _MENDED.sub(_mended, text))
    return _THERE.sub(r"\1 there", _MANY.sub(_many, text))


def _many(found: re.Match[str]) -> str:
    """ "how mamy": after "how" there is little else that it can be."""
    slip = _slips(lower(found[2]), "many") == 1 and lower(found[2]) != "may"
    return f"{found[1]} many" if slip else found[0]


def _mended(found: re.Match[str]) -> str:
    word = found[0]
    small = lower(word)
    if small in SHORT_FORMS:
        return SHORT_FORMS[small]
    if found.start() and word[0].isupper():  # a name
        return word
    if small in KEY_WORDS or small in REAL_WORDS or small in ENGLISH or not 3 <= len(small) <= _LONGEST:
        return word
    return _nearest(small) or word


@lru_cache(4096)
def _nearest(word: str) -> str:
    """The key word that `word` is a slip of, or "": one slip up to seven letters, two in longer words."""
    for end in ("s", "d", "ed", "ing", "er", "r"):  # another form of a key word is no slip
        stem = word.removesuffix(end)
        if word + end in KEY_WORDS or (stem != word and len(stem) > 3 and stem in KEY_WORDS):
            return ""
    near = {key for cut in _cuts(word, 2 if len(word) > 6 else 1) for key in _INDEX.get(cut, ())}
    fitting = [(slips, key) for key in near if (slips := _slips(word, key)) <= _most(word, key)]
    return min(fitting)[1] if fitting else ""


def _most(word: str, key: str) -> int:
    """How many slips are mended. The first letter is seldom wrong; short words have too many neighbours for more."""
    if word[0] != key[0] and not (word[:2] == key[1::-1] and sorted(word) == sorted(key)):
        return 0
    if len(key) <= 4:
        swapped = sorted(word) == sorted(key)
        return int(swapped or (len(key) == 4 and len(word) != 4))
    return 1 if len(key) < 8 else 2


def _cuts(word: str, number: int) -> Iterator[str]:
    """The word and what is left of it without one letter, or two."""
    yield word
    for at in range(len(word) if number else 0):
        yield from _cuts(word[:at] + word[at + 1 :], number - 1)


def _slips(one: str, other: str) -> int:
    """Edit distance where two neighbours that changed places are one slip."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def _index() -> dict[str, tuple[str, ...]]:
    index: dict[str, set[str]] = {}
    for key in KEY_WORDS:
        for cut in _cuts(key, 2 if len(key) > 7 else 1):
            index.setdefault(cut, set()).add(key)
    return {cut: tuple(sorted(keys)) for cut, keys in index.items()}


_INDEX = _index()
