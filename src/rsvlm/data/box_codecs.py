"""Boxes in words: one codec per dialect that a vision-language model reads and writes.

| dialect | systems | one box | numbers |
|---|---|---|---|
| `geochat` | GeoChat | `{<x1><y1><x2><y2>|<angle>}` | whole, 0-100 of the image side, degrees |
| `vrsbench` | VRSBench | `{<x1><y1><x2><y2>}` | whole, 0-100 |
| `minigpt` | MiniGPT-v2, SkyEyeGPT, GeoPix | the same, joined by `<delim>` | whole, 0-100 |
| `lhrs` | LHRS-Bot | `[x1, y1, x2, y2]` | two decimals, 0-1 |
| `nova` | LHRS-Bot-Nova | `<bbox>[x1,y1,x2,y2]</bbox>` | two decimals, 0-1 |
| `qwen2vl` | Qwen2-VL | `<|box_start|>(x1,y1),(x2,y2)<|box_end|>` | whole, 0-1000 |
| `qwen25vl` | Qwen2.5-VL | JSON `bbox_2d` | whole pixels of the RESIZED image |
| `qwen3vl` | Qwen3-VL | JSON `bbox_2d` | whole, 0-1000 |
| `internvl` | InternVL, EarthDial | `<box>[[x1,y1,x2,y2],...]</box>` | whole, 0-1000 |
| `falcon` | Falcon | `<box>` of 4, `<quad>` of 8 `<n>` | whole, 0-1000 |

`encode` takes pixels of the stored image, `decode` gives fractions of the image side (0-1), so a resize between the two
never matters; only `qwen25vl` writes pixels of the picture the model saw and must be told its size.

What a grid can hold: a round trip is off by at most half a step, side / (2 * scale) pixels. It is within 0.5 px on
images up to 100 px in the 0-100 and two-decimal dialects, up to 1000 px in the 0-1000 ones, and for `qwen25vl`
wherever the model saw at least the stored size.
"""

import html
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rsvlm.errors import BadInput
from rsvlm.registry import unknown

Numbers = tuple[float, ...]  # 4: x1, y1, x2, y2; 5: and degrees; 8: four corners x, y
Rounding = Literal["nearest", "released"]
Found = Iterator[tuple[Numbers | None, str]]  # numbers in the dialect's own scale (None: spoilt), and what was wrong


@dataclass(frozen=True, slots=True)
class Decoded:
    """The boxes of an answer, in the order of the text, and what had to be repaired or dropped.

    Each box is (x1, y1, x2, y2), with degrees as a fifth number where the text gives an angle, or eight numbers for a
    quad; coordinates are fractions of the image side in [0, 1]. No boxes: `boxes` is empty. `problems` are short
    sentences.
    """

    boxes: tuple[Numbers, ...]
    problems: tuple[str, ...] = ()

    def pixels(self, size: tuple[int, int], part: Sequence[float] = ()) -> tuple[Numbers, ...]:
        """The boxes in pixels of an image of `size` (width, height); angles stay.

        `part` (x, y, width, height) is what the model was shown of the image, where not all of it: the fractions are
        of that part, which may reach beyond the image; what lies beyond is cut off.
        """
        start, extent = (part[:2], part[2:]) if part else ((0, 0), size)

        def pixel(i: int, n: float) -> float:
            return min(max(start[i % 2] + n * extent[i % 2], 0.0), float(size[i % 2])) if part else n * size[i % 2]

        return tuple(
            tuple(n if len(box) == 5 and i == 4 else pixel(i, n) for i, n in enumerate(box)) for box in self.boxes
        )


@dataclass(frozen=True, slots=True)
class _Dialect:
    scale: int  # 0: pixels of `input_size`
    lengths: tuple[int, ...]  # how many numbers a box may have
    write: Callable[[list[list[int]], Sequence[str]], str]
    find: Callable[[str], Found]
    angle_bracket: bool = False
    truncates: bool = False  # the released code cuts decimals off where we round
    decimals: int = 0  # written as n / 10**decimals


def encode(
    boxes: Sequence[Sequence[float]],
    dialect: str,
    *,
    size: tuple[float, float],
    input_size: tuple[int, int] | None = None,
    labels: Sequence[str] = (),
    rounding: Rounding = "nearest",
) -> str:
    """The text of `boxes` in a dialect, byte for byte as its systems write it.

    `boxes` in pixels of the stored image of `size` (width, height): 4 numbers, 5 with degrees (`geochat`, `minigpt`,
    `vrsbench`), 8 for a quad (`falcon`). Coordinates are clipped to the image. `input_size` is the size the model saw
    (`qwen25vl` only). `labels`, one per box, are written by the qwen and internvl dialects. `rounding="released"` cuts
    decimals off in `minigpt` and `vrsbench`, as their released code does (up to a whole step of error). Raises
    BadInput for an unknown dialect, a box with too many numbers for it, a number that is not finite, or a missing
    size.
    """
    codec = _dialect(dialect)
    if labels and len(labels) != len(boxes):
        raise BadInput(f"{len(labels)} labels were given for {len(boxes)} boxes; give one per box, or none.")
    if min(size) <= 0:
        raise BadInput(f"The image size is {size}; expected width and height above zero.")
    width, height = _scale(codec, dialect, input_size)
    scale = (width * 10**codec.decimals, height * 10**codec.decimals)
    floor = rounding == "released" and codec.truncates
    rows: list[list[int]] = []
    for box in boxes:
        if len(box) not in codec.lengths:
            raise BadInput(f"A box of {len(box)} numbers cannot be written in {dialect!r}; it takes {codec.lengths}.")
        if not all(map(math.isfinite, box)):
            raise BadInput(f"The box {tuple(box)} holds a number that is not finite; expected pixels.")
        rows.append(_grid(box, size, scale, floor))
    return codec.write(rows, labels)


def _grid(box: Sequence[float], size: tuple[float, float], scale: tuple[int, int], floor: bool) -> list[int]:
    half = 0.0 if floor else 0.5
    row = [
        math.floor(min(max(n / size[i % 2], 0.0), 1.0) * scale[i % 2] + half)
        for i, n in enumerate(box)
        if len(box) != 5 or i < 4
    ]
    if len(box) != 8:
        row[0], row[2] = sorted((row[0], row[2]))
        row[1], row[3] = sorted((row[1], row[3]))
    return [*row, round(box[4])] if len(box) == 5 else row


def decode(text: str, dialect: str, *, input_size: tuple[int, int] | None = None) -> Decoded:
    """All boxes in a model's answer: lenient about form, strict about numbers, never guessing another dialect.

    HTML entities are decoded; `<think>` is dropped; only the inside of `<answer>` counts where there is one. Corners
    are sorted, values clipped to the image, boxes wholly outside dropped, zero areas kept; each repair is reported.
    Raises BadInput for an unknown dialect or, in `qwen25vl`, a missing `input_size`; never because of the text.
    """
    codec = _dialect(dialect)
    scale = _scale(codec, dialect, input_size)
    text = _strip(text, codec.angle_bracket)
    boxes: list[Numbers] = []
    problems: list[str] = []
    for numbers, problem in codec.find(text):
        if problem:
            problems.append(problem)
        if numbers is not None:
            box, repairs = _normal(numbers, scale)
            problems += repairs
            if box is not None:
                boxes.append(box)
    return Decoded(tuple(boxes), tuple(problems))


def smart_resize(
    size: tuple[int, int], *, factor: int = 28, min_pixels: int = 56 * 56, max_pixels: int = 14 * 14 * 4 * 1280
) -> tuple[int, int]:
    """The `input_size` Qwen2-VL and Qwen2.5-VL give an image of `size` (both width, height).

    Sides are the nearest multiples of `factor`, the area within the pixel limits, the shape kept (rule of the models'
    own image processor). Raises BadInput above a side ratio of 200, as the processor does.
    """
    width, height = size
    if min(size) <= 0 or max(size) / min(size) > 200:
        raise BadInput(
            f"An image of {width} x {height} pixels cannot be resized; the sides may differ 200-fold at most."
        )
    sides = [max(factor, round(side / factor) * factor) for side in size]
    if sides[0] * sides[1] > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        sides = [max(factor, math.floor(side / shrink / factor) * factor) for side in size]
    elif sides[0] * sides[1] < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        sides = [math.ceil(side * grow / factor) * factor for side in size]
    return sides[0], sides[1]


def _dialect(name: str) -> _Dialect:
    if name not in DIALECTS:
        raise BadInput(unknown("box dialect", name, list(DIALECTS)))
    return DIALECTS[name]


def _scale(codec: _Dialect, name: str, input_size: tuple[int, int] | None) -> tuple[int, int]:
    if codec.scale:
        return codec.scale, codec.scale
    if input_size is None or min(input_size) <= 0:
        raise BadInput(f"{name!r} writes pixels of the resized image; give its input_size as (width, height).")
    return input_size[0], input_size[1]


def _strip(text: str, angle_bracket: bool) -> str:
    text = html.unescape(text)
    head, close, tail = text.rpartition("</think>")  # each <think> in `head + close` has an end: no quadratic search
    text = re.sub(r"<think>.*?</think>", "", head + close, flags=re.DOTALL) + tail
    if "</answer>" in text and (inside := re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)):
        text = inside.group(1)
    text = text.replace("<unk>", "")
    return text.replace("</s>", "") if angle_bracket else text


def _normal(numbers: Numbers, scale: tuple[int, int]) -> tuple[Numbers | None, list[str]]:
    """A box in fractions, sorted and clipped; None where it lies wholly outside."""
    points, angle = (numbers[:4], numbers[4:]) if len(numbers) == 5 else (numbers, ())
    xs, ys = [n / scale[0] for n in points[::2]], [n / scale[1] for n in points[1::2]]
    repairs: list[str] = []
    if len(points) == 4 and (xs != sorted(xs) or ys != sorted(ys)):
        xs, ys = sorted(xs), sorted(ys)
        repairs.append(f"sorted the corners of {_show(numbers)}")
    if min(xs) > 1 or min(ys) > 1 or max(xs) < 0 or max(ys) < 0:
        return None, [f"dropped {_show(numbers)}: wholly outside the image"]
    clipped = [min(max(n, 0.0), 1.0) for pair in zip(xs, ys, strict=True) for n in pair]
    if min(xs + ys) < 0 or max(xs + ys) > 1:
        repairs.append(f"clipped {_show(numbers)} to the image")
    return (*clipped, *angle), repairs


def _show(numbers: Numbers) -> str:
    return "[" + ", ".join(f"{n:g}" for n in numbers) + "]"


def _spoilt(what: str) -> tuple[None, str]:
    return None, f"dropped {' '.join(what.split())[:60]!r}: not a box of this dialect"


# ---- angle brackets: {<1><2><3><4>|<5>} and <quad><1>...<8></quad> ----

_BRACE = re.compile(r"\{([^{}]*)(\}|\Z)")
_FOUR = re.compile(r"((?:<-?[0-9]{1,3}>){4})(?:\|<(-?[0-9]{1,3})>)?")
_FOUR_CUT = re.compile(r"((?:<-?[0-9]{1,3}>){4})\|(?:<(?:-?[0-9]{0,3})?)?")  # the text ends inside the angle
_FALCON = re.compile(r"<(quad|box)>(.*?)(</(?:quad|box)>|(?=<(?:quad|box)>)|\Z)", re.DOTALL)
_FALCON_BODY = re.compile(r"(?:<-?[0-9]{1,4}>){4}(?:(?:<-?[0-9]{1,4}>){4})?")
_WHOLE = re.compile(r"-?[0-9]+")


def _find_braces(text: str) -> Found:
    for found in _BRACE.finditer(text):
        body = re.sub(r"\s+", "", found.group(1))
        closed = bool(found.group(2))
        match, problem = _FOUR.fullmatch(body), "" if closed else "the last brace is not closed"
        if match is None and not closed:
            match, problem = _FOUR_CUT.fullmatch(body), "the last angle is cut off"
        if match is None:
            yield _spoilt(found.group())
            continue
        numbers = tuple(float(n) for n in _WHOLE.findall(match.group(1)))
        angle = match.group(2) if match.re is _FOUR else None
        yield (*numbers, float(angle)) if angle else numbers, problem


def _find_falcon(text: str) -> Found:
    for found in _FALCON.finditer(text):
        tag, body, end = found.group(1), re.sub(r"\s+", "", found.group(2)), found.group(3)
        numbers = tuple(float(n) for n in _WHOLE.findall(body)) if _FALCON_BODY.fullmatch(body) else ()
        cut = not end and found.end() == len(text)
        if len(numbers) != (8 if tag == "quad" else 4) or not (cut or end == f"</{tag}>"):
            yield _spoilt(found.group())
        else:
            yield numbers, "the last tag is not closed" if cut else ""


# ---- lists: [1, 2, 3, 4], in tags, in JSON, as two points ----

_LIST = re.compile(r"\[([^\[\]]*)\]")
_NUMBER_TEXT = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER = re.compile(_NUMBER_TEXT)
_KEYED = re.compile(r"""(["'])(?:bbox_2d|bbox)\1\s*:\s*(\[[^\[\]]*\])""")
_POINT = rf"\(\s*({_NUMBER_TEXT})\s*,\s*({_NUMBER_TEXT})\s*\)"
_PAIR = re.compile(rf"{_POINT}\s*,\s*{_POINT}")
_BLANK = " \t\r\n\f\v"


def _four(parts: Sequence[str]) -> Numbers | None:
    stripped = [part.strip(_BLANK) for part in parts]
    if len(stripped) != 4 or not all(map(_NUMBER.fullmatch, stripped)):
        return None
    numbers = tuple(map(float, stripped))
    return numbers if all(map(math.isfinite, numbers)) else None


def _find_lists(text: str) -> Found:
    for found in _LIST.finditer(text):
        numbers = _four(found.group(1).split(","))
        yield (numbers, "") if numbers is not None else _spoilt(found.group())
    if text.rfind("[") > text.rfind("]"):
        yield None, "dropped a list that is cut off"


def _in_tag(tag: str) -> Callable[[str], Found]:
    pattern = re.compile(rf"<{tag}>(.*?)(</{tag}>|\Z)", re.DOTALL)

    def find(text: str) -> Found:
        for found in pattern.finditer(text):
            yield from _find_lists(found.group(1))
            if not found.group(2):
                yield None, f"the last <{tag}> is not closed"

    return find


def _find_qwen(text: str) -> Found:
    """`bbox_2d` keys, else point pairs, else bare lists: the first kind that yields a box wins."""
    keyed = [_one(found.group(2)[1:-1].split(","), found.group()) for found in _KEYED.finditer(text)]
    pairs = (_one(found.groups(), found.group()) for found in _PAIR.finditer(text))
    for kind in (keyed, pairs):
        results = list(kind)
        if any(numbers is not None for numbers, _ in results):
            yield from results
            return
    yield from _find_lists(text)


def _one(parts: Sequence[str], shown: str) -> tuple[Numbers | None, str]:
    numbers = _four(parts)
    return (numbers, "") if numbers is not None else _spoilt(shown)


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


_PLAIN, _TURNED = (4,), (4, 5)
DIALECTS: dict[str, _Dialect] = {
    "geochat": _Dialect(100, _TURNED, _write_braces(""), _find_braces, angle_bracket=True),
    "vrsbench": _Dialect(100, _TURNED, _write_braces(""), _find_braces, angle_bracket=True, truncates=True),
    "minigpt": _Dialect(100, _TURNED, _write_braces("<delim>"), _find_braces, angle_bracket=True, truncates=True),
    "lhrs": _Dialect(1, _PLAIN, _write_lhrs, _find_lists, decimals=2),
    "nova": _Dialect(1, _PLAIN, _write_nova, _in_tag("bbox"), decimals=2),
    "qwen2vl": _Dialect(1000, _PLAIN, _write_points, _find_qwen),
    "qwen25vl": _Dialect(0, _PLAIN, _write_json, _find_qwen),
    "qwen3vl": _Dialect(1000, _PLAIN, _write_json, _find_qwen),
    "internvl": _Dialect(1000, _PLAIN, _write_internvl, _in_tag("box")),
    "falcon": _Dialect(1000, (4, 8), _write_falcon, _find_falcon, angle_bracket=True),
}
