"""`Archive`: vectors of tiles with their place, date and caption, in LanceDB (a folder, or s3://bucket/path).

Two tables: `tiles` has the rows, `scenes` what each scene's file was when its rows were made. Rows are written first,
so that after a crash a scene is either in both as it is now, or is made again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput, missing_extra
from rsvlm.index.filters import Filters, one_of
from rsvlm.index.rows import FORMAT, SCENES, SHOWN, Hit, Tile, tiles_schema, to_table, to_tiles

try:
    import lancedb
    import pyarrow as pa
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("lancedb", "archive") from error

_RRF = 60  # of reciprocal rank fusion (Cormack, Clarke and Buettcher 2009)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFacts:
    """What an archive is of: the model and its weights, the length of a vector, the version of its layout; its size."""

    model: str
    weights_hash: str
    width: int
    format: int
    rows: int
    scenes: int


class Archive:
    """An open archive. Make one with `create` or `open`. One process writes at a time; any number read."""

    def __init__(self, uri: str, db: Any, tiles: Any, scenes: Any) -> None:
        self.uri, self._db, self._tiles, self._scenes = uri, db, tiles, scenes
        about = _about(uri, tiles)
        self.width, self.model, self.weights_hash = int(about["width"]), about["model"], about["weights"]
        self.format = int(about["format"])

    @classmethod
    def create(
        cls, uri: str | Path, *, width: int, model: str, weights_hash: str,
        storage_options: Mapping[str, str] | None = None,
    ) -> "Archive":  # fmt: skip
        """A new, empty archive. Raises BadInput where one is there already."""
        db = _connect(uri, storage_options)
        if db.list_tables().tables:
            raise BadInput(f"{uri} is an archive already, or another LanceDB database; give another path.")
        about = {"format": str(FORMAT), "model": model, "weights": weights_hash, "width": str(width)}
        scenes = db.create_table("scenes", schema=SCENES)
        tiles = db.create_table("tiles", schema=tiles_schema(width).with_metadata({"rsvlm": _json(about)}))
        return cls(str(uri), db, tiles, scenes)

    @classmethod
    def open(
        cls, uri: str | Path, *, version: int | None = None, storage_options: Mapping[str, str] | None = None
    ) -> "Archive":
        """An archive as it is now, or (to read) as it was at a `version`. Raises BadInput for what is no archive."""
        local = "://" not in str(uri)
        if local and not (Path(uri) / "tiles.lance").is_dir():
            raise BadInput(f"{uri} is no archive; make one: rsvlm index FOLDER --out {uri}")
        db = _connect(uri, storage_options)
        tiles, scenes = db.open_table("tiles"), db.open_table("scenes")
        if version is not None:
            tiles.checkout(version)
        return cls(str(uri), db, tiles, scenes)

    @property
    def facts(self) -> ArchiveFacts:
        """What it is of, and how much there is."""
        return ArchiveFacts(
            model=self.model, weights_hash=self.weights_hash, width=self.width, format=self.format,
            rows=self._tiles.count_rows(), scenes=self._scenes.count_rows(),
        )  # fmt: skip

    def replace_scene(
        self, scene_key: str, fingerprint: str, tiles: Sequence[Tile], vectors: NDArray[np.floating]
    ) -> None:
        """Put a scene's rows in the place of those that it has, in one commit. The same call twice changes nothing."""
        table = to_table(tiles, vectors)
        merge = self._tiles.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.when_not_matched_by_source_delete(one_of("scene", (scene_key,))).execute(table)
        row = pa.table({"scene": [scene_key], "fingerprint": [fingerprint], "rows": [len(tiles)]}, schema=SCENES)
        self._scenes.merge_insert("scene").when_matched_update_all().when_not_matched_insert_all().execute(row)

    def search(
        self, vector: NDArray[np.floating], *, filters: Filters = Filters(), k: int = 20, text: str = "",
        exact: bool = False, offset: int = 0, thumbnails: bool = False,
    ) -> list[Hit]:  # fmt: skip
        """The `k` rows (after the first `offset`) whose vectors have the largest cosine with a unit vector (D,)."""
        query = np.asarray(vector, np.float32).ravel()
        if len(query) != self.width:
            raise BadInput(f"{self.uri} holds vectors of {self.width} numbers ({self.model}), not {len(query)}.")
        wanted = k + offset
        while True:
            rows = self._nearest(query, filters.sql(), wanted, exact, thumbnails)
            hits = [Hit(t, s) for t, s in rows if _meets(t, filters.polygon)]
            if len(hits) >= k + offset or len(rows) < wanted:
                return hits[offset : offset + k]
            wanted *= 4

    def _nearest(
        self, query: NDArray[np.float32], where: str, count: int, exact: bool, thumbnails: bool
    ) -> list[tuple[Tile, float]]:
        search = self._tiles.search(query, vector_column_name="vector").distance_type("cosine").limit(count)
        if where:
            search = search.where(where, prefilter=True)
        if exact:
            search = search.bypass_vector_index()
        table = search.select([*SHOWN, *(["thumbnail"] if thumbnails else []), "_distance"]).to_arrow()
        return list(zip(to_tiles(table), (1 - table["_distance"].to_numpy()).tolist(), strict=True))

    def vectors_of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """(N, D): the vectors of rows by their ids, in that order. Raises BadInput for one that is not there."""
        table = self._tiles.search().where(one_of("id", tuple(ids))).limit(len(ids)).select(["id", "vector"]).to_arrow()
        rows = np.asarray(table["vector"].combine_chunks().flatten()).reshape(-1, self.width)
        at = {one: number for number, one in enumerate(table["id"].to_pylist())}
        if missing := [one for one in ids if one not in at]:
            raise BadInput(f"{self.uri} holds no row {missing[0]}.")
        return rows[[at[one] for one in ids]]


def _connect(uri: str | Path, options: Mapping[str, str] | None) -> Any:
    return lancedb.connect(str(uri), storage_options=dict(options) if options else None)


def _json(value: Mapping[str, str]) -> str:
    import json

    return json.dumps(dict(value))


def _about(uri: str, tiles: Any) -> dict[str, str]:
    from rsvlm.json_text import load_json

    found = (tiles.schema.metadata or {}).get(b"rsvlm")
    if found is None:
        raise BadInput(f"{uri} is a LanceDB database, but no archive of rsvlm.")
    return load_json(found.decode())


def _meets(tile: Tile, polygon: bytes | None) -> bool:
    if polygon is None:
        return True
    import shapely

    return tile.footprint is not None and shapely.from_wkb(polygon).intersects(shapely.from_wkb(tile.footprint))
