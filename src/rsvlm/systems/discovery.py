"""Which systems there are: the folders of this package that hold model.py. Imports no system, and no PyTorch."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import rsvlm.systems


def system_names() -> list[str]:
    """The systems in every folder of `rsvlm.systems.__path__`, in alphabetical order."""
    return sorted({model.parent.name for root in rsvlm.systems.__path__ for model in Path(root).glob("*/model.py")})


def has_submodule(system: str, part: str) -> bool:
    """Whether a system has the module `part` (card, weights, ...); nothing is imported."""
    return any((Path(root) / system / f"{part}.py").is_file() for root in rsvlm.systems.__path__)


def submodule(system: str, part: str) -> ModuleType | None:
    """The module `part` of a system; None where it has none."""
    return import_module(f"rsvlm.systems.{system}.{part}") if has_submodule(system, part) else None
