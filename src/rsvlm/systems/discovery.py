"""Which systems there are, by the folders of this package. Imports no system, and no PyTorch.

A folder with model.py is a system with weights; one with pipeline.py has none of its own and works over other models.
"""

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import rsvlm.systems
from rsvlm.errors import BadInput
from rsvlm.registry import Registry, unknown

T = TypeVar("T")


def system_names(having: str = "model") -> list[str]:
    """The systems in every folder of `rsvlm.systems.__path__` that have `having`.py, in alphabetical order."""
    folders = [folder for root in rsvlm.systems.__path__ for folder in Path(root).iterdir() if folder.is_dir()]
    systems = [folder for folder in folders if any((folder / name).is_file() for name in ("model.py", "pipeline.py"))]
    return sorted({folder.name for folder in systems if (folder / f"{having}.py").is_file()})


def submodule(system: str, part: str) -> ModuleType | None:
    """The module `part` (card, weights, ...) of a system; None where it has none."""
    name = f"rsvlm.systems.{system}.{part}"
    return import_module(name) if find_spec(name) else None


class FolderRegistry(Registry[T]):
    """Name of a system -> what its module `part` holds, imported when it is asked for.

    `find` takes it out of the module; without, the module registers it by itself, by this registry as a decorator.
    """

    def __init__(self, kind: str, part: str, find: Callable[[Any], T] | None = None) -> None:
        super().__init__(kind)
        self.part, self.find = part, find

    def names(self) -> list[str]:
        """The names of all systems with this part, in alphabetical order."""
        return system_names(self.part)

    def __getitem__(self, name: str) -> T:
        if name not in self.names():
            raise BadInput(unknown(self.kind, name, self.names()))
        if name not in self._items:
            module = import_module(f"rsvlm.systems.{name}.{self.part}")
            if self.find is not None:
                self.add(name, self.find(module))
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self.names())
