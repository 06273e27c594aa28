"""How well texts fit a scene and its tiles: `MatchesScenes`, which `rsvlm.load` gives to every model that matches.

The rules around a model that answers (docs/honest_answers.md) stand around its matches, too: what a pixel cannot show
is said, what the model was not trained for is not believed, and a tile where no text is likely is unsure.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm import __version__
from rsvlm.errors import BadInput
from rsvlm.geo.bands import BandChoice
from rsvlm.geo.raster import open_scene
from rsvlm.geo.scene import Scene
from rsvlm.serve.class_answers import mostly_strange, strange_note
from rsvlm.serve.object_sizes import visibility
from rsvlm.serve.run_views import Advance, counted_views, strangeness
from rsvlm.serve.scene_facts import facts_for_trace
from rsvlm.serve.scene_match import SceneMatch, ViewMatch
from rsvlm.serve.situation import Situation
from rsvlm.serve.tiling import MOST_TILES, TilePlan, View, plan_tiles, read_views
from rsvlm.systems import matching
from rsvlm.systems.abilities import Pixels

Picture = str | Path | Scene | Pixels
LEAST = 0.5  # probability of the likeliest text under which a view is unsure, where the model's limits tell no other
_SHARED = "Probabilities are shared among the texts given: the likeliest of them need not be true."


@dataclass(frozen=True, kw_only=True)
class MatchSettings:
    """As the arguments of `MatchesScenes.match_scene`."""

    bands: BandChoice = None
    tile: int | None = None
    templates: tuple[str, ...] = ()
    cut: bool = False
    batch: int = matching.BATCH

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise BadInput(f"The batch must be at least 1; found {self.batch}.")


class MatchesScenes:
    """Matching of pictures and scenes with texts, by the `model` of a subclass and while no other thread uses it."""

    model: Any
    _in_use: Any

    @property
    def lock(self) -> Any:
        """A lock, held while a thread uses `model` directly; not around the methods here, which take it themselves."""
        return self._in_use

    def match(
        self, images: Picture | Sequence[Picture], texts: Sequence[str], *, templates: Sequence[str] = (),
        cut: bool = False, batch: int = matching.BATCH,
    ) -> NDArray[np.float64]:  # fmt: skip
        """(N, T): the probability of each text for each picture, files or arrays (H, W, 3).

        As `rsvlm.match_probabilities`; a large scene is seen as a whole, shrunk (`match_scene` looks at its tiles).
        """
        matching.check_matches(self.model)
        with self._in_use:
            return matching.match_probabilities(
                self.model, whole_pictures(images), texts, templates=templates, cut=cut, batch=batch
            )

    def embed_images(self, images: Picture | Sequence[Picture]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length for pictures, files or arrays (H, W, 3)."""
        matching.check_matches(self.model)
        with self._in_use:
            return matching.image_vectors(self.model, whole_pictures(images)).astype(np.float32)

    def embed_texts(self, texts: Sequence[str], *, cut: bool = False) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length, in the space of `embed_images`. Raises BadInput as `match` does."""
        with self._in_use:
            return matching.text_vectors(self.model, texts, cut=cut).astype(np.float32)

    def match_scene(
        self, scene: str | Path | Scene, texts: Sequence[str], *, bands: BandChoice = None, tile: int | None = None,
        templates: Sequence[str] = (), cut: bool = False, batch: int = matching.BATCH,
        advance: Advance = lambda done, total: None,
    ) -> SceneMatch:  # fmt: skip
        """How well each text fits a scene and its tiles; one text alone gets cosine similarities.

        `bands`: what is shown, see `rsvlm.open_scene`. `tile`: side of a tile in pixels (default: by resolution).
        `templates`: prompts with {} where a text goes, whose vectors are averaged. `cut` cuts texts that are longer
        than the model's context. `batch`: views at once. `advance` is called with the views done and their number.
        Raises BadInput for texts that cannot be matched, and a file that is no scene.
        """
        settings = MatchSettings(bands=bands, tile=tile, templates=tuple(templates), cut=cut, batch=batch)
        with nullcontext(scene) if isinstance(scene, Scene) else open_scene(scene, bands=bands) as opened, self._in_use:
            return match_scene(self.model, opened, prepare(self.model, texts, settings), settings, advance)


def whole_pictures(images: Picture | Sequence[Picture]) -> list[Pixels]:
    """Each picture as an array (H, W, 3): a file as it is seen whole, without data filled in. Raises BadInput."""
    several: Any = [images] if is_one_picture(images) else images
    return [_whole(image) for image in several]


def is_one_picture(images: Picture | Sequence[Picture]) -> bool:
    """Whether it is one picture, not several."""
    return isinstance(images, str | Path | Scene) or (isinstance(images, np.ndarray) and images.ndim == 3)


def _whole(image: Any) -> Pixels:
    if isinstance(image, np.ndarray):
        return image
    with nullcontext(image) if isinstance(image, Scene) else open_scene(image) as scene:
        views = read_views(scene, TilePlan(tile=0, wanted=0, windows=()))
        return next(view.pixels for view in views if view is not None)


@dataclass(frozen=True, kw_only=True)
class MatchTexts:
    """Texts and their vectors (T, D), which serve for many scenes."""

    texts: tuple[str, ...]
    templates: tuple[str, ...]
    vectors: NDArray[np.float64]


def prepare(model: Any, texts: Sequence[str], settings: MatchSettings) -> MatchTexts:
    """The texts of `match_scene` for a model. Raises BadInput for texts that cannot be matched."""
    asked, frames = matching.check_texts(texts), matching.check_templates(settings.templates)
    vectors = matching.text_vectors(model, asked, templates=frames, cut=settings.cut)
    return MatchTexts(texts=tuple(asked), templates=tuple(frames), vectors=vectors)


def match_scene(
    model: Any, scene: Scene, texts: MatchTexts, settings: MatchSettings, advance: Advance
) -> SceneMatch:  # fmt: skip
    """As `MatchesScenes.match_scene`, of an open scene."""
    started, asked = time.perf_counter(), texts.texts
    alone = len(asked) == 1 and not matching.independent(model)
    score = (lambda rows: rows) if alone else (lambda rows: matching.probabilities(model, rows))
    planned = plan_tiles(scene, settings.tile, most_coarse=MOST_TILES)
    found = _views(model, scene, planned, texts.vectors, score, settings.batch, advance)
    at = Situation(model=model, scene=scene, tiled=bool(planned.windows))
    beyond = at.beyond("match")
    least = at.limits.unsure_below.get("match", LEAST)
    small = {text: seen.sentence for text in asked if (seen := visibility(text, at.gsd)).verdict == "too small"}
    scale = {"logit_scale": getattr(model, "logit_scale", matching.DEFAULT_SCALE)}
    trace = {
        **model.trace, "model": model.name, "rsvlm": __version__, **facts_for_trace(scene), **scale,
        "logit_bias": getattr(model, "logit_bias", None), "templates": list(texts.templates), "cut": settings.cut,
        "tile": planned.tile if planned.windows else None, "tiles": len(found) - 1, "unsure_below": least,
        "tiles_without_data": max(0, planned.total - len(found)), "seconds": round(time.perf_counter() - started, 3),
    }  # fmt: skip
    return SceneMatch(
        texts=asked, measure="cosine similarity" if alone else "probability", whole=found[-1],
        tiles=tuple(found[:-1]), shared=not matching.independent(model) and not alone,
        least=least, doubted=bool(beyond) or mostly_strange(found), place=scene.place,
        unseen=frozenset(small), notes=_notes(scene, at, [*small.values()], found, beyond, alone=alone), trace=trace,
    )  # fmt: skip


def _views(
    model: Any, scene: Scene, planned: TilePlan, texts: NDArray[np.float64],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]], batch: int, advance: Advance,
) -> list[ViewMatch]:  # fmt: skip
    """The scores of every view with data, the whole last. A tile stands for as much ground as it was asked to show."""
    found: list[ViewMatch] = []
    waiting: list[View] = []
    is_strange = strangeness(model)

    def flush() -> None:
        images = [view.middle(planned.wanted) for view in waiting]
        rows = score(matching.image_vectors(model, images, batch=batch, width=texts.shape[1]) @ texts.T)
        for view, row in zip(waiting, rows, strict=True):
            scores = tuple(map(float, row))
            found.append(ViewMatch(window=view.window, valid=view.valid, scores=scores, strange=is_strange(view)))
        waiting.clear()

    for view in counted_views(scene, planned, advance):
        waiting.append(view)
        if len(waiting) == batch:
            flush()
    if waiting:
        flush()
    return found


def _notes(
    scene: Scene, at: Situation, small: Sequence[str], found: Sequence[ViewMatch], beyond: str, *, alone: bool
) -> tuple[str, ...]:
    """What a reader must know before any number: sentences."""
    notes = [f"{beyond}: unsure."] if beyond else []
    if alone:
        notes.append(
            f"{at.model.name} shares probability among texts, and among one text it is always 1: shown is the cosine "
            "similarity, which compares places with one another and has no scale of its own."
        )
    elif not matching.independent(at.model):
        notes.append(_SHARED)
    if not at.limits.composites and scene.composite.startswith(("false colour", "one band")):
        notes.append(f"The scene is shown in {scene.composite}; texts speak of natural colours (--bands chooses).")
    strange = strange_note(found).removeprefix("; ")
    return (*notes, *dict.fromkeys(small), *([f"{strange}: unsure."] if strange else []), *scene.notes)
