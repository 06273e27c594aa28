"""How rows get into an archive: scene by scene, whole or not at all, by one process at a time.

Rows are committed first, then the record of their scene. A run that was killed between the two leaves rows of which no
record speaks: the next writer finds their number wrong and takes out what is unknown, so that it is made again.
"""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from lancedb.index import FTS, BTree, IvfSq
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.index.filters import each_of, one_of
from rsvlm.index.rows import SCENES, Tile, to_table
from rsvlm.index.store import lock_writer

APPROXIMATE = 50_000  # rows from which an approximate index pays (docs/archive.md)
SCALAR = ("id", "scene", "cell", "date")
_PARTITION = 1024  # rows, about, of the vector index


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneRows:
    """The rows of one scene: what its file was (`fingerprint`), its tiles and their vectors (N, D) of unit length."""

    scene: str
    fingerprint: str
    tiles: Sequence[Tile]
    vectors: NDArray[np.floating]


class Writer:
    """The one writer of an archive: holds its lock until it is closed, or the process ends."""

    def __init__(self, uri: str, tiles: Any, scenes: Any, width: int) -> None:
        self._lock = lock_writer(uri)
        self.uri, self._tiles, self._scenes, self.width = uri, tiles, scenes, width
        for table in (tiles, scenes):
            table.checkout_latest()
        self._version = tiles.version
        records = scenes.to_arrow()
        self.fingerprints: dict[str, str] = dict(
            zip(records["scene"].to_pylist(), records["fingerprint"].to_pylist(), strict=True)
        )
        if tiles.count_rows() != int(records["rows"].to_numpy().sum()):
            self.recount(forget_unknown=True)

    def close(self) -> None:
        """Let the lock go."""
        if self._lock is not None:
            self._lock.close()

    def replace(self, scenes: Sequence[SceneRows]) -> None:
        """Put the rows of scenes in the place of those that they have: new scenes in one commit, known ones in one."""
        new = [one for one in scenes if one.scene not in self.fingerprints]
        known = [one for one in scenes if one.scene in self.fingerprints]
        for part, keep in ((new, self._append), (known, self._merge)):
            if part:
                keep(part)
                self.record({one.scene: (one.fingerprint, len(one.tiles)) for one in part})

    def record(self, scenes: dict[str, tuple[str, int]]) -> None:
        """Note the fingerprint and the number of rows of scenes."""
        fingerprints, rows = zip(*scenes.values(), strict=True)
        table = pa.table({"scene": [*scenes], "fingerprint": fingerprints, "rows": rows}, schema=SCENES)
        self._scenes.merge_insert("scene").when_matched_update_all().when_not_matched_insert_all().execute(table)
        self.fingerprints |= {scene: fingerprint for scene, (fingerprint, _) in scenes.items()}

    def delete(self, where: str, ids: Sequence[str] | None = None) -> int:
        """Take out the rows of a condition, or those with these ids; how many. Scenes left without a row are forgotten.

        A scene that keeps some rows counts as done: those that are gone come back when its file changes.
        """
        before = self._tiles.count_rows()
        conditions = [where] if ids is None else each_of("id", ids)
        for condition in conditions:
            self._checked()
            self._tiles.delete(condition)
            self._version = self._tiles.version
        removed = before - self._tiles.count_rows()
        if removed:
            self.recount(forget_empty=True)
        return removed

    def recount(self, *, forget_unknown: bool = False, forget_empty: bool = False) -> None:
        """Make the records say how many rows each scene has.

        `forget_unknown` takes out rows of scenes without a record, `forget_empty` the records of scenes without rows.
        """
        column = self._tiles.search().select(["scene"]).limit(self._tiles.count_rows()).to_arrow()["scene"]
        counts = {one["values"]: one["counts"] for one in column.value_counts().to_pylist()}
        if forget_unknown:
            for condition in each_of("scene", [scene for scene in counts if scene not in self.fingerprints]):
                self._tiles.delete(condition)
        if forget_empty:
            self.forget([scene for scene in self.fingerprints if scene not in counts])
        if self.fingerprints:
            self.record({scene: (mark, counts.get(scene, 0)) for scene, mark in self.fingerprints.items()})
        self._version = self._tiles.version

    def forget(self, scenes: Sequence[str]) -> None:
        """Take out the records of scenes."""
        for condition in each_of("scene", scenes):
            self._scenes.delete(condition)
        self.fingerprints = {scene: mark for scene, mark in self.fingerprints.items() if scene not in set(scenes)}

    def index(self) -> None:
        """Bring the indices up to date: of text and columns at any size, of vectors where it pays."""
        there = {column for one in self._tiles.list_indices() for column in one.columns}
        for column in SCALAR:
            if column not in there:
                self._tiles.create_index(column, config=BTree())
        if "caption" not in there:
            self._tiles.create_index("caption", config=FTS())
        # Small files are put together first: an index whose rows move afterwards is slower and finds less.
        self._tiles.optimize(cleanup_older_than=timedelta(days=36500))
        rows = self._tiles.count_rows()
        if rows >= APPROXIMATE and "vector" not in there:
            parts = max(1, round(rows / _PARTITION))
            self._tiles.create_index("vector", config=IvfSq(distance_type="cosine", num_partitions=parts))
        self._version = self._tiles.version

    def compact(self, keep: timedelta) -> None:
        """Put small files together, bring indices up to date, and remove versions that are older than `keep`."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a `keep` of 0, which was asked for
            for table in (self._scenes, self._tiles):
                table.optimize(cleanup_older_than=keep)
        self._version = self._tiles.version

    def _append(self, scenes: Sequence[SceneRows]) -> None:
        self._checked()
        table = self._table(scenes)
        if len(table):
            self._tiles.add(table)
            self._version = self._tiles.version

    def _merge(self, scenes: Sequence[SceneRows]) -> None:
        self._checked()
        merge = self._tiles.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        gone = one_of("scene", tuple(one.scene for one in scenes))
        merge.when_not_matched_by_source_delete(gone).execute(self._table(scenes))
        self._version = self._tiles.version

    def _table(self, scenes: Sequence[SceneRows]) -> pa.Table:
        for one in scenes:
            if np.shape(one.vectors) != (len(one.tiles), self.width):
                raise BadInput(
                    f"{one.scene} has vectors of shape {np.shape(one.vectors)} for {len(one.tiles)} tiles; {self.uri} "
                    f"takes one of {self.width} numbers for each."
                )
        tiles = [tile for one in scenes for tile in one.tiles]
        return to_table(tiles, np.concatenate([np.reshape(one.vectors, (-1, self.width)) for one in scenes]))

    def _checked(self) -> None:
        """Raises BadInput where another process has written since: on a remote store nothing else keeps it away."""
        self._tiles.checkout_latest()
        if self._tiles.version != self._version:
            raise BadInput(f"Another process writes to {self.uri}; wait until it has ended, then run again.")

    def __del__(self) -> None:
        with suppress(AttributeError):
            self.close()
