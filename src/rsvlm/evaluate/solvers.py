"""Solvers: how the items of each ability become rows, the JSON values that are kept of a model's replies.

| ability | the model must | a row holds |
|---|---|---|
| answers | `Answers` | answer, confidence |
| chooses | `ScoresReplies` | answer, confidence, log_likelihoods of the choices |
| compares | `Compares` (two dates) | answer, confidence |
| compares_with_maps | `ComparesWithMaps` (two dates and their true semantic maps) | answer, confidence |
| grounds | `Detects`, or `Answers` with a box dialect | boxes in pixels (or null), scores or answer, confidence |
| segments | `Segments` | mask, COCO run-length encoding |
| segments_change | `SegmentsChange` (two dates) | mask |
| embeds | `Embeds` | vector, base64 of float32 |
| matches | `Matches` | vector, base64 of float32 |
| localises | `Matches` | map, base64 of an 8-bit PNG |

The same rows come out of a file of answers (`rsvlm score`).
"""

import base64
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from rsvlm.data import box_codecs
from rsvlm.errors import BadInput
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.protocol import Protocol, Row
from rsvlm.sample import Reply
from rsvlm.systems import text_boxes
from rsvlm.systems.abilities import (
    Answers,
    Classes,
    Compares,
    ComparesWithMaps,
    Detects,
    Embeds,
    EncodesTexts,
    Matches,
    Pixels,
    ScoresReplies,
    Segments,
    SegmentsChange,
    ability_error,
    features_of,
)  # fmt: skip
from rsvlm.systems.choices import choice_log_likelihoods, choice_probabilities
from rsvlm.systems.matching import checked_vectors

Pictures = Sequence[tuple[Pixels, ...]]  # of each item; empty tuples: asked blind, or an item without pictures
Solve = Callable[[Any, Protocol, Sequence[Item], Pictures], list[Row]]


@dataclass(frozen=True, slots=True)
class Solver:
    """How items of one ability are answered by a model: one row for each item.

    `needs`: the Protocols of `rsvlm.systems.abilities`, of which the model must have one. `key`: the key of a row that
    holds the prediction. `solve` asks the model. `blind`: it can also be asked without the pictures (a baseline that
    shows what the questions alone give away).
    """

    needs: tuple[type, ...]
    key: str
    solve: Solve
    blind: bool = False


def _row(reply: Reply) -> dict[str, Any]:
    row: dict[str, Any] = {"answer": reply.text, "confidence": reply.confidence}
    return row | ({"error": reply.error} if reply.error else {})


def _answers(model: Answers, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    seen = [picture[0] if picture else None for picture in pictures]
    replies = model.answer(seen, [item.question for item in items], max_new_tokens=protocol.max_new_tokens)
    return [_row(reply) for reply in replies]


def _chooses(model: ScoresReplies, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    choices = items[0].choices  # a protocol offers all its classes at every item
    seen = [picture[0] if picture else None for picture in pictures]
    logs = choice_log_likelihoods(model, seen, [item.question for item in items], choices)
    best, sure = logs.argmax(-1), choice_probabilities(logs).max(-1)
    return [
        {"answer": choices[at], "confidence": float(one), "log_likelihoods": [round(float(log), 4) for log in row]}
        for at, one, row in zip(best, sure, logs, strict=True)
    ]


def _compares(model: Compares, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    before, after = [pair[0] for pair in pictures], [pair[1] for pair in pictures]
    replies = model.compare(before, after, [i.question for i in items], max_new_tokens=protocol.max_new_tokens)
    return [_row(reply) for reply in replies]


def _compares_with_maps(
    model: ComparesWithMaps, protocol: Protocol, items: Sequence[Item], pictures: Pictures
) -> list[Row]:
    before, after = [pair[0] for pair in pictures], [pair[1] for pair in pictures]
    maps = [_true_maps(item) for item in items]
    questions = [item.question for item in items]
    replies = model.compare_with_maps(before, after, maps, questions, max_new_tokens=protocol.max_new_tokens)
    return [_row(reply) for reply in replies]


def _true_maps(item: Item) -> tuple[Classes, Classes]:
    from rsvlm.data.semantic_maps import read_semantic_map

    paths = item.meta.get("maps", ())
    if len(paths) != 2:
        raise BadInput(f"{item.id} has no semantic maps beside its pictures; fetch the folders sem/A and sem/B, too.")
    return read_semantic_map(paths[0]), read_semantic_map(paths[1])


def _grounds(model: Any, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    phrases = [item.question for item in items]
    questions = [protocol.wording[0].replace("{}", phrase) for phrase in phrases]
    found = text_boxes.ground(
        model, [picture[0] if picture else None for picture in pictures], phrases, questions,
        [(item.image.width, item.image.height) for item in items], max_new_tokens=protocol.max_new_tokens,
    )  # fmt: skip
    return [_grounded(one) for one in found]


def _grounded(found: text_boxes.Grounding) -> Row:
    boxes = [text_boxes.numbers_of(region) for region in found.regions] or None
    if found.reply is None:
        return {"boxes": boxes, "scores": [region.score for region in found.regions]}
    return _row(found.reply) | {"boxes": boxes}


def read_boxes(
    text: str, dialect: str, size: tuple[int, int], input_size: tuple[int, int] | None = None,
    part: Sequence[float] = (),
) -> list[list[float]] | None:  # fmt: skip
    """The boxes of a reply in pixels of a picture of `size` (width, height); None where there is none.

    `part` is the part of the picture that the numbers are fractions of, where not all of it.
    """
    found = box_codecs.decode(text, dialect, input_size=input_size).pixels(size, part)
    return [list(box) for box in found] or None


def _segments(model: Segments, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    from rsvlm.data.masks import encode_rle

    masks = model.segment([picture[0] for picture in pictures], [item.question for item in items])
    return [{"mask": encode_rle(mask)} for mask in masks]


def _segments_change(model: SegmentsChange, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    from rsvlm.data.masks import encode_rle

    before, after = [pair[0] for pair in pictures], [pair[1] for pair in pictures]
    masks = model.segment_change(before, after, [item.question for item in items])
    return [{"mask": encode_rle(mask)} for mask in masks]


def _embeds(model: Embeds, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    features = features_of(model) or model.embed_images
    return [{"vector": write_vector(vector)} for vector in features([picture[0] for picture in pictures])]


def _matches(model: Matches, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    """Items with a picture are embedded as pictures, those without as texts."""
    rows: list[Row] = [{}] * len(items)
    encode = model.encode_texts if protocol.raw_texts and isinstance(model, EncodesTexts) else model.embed_texts
    shown = [at for at, picture in enumerate(pictures) if picture]
    texts = [at for at, picture in enumerate(pictures) if not picture]
    if shown:
        _keep(rows, shown, model, model.embed_images([pictures[at][0] for at in shown]), "picture")
    if texts:
        _keep(rows, texts, model, encode([items[at].question for at in texts]), "text")
    return rows


def _keep(rows: list[Row], places: Sequence[int], model: Matches, vectors: NDArray[np.floating], what: str) -> None:
    """Put the vectors of pictures or texts into their rows. Raises BadInput where they are no finite numbers."""
    checked_vectors(model.name, vectors, len(places), what)
    for at, vector in zip(places, vectors, strict=True):
        rows[at] = {"vector": write_vector(vector)}


def check_widths(name: str, rows: Sequence[Row]) -> None:
    """Raises BadInput where the vectors of one model have different lengths."""
    widths = Counter(len(read_vector(row["vector"])) for row in rows if row.get("vector"))
    if len(widths) > 1:
        found = " and ".join(f"{width} ({number})" for width, number in widths.most_common())
        raise BadInput(
            f"{name} gave vectors of {found} numbers, which cannot be compared; expected one length for pictures and "
            "texts: the model is not whole, or --out holds vectors of another."
        )


def write_vector(vector: NDArray[np.floating]) -> str:
    """Base64 of little-endian float32."""
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode("ascii")


def read_vector(text: str | Sequence[float]) -> NDArray[np.float64]:
    """(D,) from `write_vector`'s text or a list of numbers. Raises ValueError for anything else."""
    plain = np.frombuffer(base64.b64decode(text, validate=True), "<f4") if isinstance(text, str) else np.asarray(text)
    return plain.astype(np.float64)


def _localises(model: Matches, protocol: Protocol, items: Sequence[Item], pictures: Pictures) -> list[Row]:
    """The vectors of a picture's windows are made once for all texts about it in `items`."""
    from rsvlm.metrics.selo import similarity_map

    rows: list[Row] = []
    seen: dict[int, list[NDArray[np.float64]]] = {}
    for item, (picture,) in zip(items, pictures, strict=True):
        text = checked_vectors(model.name, model.embed_texts([item.question]), 1, "text")[0]
        similarity = _similarity(model, text, seen.setdefault(id(picture), []))
        rows.append({"map": write_map(similarity_map(picture, similarity))})
    return rows


def _similarity(model: Matches, text: NDArray[np.float64], parts: list[NDArray[np.float64]]) -> Any:
    """Cosines of a text and windows, which come part by part in one order; `parts` are their vectors so far."""
    number = count()

    def similarity(windows: Sequence[Pixels]) -> NDArray[np.float64]:
        if (at := next(number)) == len(parts):
            vectors = model.embed_images(windows)
            parts.append(checked_vectors(model.name, vectors, len(windows), "picture", width=len(text)))
        return parts[at] @ text

    return similarity


def write_map(heat: NDArray[np.uint8]) -> str:
    """Base64 of an 8-bit greyscale PNG."""
    with io.BytesIO() as file:
        PIL.Image.fromarray(heat, "L").save(file, "PNG")
        return base64.b64encode(file.getvalue()).decode("ascii")


def read_map(text: str) -> NDArray[np.uint8]:
    """(H, W) uint8 from `write_map`'s text."""
    with PIL.Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as file:
        return np.asarray(file.convert("L"))


SOLVERS: Mapping[str, Solver] = {
    "answers": Solver((Answers,), "answer", _answers, blind=True),
    "chooses": Solver((ScoresReplies,), "answer", _chooses, blind=True),
    "compares": Solver((Compares,), "answer", _compares),
    "compares_with_maps": Solver((ComparesWithMaps,), "answer", _compares_with_maps),
    "grounds": Solver((Detects, Answers), "boxes", _grounds, blind=True),
    "segments": Solver((Segments,), "mask", _segments),
    "segments_change": Solver((SegmentsChange,), "mask", _segments_change),
    "embeds": Solver((Embeds,), "vector", _embeds),
    "matches": Solver((Matches,), "vector", _matches),
    "localises": Solver((Matches,), "map", _localises),
}


def check_ability(model: Any, protocol: Protocol) -> None:
    """Raises BadInput where the model cannot do what the protocol asks."""
    needs = SOLVERS[protocol.ability].needs
    if not isinstance(model, needs):
        raise ability_error(model.name, needs[0])
    if protocol.ability == "grounds" and not text_boxes.can_ground(model):
        raise BadInput(
            f"{model.name} names no box dialect, so the boxes that {protocol.name} asks for cannot be read; give a "
            "model that writes boxes, or a file of boxes to rsvlm score."
        )
