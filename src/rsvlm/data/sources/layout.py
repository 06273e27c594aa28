"""What every reader needs of a folder: where an image lies, which split it belongs to, how its class reads in words."""

import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
SPLITS = ("train", "val", "test")
TRAIN_SHARE = 80  # per cent, of sets whose authors publish no split

# Class names that their authors write as one lower-case word; CamelCase and underscores are split by rule.
_GLUED = {
    "baseballdiamond": "baseball diamond", "baseballfield": "baseball field", "bareland": "bare land",
    "denseresidential": "dense residential", "golfcourse": "golf course", "mediumresidential": "medium residential",
    "mobilehomepark": "mobile home park", "parkinglot": "parking lot", "railwaystation": "railway station",
    "sparseresidential": "sparse residential", "storagetanks": "storage tanks", "tenniscourt": "tennis court",
}  # fmt: skip


def words(name: str) -> str:
    """A class name as lower-case words: "AnnualCrop" -> "annual crop", "storagetanks" -> "storage tanks".

    The letter that RSSCN7 puts before its names ("dRiverLake") is dropped.
    """
    name = re.sub(r"^[a-z](?=[A-Z])", "", name.strip())
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[_\-\s]+", " ", name)).lower()
    return _GLUED.get(spaced, spaced)


def hashed_split(name: str) -> str:
    """The fixed 80/20 split of a set without a published one.

    The rule: SHA-256 of the file name without folder and extension (so that re-encoding moves nothing), first eight hex
    digits as a number, modulo 100; below 80 is train, the rest val. Nothing is random and no file's place depends on
    which other files are there.
    """
    digest = hashlib.sha256(Path(name).stem.encode("utf-8")).hexdigest()
    return "train" if int(digest[:8], 16) % 100 < TRAIN_SHARE else "val"


def split_name(text: str) -> str:
    """A published split name as train, val or test ("restval" of Karpathy's files is train)."""
    text = text.lower()
    return {"restval": "train", "valid": "val", "validation": "val"}.get(text, text)


def find_file(folder: Path, *patterns: str) -> Path:
    """The first file under `folder` that matches one of the glob patterns. Raises BadInput naming what was expected."""
    found = search(folder, *patterns)
    if found is None:
        raise BadInput(f"{folder} holds none of {', '.join(patterns)}; give the folder as its authors publish it.")
    return found


def search(folder: Path, *patterns: str) -> Path | None:
    """As `find_file`, None where there is no such file."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                return path
    return None


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises BadInput naming the file and the line that is broken."""
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise BadInput(f"{path} is not valid JSON: {error.msg} at line {error.lineno}.") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text; expected a JSON file.") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error


def read_records(path: Path) -> list[Any]:
    """The records of a file that is a JSON list, or one JSON value a line: sets are published as both."""
    text = _text(path)
    try:
        found = json.loads(text)
        return found if isinstance(found, list) else [found]
    except json.JSONDecodeError as whole:
        rows: list[Any] = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                rows += [json.loads(line)] if line.strip() else []
            except json.JSONDecodeError as error:
                where = f"{whole.msg} at line {whole.lineno}" if number == 1 else f"{error.msg} at line {number}"
                raise BadInput(f"{path} is not valid JSON: {where}.") from error
        return rows


class ImageIndex:
    """Finds an image by the name an annotation gives it, in the folders where its authors put the pictures.

    The exact name comes first, then the same stem with another image extension (sets are re-encoded: RSIVQA speaks of
    N.tif, the shipped picture is N.jpg). A name that is nowhere gets the path where it was expected, so that the caller
    can say what is missing.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [folder.resolve() for folder in folders if folder.is_dir()]
        self._by_name: dict[str, str] = {}
        self._by_stem: dict[str, str] = {}
        for folder in self._folders:
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in IMAGE_SUFFIXES:
                    self._by_name.setdefault(path.name, str(path))
                    self._by_stem.setdefault(path.stem, str(path))

    def __len__(self) -> int:
        return len(self._by_name)

    def __call__(self, name: str, fallback: Path) -> str:
        """Absolute path of the image called `name`; below `fallback` where it was not found."""
        base = Path(name.replace("\\", "/")).name
        found = self._by_name.get(base) or self._by_stem.get(Path(base).stem)
        return found or str((self._folders[0] if self._folders else fallback.resolve()) / base)


def within(folder: Path, *names: str) -> list[Path]:
    """`folder/name` for each name, then `folder` itself: the places to look for pictures."""
    return [folder / name for name in names] + [folder]
