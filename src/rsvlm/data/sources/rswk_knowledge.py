"""The knowledge of RSWK (arXiv 2504.04988): what is known of each landmark, and its picture.

Layout from the authors' repository: JSON lists of records with an `image_name`: ORI_DATASET/ori_data_{train,test}.json
("world knowledge", "remote sensing expert knowledge"), and for the vector database world-expert_knowledge.json,
monthly_knowledge.json ("monthly expert knowledge") and image_descriptions.json ("description"), which say no split.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsvlm.data.sources.layout import IMAGE_SUFFIXES, read_json
from rsvlm.errors import BadInput

_NAMES = ("ori_data*.json", "world-expert_knowledge*.json", "monthly_knowledge*.json", "image_descriptions*.json")
_KEPT = ("world knowledge", "remote sensing expert knowledge", "monthly expert knowledge", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmark:
    """What all files say of one landmark: `record` by the names of RSWK, `picture` its file, None where not found."""

    name: str
    split: str
    record: Mapping[str, Any] = field(default_factory=dict[str, Any])
    picture: Path | None = None


def read_knowledge(source: Path, pictures: Path | None = None, split: str = "all") -> Iterator[Landmark]:
    """The landmarks in a folder of RSWK, or in one JSON file of such records, in the order of their first record.

    A picture is called like its landmark or like its ID, in either spelling of accents, and lies below `pictures`
    (default: below the folder). `split` is train, test or all. Raises BadInput where no file is there, a record has
    no name, or none is of that split.
    """
    named = [path for name in _NAMES for path in sorted(source.rglob(name))]
    paths = [source] if source.is_file() else named
    if not paths:
        raise BadInput(f"{source} holds none of {', '.join(_NAMES)}; give the folder of RSWK, or one such file.")
    files = _pictures(pictures or (source.parent if source.is_file() else source))
    merged: dict[str, dict[str, Any]] = {}
    splits: dict[str, str] = {}
    found: dict[str, Path] = {}
    for path in paths:
        for number, record in enumerate(_records(path)):
            name = record.get("image_name") if isinstance(record, Mapping) else None
            if not isinstance(name, str) or not name.strip():
                raise BadInput(f"{path} record {number} has no image_name; expected a record of RSWK's knowledge.")
            name = _plain(name)
            merged.setdefault(name, {}).update({key: record[key] for key in _KEPT if key in record})
            splits[name] = splits.get(name) or _split(path)
            for called in (name, _plain(str(record.get("ID", "")))):
                if called in files:
                    found.setdefault(name, files[called])
    chosen = [name for name in merged if split in ("all", splits[name])]
    if not chosen:
        raise BadInput(f"No record in {source} is of the split {split!r}; ori_data_{split}.json would say so.")
    for name in chosen:
        yield Landmark(name=name, split=splits[name], record=merged[name], picture=found.get(name))


def _records(path: Path) -> list[Any]:
    records = read_json(path)
    if not isinstance(records, list):
        raise BadInput(f"{path} holds a {type(records).__name__}, expected a list of records of RSWK's knowledge.")
    return records


def _split(path: Path) -> str:
    """That of a published file of landmarks, by its name; the other files say none."""
    return next((split for split in ("train", "test") if split in path.stem), "")


def _pictures(folder: Path) -> dict[str, Path]:
    paths = [path for path in sorted(folder.rglob("*"), reverse=True) if path.suffix.lower() in IMAGE_SUFFIXES]
    return {_plain(path.stem): path for path in paths}


def _plain(name: str) -> str:
    """One spelling of names with accents, without the ending of a picture."""
    plain = unicodedata.normalize("NFC", name.strip())
    return Path(plain).stem if Path(plain).suffix.lower() in IMAGE_SUFFIXES else plain
