"""Retrieval and re-ranking of knowledge: RS-RAG's fused score (arXiv:2504.04988, its `hybrid_search`)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsvlm.index.knowledge import KnowledgeBase, Passage, Picture

Mode = Literal["exhaustive", "two_stage"]

# fmt: off
# Which kinds of text the prompt of a task may hold, as RS-RAG filters them.
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


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage (its number and itself) and its picture, with the fused score and the cosines behind it, in [-1, 1]."""

    number: int
    passage: Passage
    picture: Picture | None
    score: float
    image_score: float
    text_score: float


def fused(
    base: KnowledgeBase, image: ArrayLike | None, text: ArrayLike, *, alpha: float = 0.5, top: int = 1, task: str = "",
    mode: Mode = "exhaustive", candidates: int = 1000, without: Collection[int] = (),
) -> list[Hit]:  # fmt: skip
    """The `top` passages by alpha * cos(image, picture) + (1 - alpha) * cos(text, passage), best first.

    `image` and `text` are the vectors (D,) of the query. Without an image the text decides alone; with one, passages
    without a picture are skipped, as released. With `task` (a key of `TASK_KINDS`) only passages of its kinds;
    `without` are numbers of pictures whose passages are left out. "exhaustive" scores every passage, as the released
    search does in effect (its first stage asks for 100,000); "two_stage" scores the `candidates` nearest pictures'
    and the `candidates` nearest passages. Equal scores stay in the order of the released first stage, the cosine of the
    query's image with the passage's text. Raises ValueError for an alpha that is no share, BadInput never.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is a share in [0, 1], not {alpha}")
    rows = np.flatnonzero(_allowed(base, task, without, pictured=image is not None))
    asked = np.asarray(text, np.float64)
    text_scores = _cosines(base.texts[rows], asked)
    image_scores, first = np.zeros(len(rows)), np.zeros(len(rows))
    if image is None:
        alpha = 0.0
    else:
        seen = np.asarray(image, np.float64)
        image_scores = _cosines(base.images, seen)[base.about[rows]]
        first = _cosines(base.texts[rows], seen)
    scores = alpha * image_scores + (1 - alpha) * text_scores
    order = np.lexsort((-first, -scores))  # by score, then by the first stage, then as stored
    if mode == "two_stage":
        near = _nearest(text_scores, candidates) | (_nearest(image_scores, candidates) if image is not None else False)
        order = order[near[order]]
    return [
        Hit(number, base.passages[number], base.picture_of(number), *map(float, cosines))
        for number, *cosines in zip(
            rows[order[:top]].tolist(), scores[order[:top]], image_scores[order[:top]], text_scores[order[:top]],
            strict=True,
        )
    ]  # fmt: skip


def _allowed(base: KnowledgeBase, task: str, without: Collection[int], *, pictured: bool) -> NDArray[np.bool_]:
    allowed = ~np.isin(base.about, [*without])
    if task:
        allowed &= np.array([passage.kind in TASK_KINDS[task] for passage in base.passages], bool)
    return allowed & (base.about >= 0) if pictured else allowed


def _nearest(scores: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """Marks the `count` highest scores; among equal ones all."""
    if count >= len(scores):
        return np.ones(len(scores), bool)
    return scores >= np.partition(scores, -count)[-count]


def _cosines(rows: NDArray[np.floating[Any]], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,): the cosine of each row with the query."""
    products = (rows @ query.astype(rows.dtype)).astype(np.float64)
    return products / (np.linalg.norm(rows, axis=1).astype(np.float64) * np.linalg.norm(query) + _SMALL)
