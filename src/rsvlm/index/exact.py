"""Exact search over vectors in memory, for thousands of pictures: nothing is approximated, nothing is written."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.index.vector_matrix import top


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What was found: its id, and its cosine to the query in [-1, 1]."""

    id: str
    score: float


class ExactIndex:
    """Vectors (N, D) under their `ids`, searched by cosine; a vector may have any length but zero.

    Raises BadInput for ids and vectors that are not one each, an id that comes twice, and vectors without a direction.
    """

    def __init__(self, ids: Sequence[str], vectors: NDArray[Any]) -> None:
        rows = np.asarray(vectors, np.float32)
        if rows.ndim != 2 or len(rows) != len(ids):
            raise BadInput(f"Vectors of shape {rows.shape} for {len(ids)} ids; expected (N, D), a row for each id.")
        if len(set(ids)) < len(ids):
            raise BadInput("An id of the index comes twice; give each picture an id of its own.")
        self.ids, self.vectors = tuple(ids), _unit(rows)

    def __len__(self) -> int:
        return len(self.ids)

    def search(self, query: NDArray[Any], *, most: int = 1, seen: Collection[str] = ()) -> list[Neighbour]:
        """The `most` nearest to `query` (D,) that are not in `seen`, best first; fewer where there are no more.

        Equal scores stay in the order of the index. Raises BadInput for a query of another length.
        """
        row = np.asarray(query, np.float32)
        if row.shape != self.vectors.shape[1:]:
            raise BadInput(f"The query has the shape {row.shape}; the index has vectors of {self.vectors.shape[1]}.")
        scores = self.vectors @ _unit(row[None])[0]
        places = np.flatnonzero([one not in seen for one in self.ids])
        best = places[top(scores[places], most)] if most > 0 else places[:0]
        return [Neighbour(self.ids[at], float(scores[at])) for at in best.tolist()]


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(rows).all() and lengths.all()):
        raise BadInput("A vector has no direction: it is zero, or holds NaN or infinity.")
    return rows / lengths
