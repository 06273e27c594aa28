"""Text files as people write them: UTF-8 with or without a byte order mark, lines that end at \\n or \\r\\n only."""

from pathlib import Path

from rsvlm.errors import BadInput
from rsvlm.lfs import refuse_pointer


def read_text(path: Path) -> str:
    """The text of a file. Raises BadInput where it is no UTF-8 text, or cannot be read."""
    try:
        found = path.read_bytes()
        refuse_pointer(path, found)
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is not UTF-8 text (byte {error.object[error.start]:#04x} at {error.start}); save it as UTF-8."
        ) from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}.") from error


def split_lines(text: str) -> list[str]:
    """The lines of a text. `str.splitlines` would end them at U+2028 and U+0085, too, which may stand in a caption."""
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def read_lines(path: Path) -> list[str]:
    """The lines of a file. Raises as `read_text`."""
    return split_lines(read_text(path))
