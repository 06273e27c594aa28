"""What a user sees: answers on stdout, progress and problems on stderr."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from rsvlm.geo.raster import Scene
from rsvlm.sample import Answer
from rsvlm.serve.write import as_json, dumps


class Screen:
    """Prints answers to `stream` as they come, with a bar over `scenes` scenes and one over the tiles of each."""

    def __init__(self, stream: TextIO, *, scenes: int, json: bool) -> None:
        self.json = json
        self.stream = stream
        self.paper = Console(file=stream, highlight=False, soft_wrap=True)
        self.notes = Console(stderr=True, highlight=False, soft_wrap=True)
        # stdout is left alone: rich would send it to stderr, where the bar is. Without a terminal the end is shown.
        self.progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self.notes, transient=self.notes.is_terminal, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.all = self.progress.add_task("scenes", total=scenes, visible=scenes > 1)
        self.tiles = self.progress.add_task("tiles", total=None, visible=False)
        self.shown = scenes > 1 or self.notes.is_terminal

    def __enter__(self) -> "Screen":
        if self.shown:
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.shown:
            self.progress.stop()

    def begin(self, path: Path) -> None:
        """Say which scene is looked at."""
        self.progress.update(self.tiles, description=path.name, visible=False)

    def advance(self, done: int, total: int) -> None:
        """Say how many of a scene's views were seen."""
        self.progress.update(self.tiles, completed=done, total=total, visible=total > 1 and self.notes.is_terminal)

    def done(self) -> None:
        """One more scene is dealt with."""
        self.progress.update(self.tiles, visible=False)
        self.progress.advance(self.all)

    def problem(self, sentence: str) -> None:
        """Name a scene that could not be answered."""
        self.progress.console.print(Text(f"rsvlm: {' '.join(sentence.split())}"))

    def answers(self, scene: Scene, answers: Sequence[Answer]) -> None:
        """Print the answers about one scene."""
        waits = self.notes.is_terminal  # a bar and a text on one terminal would be mixed
        if waits:
            self.progress.stop()
        if self.json:
            for answer in answers:
                print(dumps(as_json(answer)), file=self.stream, flush=True)
        else:
            self._plainly(scene, answers)
        if waits:
            self.progress.start()

    def _plainly(self, scene: Scene, answers: Sequence[Answer]) -> None:
        resolution = f", {scene.gsd_m:.3g} m per pixel" if scene.gsd_m else ""
        self.paper.print(Text(f"{scene.path.name} ({scene.width} x {scene.height} pixels{resolution})", style="dim"))
        for answer in answers:
            self.paper.print(Text(answer.question, style="bold"))
            self.paper.print(Text(f"  {answer.answer}"))
            self.paper.print(Text(f"  {_support(answer)}", style="dim"))


def _support(answer: Answer) -> str:
    windows = sum(len(region["properties"].get("windows", (0,))) for region in answer.regions)
    tiles = answer.trace.get("tiles", 0)
    seen = f"{tiles} tiles and the whole scene" if tiles else "the whole scene"
    shown = f", {windows} of them in support" if tiles and windows else ""
    sure = f"{answer.confidence:.2f}" if answer.confidence else "not known"
    return f"confidence {sure}; seen: {seen}{shown}"
