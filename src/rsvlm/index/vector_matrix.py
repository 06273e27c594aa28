"""All vectors of an archive in memory with place, date and resolution, for exact search at the speed of memory."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.index.filters import IN_MEMORY

_BATCH = 65536  # rows read at once
THREADS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_GATHERED = 8  # times as long takes a row that is picked out as one in the order of memory, about
_SMALL = 100_000  # rows that one thread multiplies as fast


class VectorMatrix:
    """`vectors` (N, D) float32 with the row ids (N,) of the store, ascending. Read from a table of tiles.

    `columns` are those of `IN_MEMORY`, (N,) each.
    """

    def __init__(self, tiles: Any, width: int) -> None:
        count = tiles.count_rows()
        self.vectors, self.ids = np.empty((count, width), np.float32), np.empty(count, np.uint64)
        parts: dict[str, list[NDArray[Any]]] = {name: [] for name in IN_MEMORY}
        at = 0
        for batch in tiles.search().select(["vector", *IN_MEMORY]).with_row_id(True).limit(count).to_batches(_BATCH):
            rows = slice(at, at + len(batch))
            self.vectors[rows] = batch["vector"].flatten().to_numpy().reshape(-1, width)
            self.ids[rows] = batch["_rowid"].to_numpy()
            for name, part in parts.items():
                part.append(batch[name].to_numpy(zero_copy_only=False))
            at += len(batch)
        self.columns = {name: np.concatenate(part) if part else np.empty(0) for name, part in parts.items()}
        if (self.ids[1:] < self.ids[:-1]).any():
            order = np.argsort(self.ids)
            self.vectors, self.ids = self.vectors[order], self.ids[order]
            self.columns = {name: column[order] for name, column in self.columns.items()}

    def nearest(
        self, query: NDArray[np.float32], count: int, among: NDArray[np.uint64] | None = None
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Row ids and cosines of the `count` nearest rows, all or `among` some row ids; best first."""
        if among is None:
            scores = self._scores(query)
            return self.ids[(best := top(scores, count))], scores[best]
        return self._best(query, count, np.searchsorted(self.ids, np.sort(among)))

    def nearest_where(
        self, query: NDArray[np.float32], count: int, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """As `nearest`, of the rows that a mask (N,) marks."""
        return self._best(query, count, np.flatnonzero(mask))

    def _best(
        self, query: NDArray[np.float32], count: int, at: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Of the rows at some places: all are compared where they are many, which reads memory in its order."""
        many = len(at) * _GATHERED > len(self.ids)
        scores = self._scores(query)[at] if many else self.vectors[at] @ query
        return self.ids[at[(best := top(scores, count))]], scores[best]

    def _scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) cosines; a part a thread, because BLAS multiplies with a vector in one, which memory outruns."""
        if len(self.vectors) < _SMALL:
            return self.vectors @ query
        parts = np.array_split(self.vectors, THREADS)
        return np.concatenate([*self._threads.map(lambda part: part @ query, parts)])

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS)


def top(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The places of the `count` largest scores, largest first; equal ones in their order."""
    if count < len(scores):
        least = np.partition(scores, len(scores) - count)[len(scores) - count]
        found = np.flatnonzero(scores >= least)
    else:
        found = np.arange(len(scores))
    return found[np.argsort(-scores[found], kind="stable")][:count]
