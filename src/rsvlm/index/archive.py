"""`Archive`: vectors of tiles with their place, date and caption, in LanceDB (a folder, or s3://bucket/path).

Two tables: `tiles` has the rows, `scenes` what each scene's file was when its rows were made. Every commit is a version
that can be opened again until `compact` removes it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.index import upkeep
from rsvlm.index.filters import Filters, one_of
from rsvlm.index.layout import ArchiveFacts, Version, about, fresh_tables
from rsvlm.index.rows import Hit, Tile
from rsvlm.index.searching import Search, enough, fused, hits
from rsvlm.index.store import connect, is_remote, store_errors
from rsvlm.index.vector_matrix import VectorMatrix
from rsvlm.index.writing import SceneRows, Writer

_ALL = Filters()


class Archive:
    """An open archive: make one with `create` or `open`. One process writes at a time, any number read.

    Who reads sees it as it was when it was opened. Whatever the store refuses is a BadInput in one sentence.
    """

    def __init__(self, uri: str, tiles: Any, scenes: Any, *, frozen: bool = False) -> None:
        self.uri, self._tiles, self._scenes, self._frozen = uri, tiles, scenes, frozen
        kind = about(uri, tiles)
        self.width, self.model, self.weights_hash = int(kind["width"]), kind["model"], kind["weights"]
        self.format = int(kind["format"])
        self._matrix: VectorMatrix | None = None

    @classmethod
    def create(
        cls, uri: str | Path, *, width: int, model: str, weights_hash: str,
        storage_options: Mapping[str, str] | None = None,
    ) -> "Archive":  # fmt: skip
        """A new, empty archive. Raises BadInput where there is one, or a folder with something else in it."""
        kind = {"model": model, "weights": weights_hash, "width": str(width)}
        with store_errors(uri):
            made = cls(str(uri), *fresh_tables(uri, connect(uri, storage_options), kind))
            made.build_index()
        return made

    @classmethod
    def open(
        cls, uri: str | Path, *, version: int | None = None, storage_options: Mapping[str, str] | None = None
    ) -> "Archive":
        """An archive as it is now, or as it was at a `version` (to read only). Raises BadInput for what is none."""
        if not is_remote(uri) and not (Path(uri) / "tiles.lance").is_dir():
            raise BadInput(f"{uri} is no archive; make one with: rsvlm index FOLDER --out {uri}")
        with store_errors(uri):
            database = connect(uri, storage_options)
            if is_remote(uri) and "tiles" not in database.list_tables().tables:
                raise BadInput(f"{uri} is no archive; make one with: rsvlm index FOLDER --out {uri}")
            tiles = database.open_table("tiles")
            about(uri, tiles)  # before anything else is looked for
            scenes = database.open_table("scenes")
            if version is not None:
                try:
                    tiles.checkout(version)
                except (ValueError, RuntimeError, OSError) as error:
                    raise BadInput(
                        f"{uri} has no version {version} (any more); list those there are: rsvlm archive versions {uri}"
                    ) from error
            return cls(str(uri), tiles, scenes, frozen=version is not None)

    @property
    def facts(self) -> ArchiveFacts:
        """What it is of, and how much there is."""
        with store_errors(self.uri):
            rows = self._tiles.count_rows()
            scenes = self._scenes.count_rows() if not self._frozen else len(set(self.column("scene")))
        return ArchiveFacts(
            model=self.model, weights_hash=self.weights_hash, width=self.width, format=self.format, rows=rows,
            scenes=scenes,
        )  # fmt: skip

    def check_model(self, model: str, weights_hash: str, width: int | None = None) -> None:
        """Raises BadInput, which names both, where vectors of this model do not compare with those here."""
        if (self.weights_hash, self.width) != (weights_hash, width or self.width):
            raise BadInput(
                f"{self.uri} holds vectors of {self.model} ({self.width} numbers, weights {self.weights_hash}), these "
                f"are of {model} ({width or self.width} numbers, weights {weights_hash}) and do not compare: take the "
                "archive's model, or another archive."
            )

    # -- writing -------------------------------------------------------------------------------------------------------

    @cached_property
    def _writer(self) -> Writer:
        if self._frozen:
            raise BadInput(f"{self.uri} was opened at an older version, which cannot be written; open it without one.")
        return Writer(self.uri, self._tiles, self._scenes, self.width)

    @property
    def fingerprints(self) -> dict[str, str]:
        """What the file of each scene was when its rows were made. Becomes the writer: no other process may write."""
        with store_errors(self.uri):
            return self._writer.fingerprints

    def replace_scene(
        self, scene_key: str, fingerprint: str, tiles: Sequence[Tile], vectors: NDArray[np.floating]
    ) -> None:
        """Put a scene's rows in the place of those that it has, in one commit. The same call twice changes nothing."""
        self.replace_scenes([SceneRows(scene=scene_key, fingerprint=fingerprint, tiles=tiles, vectors=vectors)])

    def replace_scenes(self, scenes: Sequence[SceneRows]) -> None:
        """As `replace_scene` for several at once, which costs as much as one: those that are new, then the others."""
        with store_errors(self.uri):
            self._writer.replace(scenes)
        self._matrix = None

    def touch(self, fingerprints: Mapping[str, str]) -> None:
        """Note that files of scenes are other ones with the same content."""
        with store_errors(self.uri):
            for scene, mark in fingerprints.items():
                rows = self._scenes.search().where(one_of("scene", (scene,))).select(["rows"]).limit(1).to_list()
                self._writer.record({scene: (mark, rows[0]["rows"])})

    def delete(self, filters: Filters) -> int:
        """Take out the rows that fit, and say how many. Raises BadInput for filters that fit every row."""
        where = filters.sql()
        if not where:
            raise BadInput("Every row would be deleted: say which, by place, date, resolution, sensor or scene.")
        with store_errors(self.uri):
            writer, ids = self._writer, None
            if filters.polygon is not None:
                meets = _meeting(filters.polygon)
                table = self._tiles.search().where(where).select(["id", "footprint"]).limit(self._tiles.count_rows())
                ids = [row["id"] for row in table.to_list() if meets(row["footprint"])]
            self._matrix = None
            return writer.delete(where, ids)

    def build_index(self) -> None:
        """Bring the indices of places, dates, texts and (where there are many rows) vectors up to date."""
        with store_errors(self.uri):
            self._writer.index()
        self._matrix = None
        self.__dict__.pop("_approximate", None)

    def compact(self, *, keep: timedelta = timedelta(days=7)) -> None:
        """Put small files together and remove versions that are older than `keep`."""
        with store_errors(self.uri):
            self._writer.compact(keep)
        self._matrix = None

    def close(self) -> None:
        """Let another process write."""
        if "_writer" in self.__dict__:
            self._writer.close()
            del self.__dict__["_writer"]

    def check(self) -> upkeep.Faults:
        """What is wrong with rows, vectors and records. Reads everything, except pictures."""
        return upkeep.check(self._tiles, self._scenes, self.uri)

    def repair(self, faults: upkeep.Faults) -> int:
        """Take out what `check` found to be wrong, and say how many rows; the next indexing makes them again."""
        with store_errors(self.uri):
            self._matrix = None
            return upkeep.repair(faults, self._writer, self._tiles)

    def versions(self) -> list[Version]:
        """The commits that can still be opened, oldest first."""
        with store_errors(self.uri):
            found = self._tiles.list_versions()
        return [Version(one["version"], one["timestamp"], int(one["metadata"].get("total_rows", 0))) for one in found]

    # -- reading -------------------------------------------------------------------------------------------------------

    def load(self) -> None:
        """Read all vectors into memory (4 bytes a number): exact and filtered search are then many times as fast."""
        with store_errors(self.uri):
            self._matrix = VectorMatrix(self._tiles, self.width)

    def search(
        self, vector: NDArray[np.floating], *, filters: Filters = _ALL, k: int = 20, text: str = "",
        exact: bool = False, offset: int = 0, thumbnails: bool = False,
    ) -> list[Hit]:  # fmt: skip
        """The `k` rows, after the first `offset`, whose vectors have the largest cosine with a vector (D,).

        With `text` the order is that of cosine and caption together (reciprocal rank fusion), and rows whose caption
        fits have a `text_score`. Without `exact`, large archives are searched by their approximate index; a filter that
        leaves few rows is always exact. `thumbnails` reads those, too. Raises BadInput for a vector of another length.
        """
        query = np.asarray(vector, np.float32).ravel()
        if len(query) != self.width:
            raise BadInput(f"{self.uri} holds vectors of {self.width} numbers ({self.model}), not of {len(query)}.")
        length = float(np.linalg.norm(query))
        if not np.isfinite(length) or not length:
            raise BadInput("The vector to search for has no direction: it holds NaN or infinity, or only zeros.")
        with store_errors(self.uri):
            search = Search(
                tiles=self._tiles, matrix=self._matrix, query=query / length, filters=filters, exact=exact,
                indexed=self._approximate,
            )  # fmt: skip

            def find(count: int) -> list[Hit]:
                cosines, texts = fused(search, text, count) if text.strip() else (search.nearest(count), {})
                return hits(self._tiles, cosines, texts, thumbnails=thumbnails)

            if filters.polygon is None:
                return find(k + offset)[offset:]
            meets = _meeting(filters.polygon)
            return enough(find, lambda tile: meets(tile.footprint), k + offset)[offset:]

    def vectors_of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """(N, D): the vectors of rows by their ids, in that order. Raises BadInput for one that is not there."""
        with store_errors(self.uri):
            search = self._tiles.search().where(one_of("id", tuple(ids))).limit(max(1, len(ids)))
            table = search.select(["id", "vector"]).to_arrow()
        rows = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, self.width)
        at = {one: number for number, one in enumerate(table["id"].to_pylist())}
        if missing := [one for one in ids if one not in at]:
            raise BadInput(f"{self.uri} holds no row {missing[0]}.")
        return rows[[at[one] for one in ids]]

    def without_place(self) -> list[str]:
        """The scenes that have rows without a place on Earth."""
        with store_errors(self.uri):
            search = self._tiles.search().where("west IS NULL").select(["scene"]).limit(self._tiles.count_rows() or 1)
            return sorted(set(search.to_arrow()["scene"].to_pylist()))

    def column(self, name: str) -> list[Any]:
        """The values of a column for all rows, in the order of the store."""
        with store_errors(self.uri):
            return self._tiles.search().select([name]).limit(self._tiles.count_rows()).to_arrow()[name].to_pylist()

    @cached_property
    def _approximate(self) -> bool:
        return any("vector" in one.columns for one in self._tiles.list_indices())


def _meeting(polygon: bytes) -> Any:
    """A test of footprints (WKB or None): whether they meet the polygon."""
    import shapely

    area = shapely.from_wkb(polygon)
    shapely.prepare(area)
    return lambda footprint: footprint is not None and bool(area.intersects(shapely.from_wkb(footprint)))
