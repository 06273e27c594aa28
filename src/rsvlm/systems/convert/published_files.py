"""The table of published files: which system a checkpoint is of, and what its tensors do not tell, by its name."""

from dataclasses import dataclass
from pathlib import Path

from rsvlm.systems.discovery import submodule, system_names


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file that a system's authors published; its system's weights.py has it in `PUBLISHED`.

    `name` is that of the file, or of the archive that it lies in, without the ending; `recipe` the system's recipe of
    its sizes. `activation` is that of its MLPs, which no tensor tells. `size` is in words, `start` what it was trained
    from, `good_for` what it is to be taken for, with its authors' figures.
    """

    name: str
    recipe: str
    activation: str
    size: str
    start: str
    good_for: str


def published_files() -> dict[str, tuple[PublishedFile, ...]]:
    """The rows of every system that has some."""
    found = {system: getattr(submodule(system, "weights"), "PUBLISHED", ()) for system in system_names("weights")}
    return {system: rows for system, rows in found.items() if rows}


def row_of(path: Path) -> tuple[str, PublishedFile] | None:
    """The system and the row of a file that keeps its published name, or lies in a folder of that name."""
    names = (path.stem, path.name, path.parent.name)
    rows = ((system, row) for system, rows in published_files().items() for row in rows)
    return next((found for found in rows if found[1].name in names), None)
