"""Text files as people write them: UTF-8 with or without a byte order mark, lines that end at \\n or \\r\\n only."""

import json
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput


def read_text(path: Path) -> str:
    """The text of a file. Raises BadInput where it is no UTF-8 text, or cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig")
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


def parse_json(text: str, where: object) -> Any:
    """The JSON value in a text. Raises BadInput naming `where` and what is wrong, also for what Python does not parse.

    That is a number of more than 4,300 digits, and nesting that is deeper than its stack.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where} is not valid JSON: {describe_json_error(error)}.") from error


def describe_json_error(error: ValueError | RecursionError, line: int | None = None) -> str:
    """What `json.loads` found wrong, in a few words; `line` is the number of the one that it was given alone."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {line or error.lineno}"
    what = "nested too deep" if isinstance(error, RecursionError) else "a number of thousands of digits"
    return f"{what} at line {line}" if line else what
