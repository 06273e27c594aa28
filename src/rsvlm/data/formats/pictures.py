"""Pictures that are bytes in memory, as files in a folder beside a JSON file, where other tools can open them."""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rsvlm.files import atomic_file, atomic_folder
from rsvlm.sample import Image

Keep = Callable[[Image], str]  # an image with bytes -> the path of its file, relative to the JSON file

_MAGIC = (
    (b"\xff\xd8", "jpg"),
    (b"\x89PNG", "png"),
    (b"II", "tif"),
    (b"MM", "tif"),
    (b"RIFF", "webp"),
    (b"GIF8", "gif"),
    (b"\0\0\0\x0cjP", "jp2"),
)
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
_NAME, _DIGITS = 40, 16  # letters of the given name; of the digest that makes the name unique


def picture_suffix(data: bytes) -> str:
    """jpg, png, ... by the first bytes; "img" where they tell nothing."""
    return next((suffix for magic, suffix in _MAGIC if data.startswith(magic)), "img")


@contextmanager
def file_with_pictures(path: Path) -> Iterator[tuple[Path, Keep]]:
    """The temporary file of `atomic_file`, and what writes a picture into `<stem>_pictures` beside `path`.

    The folder is there only where a picture is kept. Its files have their content in their names, so that equal
    pictures are one file and those of an earlier run stay right. File and folder take their names when the block ends
    well, the folder first. Raises BadInput where they cannot be written.
    """
    folder = path.with_name(f"{path.stem}_pictures")
    with atomic_file(path) as part, ExitStack() as stack:
        aside: list[Path] = []

        def keep(image: Image) -> str:
            data = image.data or b""
            name = _file_name(image.path, data)
            if not aside:
                aside.append(stack.enter_context(atomic_folder(folder)))
            if not (aside[0] / name).exists():
                (aside[0] / name).write_bytes(data)
            return f"{folder.name}/{name}"

        yield part, keep


def _file_name(path: str, data: bytes) -> str:
    stem = _UNSAFE.sub("_", Path(path.replace("\\", "/")).stem)[:_NAME].strip("_")
    return f"{stem or 'picture'}-{hashlib.sha256(data).hexdigest()[:_DIGITS]}.{picture_suffix(data)}"
