"""Which systems there are: the folders of this package that hold model.py. Imports no system, and no PyTorch."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import rsvlm.systems


def system_names(having: str = "model") -> list[str]:
    """The systems in every folder of `rsvlm.systems.__path__` that have `having`.py, in alphabetical order."""
    folders = [folder for root in rsvlm.systems.__path__ for folder in Path(root).iterdir() if folder.is_dir()]
    wanted = {"model.py", f"{having}.py"}
    return sorted({folder.name for folder in folders if all((folder / name).is_file() for name in wanted)})


def submodule(system: str, part: str) -> ModuleType | None:
    """The module `part` (card, weights, ...) of a system; None where it has none."""
    name = f"rsvlm.systems.{system}.{part}"
    return import_module(name) if find_spec(name) else None
