"""Searching an archive by words, example pictures and unwanted words, with conditions: `rsvlm.open_archive`.

The query is one vector, so that the nearest tiles are found exactly as for a single text: the mean of the unit vectors
of the text and of the examples, less `AGAINST` times each unwanted text's (Rocchio's relevance feedback with a negative
part; the weight is ours).
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm import __version__
from rsvlm.errors import BadInput, MissingPart
from rsvlm.index.archive import Archive
from rsvlm.index.filters import Filters
from rsvlm.index.rows import Hit
from rsvlm.serve import archive_doubt
from rsvlm.serve.archive_files import write
from rsvlm.serve.archive_filters import ANYWHERE, Where, notes, swapped, together
from rsvlm.serve.archive_model import weights_hash
from rsvlm.serve.archive_result import FoundTile, Query, SearchResult
from rsvlm.serve.assistant import Assistant, load
from rsvlm.serve.matching import Picture, is_one_picture, whole_pictures
from rsvlm.systems import matching
from rsvlm.systems.abilities import Pixels, features_of
from rsvlm.systems.model_limits import familiarity, limits_of

AGAINST = 0.5  # of an unwanted text, beside 1 of what is wanted: with 1, tiles win that are only unlike the unwanted
MOST = 10_000  # tiles of one result
_EXAMPLE = 'rsvlm search ARCHIVE "solar panels near a river"'
Rows = NDArray[np.float64]


def open_archive(
    uri: str | Path, *, model: str | Assistant | None = None, version: int | None = None,
    storage_options: Mapping[str, str] | None = None,
) -> "SearchableArchive":  # fmt: skip
    """An archive that `rsvlm index` made, to search: a folder, or s3://bucket/path.

    `model`: its name, or what `rsvlm.load` gave; by default the one that made it. `version`: the archive as it was
    then. Raises BadInput for what is no archive, MissingPart where LanceDB is not installed.
    """
    return SearchableArchive(Archive.open(uri, version=version, storage_options=storage_options), model=model)


class SearchableArchive:
    """An archive with the model that made it, which is loaded at the first search."""

    def __init__(self, archive: Archive, *, model: str | Assistant | None = None) -> None:
        self.archive, self._model = archive, model
        self._assistant: Assistant | None = None

    @property
    def assistant(self) -> Assistant:
        """The model. Raises BadInput, which names both, where its weights or vectors are not those of the archive."""
        if self._assistant is None:
            self._assistant = self._checked(self._model or self.archive.model)
        return self._assistant

    def search(
        self, text: str = "", *, like: Picture | Sequence[Picture] = (), without: str | Sequence[str] = (),
        where: Where = ANYWHERE, k: int = 20, captions: bool = True, exact: bool = False,
        templates: Sequence[str] = (), cut: bool = False,
    ) -> SearchResult:  # fmt: skip
        """The `k` tiles that fit a text and example pictures best and hold to all conditions, best first.

        `like`: files or arrays (H, W, 3), seen whole. `without`: texts whose tiles go down. `where`: place, time,
        resolution, sensor, scene. `captions`: the words are sought in the captions of the archive, too. `exact`: every
        tile is compared, without the index. `templates`, `cut`: as of `MatchesScenes.match_scene`. Raises BadInput for
        a search for nothing, conditions that cannot be meant or leave no tile (it says which), and a model that is not
        that of the archive.
        """
        started = time.perf_counter()
        query, pictures = _query(text, like, without)
        if not 1 <= k <= MOST:
            raise BadInput(f"{k} tiles are asked for; expected 1 to {MOST}.")
        conditions = where.conditions()
        facts = self.archive.facts
        if not facts.rows:
            raise BadInput(
                f"{self.archive.uri} holds no tiles yet; add some: rsvlm index FOLDER --out {self.archive.uri}"
            )
        frames, pictures = matching.check_templates(templates), whole_pictures(pictures)
        assistant = self.assistant
        with assistant.lock:
            wanted, worded, unwanted = self._vectors(query, pictures, frames, cut)
        direction = wanted - AGAINST * unwanted.sum(0)
        direction = direction / max(float(np.linalg.norm(direction)), 1e-12)
        filters = together([*conditions.values()])
        found = self.archive.search(
            direction, filters=filters, k=k, text=query.text if captions else "", exact=exact, thumbnails=True
        )
        if not found:
            raise BadInput(self._nothing(direction, conditions))
        with assistant.lock:
            hits = self._judged(found, query, wanted, worded, unwanted, frames)
            strange = self._strange(pictures)
        said = [*archive_doubt.notes(query.text, [one.doubt for one in hits]), *strange, *notes(conditions)]
        if len(hits) < k and conditions:
            said.append(f"Only {len(hits)} tile{'s hold' if len(hits) > 1 else ' holds'} to the conditions.")
        trace = {
            **assistant.model.trace, "model": assistant.model.name, "rsvlm": __version__, "rows": facts.rows,
            "scenes": facts.scenes, "k": k, "exact": exact, "captions": captions, "against": AGAINST,
            "templates": frames, "cut": cut, "seconds": round(time.perf_counter() - started, 3),
        }  # fmt: skip
        return SearchResult(
            query=query, archive=str(self.archive.uri), hits=hits, conditions=tuple(conditions), notes=tuple(said),
            trace=trace,
        )  # fmt: skip

    @staticmethod
    def save(result: SearchResult, *paths: str | Path) -> None:
        """Write files whose names end in .geojson, .json (STAC ItemCollection), .png (contact sheet) or .html (page).

        Raises BadInput for another ending, and where one cannot be written.
        """
        write(result, [Path(path) for path in paths])

    def _vectors(
        self, query: Query, pictures: Sequence[Pixels], templates: Sequence[str], cut: bool
    ) -> tuple[Rows, Rows | None, Rows]:
        """What is wanted (D,), the text's own vector (D,) or None, the unwanted (W, D); all of unit length."""
        model, width = self.assistant.model, self.archive.width
        texts = [*([query.text] if query.text else []), *query.without]
        words = matching.text_vectors(model, texts, templates=templates, cut=cut) if texts else np.zeros((0, width))
        worded = words[0] if query.text else None
        seen = matching.image_vectors(model, pictures) if pictures else np.zeros((0, width))
        for rows in (words, seen):
            self.archive.check_model(model.name, weights_hash(model), rows.shape[1])
        wanted = np.concatenate([*([words[:1]] if query.text else []), seen]).mean(0)
        return wanted / max(float(np.linalg.norm(wanted)), 1e-12), worded, words[len(texts) - len(query.without) :]

    def _judged(
        self, found: Sequence[Hit], query: Query, wanted: Rows, worded: Rows | None, unwanted: Rows,
        templates: Sequence[str],
    ) -> tuple[FoundTile, ...]:  # fmt: skip
        """Each tile with its cosines and its doubt."""
        tiles = [one.tile for one in found]
        rows = self.archive.vectors_of([tile.id for tile in tiles]).astype(np.float64)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        scores, against = rows @ wanted, rows @ unwanted.T
        model = self.assistant.model
        reasons = archive_doubt.doubts(model, query.text, worded, tiles, rows, query.without, against, templates)
        return tuple(
            FoundTile(
                rank=at + 1, tile=one.tile, score=round(float(scores[at]), 6), text_score=one.text_score,
                against=round(float(against[at].max()), 6) if query.without else None, doubt=reasons[at],
            )
            for at, one in enumerate(found)
        )  # fmt: skip

    def _strange(self, pictures: Sequence[Pixels]) -> list[str]:
        """A sentence where an example picture is unlike all that the model was trained on."""
        model = self.assistant.model
        limits, embed = limits_of(model), features_of(model)
        if not pictures or limits.exemplars is None or embed is None:
            return []
        alike = familiarity(limits, embed(pictures))
        strange = int((alike < limits.least_similarity).sum())
        return [f"{strange} of {len(pictures)} example pictures are unlike those that {model.name} was trained on: "
                "unsure."] if strange else []  # fmt: skip

    def _nothing(self, direction: Rows, conditions: Mapping[str, Filters]) -> str:
        """Which condition leaves no tile: one by itself, else the first that leaves none of what the others left."""

        def leaves(*some: Filters) -> bool:
            return bool(self.archive.search(direction, filters=together(some), k=1))

        none = f"Of the {self.archive.facts.rows} tiles of {self.archive.uri}, none"
        for name, one in conditions.items():
            if not leaves(one):
                turned = swapped(one)
                hint = " (tiles of unknown date never do)" if one.start or one.end else ""
                if turned and leaves(turned):
                    hint = f" (latitude and longitude exchanged, some do: {_box(turned)})"
                return f"{none} holds to {name}{hint}; give another, or leave it out."
        names = [*conditions]
        for count in range(2, len(names) + 1):
            if not leaves(*(conditions[name] for name in names[:count])):
                before = " and ".join(names[: count - 1])
                return f"{none} holds to {before} and to {names[count - 1]} at once; leave one of them out."
        return f"Nothing was found in {self.archive.uri}."

    def _checked(self, model: str | Assistant) -> Assistant:
        try:
            assistant = load(model) if isinstance(model, str) else model
        except (BadInput, MissingPart) as error:
            if self._model is not None:
                raise
            raise type(error)(
                f"{self.archive.uri} was made with the model {self.archive.model}, which cannot be loaded; say "
                f"where it is with --model. {error}"
            ) from error
        matching.check_matches(assistant.model)
        self.archive.check_model(assistant.model.name, weights_hash(assistant.model))
        return assistant


def _query(text: str, like: Picture | Sequence[Picture], without: str | Sequence[str]) -> tuple[Query, list[Picture]]:
    """What is asked, and its pictures. Raises BadInput for nothing, an unwanted text that is empty or wanted, too."""
    asked = " ".join(text.split())
    several: Any = [like] if is_one_picture(like) else like
    pictures = list(several)
    unwanted = [without] if isinstance(without, str) else list(without)
    if not asked and not pictures:
        raise BadInput(
            f"The search is for nothing; say what to look for, or give a picture: {_EXAMPLE} or --like a.png"
        )
    if unwanted:
        unwanted = matching.check_texts([*([asked] if asked else []), *unwanted])[bool(asked) :]
    names = tuple(str(getattr(one, "path", one)) if not isinstance(one, np.ndarray) else "an array" for one in pictures)
    return Query(text=asked, like=names, without=tuple(unwanted)), pictures


def _box(filters: Filters) -> str:
    return ",".join(f"{side:.10g}" for side in filters.boxes[0])
