"""What a user sees: answers on stdout, progress and problems on stderr."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from rsvlm.geo.scene import Scene
from rsvlm.printable import printable, printable_json
from rsvlm.sample import Answer
from rsvlm.serve.class_answers import UNSURE
from rsvlm.serve.results import Side, as_json, cells_json, dumps
from rsvlm.serve.scene_facts import format_lonlat
from rsvlm.serve.scene_match import SceneMatch, ViewMatch

_WIDEST = 48  # letters of a text in a table


class Screen:
    """Prints answers to `stream` as they come, with a bar over `scenes` scenes and one over the tiles of each.

    Several `models` look at each scene one after another.
    """

    def __init__(self, stream: TextIO, *, scenes: int, json: bool, models: int = 1) -> None:
        self.json = json
        self.stream = stream
        self.paper = Console(file=stream, highlight=False, soft_wrap=True)
        self.notes = Console(stderr=True, highlight=False, soft_wrap=True)
        # stdout is left alone: rich would send it to stderr, where the bar is. Without a terminal the end is shown.
        self.progress = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
            console=self.notes, transient=self.notes.is_terminal, redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        looks, name = scenes * models, "scenes" if models == 1 else "scenes x models"
        self.all = self.progress.add_task(name, total=looks, visible=looks > 1)
        self.tiles = self.progress.add_task("tiles", total=None, visible=False)
        self.shown = looks > 1 or self.notes.is_terminal

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
        self.progress.console.print(_text(f"rsvlm: {' '.join(sentence.split())}"))

    def answers(self, scene: Scene, answers: Sequence[Answer]) -> None:
        """Print the answers about one scene."""
        with self._alone():
            if self.json:
                self._lines([as_json(answer) for answer in answers])
            else:
                self._plainly(scene, answers)

    def comparison(self, scene: Scene, questions: Sequence[str], sides: Sequence[Side]) -> None:
        """Print what several models say about one scene: by question, or as JSON by model."""
        with self._alone():
            if self.json:
                for side in sides:
                    cells = cells_json(questions, side) or [{"question": one, "error": side.error} for one in questions]
                    self._lines([{"model": side.model, **cell} for cell in cells])
            else:
                self._beside(scene, questions, sides)

    def match(self, scene: Scene, found: SceneMatch) -> None:
        """Print how well each text fits one scene: a line a text, then what to know of them."""
        with self._alone():
            if self.json:
                self._lines([found.as_dict()])
                return
            self._head(scene)
            rows = _match_rows(found)
            for line in columns(rows, left={0, len(rows[0]) - 1} if found.tiles else {0}):
                self.paper.print(_text(f"  {line}"))
            for note in found.notes:
                self.paper.print(_text(f"  {note}", style="dim"))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        waits = self.notes.is_terminal  # a bar and a text on one terminal would be mixed
        if waits:
            self.progress.stop()
        yield
        if waits:
            self.progress.start()

    def _lines(self, records: Sequence[dict[str, Any]]) -> None:
        for record in records:
            print(printable_json(dumps(record)), file=self.stream, flush=True)

    def _head(self, scene: Scene) -> None:
        resolution = f", {scene.gsd_m:.3g} m per pixel" if scene.gsd_m else ""
        self.paper.print(_text(f"{scene.path.name} ({scene.width} x {scene.height} pixels{resolution})", style="dim"))
        if scene.unplaced:
            self.paper.print(_text(f"no place on Earth: {scene.unplaced}", style="dim"))

    def _beside(self, scene: Scene, questions: Sequence[str], sides: Sequence[Side]) -> None:
        self._head(scene)
        for at, question in enumerate(questions):
            self.paper.print(_text(question, style="bold"))
            for side in sides:
                cell = side.cells[at] if side.cells else None
                answer = cell.answer if cell else None
                self.paper.print(_text(f"  {side.model}: {answer.answer if answer else 'no answer'}"))
                why = side.error or (cell.error if cell else "")
                self.paper.print(_text(f"    {_support(answer) if answer else why}", style="dim"))

    def _plainly(self, scene: Scene, answers: Sequence[Answer]) -> None:
        self._head(scene)
        for answer in answers:
            self.paper.print(_text(answer.question, style="bold"))
            self.paper.print(_text(f"  {answer.answer}"))
            self.paper.print(_text(f"  {_support(answer)}", style="dim"))


def _text(words: str, style: str = "") -> Text:
    return Text(printable(words), style=style)


def _match_rows(found: SceneMatch) -> list[list[str]]:
    """Heads and a row a text, best first: the whole scene, and over its tiles the mean, the share, the best place."""
    order = sorted(found.texts, key=lambda text: -found.scores[text])
    heads, rows = (
        [found.measure, "scene"],
        [[shorten(text, _WIDEST, placeholder="..."), f"{found.scores[text]:.2f}"] for text in order],
    )
    if found.tiles:
        heads += ["mean of tiles", "likeliest in", "best tile"]
        for row, text in zip(rows, order, strict=True):
            best = found.best(text)
            score = best.scores[found.texts.index(text)]
            row += [f"{found.means[text]:.2f}", f"{found.shares[text]:.0%}", f"{score:.2f} at {_middle(best, found)}"]
        rows += [[UNSURE, "", "", f"{found.shares[UNSURE]:.0%}", ""]] if found.shares[UNSURE] else []
    elif found.unsure(found.whole):
        rows.append([UNSURE, ""])
    return [heads, *rows]


def _middle(view: ViewMatch, found: SceneMatch) -> str:
    """The middle of a view, in degrees or in pixels."""
    column, row, width, height = view.window
    x, y = column + width / 2, row + height / 2
    return format_lonlat(*found.place.to_lonlat([(x, y)])[0]) if found.place else f"pixel {x:.0f}, {y:.0f}"


def columns(rows: Sequence[Sequence[str]], left: Collection[int]) -> list[str]:
    """Rows in columns: those of the numbers `left` hold words and stand left, numbers stand right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if at in left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _support(answer: Answer) -> str:
    """How sure an answer is, and what it was taken from."""
    windows = sum(len(region["properties"].get("windows", (0,))) for region in answer.regions)
    tiles = sum(not _whole(answer, window) for window in answer.trace.get("windows", ()))
    seen = f"{tiles} tiles and the whole scene" if tiles else "the whole scene"
    shown = f", {windows} of them in support" if tiles and windows else ""
    if any("box_px" in region["properties"] for region in answer.regions):
        shown = ""  # objects, not tiles: the answer says how many
    sure = f"{answer.confidence:.2f}" if answer.confidence else "not known"
    how = {
        "file": "read from the file",
        "index": "computed from the bands",
        "resolution": "by size and resolution",
        "language": "not answered",
    }
    rule = next((how[name] for rule in answer.trace.get("rules", ()) if (name := rule.partition(":")[0]) in how), "")
    second = f"; the model says {answer.trace['second_opinion']}" if rule and answer.trace.get("second_opinion") else ""
    return f"confidence {sure}; {rule or f'seen: {seen}{shown}'}{second}"


def _whole(answer: Answer, window: Mapping[str, Any]) -> bool:
    return list(window["window"]) == [0, 0, answer.trace.get("width"), answer.trace.get("height")]
