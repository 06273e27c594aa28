"""Is an archive sound? Rows, vectors and the records of scenes are read and compared; `repair` mends what is not."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rsvlm.index.filters import each_of
from rsvlm.index.rows import tile_id
from rsvlm.index.store import store_errors
from rsvlm.index.writing import Writer

_UNIT = 1e-3  # by which the length of a vector may differ from 1
_BATCH = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is wrong with an archive's tables: ids of rows, scenes whose records are off, and sentences about them.

    `broken` rows have no vector of unit length, or another id than their scene and window give; `twice` are ids that
    more than one row has; `uncounted` are scenes whose record has another number of rows, `unknown` those without one.
    """

    rows: int
    broken: tuple[str, ...] = ()
    twice: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """A sentence a fault, none for an archive that is sound."""
        kinds = (
            (self.broken, "rows have no vector of unit length, or not the id of their window", "row"),
            (self.twice, "ids belong to more than one row", "row"),
            (self.uncounted, "scenes have another number of rows than their record says", "scene"),
            (self.unknown, "scenes have rows but no record", "scene"),
        )
        return [f"{len(found)} {words} (first {what}: {found[0]})" for found, words, what in kinds if found]


def check(tiles: Any, scenes: Any, uri: str) -> Faults:
    """Read every row. Raises BadInput where a file of the archive cannot be read."""
    ids: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    broken: list[str] = []
    with store_errors(uri):
        for batch in _batches(tiles, ["id", "scene", "window", "vector"]):
            names, sources = batch["id"].to_pylist(), batch["scene"].to_pylist()
            ids.update(names)
            counts.update(sources)
            rows = batch["vector"].flatten().to_numpy().reshape(len(batch), -1)
            windows = batch["window"].flatten().to_numpy().reshape(-1, 4).tolist()
            wrong = ~(np.abs(np.linalg.norm(rows, axis=1) - 1) <= _UNIT)  # NaN is wrong, too
            wrong |= [one != tile_id(*of) for one, of in zip(names, zip(sources, windows, strict=True), strict=True)]
            broken += [names[at] for at in np.flatnonzero(wrong)]
        records = scenes.to_arrow()
    said = dict(zip(records["scene"].to_pylist(), records["rows"].to_pylist(), strict=True))
    return Faults(
        rows=ids.total(), broken=tuple(broken), twice=tuple(one for one, count in ids.items() if count > 1),
        uncounted=tuple(scene for scene, count in said.items() if counts[scene] != count),
        unknown=tuple(scene for scene in counts if scene not in said),
    )  # fmt: skip


def repair(faults: Faults, writer: Writer, tiles: Any) -> int:
    """Take out what is broken, doubled or of unknown scenes; how many rows went.

    The scenes that lost rows are remembered as changed, so that the next `rsvlm index` makes them again.
    """
    before = tiles.count_rows()
    bad = [*{*faults.broken, *faults.twice}]
    conditions = [*each_of("id", bad)]
    hurt = {row["scene"] for where in conditions for row in tiles.search().where(where).select(["scene"]).to_list()}
    for where in conditions:
        tiles.delete(where)
    writer.recount(forget_unknown=True)
    if changed := {scene for scene in {*hurt, *faults.uncounted} if scene in writer.fingerprints}:
        writer.fingerprints |= dict.fromkeys(changed, "")
        writer.recount()
    return before - tiles.count_rows()


def _batches(tiles: Any, columns: Sequence[str]) -> Iterator[Any]:
    yield from tiles.search().select(columns).limit(tiles.count_rows()).to_batches(_BATCH)
