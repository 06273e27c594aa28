"""Several models asked the same about the same tiles: their answers side by side, and none lost where another fails.

Models come one after another: one is loaded, answers about every scene and goes, so that the memory is that of the
largest, not of all.
"""

from collections.abc import Sequence
from pathlib import Path

from rsvlm.errors import BadInput, RsvlmError
from rsvlm.geo.bands import BandChoice
from rsvlm.geo.raster import open_scene
from rsvlm.serve.answer_files import check_folder, write_comparison
from rsvlm.serve.assistant import Assistant, check_questions, load
from rsvlm.serve.results import Side
from rsvlm.serve.run_views import Advance
from rsvlm.serve.scene_classes import check_classes
from rsvlm.serve.settings import Settings


def ask(
    scene: str | Path, questions: str | Sequence[str], *, model: str | Sequence[str] = "mini",
    out: str | Path | None = None, bands: BandChoice = None, tile: int | None = None, max_new_tokens: int = 64,
    batch: int = 8, task: str | None = None, classes: Sequence[str] = (), raw: bool = False,
) -> list[Side]:  # fmt: skip
    """What each of several models answers to the same questions about the same tiles of a scene: a Side each, in order.

    `model` names them as `rsvlm.load` does. A model that fails does not raise: its Side says why in `error`, or in the
    `error` of a Cell. `out` is a folder for answer.json, answer.geojson and answer.html, the page that shows the scene
    with all answers; the other settings are those of `rsvlm.load(...).ask`. Raises BadInput for an empty question, a
    model that is named twice, or a file that is no scene.
    """
    asked, names = check_questions([questions] if isinstance(questions, str) else questions), check_model_names(model)
    settings = Settings(
        bands=bands, tile=tile, max_new_tokens=max_new_tokens, batch=batch, task=task, raw=raw,
        classes=check_classes(classes) if classes else (),
    )  # fmt: skip
    if out is not None:
        check_folder(Path(out))
    sides = [ComparedModel(name).side(Path(scene), asked, settings) for name in names]
    if out is not None:
        with open_scene(scene, bands=bands) as opened:
            write_comparison(Path(out), opened, asked, sides)
    return sides


def check_model_names(models: str | Sequence[str]) -> list[str]:
    """Names of models as a list. Raises BadInput where there is none, or one comes twice."""
    names = [models] if isinstance(models, str) else list(models)
    if not names:
        raise BadInput('No model was named; give one or several, for example "mini".')
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"The model {again[0]} is named twice; name each model once.")
    return names


class ComparedModel:
    """One model of several: loaded at the first scene, and only once, also where it cannot be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.load_error: RsvlmError | None = None  # why it cannot be loaded
        self._loaded: Assistant | None = None

    def side(
        self, path: Path, questions: Sequence[str], settings: Settings, advance: Advance = lambda done, total: None
    ) -> Side:
        """The model's Side. Raises BadInput where `path` is no scene."""
        with open_scene(path, bands=settings.bands) as scene:  # first, so that a mistake is reported at once
            if (assistant := self._load()) is None:
                return Side(model=self.name, error=_sentence(self.load_error))
            try:
                cells = assistant.cells(scene, questions, settings, advance=advance)
            except RsvlmError as error:
                return Side(model=self.name, error=_sentence(error))
        return Side(model=self.name, cells=tuple(cells))

    def _load(self) -> Assistant | None:
        if self._loaded is None and self.load_error is None:
            try:
                self._loaded = load(self.name)
            except RsvlmError as error:
                self.load_error = error
        return self._loaded


def _sentence(error: RsvlmError | None) -> str:
    return " ".join(str(error).split())
