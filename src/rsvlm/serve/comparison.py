"""Several models asked the same about the same tiles: their answers side by side, and none lost where another fails.

Models come one after another: one is loaded, answers about every scene and goes, so that the memory is that of the
largest, not of all.
"""

import gc
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from rsvlm.errors import BadInput, RsvlmError
from rsvlm.geo.bands import Choice
from rsvlm.geo.raster import open_scene
from rsvlm.sample import Answer
from rsvlm.serve.assistant import Assistant, Cell, checked, load
from rsvlm.serve.console import Screen
from rsvlm.serve.inputs import Job, jobs
from rsvlm.serve.results import check_folder, write_panel
from rsvlm.serve.run_views import Advance


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one model says about one scene: a Cell a question, or none and in `error` the sentence that tells why."""

    model: str
    cells: tuple[Cell, ...] = ()
    error: str = ""

    @property
    def answers(self) -> tuple[Answer | None, ...]:
        """The answers, one a question; None where none came. Empty where the model gave none at all."""
        return tuple(cell.answer for cell in self.cells)

    @property
    def problem(self) -> str:
        """Why an answer is missing, the first reason; "" where all are there."""
        return self.error or next((cell.error for cell in self.cells if cell.error), "")

    @property
    def seconds(self) -> float:
        """What all questions together took, without loading; 0 where no answer came."""
        return next((float(one.trace["seconds"]) for one in self.answers if one), 0.0)


def ask(
    scene: str | Path, questions: str | Sequence[str], *, model: str | Sequence[str] = "mini",
    out: str | Path | None = None, bands: Choice = None, tile: int | None = None, max_new_tokens: int = 64,
    batch: int = 8,
) -> list[Side]:  # fmt: skip
    """What each of several models answers to the same questions about the same tiles of a scene: a Side each, in order.

    `model` names them as `rsvlm.load` does. A model that fails does not raise: its Side says why in `error`, or in the
    `error` of a Cell. `out` is a folder for answer.json, answer.geojson and answer.html, the page that shows the scene
    with all answers; the other settings are those of `rsvlm.load(...).ask`. Raises BadInput for an empty question, a
    model that is named twice, or a file that is no scene.
    """
    asked, names = checked([questions] if isinstance(questions, str) else questions), distinct(model)
    settings = _Settings(bands=bands, tile=tile, max_new_tokens=max_new_tokens, batch=batch)
    if out is not None:
        check_folder(Path(out))
    sides = [_Panelist(name).side(Path(scene), asked, settings) for name in names]
    if out is not None:
        with open_scene(scene, bands=bands) as opened:
            write_panel(Path(out), opened, asked, sides)
    return sides


def run(
    paths: Sequence[Path], questions: Sequence[str], *, models: Sequence[str], out: Path | None = None,
    json: bool = False, bands: str | None = None, tile: int | None = None, max_new_tokens: int = 64, batch: int = 8,
) -> None:  # fmt: skip
    """What `rsvlm ask` does with several models: as with one, and with a page in `out` (answer.html).

    Answers are shown and written when the last model is done. Raises BadInput at the end where a model or a scene
    failed; everything else is there all the same.
    """
    asked, names = checked(questions), distinct(models)
    settings = _Settings(bands=bands, tile=tile, max_new_tokens=max_new_tokens, batch=batch)
    if out is not None:
        check_folder(out)
    todo = jobs(paths, out)
    alone = len(todo) == 1 and not Path(paths[0]).is_dir()
    found: dict[Job, list[Side]] = {job: [] for job in todo}
    unread: dict[Job, str] = {}
    with Screen(sys.stdout, scenes=len(todo), models=len(names), json=json) as screen, redirect_stdout(sys.stderr):
        for name in names:
            panelist = _Panelist(name)
            for job in todo:
                screen.begin(job.path)
                try:
                    if job not in unread:
                        found[job].append(panelist.side(job.path, asked, settings, screen.advance))
                except BadInput as error:
                    _unless(alone, error)
                    unread[job] = str(error)
                    screen.problem(str(error))
                screen.done()
            del panelist
            gc.collect()  # a model can hold itself alive in a circle
        for job in todo:
            try:
                if job not in unread:
                    _tell(job, asked, found[job], settings, screen)
            except BadInput as error:
                _unless(alone, error)
                unread[job] = str(error)
                screen.problem(str(error))
    _complain(names, todo, found, unread)


def distinct(models: str | Sequence[str]) -> list[str]:
    """Names of models as a list. Raises BadInput where there is none, or one comes twice."""
    names = [models] if isinstance(models, str) else list(models)
    if not names:
        raise BadInput('No model was named; give one or several, for example "mini".')
    if again := sorted({name for name in names if names.count(name) > 1}):
        raise BadInput(f"The model {again[0]} is named twice; name each model once.")
    return names


@dataclass(frozen=True, kw_only=True)
class _Settings:
    bands: Choice
    tile: int | None
    max_new_tokens: int
    batch: int


class _Panelist:
    """One model of several: loaded at the first scene, and only once, also where it cannot be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._loaded: Assistant | RsvlmError | None = None

    def side(
        self, path: Path, questions: Sequence[str], settings: _Settings, advance: Advance = lambda done, total: None
    ) -> Side:
        """The model's Side. Raises BadInput where `path` is no scene."""
        with open_scene(path, bands=settings.bands) as scene:  # first, so that a mistake is told at once
            if self._loaded is None:
                try:
                    self._loaded = load(self.name)
                except RsvlmError as error:
                    self._loaded = error
            if isinstance(self._loaded, RsvlmError):
                return Side(model=self.name, error=_sentence(self._loaded))
            try:
                cells = self._loaded.cells(
                    scene, questions, tile=settings.tile, max_new_tokens=settings.max_new_tokens, batch=settings.batch,
                    advance=advance,
                )  # fmt: skip
            except RsvlmError as error:
                return Side(model=self.name, error=_sentence(error))
        return Side(model=self.name, cells=tuple(cells))


def _sentence(error: RsvlmError) -> str:
    return " ".join(str(error).split())


def _unless(alone: bool, error: BadInput) -> None:
    if alone:
        raise error


def _tell(job: Job, questions: Sequence[str], sides: Sequence[Side], settings: _Settings, screen: Screen) -> None:
    with open_scene(job.path, bands=settings.bands) as scene:
        if job.folder is not None:
            write_panel(job.folder, scene, questions, sides)
        screen.panel(scene, questions, sides)


def _complain(
    names: Sequence[str], todo: Sequence[Job], found: dict[Job, list[Side]], unread: dict[Job, str]
) -> None:  # fmt: skip
    """One sentence about all that is missing; nothing where nothing is."""
    said = []
    if unread:
        said.append(
            f"{len(unread)} of {len(todo)} scenes could not be answered: {', '.join(job.path.name for job in unread)}"
        )
    problems = {side.model: side.problem for sides in found.values() for side in sides if side.problem}
    if problems:
        reasons = "; ".join(f"{name} ({problem.rstrip('.')})" for name, problem in problems.items())
        said.append(f"{len(problems)} of {len(names)} models left answers out: {reasons}")
    if said:
        raise BadInput(f"{'; '.join(said)}.")
