"""Files of the formats, read entry by entry with the place of an error named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.json_text import describe_json_error, load_json, parse_json


def json_entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of each entry of a JSON list or a JSONL file. Raises BadInput naming the place that is broken."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            if _opens_list(path):
                listed = parse_json(file.read(), path)
                numbered = ((f"{path} entry {number}", item) for number, item in enumerate(listed, 1))
                yield from map(_object, numbered)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield _object((f"{path} line {number}", _line(line, path, number)))
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text; expected JSON.") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}).") from error


def _line(line: str, path: Path, number: int) -> Any:
    try:
        return load_json(line)
    except ValueError as error:
        raise BadInput(f"{path} is not valid JSON: {describe_json_error(error, number)}.") from error


def _opens_list(path: Path) -> bool:
    with path.open(encoding="utf-8-sig") as file:
        return file.read(256).lstrip().startswith("[")


def _object(placed: tuple[str, Any]) -> tuple[str, dict[str, Any]]:
    place, item = placed
    if not isinstance(item, dict):
        raise BadInput(f"{place} is {type(item).__name__}; expected an object.")
    return place, item
