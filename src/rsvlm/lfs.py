"""Git-LFS pointers: texts of some 130 bytes that stand for files which a clone has not fetched."""

from pathlib import Path

from rsvlm.errors import BadInput

_POINTER = b"version https://git-lfs.github.com/spec/"


def refuse_pointer(path: object, start: str | bytes | None = None) -> None:
    """Raises BadInput where the file at `path` is a pointer; `start` is how it begins, where that is known already."""
    if start is None:
        try:
            with Path(str(path)).open("rb") as file:
                start = file.read(len(_POINTER))
        except (OSError, ValueError):  # who reads the file says so
            return
    head = start[: len(_POINTER)]
    if (head.encode("utf-8", "replace") if isinstance(head, str) else head) == _POINTER:
        raise BadInput(f"{path} is a Git-LFS pointer and not the file itself; run `git lfs pull` in its repository.")
