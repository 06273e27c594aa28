"""All vectors of an archive in memory, for exact search at the speed of memory."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BATCH = 65536  # rows read at once
THREADS = min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
_SMALL = 100_000  # rows that one thread multiplies as fast


class VectorMatrix:
    """`vectors` (N, D) float32 with the row ids (N,) of the store, ascending. Read from a table of tiles."""

    def __init__(self, tiles: Any, width: int) -> None:
        count = tiles.count_rows()
        self.vectors, self.ids = np.empty((count, width), np.float32), np.empty(count, np.uint64)
        at = 0
        for batch in tiles.search().select(["vector"]).with_row_id(True).limit(count).to_batches(_BATCH):
            rows = slice(at, at + len(batch))
            self.vectors[rows] = batch["vector"].flatten().to_numpy().reshape(-1, width)
            self.ids[rows] = batch["_rowid"].to_numpy()
            at += len(batch)
        if (self.ids[1:] < self.ids[:-1]).any():
            order = np.argsort(self.ids)
            self.vectors, self.ids = self.vectors[order], self.ids[order]

    def nearest(
        self, query: NDArray[np.float32], count: int, among: NDArray[np.uint64] | None = None
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """Row ids and cosines of the `count` nearest rows, all or `among` some row ids; best first."""
        ids, scores = self.ids, None
        if among is None:
            scores = self._scores(query)
        else:
            at = np.searchsorted(self.ids, np.sort(among))
            ids, scores = self.ids[at], self.vectors[at] @ query
        return ids[(best := top(scores, count))], scores[best]

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
