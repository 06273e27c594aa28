"""Re-ranking of retrieved knowledge: RS-RAG's fused score (arXiv:2504.04988, its `hybrid_search`)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = Sequence[float] | NDArray[np.floating]

# fmt: off
# Which kinds of text a task may be told, as RS-RAG filters them.
TASK_KINDS: dict[str, frozenset[str]] = {
    "vqa": frozenset({
        "basic_info_and_history", "architecture_and_function", "monthly_expert_knowledge", "culture_and_visitor",
        "expert_knowledge",
    }),
    "caption": frozenset({"caption"}),
    "classification": frozenset({"basic_info_and_history", "image_description"}),
}
# fmt: on
_SMALL = 1e-8  # in the denominator of the cosine, as released


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of knowledge: its text's vector, and its picture's where it has one (both of the query's length)."""

    id: int
    kind: str
    text: Vector
    image: Vector | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk with its fused score and the two cosines behind it, each in [-1, 1]."""

    chunk: Chunk
    score: float
    image_score: float
    text_score: float


def fused(
    chunks: Sequence[Chunk], image: Vector, text: Vector, *, alpha: float = 0.5, top: int = 1, task: str = ""
) -> list[Hit]:
    """The `top` chunks by alpha * cos(image, chunk's image) + (1 - alpha) * cos(text, chunk's text), best first.

    With `task` (a key of `TASK_KINDS`) only chunks of its kinds; chunks without a picture are skipped, as released.
    Equal scores stay in the order of the first stage, the cosine of the query's image with the chunk's text.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is a share in [0, 1], not {alpha}")
    kept = [chunk for chunk in chunks if not task or chunk.kind in TASK_KINDS[task]]
    kept.sort(key=lambda chunk: -_cosine(image, chunk.text))
    hits = [
        Hit(chunk, alpha * image_score + (1 - alpha) * text_score, image_score, text_score)
        for chunk in kept
        if chunk.image is not None
        for image_score, text_score in [(_cosine(image, chunk.image), _cosine(text, chunk.text))]
    ]
    return sorted(hits, key=lambda hit: -hit.score)[:top]


def _cosine(one: Vector, other: Vector) -> float:
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + _SMALL))
