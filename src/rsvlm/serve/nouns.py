"""English nouns by simple rules: plurals, singulars, and the noun of a phrase that a table knows."""

import re
from collections.abc import Container

_IRREGULAR = {
    "person": "people", "man": "men", "woman": "women", "child": "children", "aircraft": "aircraft", "sheep": "sheep",
    "cattle": "cattle", "goose": "geese", "leaf": "leaves", "wharf": "wharves", "wolf": "wolves", "calf": "calves",
    "quay": "quays", "livestock": "livestock",
    "farmland": "farmland", "wildlife": "wildlife", "cropland": "cropland", "deer": "deer",
}  # fmt: skip
_SINGULAR = {many: one for one, many in _IRREGULAR.items()}
_GROUPS = {"group", "row", "line", "cluster", "number", "lot", "pair", "kind", "type", "crowd", "herd", "fleet", "sort"}
# What follows these says more about the noun before them.
_AFTER = {
    "in", "on", "at", "near", "with", "along", "next", "by", "under", "from", "to", "that", "which", "who", "beside",
    "between", "behind", "around", "within", "inside", "there", "here",
}  # fmt: skip
_STATES = {"parked", "moored", "docked", "anchored", "visible", "present"}  # before a noun or after it
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_MOST_WORDS = 40  # of a phrase that are looked at


def plural(noun: str) -> str:
    """ "boat" -> "boats", "gas station" -> "gas stations"; the last word changes."""
    head, last = noun[: noun.rfind(" ") + 1], noun[noun.rfind(" ") + 1 :]
    if noun in _IRREGULAR or last in _IRREGULAR:
        return _IRREGULAR[noun] if noun in _IRREGULAR else head + _IRREGULAR[last]
    if re.search(r"[^aeiou]y$", last):
        return f"{head}{last[:-1]}ies"
    return head + last + ("es" if re.search(r"(?:s|x|z|ch|sh)$", last) else "s")


def singulars(word: str) -> tuple[str, ...]:
    """What a word may be the plural of, the likelier first; the word itself comes last."""
    found = [_SINGULAR[word]] if word in _SINGULAR else []
    if word.endswith("ies") and len(word) > 4:
        found.append(word[:-3] + "y")
    if re.search(r"(?:s|x|z|ch|sh)es$", word):
        found.append(word[:-2])
    if word.endswith("s") and not word.endswith("ss"):
        found.append(word[:-1])
    return (*found, word)


def find_noun(phrase: str, known: Container[str]) -> str:
    """The longest end of a phrase's noun part that `known` has, as it has it; "" for none.

    "two white boats in the harbour" -> "boat", "a car park" -> "car park", "rows of cars" -> "car".
    """
    words = _WORD.findall(phrase.lower().replace("-", " "))[:_MOST_WORDS]
    words = words[: next((at for at, word in enumerate(words) if at and word in _AFTER), len(words))]
    if "of" in words:
        at = words.index("of")
        found = _last_noun(words[:at], known)  # parking lots of the city
        grouped = not found and any(one in _GROUPS for one in singulars(words[at - 1]))  # rows of cars
        return _last_noun(words[at + 1 :], known) if grouped else found
    return _last_noun(words, known)


def _last_noun(words: list[str], known: Container[str]) -> str:
    while words and words[-1] in _STATES:
        words = words[:-1]
    state = next((at for at, word in enumerate(words) if at and word in _STATES), 0)
    if state and (found := _last_noun(words[:state], known)):
        return found
    for start in range(len(words)):
        head = "".join(f"{word} " for word in words[start:-1])
        for last in singulars(words[-1]):
            if head + last in known:
                return head + last
    return ""
