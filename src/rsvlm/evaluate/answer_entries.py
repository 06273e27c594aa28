"""Reads a user's file of answers: its entries, the value of each, and the faults found, by kind.

| ability | key | value |
|---|---|---|
| answers, compares, compares_with_maps | answer (or text, prediction) | text, or a number |
| grounds | boxes | [x1, y1, x2, y2], with degrees or 8 numbers, in pixels, or a list of them; or text in a dialect |
| segments | mask | COCO run lengths, polygons, rows of 0 and 1, or a PNG beside the file |
| matches | vector | a list of numbers, or base64 of float32 |
| localises | map | a PNG beside the file, or base64 of one |

A value that cannot be read raises nothing: it is returned as None with a sentence that says why.
"""

import base64
import io
import math
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from rsvlm.data.box_codecs import smart_resize
from rsvlm.data.images import PIXEL_BUDGET
from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.solvers import read_boxes, read_vector, write_map, write_vector
from rsvlm.json_text import load_json
from rsvlm.lfs import refuse_pointer
from rsvlm.metrics.boxes import readable_box
from rsvlm.metrics.masks import readable_mask
from rsvlm.sample import Image

EXAMPLES = 5
_TEXTS = ("answer", "text", "prediction")
_Size = tuple[int, int]  # height, width


class Problems:
    """Counts the faults of a file of answers by kind, and keeps the first `EXAMPLES` of each kind."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, example: str) -> None:
        """Count one fault of this kind; `example` says where it is and what was found."""
        self._counts[kind] += 1
        if len(self._examples[kind]) < EXAMPLES:
            self._examples[kind].append(printable(example))

    def summary(self) -> dict[str, dict[str, Any]]:
        """kind -> count and examples, the most frequent first."""
        return {kind: {"count": n, "examples": self._examples[kind]} for kind, n in self._counts.most_common()}

    def __str__(self) -> str:
        return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in self._counts.most_common())


def printable(text: str) -> str:
    """The first 200 letters of a text, with lone surrogates (JSON allows them, UTF-8 does not) written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")[:200]


def entries(path: Path, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place, object) of every line, or of every entry of a JSON list; the others are added to `problems`.

    Raises BadInput where the file cannot be read, is empty, or is a JSON list that is cut off.
    """
    try:
        content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}); give a file of answers, one a line.") from error
    if not content.strip():
        raise BadInput(f"{path} is empty; expected one answer a line, as rsvlm questions prepares them.")
    refuse_pointer(path, content)
    listed = _list(path, content)
    if listed is not None:
        for number, value in enumerate(listed, 1):
            yield from _object(f"entry {number}", value, problems)
        return
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            yield from _object(place, load_json(line.decode("utf-8")), problems)
        except UnicodeDecodeError as error:
            problems.add("not_utf8", f"{place}: byte {error.start + 1}")
        except ValueError as error:
            problems.add("not_json", f"{place}: {error}")


def _list(path: Path, content: bytes) -> list[Any] | None:
    """The entries of a JSON list; None where the file is lines."""
    if not content.lstrip().startswith(b"["):
        return None
    try:
        listed = load_json(content)
    except ValueError as error:
        first = content.strip().splitlines()[0]
        if first.rstrip().endswith(b"]"):  # lines, of which the first is a list
            return None
        raise BadInput(f"{path} begins like a JSON list but is none ({error}); write it again.") from error
    return listed


def _object(place: str, value: Any, problems: Problems) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield place, value
    else:
        problems.add("not_an_object", f"{place}: {type(value).__name__}")


def id_of(entry: Mapping[str, Any]) -> str | None:
    """The id of an entry: "id" or "question_id", text or a whole number; None where there is none."""
    value = entry.get("id", entry.get("question_id"))
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def confidence(entry: Mapping[str, Any]) -> tuple[float, str]:
    """(confidence or score in [0, 1], ""), 0 where none is given; (0, a sentence) where it is no such number."""
    value = entry.get("confidence", entry.get("score"))
    if value is None:
        return 0.0, ""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value), ""
    return 0.0, f"a confidence of {_short(value)}; expected a number in 0 to 1"


def value_of(key: str, entry: Mapping[str, Any], dialect: str = "") -> Any:
    """The unparsed value that an entry holds for `key` of a row; None where it is missing or blank."""
    fields = _TEXTS if key == "answer" else (key, *_TEXTS) if key == "boxes" and dialect else (key,)
    values = [entry.get(field) for field in fields]
    found = [value for value in values if value is not None and not (isinstance(value, str) and not value.strip())]
    return next((value for value in found if value != []), found[0] if found else None)


def readable(key: str, value: Any, item: Item, folder: Path, dialect: str = "") -> tuple[Any, str]:
    """The value of a row under `key`: (value, ""), or (None, why it cannot be read).

    Paths of PNG files are relative to `folder`. Raises ValueError for a key that no solver has.
    """
    match key:
        case "answer":
            return _text(value)
        case "boxes":
            return _boxes(value, item, dialect)
        case "mask":
            return _mask(value, _size(item.images[-1]), folder)  # of two dates the second is marked
        case "vector":
            return _vector(value)
        case "map":
            picture, wrong = _png(value, _size(item.image), folder)
            return (None, wrong) if picture is None else (write_map(np.asarray(picture.convert("L"))), "")
        case _:
            raise ValueError(f"no row has a key {key!r}")


def _size(image: Image) -> _Size:
    return image.height, image.width


def _text(value: Any) -> tuple[str | None, str]:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return str(value), ""
    if not isinstance(value, str):
        return None, f"{_short(value)} is not text"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return None, "the text holds half a surrogate pair, which no file takes"
    return value, ""


def _boxes(value: Any, item: Item, dialect: str) -> tuple[list[list[float]] | None, str]:
    if isinstance(value, str):
        return _boxes_in_text(value, item, dialect)
    if not isinstance(value, list):
        return None, f"{_short(value)} is no list of boxes"
    flat = bool(value) and not any(isinstance(one, list) for one in value)
    boxes: list[list[float]] = []
    for one in [value] if flat else value:
        box, wrong = readable_box(one)
        if box is None:  # the others are not taken instead: the next one would move up to its place
            return None, wrong
        boxes.append(list(box))
    return boxes, ""


def _boxes_in_text(text: str, item: Item, dialect: str) -> tuple[list[list[float]] | None, str]:
    if not dialect:
        return None, "boxes in words; say in which dialect they are written (--dialect)"
    size = item.image.width, item.image.height
    try:
        found = read_boxes(text, dialect, size, smart_resize(size) if dialect == "qwen25vl" else None)
    except BadInput as error:  # a picture that Qwen's processor refuses
        return None, str(error)
    return (found, "") if found else (None, f"no box of {dialect} in {_short(text)}")


def _mask(value: Any, size: _Size, folder: Path) -> tuple[dict[str, Any] | None, str]:
    from rsvlm.data.masks import encode_rle

    if isinstance(value, str):
        picture, wrong = _png(value, size, folder)
        if picture is None:
            return None, wrong
        pixels = np.asarray(picture if picture.mode in ("1", "L", "P", "I", "I;16") else picture.convert("RGB"))
        mask = np.asarray(pixels.reshape(*size, -1).any(axis=-1))
    else:
        mask, wrong = readable_mask(value, size)
        if mask is None:
            return None, wrong
    return encode_rle(mask), ""


def _vector(value: Any) -> tuple[str | None, str]:
    if not isinstance(value, str | list):
        return None, f"{_short(value)} is not a vector; expected a list of numbers or base64 of float32"
    try:
        vector = read_vector(value)
    except (TypeError, ValueError, OverflowError) as error:
        return None, f"{_short(value)} is not a vector ({error})"
    with np.errstate(over="ignore"):
        kept = vector.astype("<f4")
    if vector.ndim != 1 or not np.isfinite(kept).all() or not kept.any():
        return None, f"a vector of shape {vector.shape} that is not one row of finite numbers, or is all zero"
    return write_vector(kept), ""


def _png(value: Any, size: _Size, folder: Path) -> tuple[PIL.Image.Image | None, str]:
    """A PNG of `size`, by its path in `folder` or as base64. Its header is checked before a pixel is unpacked."""
    if not isinstance(value, str):
        return None, f"{_short(value)} is not a PNG; expected its path or base64"
    try:
        named = value.lower().endswith(".png")
        source = _file_below(value, folder) if named else io.BytesIO(base64.b64decode(value, validate=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)  # our own budget is lower
            with PIL.Image.open(source, formats=("PNG",)) as file:
                if (file.height, file.width) != size or file.height * file.width > PIXEL_BUDGET:
                    return None, f"{file.height} x {file.width} pixels; expected {size[0]} x {size[1]}"
                file.load()
                return file.copy(), ""
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        return None, f"{_short(value)} is not a PNG that can be read ({error})"


def _file_below(name: str, folder: Path) -> Path:
    """The file of that name in `folder` or below it. Raises ValueError for another place, OSError for none."""
    root = folder.resolve()
    path = (root / name).resolve()
    if not path.is_relative_to(root):
        raise ValueError("it lies outside the folder of the answers")
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    return path


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
