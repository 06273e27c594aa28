"""What `rsvlm ask` does: one or several models answer questions about scenes, on a stream and in files."""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from rsvlm.errors import BadInput
from rsvlm.geo.raster import open_scene
from rsvlm.serve.answer_files import check_folder, write_answers, write_comparison
from rsvlm.serve.assistant import check_questions
from rsvlm.serve.comparison import ComparedModel, check_model_names
from rsvlm.serve.console import Screen
from rsvlm.serve.georeference import overlay_regions
from rsvlm.serve.inputs import SceneJob, scene_jobs
from rsvlm.serve.results import Side
from rsvlm.serve.scene_classes import check_classes
from rsvlm.serve.settings import Settings


def run(
    paths: Sequence[Path], questions: Sequence[str], *, stream: TextIO, models: Sequence[str] = ("mini",),
    out: Path | None = None, json: bool = False, bands: str | None = None, tile: int | None = None,
    max_new_tokens: int = 64, batch: int = 8, task: str | None = None, classes: Sequence[str] = (), raw: bool = False,
) -> None:  # fmt: skip
    """Answers on `stream` (`json`: one object a question), files in `out`, the rest on stderr.

    A model is loaded once the first scene is open, so that a mistake is reported at once. The answers of one model are
    shown and written scene by scene, those of several when the last model is done, with a page that shows them side by
    side. Of several scenes, those that cannot be read are named and the others answered; of several models, a failing
    one loses nothing of the others. Raises BadInput at the end where a model or a scene failed.
    """
    asked, names = check_questions(questions), check_model_names(models)
    if out is not None:
        check_folder(out)
    todo = scene_jobs(paths, out)
    settings = Settings(
        bands=bands, tile=tile, max_new_tokens=max_new_tokens, batch=batch, task=task, raw=raw,
        classes=check_classes(classes) if classes else (),
    )  # fmt: skip
    alone = len(todo) == 1 and not Path(paths[0]).is_dir()
    with Screen(stream, scenes=len(todo), models=len(names), json=json) as screen:
        session = _Session(asked, settings, screen, alone=alone)
        for name in names:
            session.ask(name, todo, single=len(names) == 1)
        if len(names) > 1:
            session.compare(todo)
    session.raise_failures(names, todo)


@dataclass
class _Session:
    """The sides of each scene as they come, and the scenes that could not be answered."""

    questions: Sequence[str]
    settings: Settings
    screen: Screen
    alone: bool  # one scene, whose failure is the command's
    sides: dict[SceneJob, list[Side]] = field(default_factory=dict[SceneJob, list[Side]])
    failed: dict[SceneJob, str] = field(default_factory=dict[SceneJob, str])

    def ask(self, name: str, todo: Sequence[SceneJob], *, single: bool) -> None:
        """Ask one model about every scene that can be read. Raises its error where a `single` one cannot be loaded."""
        model = ComparedModel(name)
        for job in todo:
            self.screen.begin(job.path)
            if job not in self.failed:
                try:
                    side = model.side(job.path, self.questions, self.settings, self.screen.advance)
                    self.sides.setdefault(job, []).append(side)
                    if single and not model.load_error:
                        self._show_single(job, side)
                except BadInput as error:
                    self._fail(job, error)
            if single and model.load_error:
                raise model.load_error  # which no other scene will mend
            self.screen.done()
        del model
        gc.collect()  # a model can hold itself alive in a circle

    def compare(self, todo: Sequence[SceneJob]) -> None:
        """Show and write what all models said about each scene."""
        for job in todo:
            if job in self.failed:
                continue
            try:
                with open_scene(job.path, bands=self.settings.bands) as scene:
                    if job.folder is not None:
                        write_comparison(job.folder, scene, self.questions, self.sides[job])
                    self.screen.comparison(scene, self.questions, self.sides[job])
            except BadInput as error:
                self._fail(job, error)

    def raise_failures(self, names: Sequence[str], todo: Sequence[SceneJob]) -> None:
        """Raises BadInput with one sentence about all that is missing; nothing where nothing is."""
        parts: list[str] = []
        if self.failed:
            scenes = ", ".join(job.path.name for job in self.failed)
            parts.append(f"{len(self.failed)} of {len(todo)} scenes could not be answered: {scenes}")
        problems = {side.model: side.problem for sides in self.sides.values() for side in sides if side.problem}
        if problems and len(names) > 1:
            reasons = "; ".join(f"{name} ({problem.rstrip('.')})" for name, problem in problems.items())
            parts.append(f"{len(problems)} of {len(names)} models left answers out: {reasons}")
        if parts:
            raise BadInput(f"{'; '.join(parts)}.")

    def _show_single(self, job: SceneJob, side: Side) -> None:
        if side.problem:
            raise BadInput(side.problem)
        answers = [answer for answer in side.answers if answer is not None]
        with open_scene(job.path, bands=self.settings.bands) as scene:
            if job.folder is not None:
                regions = overlay_regions([one for cell in side.cells for one in cell.evidence])
                write_answers(job.folder, scene, answers, regions)
            self.screen.answers(scene, answers)

    def _fail(self, job: SceneJob, error: BadInput) -> None:
        if self.alone:
            raise error
        self.failed[job] = str(error)
        self.screen.problem(str(error))
