"""Boxes for a phrase from any model: a detector's, or those that a model writes in words, read by its dialect."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsvlm.data import box_codecs
from rsvlm.sample import Region, Reply
from rsvlm.systems.abilities import Detects, Pixels, ResizesInput, ShowsPart, WritesBoxes

Size = tuple[int, int]  # width, height

_DIALECTS = ("qwen2vl", "qwen25vl", "qwen3vl", "internvl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """The regions for one phrase, in pixels of the picture, and the reply that they were read from (None: detected).

    A box of a reply has no score of its own. Regions stand as they are written, those without area too.
    """

    regions: tuple[Region, ...]
    reply: Reply | None = None


def can_ground(model: object) -> bool:
    """Whether a model can be asked for boxes: it detects, or it has a dialect for them."""
    return isinstance(model, Detects) or (isinstance(model, WritesBoxes) and bool(model.box_dialect))


def ground(
    model: object, images: Sequence[Pixels | None], phrases: Sequence[str], questions: Sequence[str],
    sizes: Sequence[Size], *, max_new_tokens: int,
) -> list[Grounding]:  # fmt: skip
    """The regions of each phrase in its picture of `sizes`; all sequences have one length.

    A detector gets the phrase itself; a model that writes boxes, and any model without pictures (None), the question.
    """
    shown = [image for image in images if image is not None]
    if len(shown) == len(images) and isinstance(model, Detects):
        return [Grounding(regions=regions) for regions in model.detect(shown, phrases)]
    speaker: Any = model
    replies = speaker.answer(images, questions, max_new_tokens=max_new_tokens)
    return [
        Grounding(regions=regions_in(reply.text, speaker, phrase, size), reply=reply)
        for reply, phrase, size in zip(replies, phrases, sizes, strict=True)
    ]


def regions_in(text: str, model: WritesBoxes, label: str, size: Size) -> tuple[Region, ...]:
    """The regions in a model's words, in pixels of a picture of `size`."""
    shown = model.input_size(*size) if isinstance(model, ResizesInput) else size
    part = model.box_part(*size) if isinstance(model, ShowsPart) else ()
    rows = box_codecs.decode(text, model.box_dialect, input_size=shown).pixels(size, part)
    return tuple(_region(row, label) for row in rows)


def numbers_of(region: Region) -> list[float]:
    """A region as 4 numbers, 5 (with degrees) or 8 (the corners of a quad): what a row of a benchmark keeps."""
    if len(region.polygon) == 4:
        return [n for point in region.polygon for n in point]
    return [*region.box, region.angle] if region.angle else [*region.box]


def dialect_of(name: str) -> str:
    """The box dialect of a model by its name or `model_type` ("Qwen/Qwen2.5-VL-7B-Instruct", "qwen2_5_vl"); "" else."""
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((dialect for dialect in _DIALECTS if dialect in letters), "")


def _region(row: Sequence[float], label: str) -> Region:
    if len(row) == 8:
        xs, ys = row[::2], row[1::2]
        ring = tuple(zip(xs, ys, strict=True))
        return Region(label=label, box=(min(xs), min(ys), max(xs), max(ys)), polygon=ring)
    x1, y1, x2, y2, *angle = row
    return Region(label=label, box=(x1, y1, x2, y2), angle=angle[0] if angle else 0.0)
