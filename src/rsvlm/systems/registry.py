"""The systems that are here, found by a look into the folders of this package: adding one edits no list.

A system is a folder with model.py, whose class registers itself: `@SYSTEMS("lhrs_bot")`. Its name is the folder's.
"""

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from rsvlm.errors import BadInput
from rsvlm.registry import Registry, unknown
from rsvlm.systems.discovery import system_names

if TYPE_CHECKING:
    from rsvlm.parts.system import System


class SystemRegistry(Registry["type[System]"]):
    """Name -> class of a system. Names need no PyTorch; a class is imported when it is asked for."""

    def names(self) -> list[str]:
        """The names of all systems, in alphabetical order."""
        return system_names()

    def __getitem__(self, name: str) -> "type[System]":
        if name not in system_names():
            raise BadInput(unknown(self.kind, name, system_names()))
        if name not in self._items:
            import_module(f"rsvlm.systems.{name}.model")
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return name in system_names()

    def __iter__(self) -> Iterator[str]:
        return iter(system_names())

    def __len__(self) -> int:
        return len(system_names())


SYSTEMS = SystemRegistry("system")
