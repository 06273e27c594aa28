"""What all readers share: finding images and annotation files, splits, class names as words, JSON records."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from rsvlm.data.sources.records import placed
from rsvlm.data.text_file import read_lines, read_text, split_lines
from rsvlm.errors import BadInput
from rsvlm.files import is_folder, resolved
from rsvlm.json_text import describe_json_error, load_json, parse_json
from rsvlm.sample import Box

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
SPLITS = ("train", "val", "test")
TRAIN_SHARE = 80  # per cent, of sets whose authors publish no split

# Class names that their authors write as one lower-case word; CamelCase and underscores are split by rule.
_COMPOUNDS = {
    "baseballdiamond": "baseball diamond", "baseballfield": "baseball field", "bareland": "bare land",
    "denseresidential": "dense residential", "golfcourse": "golf course", "mediumresidential": "medium residential",
    "mobilehomepark": "mobile home park", "parkinglot": "parking lot", "railwaystation": "railway station",
    "sparseresidential": "sparse residential", "storagetanks": "storage tanks", "tenniscourt": "tennis court",
}  # fmt: skip


def class_words(name: str) -> str:
    """A class name as lower-case words: "AnnualCrop" -> "annual crop", "storagetanks" -> "storage tanks".

    The letter that RSSCN7 puts before its names ("dRiverLake") is dropped.
    """
    name = re.sub(r"^[a-z](?=[A-Z])", "", name.strip())
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", re.sub(r"[_\-\s]+", " ", name)).lower()
    return _COMPOUNDS.get(spaced, spaced)


def hashed_split(name: str) -> str:
    """The fixed 80/20 split of a set without a published one.

    The rule: SHA-256 of the file name without folder and extension (so that re-encoding moves nothing), first eight hex
    digits as a number, modulo 100; below 80 is train, the rest val. Nothing is random and no file's place depends on
    which other files are there.
    """
    digest = hashlib.sha256(Path(name).stem.encode("utf-8")).hexdigest()
    return "train" if int(digest[:8], 16) % 100 < TRAIN_SHARE else "val"


def normalize_split(text: str) -> str:
    """A published split name as train, val or test ("restval" of Karpathy's files is train)."""
    text = text.lower()
    return {"restval": "train", "valid": "val", "validation": "val"}.get(text, text)


def find_file(folder: Path, *patterns: str) -> Path:
    """The first file under `folder` that matches one of the glob patterns. Raises BadInput naming what was expected."""
    found = find_optional(folder, *patterns)
    if found is None:
        raise BadInput(f"{folder} holds none of {', '.join(patterns)}; give the folder as its authors publish it.")
    return found


def find_optional(folder: Path, *patterns: str) -> Path | None:
    """As `find_file`, None where there is no such file."""
    for pattern in patterns:
        for path in sorted(folder.glob(pattern)):
            if path.is_file():
                return path
    return None


def read_json(path: Path) -> Any:
    """The JSON value in a file. Raises BadInput naming the file and the line that is broken."""
    return placed(parse_json(read_text(path), path), path)


def read_records(path: Path) -> list[Any]:
    """The records of a file that is a JSON list, or one JSON value a line: sets are published as both."""
    text = read_text(path)
    try:
        found = load_json(text)
        return placed(found if isinstance(found, list) else [found], path)
    except ValueError as whole:
        rows: list[Any] = []
        for number, line in enumerate(split_lines(text), 1):
            try:
                rows += [load_json(line)] if line.strip() else []
            except ValueError as error:
                why = describe_json_error(whole) if number == 1 else describe_json_error(error, number)
                raise BadInput(f"{path} is not valid JSON: {why}.") from error
        return placed(rows, path)


class ImageIndex:
    """Finds a picture by the name an annotation gives it, in the folders where its authors put the pictures.

    A name with folders ("site1/0001.png", "C:\\data\\a.jpg") is looked for with as many of them as are there, longest
    first; then by its base name alone. In each place the exact name comes first, then the same stem with another
    extension of a picture (sets are re-encoded: RSIVQA speaks of N.tif, the shipped picture is N.jpg). A name that is
    nowhere gets the path where it was expected, so that the caller can say what is missing.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [resolved(folder) for folder in folders if is_folder(folder)]
        self._listed: dict[Path, tuple[dict[str, str], dict[str, str]]] = {}
        self._by_base: dict[str, str] = {}  # picture -> the name that found it by its base name

    def __len__(self) -> int:
        return len({path for folder in self._folders for path in self._pictures(folder)[0].values()})

    def __call__(self, name: str, fallback: Path) -> str:
        """Absolute path of the picture called `name`; below `fallback` where it was not found.

        Raises BadInput where two names with different folders find one picture by their base name.
        """
        return self.find(name) or str(
            (self._folders[0] if self._folders else resolved(fallback)) / self._parts(name)[-1]
        )

    def find(self, name: str) -> str | None:
        """As a call, None where there is no such picture."""
        parts = self._parts(name)
        for skipped in range(len(parts)):
            inner, base = Path(*parts[skipped:-1]), parts[-1]
            for folder in self._folders:
                names, stems = self._pictures(folder / inner)
                if found := names.get(base) or stems.get(image_stem(base)):
                    return found if skipped < len(parts) - 1 or len(parts) == 1 else self._require_unique(found, name)
        return None

    def _require_unique(self, found: str, name: str) -> str:
        before = self._by_base.setdefault(found, name)
        if before != name:
            raise BadInput(
                f"{before!r} and {name!r} both find the picture {found} by its base name; lay the pictures out in the "
                "folders that the annotations name."
            )
        return found

    @staticmethod
    def _parts(name: str) -> list[str]:
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        return parts or [name]

    def _pictures(self, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
        """The pictures in a folder by their names and by their stems."""
        if folder not in self._listed:
            paths = sorted(folder.iterdir()) if is_folder(folder) else []
            pictures = [path for path in paths if path.suffix.lower() in IMAGE_SUFFIXES]
            names = {path.name: str(path) for path in pictures}
            self._listed[folder] = names, {path.stem: str(path) for path in reversed(pictures)}
        return self._listed[folder]


def image_stem(name: str) -> str:
    """The name of a file without the extension of a picture; other dots are part of the name ("t.a")."""
    path = Path(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name


def split_lists(lists: Mapping[str, Path], stems: Collection[str]) -> dict[str, str]:
    """Stem -> split, from published lists of file names: plain, with extensions, with folders, a class flag behind.

    `stems` are those of the annotations; one that no list has is "unlisted". Empty where there are no lists. Raises
    BadInput for a list of which no entry is an annotation.
    """
    found: dict[str, str] = {}
    there = {split: path for split, path in lists.items() if path.is_file()}
    for split, path in there.items():
        names = [line.strip() for line in read_lines(path) if line.strip()]
        known = [stem for name in names if (stem := _listed_stem(name, stems)) is not None]
        if names and not known:
            raise BadInput(
                f"None of the {len(names)} entries of {path} names a picture of this set, the first is {names[0]!r}; "
                f"expected names such as {min(stems, default='')!r}."
            )
        found |= dict.fromkeys(known, split)
    return {stem: found.get(stem, "unlisted") for stem in stems} if there else {}


def _listed_stem(entry: str, stems: Collection[str]) -> str | None:
    for text in (entry, entry.split()[0]):  # the whole line, which may hold blanks, or what stands before a flag
        base = text.replace("\\", "/").rsplit("/", 1)[-1]
        for stem in (base, image_stem(base), base.removesuffix(".xml"), base.removesuffix(".txt")):
            if stem in stems:
                return stem
    return None


def ordered_box(x1: float, y1: float, x2: float, y2: float) -> Box | None:
    """The box with x1 < x2 and y1 < y2, whichever corners were annotated; None where it has no area."""
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    return box if box[2] > box[0] and box[3] > box[1] else None


def candidate_folders(folder: Path, *names: str) -> list[Path]:
    """`folder/name` for each name, then `folder` itself: the folders in which pictures are looked for."""
    return [folder / name for name in names] + [folder]
