"""JSON values that remember what of them was read last, so that a malformed record can be named.

A reader says in its own words what it expects; where in the file the record lies is known here, for all readers.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from math import isfinite
from pathlib import Path
from typing import Any

from rsvlm.sample import Sample

_SHOWN = 60  # letters of a value in a sentence

_last: ContextVar["tuple[_Object | _List, Any] | None"] = ContextVar("what was read last", default=None)


class _Object(dict[Any, Any]):
    """A JSON object that knows what it lies in (its file, at the top), and under which key."""

    __slots__ = ("above", "key")
    above: Any
    key: Any

    def __getitem__(self, key: Any, /) -> Any:
        _last.set((self, key))
        return super().__getitem__(key)

    def get(self, key: Any, default: Any = None, /) -> Any:
        """As a dict's."""
        _last.set((self, key))
        return super().get(key, default)

    def items(self) -> Any:
        """The pairs, one after the other."""
        for key, value in super().items():
            _last.set((self, key))
            yield key, value

    def values(self) -> Any:
        """The values, one after the other."""
        return (value for _, value in self.items())


class _List(list[Any]):
    """As `_Object`, of a JSON list."""

    __slots__ = ("above", "key")
    above: Any
    key: Any

    def __iter__(self) -> Iterator[Any]:
        for at, value in enumerate(super().__iter__()):
            _last.set((self, at))
            yield value


_Object.__name__, _List.__name__ = "dict", "list"  # as errors print them


def forget() -> None:
    """Nothing was read yet."""
    _last.set(None)


def placed(value: Any, file: Path) -> Any:
    """`value`, which was read from `file`, with lists and dicts that remember what of them is read.

    Down to the records: what lies in an object of a list is left as it is.
    """
    return _placed(value, file, None, in_list=False)


def _placed(value: Any, above: Any, key: Any, *, in_list: bool) -> Any:
    if type(value) is dict:
        found: Any = _Object(value)
        pairs: Any = () if in_list else value.items()
    elif type(value) is list and not in_list:
        found, pairs = _List(value), enumerate(value)
    else:
        return value
    found.above, found.key = above, key
    for inner_key, inner in pairs:
        if type(inner) is dict or type(inner) is list:
            found[inner_key] = _placed(inner, found, inner_key, in_list=isinstance(found, list))
    return found


def text(value: Any) -> str:
    """The value, which is text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"found {value!r:.40}, expected text")
    return value


def check_sample(sample: Sample) -> None:
    """Raises TypeError or ValueError where a part of a sample is of another type than the nouns say."""
    texts: list[Any] = [sample.id, sample.split, *(image.path for image in sample.images)]
    for turn in sample.turns:
        texts += (turn.question, turn.answer, turn.kind, *turn.references, *turn.choices)
    for region in sample.regions:
        texts.append(region.label)
        if not all(map(isfinite, region.box)):
            raise ValueError(f"a box is {region.box}, expected numbers")
    for value in texts:
        text(value)


def last_read() -> str:
    """What was read last, and where it stands: "images[3].split of a/b.json is None"; "" where nothing was read."""
    last = _last.get()
    if last is None:
        return ""
    holder, key = last
    try:
        value = dict.__getitem__(holder, key) if isinstance(holder, dict) else list.__getitem__(holder, key)
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    except LookupError:
        shown = "missing"
    place, within = "", holder
    while isinstance(within, _Object | _List):
        place = (f"[{key}]" if isinstance(within, _List) else f".{key}") + place
        within, key = within.above, within.key
    return f"{place.lstrip('.')} of {within} is {shown}"
