"""Files and folders that appear whole or not at all: written aside, then renamed. Standard library only."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, mkdtemp
from typing import Any

from rsvlm.errors import BadInput


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its name only when the block ends well; nothing half-written stays.

    Raises BadInput where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=".part", delete=False) as file:
            part = Path(file.name)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose a folder that can.") from error
    try:
        part.chmod(0o644)  # temporary files are private; the finished one is like any other
        yield part
        part.replace(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill beside `folder`. When the block ends well it takes its name, and nothing of it stays otherwise.

    Where `folder` is there already, the files are moved into it one by one, each as a whole. Raises OSError where it
    cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield aside
        if folder.exists():
            for file in aside.iterdir():
                file.replace(folder / file.name)
        else:
            aside.chmod(0o777 & ~_umask())  # mkdtemp makes private folders
            aside.replace(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def replace_folder(aside: Path, final: Path) -> None:
    """Put a finished folder in the place of an older one; at any moment one of them is whole."""
    old = final.with_name(f"{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    aside.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def is_file(path: Path) -> bool:
    """Whether a file is there; False for a name that no file can have (too long, with a NUL)."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """As `is_file`, of a folder."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def resolved(path: Path) -> Path:
    """The absolute path without links; as it stands where links run in a circle or no file can have the name."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path.absolute()


def read_json(path: Path) -> Any:
    """What a JSON file of ours holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON aside, flush it to disk, rename."""
    aside = path.with_name(f"{path.name}.part")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)


def write_text(path: Path, text: str) -> None:
    """Write text aside, then rename."""
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.rename(path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
