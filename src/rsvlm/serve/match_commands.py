"""What `rsvlm match` does: texts are matched with scenes, on a stream and in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rsvlm.errors import BadInput
from rsvlm.geo.raster import open_scene
from rsvlm.geo.scene import Scene
from rsvlm.serve.answer_files import check_folder
from rsvlm.serve.assistant import Assistant, load
from rsvlm.serve.console import Screen
from rsvlm.serve.inputs import scene_jobs
from rsvlm.serve.match_files import write_match
from rsvlm.serve.matching import MatchSettings, MatchTexts, match_scene, prepare
from rsvlm.serve.run_views import Advance
from rsvlm.serve.scene_match import SceneMatch
from rsvlm.systems.matching import check_templates, check_texts


def run(
    paths: Sequence[Path], texts: Sequence[str], *, stream: TextIO, model: str, settings: MatchSettings,
    out: Path | None = None, json: bool = False,
) -> None:  # fmt: skip
    """Scores on `stream` (`json`: an object a scene), files in `out`, the rest on stderr.

    The model is loaded once the first scene is open, so that a mistake is reported at once. Of several scenes, those
    that cannot be read are named and the others matched. Raises BadInput at the end where a scene failed.
    """
    check_texts(texts)
    check_templates(settings.templates)
    if out is not None:
        check_folder(out)
    todo = scene_jobs(paths, out)
    alone, failed = len(todo) == 1 and not Path(paths[0]).is_dir(), list[str]()
    matcher = _Matcher(model, texts, settings)
    with Screen(stream, scenes=len(todo), json=json) as screen:
        for job in todo:
            screen.begin(job.path)
            try:
                with open_scene(job.path, bands=settings.bands) as scene:
                    found = matcher.match(scene, screen.advance)
                    if job.folder is not None:
                        write_match(job.folder, scene, found)
                    screen.match(scene, found)
            except BadInput as error:
                if alone or matcher.unready:  # which no other scene will mend
                    raise
                failed.append(job.path.name)
                screen.problem(str(error))
            screen.done()
    if failed:
        raise BadInput(f"{len(failed)} of {len(todo)} scenes could not be matched: {', '.join(failed)}.")


class _Matcher:
    """A model and the texts, both made ready at the first scene; `unready`: that was tried, and failed."""

    def __init__(self, model: str, texts: Sequence[str], settings: MatchSettings) -> None:
        self.model, self.texts, self.settings, self.unready = model, texts, settings, False
        self._ready: tuple[Assistant, MatchTexts] | None = None

    def match(self, scene: Scene, advance: Advance) -> SceneMatch:
        """As `rsvlm.serve.matching.match_scene`."""
        if self._ready is None:
            self.unready = True
            assistant = load(self.model)
            self._ready, self.unready = (assistant, prepare(assistant.model, self.texts, self.settings)), False
        assistant, texts = self._ready
        return match_scene(assistant.model, scene, texts, self.settings, advance)
