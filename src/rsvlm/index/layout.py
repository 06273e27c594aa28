"""The tables of an archive: how they begin, and what they say that they are of."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.index.rows import FORMAT, SCENES, tiles_schema
from rsvlm.index.store import is_remote
from rsvlm.json_text import load_json

_ABOUT = b"rsvlm"  # of the schema's metadata
_TABLES = ("tiles", "scenes")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFacts:
    """What an archive is of: the model and its weights, the length of a vector, the version of its layout; its size."""

    model: str
    weights_hash: str
    width: int
    format: int
    rows: int
    scenes: int


@dataclass(frozen=True, slots=True)
class Version:
    """A commit: its number for `Archive.open`, when it was made (local time), and the rows there were."""

    number: int
    time: datetime
    rows: int


def fresh_tables(uri: str | Path, database: Any, kind: Mapping[str, str]) -> tuple[Any, Any]:
    """New tables of tiles and scenes; `kind` has the model, its weights and the width of its vectors.

    Raises BadInput where there is an archive, or a folder with something else in it.
    """
    if not is_remote(uri) and not _has_only_tables(Path(uri)):
        raise BadInput(f"{uri} holds something else already; give the path of a new archive.")
    names = database.list_tables().tables
    if "tiles" in names and _opens(database):
        raise BadInput(f"{uri} is an archive already; open it, or give another path.")
    for left in {*names} & {*_TABLES}:  # of a run that was killed here
        database.drop_table(left)
    schema = tiles_schema(int(kind["width"]))
    written = json.dumps({"format": str(FORMAT), **kind}).encode()
    scenes = database.create_table("scenes", schema=SCENES)
    return database.create_table("tiles", schema=schema.with_metadata({_ABOUT: written})), scenes


def about(uri: str | Path, tiles: Any) -> dict[str, str]:
    """What an archive is of, as it was made. Raises BadInput for none, and for one of a newer layout."""
    found = (tiles.schema.metadata or {}).get(_ABOUT)
    if found is None:
        raise BadInput(f"{uri} is a LanceDB database, but no archive of rsvlm; give the path of one.")
    kind = load_json(found.decode())
    if int(kind["format"]) > FORMAT:
        raise BadInput(
            f"{uri} was written by a newer rsvlm (layout {kind['format']}, this one reads up to {FORMAT}); upgrade: "
            "pip install --upgrade rsvlm"
        )
    return kind


def _has_only_tables(folder: Path) -> bool:
    """Whether there is nothing in a folder but tables of LanceDB."""
    if not folder.exists():
        return True
    return folder.is_dir() and all(one.suffix == ".lance" or one.name.startswith(".") for one in folder.iterdir())


def _opens(database: Any) -> bool:
    try:
        database.open_table("tiles")
    except (OSError, RuntimeError, ValueError):
        return False
    return True
