"""JSON as anyone may have written it: whatever cannot be read is one kind of error, also what Python gives up."""

import json
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.lfs import refuse_pointer

_TOO_DEEP, _TOO_LONG = "nested too deep", "a number of thousands of digits"


def load_json(text: str | bytes) -> Any:
    """The JSON value in a text. Raises ValueError for text that is none, and for nesting deeper than Python's stack.

    A number of more than 4,300 digits is a ValueError of Python's own.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error


def parse_json(text: str | bytes, where: object) -> Any:
    """As `load_json`, but raises BadInput naming `where` and what is wrong."""
    try:
        return load_json(text)
    except ValueError as error:
        refuse_pointer(where, text)
        raise BadInput(f"{where} is not valid JSON: {describe_json_error(error)}.") from error


def describe_json_error(error: ValueError, line: int | None = None) -> str:
    """What `load_json` found wrong, in a few words; `line` is the number of the one that it was given alone."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {line or error.lineno}"
    what = "no UTF-8 text" if isinstance(error, UnicodeError) else _TOO_DEEP if _TOO_DEEP in str(error) else _TOO_LONG
    return f"{what} at line {line}" if line else what


def read_json_object(path: Path, what: str, advice: str = "fetch it again") -> dict[str, Any]:
    """The object in a JSON file. Raises BadInput that says `what` the file should be, and the `advice`."""
    try:
        found = load_json(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); expected {what}: {advice}.") from error
    except ValueError as error:
        refuse_pointer(path)
        raise BadInput(
            f"{path} is not valid JSON ({describe_json_error(error)}); expected {what}: {advice}."
        ) from error
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds a {type(found).__name__}, expected {what}, an object: {advice}.")
    return found
