"""How rows are found: a search of the store a kind of question, each giving row ids with scores, best first."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lancedb.query import MatchQuery
from numpy.typing import NDArray

from rsvlm.index.filters import Filters
from rsvlm.index.rows import SHOWN, Hit, Tile, to_tiles
from rsvlm.index.vector_matrix import VectorMatrix, top

CANDIDATES = 20_000  # rows that a filter leaves: up to so many are compared one by one, which is exact
PROBES = 24  # partitions of the vector index that are looked through
REFINED = 4  # times the rows wanted: so many are compared again with their whole vectors
_RRF = 60  # of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)
_FUSED = 5  # times the rows wanted: so many of each side are fused
_MatchQuery: Any = MatchQuery  # a pydantic dataclass, whose defaults pyright does not see
Ranked = dict[int, float]  # row id -> score, best first


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One question to the table of `tiles`: a unit vector (D,), which rows, and how exactly. `where` is their SQL."""

    tiles: Any
    matrix: VectorMatrix | None
    query: NDArray[np.float32]
    filters: Filters
    exact: bool
    indexed: bool
    where: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", self.filters.sql())

    def nearest(self, count: int) -> Ranked:
        """The `count` rows of the largest cosine."""
        if self.where and (found := self._candidates(count)) is not None:
            return found
        if self.exact and self.matrix is not None and not self.where:
            return _ranked(*self.matrix.nearest(self.query, count))
        search = self.tiles.search(self.query, vector_column_name="vector").distance_type("cosine").limit(count)
        if self.where:
            search = search.where(self.where, prefilter=True)
        if self.exact or not self.indexed:
            search = search.bypass_vector_index()
        else:
            search = search.nprobes(self._probes()).refine_factor(REFINED)
        table = search.select(["_distance"]).with_row_id(True).to_arrow()
        return _ranked(table["_rowid"].to_numpy(), 1 - table["_distance"].to_numpy())

    def texts(self, text: str, count: int) -> tuple[Ranked, Ranked]:
        """The `count` rows whose captions fit a text best: their scores (BM25), and their cosines with the vector."""
        search = self.tiles.search(_MatchQuery(text, "caption")).limit(count)
        if self.where:
            search = search.where(self.where, prefilter=True)
        table = search.select(["vector", "_score"]).with_row_id(True).to_arrow()
        ids, rows = table["_rowid"].to_numpy(), self._rows(table)
        return _ranked(ids, table["_score"].to_numpy()), _ranked(ids, rows @ self.query)

    def _candidates(self, count: int) -> Ranked | None:
        """The nearest of the few rows that the filter leaves; None where it leaves many, unless they must be exact."""
        if self.matrix is not None:
            if (mask := self.filters.mask(self.matrix.columns)) is not None:
                return _ranked(*self.matrix.nearest_where(self.query, count, mask))
            most = None if self.exact else CANDIDATES * 10
            found = self._filtered([], most)
            return (
                None if found is None else _ranked(*self.matrix.nearest(self.query, count, found["_rowid"].to_numpy()))
            )
        found = self._filtered(["vector"], CANDIDATES)
        if found is None:
            return None
        scores = self._rows(found) @ self.query
        best = top(scores, count)
        return _ranked(found["_rowid"].to_numpy()[best], scores[best])

    def _filtered(self, columns: list[str], most: int | None) -> Any:
        """The rows that the filter leaves, None where they are more than `most`."""
        search = self.tiles.search().where(self.where).select([*columns, "_rowid"]).with_row_id(True)
        table = search.limit(self.tiles.count_rows() if most is None else most + 1).to_arrow()
        return None if most is not None and len(table) > most else table

    def _rows(self, table: Any) -> NDArray[np.float32]:
        return table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, len(self.query))

    def _probes(self) -> int:
        """More partitions where a filter leaves fewer rows in each."""
        if not self.where:
            return PROBES
        share = self.tiles.count_rows(self.where) / max(1, self.tiles.count_rows())
        return round(PROBES / max(share, 0.01))


def fused(search: Search, text: str, count: int) -> tuple[Ranked, Ranked]:
    """The `count` best of vector and text together by reciprocal rank fusion: their cosines, and the texts' scores."""
    near = search.nearest(_FUSED * count)
    found, cosines = search.texts(text, _FUSED * count)
    places = [{row: at for at, row in enumerate(side)} for side in (near, found)]
    score = {row: sum(1 / (_RRF + 1 + side[row]) for side in places if row in side) for row in {**near, **found}}
    best = sorted(score, key=lambda row: -score[row])[:count]
    return {row: near.get(row, cosines.get(row, 0.0)) for row in best}, found


def hits(tiles: Any, cosines: Ranked, texts: Ranked, *, thumbnails: bool) -> list[Hit]:
    """Rows with their scores as `Hit`s, in the order of `cosines`."""
    if not cosines:
        return []
    columns = [*SHOWN, *(["thumbnail"] if thumbnails else [])]
    table = tiles.take_row_ids(list(cosines)).select(columns).with_row_id().to_arrow()
    shown: dict[int, Tile] = dict(zip(table["_rowid"].to_pylist(), to_tiles(table), strict=True))
    return [Hit(shown[row], score, texts.get(row)) for row, score in cosines.items()]


def enough(find: Callable[[int], list[Hit]], meets: Callable[[Tile], bool], wanted: int) -> list[Hit]:
    """The first `wanted` hits that meet a test: more and more are found until there are so many, or no more."""
    count = 2 * wanted
    while True:
        found = find(count)
        kept = [hit for hit in found if meets(hit.tile)]
        if len(kept) >= wanted or len(found) < count:
            return kept[:wanted]
        count *= 4


def _ranked(ids: NDArray[Any], scores: NDArray[Any]) -> Ranked:
    return dict(zip(ids.tolist(), scores.tolist(), strict=True))
