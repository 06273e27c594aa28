"""Parser of referring expressions: by size ("largest"), position ("on the left") or rank ("second from the top"). Ours.

A small detector knows classes better than relations between objects: it is asked for all objects of a class, and the
one meant is selected by geometry. This also serves tiled scenes: "the largest boat" cannot be asked of a single tile.
The words known here are those of `rsvlm.data.synth.referring`, by which phrases for training are made.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rsvlm.data.synth.referring import pluralize
from rsvlm.sample import Region

_I = re.IGNORECASE
_PREPOSITIONS = r"(?:at|in|on|from|near|next|by|with|along|of|beside|between|under|over|behind|around|close)"
_IRREGULAR_PLURALS = {"people", "men", "women"}  # plurals without an s


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedPhrase:
    """A parsed phrase. `words`: what an untiled scene is asked. `is_single`: whether it means a single object.

    Where a rule fits, `plural_phrase` asks for all objects of the class ("" otherwise), and `select(regions, size)`
    returns the region that is meant, of a scene of `size` (width, height), or None where there is none.
    """

    words: str
    is_single: bool
    plural_phrase: str = ""
    select: Callable[[Sequence[Region], tuple[int, int]], Region | None] | None = None


def parse_phrase(words: str) -> ParsedPhrase:
    """Parse a phrase: "the boats" are several, "a boat" is any and so all of them, "the boat" is one."""
    if article := re.match(r"(?:a|an|any|some|every|each)\s+(?=[\w-]+(?: [\w-]+)?$)", words, _I):
        rest = words[article.end() :]
        words = rest if _is_plural(rest) else pluralize(rest)
    if not words.lower().startswith("the "):
        return ParsedPhrase(words=words, is_single=False, plural_phrase=words)
    bare = words[4:]
    head = re.split(rf"\s{_PREPOSITIONS}\s", bare, maxsplit=1, flags=_I)[0]
    if _is_plural(head):
        return ParsedPhrase(words=bare, is_single=False, plural_phrase=bare)
    for pattern, rules in _RULES:
        if (found := pattern.fullmatch(bare)) and (key := rules.get(found["which"].lower())):
            rank = _ORDINALS.get((found.groupdict().get("rank") or "").lower(), 0)
            return ParsedPhrase(
                words=words, is_single=True, plural_phrase=pluralize(found["thing"]), select=_make_selector(key, rank)
            )
    return ParsedPhrase(words=words, is_single=True)


def _is_plural(head: str) -> bool:
    last = (head.lower().split() or [""])[-1]
    return last in _IRREGULAR_PLURALS or (last.endswith("s") and not last.endswith(("ss", "us", "is")))


_SortKey = Callable[[float, float, float], float]  # x, y of the centre in fractions, area in pixels -> least is meant
_SIZES: dict[str, _SortKey] = {
    **dict.fromkeys(("largest", "biggest"), lambda x, y, area: -area),
    **dict.fromkeys(("smallest",), lambda x, y, area: area),
    **dict.fromkeys(("leftmost",), lambda x, y, area: x),
    **dict.fromkeys(("rightmost",), lambda x, y, area: -x),
    **dict.fromkeys(("topmost", "highest"), lambda x, y, area: y),
    **dict.fromkeys(("lowest", "bottommost"), lambda x, y, area: -y),
}
_SIDES: dict[str, _SortKey] = {
    "left": lambda x, y, area: x,
    "right": lambda x, y, area: -x,
    "top": lambda x, y, area: y,
    "bottom": lambda x, y, area: -y,
    "top left": lambda x, y, area: x + y,
    "top right": lambda x, y, area: y - x,
    "bottom left": lambda x, y, area: x - y,
    "bottom right": lambda x, y, area: -x - y,
    "middle": lambda x, y, area: abs(x - 0.5) + abs(y - 0.5),
    "centre": lambda x, y, area: abs(x - 0.5) + abs(y - 0.5),
}
_ORDINALS = {"second": 1, "third": 2}
_RULES = (
    (re.compile(rf"(?P<which>{'|'.join(_SIZES)}) (?P<thing>[\w-]+(?: [\w-]+)?)", _I), _SIZES),
    (re.compile(r"(?P<rank>first|second|third) (?P<thing>[\w-]+(?: [\w-]+)?) from the (?P<which>\w+)", _I), _SIDES),
    (re.compile(r"(?P<thing>[\w-]+(?: [\w-]+)?) (?:at|on|in) the (?P<which>\w+(?: \w+)?)", _I), _SIDES),
)


def _make_selector(key: _SortKey, rank: int) -> Callable[[Sequence[Region], tuple[int, int]], Region | None]:
    def choose(regions: Sequence[Region], size: tuple[int, int]) -> Region | None:
        def value(region: Region) -> float:
            x1, y1, x2, y2 = region.box
            return key((x1 + x2) / 2 / size[0], (y1 + y2) / 2 / size[1], (x2 - x1) * (y2 - y1))

        order = sorted(regions, key=value)
        return order[rank] if rank < len(order) else None

    return choose
