"""The grammar of each box dialect: how boxes are parsed from a model's text, and how they are written."""

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Numbers = tuple[float, ...]  # 4: x1, y1, x2, y2; 5: and degrees; 8: four corners x, y
FoundBoxes = Iterator[
    tuple[Numbers | None, str]
]  # numbers in the dialect's own scale (None: malformed), and the problem


@dataclass(frozen=True, slots=True)
class BoxCodec:
    """How one dialect writes boxes and how they are found in a text.

    `find` yields (numbers in the dialect's own scale, "") or (None, what was wrong), never raises, and takes time in
    proportion to the text. A system may add a dialect of its own: `DIALECTS["mine"] = BoxCodec(...)`.
    """

    scale: int  # 0: pixels of `input_size`
    lengths: tuple[int, ...]  # how many numbers a box may have
    write: Callable[[list[list[int]], Sequence[str]], str]
    find: Callable[[str], FoundBoxes]
    angle_bracket: bool = False
    truncates: bool = False  # the released code cuts decimals off where we round
    decimals: int = 0  # written as n / 10**decimals


def _malformed(what: str) -> tuple[None, str]:
    return None, f"dropped {' '.join(what.split())[:60]!r}: not a box of this dialect"


# ---- angle brackets: {<1><2><3><4>|<5>} and <quad><1>...<8></quad> ----

_BRACE = re.compile(r"\{([^{}]*)(\}|\Z)")
_FOUR = re.compile(r"((?:<-?[0-9]{1,3}>){4})(?:\|<(-?[0-9]{1,3})>)?")
_FOUR_TRUNCATED = re.compile(r"((?:<-?[0-9]{1,3}>){4})\|(?:<(?:-?[0-9]{0,3})?)?")  # the text ends inside the angle
_FALCON = re.compile(r"<(quad|box)>(.*?)(</(?:quad|box)>|(?=<(?:quad|box)>)|\Z)", re.DOTALL)
_FALCON_BODY = re.compile(r"(?:<-?[0-9]{1,4}>){4}(?:(?:<-?[0-9]{1,4}>){4})?")
_WHOLE = re.compile(r"-?[0-9]+")


def _find_braces(text: str) -> FoundBoxes:
    if "{" not in text:
        yield from _misplaced_lists(text, "in braces")
    for found in _BRACE.finditer(text):
        body = re.sub(r"\s+", "", found.group(1))
        closed = bool(found.group(2))
        match, problem = _FOUR.fullmatch(body), "" if closed else "the last brace is not closed"
        if match is None and not closed:
            match, problem = _FOUR_TRUNCATED.fullmatch(body), "the last angle is cut off"
        if match is None:
            yield _malformed(found.group())
            continue
        numbers = tuple(float(n) for n in _WHOLE.findall(match.group(1)))
        angle = match.group(2) if match.re is _FOUR else None
        yield (*numbers, float(angle)) if angle else numbers, problem


def _find_falcon(text: str) -> FoundBoxes:
    for found in _FALCON.finditer(text):
        tag, body, end = found.group(1), re.sub(r"\s+", "", found.group(2)), found.group(3)
        numbers = tuple(float(n) for n in _WHOLE.findall(body)) if _FALCON_BODY.fullmatch(body) else ()
        cut = not end and found.end() == len(text)
        if len(numbers) != (8 if tag == "quad" else 4) or not (cut or end == f"</{tag}>"):
            yield _malformed(found.group())
        else:
            yield numbers, "the last tag is not closed" if cut else ""


# ---- lists: [1, 2, 3, 4], in tags, in JSON, as two points ----

_LIST = re.compile(r"\[([^\[\]]*)\]")
_NUMBER_TEXT = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER = re.compile(_NUMBER_TEXT)
_KEYED = re.compile(r"""(["'])(?:bbox_2d|bbox)\1\s*:\s*(\[[^\[\]]*\])""")
_POINT = rf"\(\s*({_NUMBER_TEXT})\s*,\s*({_NUMBER_TEXT})\s*\)"
_POINTS = re.compile(_POINT)
_BLANK = " \t\r\n\f\v"


def _parse_four(parts: Sequence[str]) -> Numbers | None:
    stripped = [part.strip(_BLANK) for part in parts]
    if len(stripped) != 4 or not all(map(_NUMBER.fullmatch, stripped)):
        return None
    numbers = tuple(map(float, stripped))
    return numbers if all(map(math.isfinite, numbers)) else None


def _find_lists(text: str) -> FoundBoxes:
    for found in _LIST.finditer(text):
        numbers = _parse_four(found.group(1).split(","))
        yield (numbers, "") if numbers is not None else _malformed(found.group())
    if text.rfind("[") > text.rfind("]"):
        yield None, "dropped a list that is cut off"


def _find_in_tag(tag: str) -> Callable[[str], FoundBoxes]:
    pattern = re.compile(rf"<{tag}>(.*?)(</{tag}>|\Z)", re.DOTALL)

    def find(text: str) -> FoundBoxes:
        if f"<{tag}>" not in text:
            yield from _misplaced_lists(text, f"in <{tag}>")
        for found in pattern.finditer(text):
            yield from _find_lists(found.group(1))
            if not found.group(2):
                yield None, f"the last <{tag}> is not closed"

    return find


def _find_qwen(text: str) -> FoundBoxes:
    """`bbox_2d` keys, else point pairs, else bare lists: the first kind that yields a box wins."""
    keyed = [_parsed_box(found.group(2)[1:-1].split(","), found.group()) for found in _KEYED.finditer(text)]
    points = list(_find_points(text))
    for results in (keyed, points):
        if any(numbers is not None for numbers, _ in results):
            yield from results
            return
    yield from list(_find_lists(text)) or points


def _find_points(text: str) -> FoundBoxes:
    """Boxes out of two points, `(x1,y1),(x2,y2)`; points in a row of another number are none, such as a quad's four."""
    row: list[re.Match[str]] = []
    for point in _POINTS.finditer(text):
        if row and text[row[-1].end() : point.start()].strip(_BLANK) != ",":
            yield _points_box(row, text)
            row = []
        row.append(point)
    if row:
        yield _points_box(row, text)


def _points_box(row: Sequence[re.Match[str]], text: str) -> tuple[Numbers | None, str]:
    shown = text[row[0].start() : row[-1].end()]
    return _parsed_box([*row[0].groups(), *row[1].groups()], shown) if len(row) == 2 else _malformed(shown)


def _misplaced_lists(text: str, where: str) -> FoundBoxes:
    """Four numbers in a plain list, in a dialect that writes its boxes elsewhere: named, not guessed."""
    for found in _LIST.finditer(text):
        if _parse_four(found.group(1).split(",")) is not None:
            yield None, f"dropped {found.group()[:60]!r}: boxes of this dialect are written {where}"


def _parsed_box(parts: Sequence[str], shown: str) -> tuple[Numbers | None, str]:
    numbers = _parse_four(parts)
    return (numbers, "") if numbers is not None else _malformed(shown)


# ---- writers ----


def _write_braces(joiner: str) -> Callable[[list[list[int]], Sequence[str]], str]:
    def write(rows: list[list[int]], _labels: Sequence[str]) -> str:
        texts = ("".join(f"<{n}>" for n in row[:4]) + "".join(f"|<{n}>" for n in row[4:]) for row in rows)
        return joiner.join("{" + text + "}" for text in texts)

    return write


def _write_lhrs(rows: list[list[int]], _labels: Sequence[str]) -> str:
    return " and ".join("[" + ", ".join(f"{n / 100:.2f}" for n in row) + "]" for row in rows)


def _write_nova(rows: list[list[int]], _labels: Sequence[str]) -> str:
    return "".join("<bbox>[" + ",".join(f"{n / 100:.2f}" for n in row) + "]</bbox>" for row in rows)


def _write_points(rows: list[list[int]], labels: Sequence[str]) -> str:
    refs = [f"<|object_ref_start|>{label}<|object_ref_end|>" for label in labels] or [""] * len(rows)
    boxes = (f"<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>" for x1, y1, x2, y2 in rows)
    return "".join(ref + box for ref, box in zip(refs, boxes, strict=True))


def _write_json(rows: list[list[int]], labels: Sequence[str]) -> str:
    items: list[dict[str, object]] = [{"bbox_2d": row} for row in rows]
    for item, label in zip(items, labels, strict=False):
        item["label"] = label
    return "```json\n" + json.dumps(items, indent="\t", ensure_ascii=False) + "\n```"


def _write_internvl(rows: list[list[int]], labels: Sequence[str]) -> str:
    """Neighbours of one label share a tag: `<ref>ship</ref><box>[[...],[...]]</box>`."""
    names = list(labels) or [""] * len(rows)
    text, start = "", 0
    for stop in range(1, len(rows) + 1):
        if stop == len(rows) or names[stop] != names[start]:
            ref = f"<ref>{names[start]}</ref>" if names[start] else ""
            lists = ",".join("[" + ",".join(map(str, row)) + "]" for row in rows[start:stop])
            text, start = f"{text}{ref}<box>[{lists}]</box>", stop
    return text


def _write_falcon(rows: list[list[int]], _labels: Sequence[str]) -> str:
    tags = ("quad" if len(row) == 8 else "box" for row in rows)
    return "".join(
        f"<{tag}>" + "".join(f"<{n}>" for n in row) + f"</{tag}>" for tag, row in zip(tags, rows, strict=True)
    )


_AXIS_ALIGNED, _ORIENTED = (4,), (4, 5)
DIALECTS: dict[str, BoxCodec] = {
    "geochat": BoxCodec(100, _ORIENTED, _write_braces(""), _find_braces, angle_bracket=True),
    "vrsbench": BoxCodec(100, _ORIENTED, _write_braces(""), _find_braces, angle_bracket=True, truncates=True),
    "minigpt": BoxCodec(100, _ORIENTED, _write_braces("<delim>"), _find_braces, angle_bracket=True, truncates=True),
    "lhrs": BoxCodec(1, _AXIS_ALIGNED, _write_lhrs, _find_lists, decimals=2),
    "nova": BoxCodec(1, _AXIS_ALIGNED, _write_nova, _find_in_tag("bbox"), decimals=2),
    "qwen2vl": BoxCodec(1000, _AXIS_ALIGNED, _write_points, _find_qwen),
    "qwen25vl": BoxCodec(0, _AXIS_ALIGNED, _write_json, _find_qwen),
    "qwen3vl": BoxCodec(1000, _AXIS_ALIGNED, _write_json, _find_qwen),
    "internvl": BoxCodec(1000, _AXIS_ALIGNED, _write_internvl, _find_in_tag("box")),
    "falcon": BoxCodec(1000, (4, 8), _write_falcon, _find_falcon, angle_bracket=True),
}
