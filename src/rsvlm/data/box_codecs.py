"""Text encoding of boxes: one codec per dialect that a vision-language model reads and writes.

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
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rsvlm.data.box_dialects import DIALECTS, BoxCodec, Numbers
from rsvlm.errors import BadInput
from rsvlm.registry import unknown

Rounding = Literal["nearest", "released"]


@dataclass(frozen=True, slots=True)
class DecodedBoxes:
    """The boxes of an answer, in the order of the text, and what had to be repaired or dropped.

    Each box is (x1, y1, x2, y2), with degrees as a fifth number where the text gives an angle, or eight numbers for a
    quad; coordinates are fractions of the image side in [0, 1]. No boxes: `boxes` is empty. `problems` are short
    sentences.
    """

    boxes: tuple[Numbers, ...]
    problems: tuple[str, ...] = ()

    def pixels(self, size: tuple[int, int], window: Sequence[float] = ()) -> tuple[Numbers, ...]:
        """The boxes in pixels of an image of `size` (width, height); angles stay.

        `window` (x, y, width, height) in pixels is the crop window that the model was shown, where not the whole image:
        the fractions are relative to it. It may reach beyond the image (padding); boxes are clipped to the image.
        """
        start, extent = (window[:2], window[2:]) if window else ((0, 0), size)

        def pixel(i: int, n: float) -> float:
            return min(max(start[i % 2] + n * extent[i % 2], 0.0), float(size[i % 2])) if window else n * size[i % 2]

        return tuple(
            tuple(n if len(box) == 5 and i == 4 else pixel(i, n) for i, n in enumerate(box)) for box in self.boxes
        )


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
        rows.append(_quantize(box, size, scale, floor))
    return codec.write(rows, labels)


def _quantize(box: Sequence[float], size: tuple[float, float], scale: tuple[int, int], floor: bool) -> list[int]:
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


def decode(text: str, dialect: str, *, input_size: tuple[int, int] | None = None) -> DecodedBoxes:
    """All boxes in a model's answer: lenient about form, strict about numbers, never guessing another dialect.

    HTML entities are decoded; `<think>` is dropped; only the inside of `<answer>` counts where there is one. Corners
    are sorted, values clipped to the image, boxes wholly outside dropped, zero areas kept; each repair is reported.
    Raises BadInput for an unknown dialect or, in `qwen25vl`, a missing `input_size`; never because of the text.
    """
    codec = _dialect(dialect)
    scale = _scale(codec, dialect, input_size)
    text = _strip_markup(text, codec.angle_bracket)
    boxes: list[Numbers] = []
    problems: list[str] = []
    for numbers, problem in codec.find(text):
        if problem:
            problems.append(problem)
        if numbers is not None and codec.scale > 1 and max(numbers) <= 1 and not all(n.is_integer() for n in numbers):
            problems.append(
                f"dropped {_format_numbers(numbers)}: fractions, where this dialect counts to {codec.scale}"
            )
        elif numbers is not None:
            box, repairs = _normalize(numbers, scale)
            problems += repairs
            if box is not None:
                boxes.append(box)
    return DecodedBoxes(tuple(boxes), tuple(problems))


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


def _dialect(name: str) -> BoxCodec:
    if name not in DIALECTS:
        raise BadInput(unknown("box dialect", name, list(DIALECTS)))
    return DIALECTS[name]


def _scale(codec: BoxCodec, name: str, input_size: tuple[int, int] | None) -> tuple[int, int]:
    if codec.scale:
        return codec.scale, codec.scale
    if input_size is None or min(input_size) <= 0:
        raise BadInput(f"{name!r} writes pixels of the resized image; give its input_size as (width, height).")
    return input_size[0], input_size[1]


def _strip_markup(text: str, angle_bracket: bool) -> str:
    text = html.unescape(text)
    head, close, tail = text.rpartition("</think>")  # each <think> in `head + close` has an end: no quadratic search
    text = re.sub(r"<think>.*?</think>", "", head + close, flags=re.DOTALL) + tail
    _, _, rest = text.partition("<answer>")
    inside, end, _ = rest.partition("</answer>")
    text = inside if end else text
    text = text.replace("<unk>", "")
    return text.replace("</s>", "") if angle_bracket else text


def _normalize(numbers: Numbers, scale: tuple[int, int]) -> tuple[Numbers | None, list[str]]:
    """A box in fractions, sorted and clipped; None where it lies wholly outside."""
    points, angle = (numbers[:4], numbers[4:]) if len(numbers) == 5 else (numbers, ())
    xs, ys = [n / scale[0] for n in points[::2]], [n / scale[1] for n in points[1::2]]
    repairs: list[str] = []
    if len(points) == 4 and (xs != sorted(xs) or ys != sorted(ys)):
        xs, ys = sorted(xs), sorted(ys)
        repairs.append(f"sorted the corners of {_format_numbers(numbers)}")
    if min(xs) > 1 or min(ys) > 1 or max(xs) < 0 or max(ys) < 0:
        return None, [f"dropped {_format_numbers(numbers)}: wholly outside the image"]
    clipped = [min(max(n, 0.0), 1.0) for pair in zip(xs, ys, strict=True) for n in pair]
    if min(xs + ys) < 0 or max(xs + ys) > 1:
        repairs.append(f"clipped {_format_numbers(numbers)} to the image")
    return (*clipped, *angle), repairs


def _format_numbers(numbers: Numbers) -> str:
    return "[" + ", ".join(f"{n:g}" for n in numbers) + "]"
