"""Files and folders that appear whole or not at all: written aside, then renamed. Standard library only.

Aside is `.<name>.<8 letters>.part` beside <name>. The process that fills it holds a lock (flock) on it, which the
system takes away when the process ends, however it ends: what nobody holds is a leftover, and the next run removes it.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.json_text import load_json

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and leftovers stay
    fcntl = None

_LETTERS = r"[a-z0-9_]{8}"  # what tempfile puts into a name


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
        part, held = new_part(path.parent, path.name, folder=False)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}); choose a folder that can.") from error
    try:
        part.chmod(0o644)  # temporary files are private; the finished one is like any other
        yield part
        part.replace(path)
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}).") from error
    finally:
        remove_part(part, held)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill beside `folder`. When the block ends well it takes its name, and nothing of it stays otherwise.

    Where `folder` is there already, the files are moved into it one by one, each as a whole. Raises OSError where it
    cannot be written.
    """
    aside, held = new_part(folder.parent, folder.name, folder=True)
    try:
        yield aside
        if folder.exists():
            for file in aside.iterdir():
                file.replace(folder / file.name)
        else:
            aside.chmod(0o777 & ~_umask())  # mkdtemp makes private folders
            aside.replace(folder)
    finally:
        remove_part(aside, held)


def new_part(parent: Path, name: str, *, folder: bool) -> tuple[Path, int]:
    """A new, empty and private file or folder `.<name>.<letters>.part`, and the descriptor that holds its lock.

    Leftovers of the same name are removed first. `remove_part` takes both at the end. Raises OSError.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with _one_at_a_time(parent) as locked:
        if locked:
            remove_leftovers(parent, name)
        if folder:
            part = tempfile.mkdtemp(dir=parent, prefix=f".{name}.", suffix=".part")
            held = os.open(part if fcntl else os.devnull, os.O_RDONLY)
        else:
            held, part = tempfile.mkstemp(dir=parent, prefix=f".{name}.", suffix=".part")
        _lock(held)
    return Path(part), held


def remove_part(part: Path, held: int) -> None:
    """Remove what `new_part` made, where it still has that name, and let its lock go."""
    _remove(part)
    os.close(held)


def _remove(path: Path) -> None:
    with suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def remove_leftovers(parent: Path, name: str) -> list[Path]:
    """Remove what runs that have ended left beside `parent`/`name`, and say what; what is in use stays."""
    found = re.compile(rf"\.{re.escape(name)}\.{_LETTERS}\.part")
    removed: list[Path] = []
    with suppress(OSError):
        for entry in sorted(parent.iterdir()):
            if found.fullmatch(entry.name) and not entry.is_symlink() and _abandoned(entry):
                _remove(entry)
                removed.append(entry)
    return removed


def _abandoned(part: Path) -> bool:
    """Whether no process holds the lock of `part`."""
    try:
        handle = os.open(part, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return _lock(handle)
    finally:
        os.close(handle)


def _lock(handle: int, *, tries: int = 1) -> bool:
    """Take the lock of an open file or folder; False where another process has it, or where there are no locks."""
    for left in range(tries if fcntl else 0, 0, -1):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # pyright: ignore[reportOptionalMemberAccess]
        except BlockingIOError:
            time.sleep(0.05 * (left > 1))
        except OSError:
            return False
        else:
            return True
    return False


@contextmanager
def _one_at_a_time(parent: Path) -> Iterator[bool]:
    """Between the making of a part and its lock nobody may take it for a leftover: one process at a time in a folder.

    False where the folder cannot be locked within two seconds: then nothing may be removed.
    """
    handle = None
    with suppress(OSError):
        handle = os.open(parent, os.O_RDONLY)
    try:
        yield handle is not None and _lock(handle, tries=40)
    finally:
        if handle is not None:
            os.close(handle)


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
    return load_json(path.read_text(encoding="utf-8"))


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
