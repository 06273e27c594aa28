"""Name -> thing. Unknown names raise with the nearest known one."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from rsvlm.errors import BadInput

T = TypeVar("T")


class Registry(Generic[T]):
    """A named collection that is filled by decorators or by `add`, and that suggests on a miss."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, thing: T) -> T:
        """Register `thing`; a name taken twice is a programming error (ValueError)."""
        if name in self._items:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._items[name] = thing
        return thing

    def __call__(self, name: str) -> Callable[[T], T]:
        """A decorator that registers what it decorates under `name`."""
        return lambda thing: self.add(name, thing)

    def __getitem__(self, name: str) -> T:
        if name not in self._items:
            raise BadInput(unknown(self.kind, name, self._items))
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def names(self) -> list[str]:
        """All names in the order of their registration."""
        return list(self._items)

    def __len__(self) -> int:
        return len(self._items)


def unknown(kind: str, name: str, known: "dict[str, T] | list[str] | tuple[str, ...]") -> str:
    """One sentence for a name that is not known, with the nearest known one and the whole list."""
    near = get_close_matches(name, list(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"No {kind} is named {name!r}.{hint} Known: {', '.join(sorted(known)) or 'none'}."
