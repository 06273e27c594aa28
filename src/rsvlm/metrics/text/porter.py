"""Porter's stemmer with the extensions of NLTK, which rouge_score and NLTK's METEOR use.

Porter, "An algorithm for suffix stripping", Program 14.3 (1980). Written from the paper and from NLTK's description of
its departures: words of four letters in -ies and -ied, y only after a consonant, -alli, -fulli, -logi, a table of
irregular words.
"""

from collections.abc import Callable
from functools import lru_cache

_IRREGULAR = {
    "skies": "sky", "sky": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "innings": "inning",
    "inning": "inning", "outings": "outing", "outing": "outing", "cannings": "canning", "canning": "canning",
    "howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}  # fmt: skip
_STEP_2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
    ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"),
    ("iviti", "ive"), ("biliti", "ble"), ("fulli", "ful"),
)  # fmt: skip
_STEP_3 = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
)  # fmt: skip
_STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate", "iti",
    "ous", "ive", "ize",
)  # fmt: skip


def _shape(word: str) -> str:
    """One "v" a vowel and one "c" a consonant; y is a vowel after a consonant."""
    shape = ""
    for i, mark in enumerate(word):
        shape += "v" if mark in "aeiou" or (mark == "y" and i and shape[-1] == "c") else "c"
    return shape


def _measure(stem: str) -> int:
    return _shape(stem).count("vc")


def _ends_short(stem: str) -> bool:
    """Ends consonant, vowel, consonant but w, x, y; or is vowel, consonant (NLTK's)."""
    shape = _shape(stem)
    return (shape[-3:] == "cvc" and stem[-1] not in "wxy") or shape == "vc"


def _plural(word: str) -> str:
    if word.endswith("ies"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("ied"):
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    for suffix in ("ed", "ing"):
        stem = word.removesuffix(suffix)
        if stem != word and "v" in _shape(stem):
            if stem.endswith(("at", "bl", "iz")):
                return stem + "e"
            if stem[-1] == stem[-2:-1] and _shape(stem)[-1] == "c":
                return stem if stem[-1] in "lsz" else stem[:-1]
            return stem + "e" if _measure(stem) == 1 and _ends_short(stem) else stem
    return word


def _y(word: str) -> str:
    ends = word.endswith("y") and len(word) > 2 and _shape(word)[-2] == "c"
    return word[:-1] + "i" if ends else word


def _double_suffix(word: str) -> str:
    if word.endswith("alli") and _measure(word[:-4]):
        return _double_suffix(word[:-2])
    for suffix, short in _STEP_2:
        if word.endswith(suffix):
            return word.removesuffix(suffix) + short if _measure(word.removesuffix(suffix)) else word
    return word[:-1] if word.endswith("logi") and _measure(word[:-3]) else word


def _derivation(word: str) -> str:
    for suffix, short in _STEP_3:
        if word.endswith(suffix):
            return word.removesuffix(suffix) + short if _measure(word.removesuffix(suffix)) else word
    return word


def _ending(word: str) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            stem = word.removesuffix(suffix)
            return stem if _measure(stem) > 1 and (suffix != "ion" or stem[-1] in "st") else word
    return word


def _final_e(word: str) -> str:
    stem = word[:-1]
    ends = word.endswith("e") and (_measure(stem) > 1 or (_measure(stem) == 1 and not _ends_short(stem)))
    return stem if ends else word


def _final_l(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


_STEPS: tuple[Callable[[str], str], ...] = (
    _plural, _past, _y, _double_suffix, _derivation, _ending, _final_e, _final_l,
)  # fmt: skip


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a word, in lower case: "buildings" -> "build"."""
    low = word.lower()
    if low in _IRREGULAR or len(word) <= 2:
        return _IRREGULAR.get(low, low)
    for step in _STEPS:
        low = step(low)
    return low
