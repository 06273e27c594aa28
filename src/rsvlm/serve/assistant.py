"""Assistant: a model that answers questions about scenes in words, with the places that support each answer.

A small scene is one picture. A large one is shown to the model tile by tile and then as a whole, and the replies are
put together by the kind of the question (`rsvlm.serve.aggregate`). All questions share one reading of the scene.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

from rsvlm import __version__
from rsvlm.errors import BadInput
from rsvlm.geo.bands import BandChoice
from rsvlm.geo.raster import open_scene
from rsvlm.geo.scene import Scene
from rsvlm.sample import Answer, Region
from rsvlm.serve.aggregate import ViewReply, aggregate
from rsvlm.serve.georeference import answer_text, features, overlay_regions
from rsvlm.serve.grounding import ModelQuestion, aggregate_boxes, grounding_question, model_question
from rsvlm.serve.question_type import QuestionType
from rsvlm.serve.results import Cell
from rsvlm.serve.run_views import Advance, run_views
from rsvlm.serve.tiling import MOST_TILES, TilePlan, plan_tiles
from rsvlm.systems.abilities import Answers

_LONGEST_QUESTION = 2000  # letters


def _silent(done: int, total: int) -> None:
    pass


def load(name: str) -> "Assistant":
    """An assistant with the model called `name`: "mini", the folder of a trained model, "hf:..." or "openai:...".

    Raises MissingPart where a package or model file is not installed, BadInput for an unknown or damaged model.
    """
    from rsvlm.systems.load import load as load_model

    return Assistant(load_model(name))


class Assistant:
    """A model that answers questions about scenes. `rsvlm.load("mini")` makes one; any `Answers` will do.

    Several threads may ask: the model runs for one of them at a time.
    """

    def __init__(self, model: Answers) -> None:
        self.model, self._in_use = model, threading.Lock()

    @overload
    def ask(
        self, scene: str | Path | Scene, questions: str, *, bands: BandChoice = None, tile: int | None = None,
        max_new_tokens: int = 64, batch: int = 8, advance: Advance = _silent,
    ) -> Answer: ...  # fmt: skip

    @overload
    def ask(
        self, scene: str | Path | Scene, questions: list[str] | tuple[str, ...], *, bands: BandChoice = None,
        tile: int | None = None, max_new_tokens: int = 64, batch: int = 8, advance: Advance = _silent,
    ) -> list[Answer]: ...  # fmt: skip

    def ask(
        self, scene: str | Path | Scene, questions: str | list[str] | tuple[str, ...], *, bands: BandChoice = None,
        tile: int | None = None, max_new_tokens: int = 64, batch: int = 8, advance: Advance = _silent,
    ) -> Answer | list[Answer]:  # fmt: skip
        """The Answer to one question about a scene, or a list of them for a list of questions.

        `scene` is a file or an open scene. `bands`: what is shown, see `rsvlm.open_scene`. `tile`: side of a tile in
        pixels (default: by resolution). `batch`: how many (picture, question) pairs the model gets at once. `advance`
        is called with the views done and their number. Raises BadInput for an empty question, or a file that is no
        scene.
        """
        asked = check_questions([questions] if isinstance(questions, str) else questions)
        with nullcontext(scene) if isinstance(scene, Scene) else open_scene(scene, bands=bands) as opened:
            answers, _ = self.answers(
                opened, asked, tile=tile, max_new_tokens=max_new_tokens, batch=batch, advance=advance
            )
        return answers[0] if isinstance(questions, str) else answers

    def answers(
        self, scene: Scene, questions: Sequence[str], *, tile: int | None = None, max_new_tokens: int = 64,
        batch: int = 8, advance: Advance = _silent,
    ) -> tuple[list[Answer], list[Region]]:  # fmt: skip
        """As `ask` of an open scene, and with the regions of all answers in scene pixels, to draw."""
        found = self.cells(scene, questions, tile=tile, max_new_tokens=max_new_tokens, batch=batch, advance=advance)
        for result in found:
            if result.error:
                raise BadInput(result.error)
        answers = [result.answer for result in found if result.answer is not None]
        return answers, overlay_regions([one for result in found for one in result.evidence])

    def cells(
        self, scene: Scene, questions: Sequence[str], *, tile: int | None = None, max_new_tokens: int = 64,
        batch: int = 8, advance: Advance = _silent,
    ) -> list[Cell]:  # fmt: skip
        """As `answers`, but a question that gets no reply is a Cell that says so, and the others are answered."""
        started = time.perf_counter()
        asked, planned = check_questions(questions), plan_tiles(scene, tile)
        if batch < 1 or max_new_tokens < 1:
            raise BadInput(f"batch ({batch}) and max_new_tokens ({max_new_tokens}) must be 1 or more.")
        asks = [model_question(self.model, question, tiled=bool(planned.windows)) for question in asked]
        with self._in_use:
            seen = run_views(
                self.model, scene, planned, asks, max_new_tokens=max_new_tokens, batch=batch, advance=advance
            )
        seconds = round(time.perf_counter() - started, 3)
        common = {
            **self.model.trace, "model": self.model.name, "rsvlm": __version__, **_scene_facts(scene),
            **_tiling(planned, seen[0]), "questions_together": len(asked), "seconds": seconds,
        }  # fmt: skip
        prompts = [ask.words if ask.phrase is None else grounding_question(self.model, ask.words) for ask in asks]
        return [
            _answer(ask, rows, scene, {**common, "prompt": prompt})
            for ask, rows, prompt in zip(asks, seen, prompts, strict=True)
        ]


def _answer(ask: ModelQuestion, rows: Sequence[ViewReply], scene: Scene, common: Mapping[str, Any]) -> Cell:
    """The answer to one question; `rows` are the tiles and, last, the whole."""
    question = ask.question
    if ask.phrase is not None:
        result = aggregate_boxes(ask.phrase, rows, (scene.width, scene.height))
    else:
        result = aggregate(ask.kind, question, rows[:-1], rows[-1])
        if ask.kind is QuestionType.FIND:
            result = replace(result, rule=f"{result.rule}; the model has no boxes, so it answered in words")
    if rows[-1].reply.error and not result.answer:
        return Cell(error=f"{question!r} got no reply: {rows[-1].reply.error}; ask again.")
    regions = features(result.evidence, scene.place)
    trace = {
        **common, "kind": ask.kind.value, "rule": result.rule, "confidence": result.about,
        "windows": _windows(rows, ask.phrase is not None),
    }  # fmt: skip
    confidence = min(max(float(result.confidence), 0.0), 1.0)
    answer = Answer(
        question=question, answer=answer_text(result, regions), regions=regions, confidence=confidence, trace=trace
    )  # fmt: skip
    return Cell(answer=answer, evidence=result.evidence)


def check_questions(questions: Sequence[str]) -> list[str]:
    """Questions without blanks around them. Raises BadInput where there is none, or one is empty or very long."""
    asked = [question.strip() for question in questions]
    if not asked or not all(asked):
        raise BadInput('A question is empty; ask something, for example "Describe this image."')
    if longest := [question for question in asked if len(question) > _LONGEST_QUESTION]:
        raise BadInput(
            f"A question has {len(longest[0])} letters; at most {_LONGEST_QUESTION} are understood, so shorten it."
        )
    return asked


def _scene_facts(scene: Scene) -> dict[str, Any]:
    shown = [scene.bands[number - 1] for number in scene.shown]
    return {
        "scene": scene.path.name, "width": scene.width, "height": scene.height, "bands": shown,
        "gsd_m": scene.gsd_m, "crs": scene.crs, "date": scene.date, "unplaced": scene.unplaced or None,
        "notes": list(scene.notes),
    }  # fmt: skip


def _tiling(planned: TilePlan, rows: Sequence[ViewReply]) -> dict[str, Any]:
    """What was cut and what was left out."""
    facts: dict[str, Any] = {"tile": planned.tile if planned.windows else None, "tiles": len(rows) - 1}
    if planned.windows:
        facts["tiles_without_data"] = len(planned.windows) - len(rows) + 1
    if planned.windows and planned.tile > planned.wanted:
        facts["tile_note"] = f"tiles grew from {planned.wanted} to {planned.tile} pixels to be at most {MOST_TILES}"
    return facts


def _windows(rows: Sequence[ViewReply], finding: bool) -> list[dict[str, Any]]:
    return [
        {
            "window": list(row.window), "valid": round(row.valid, 4), "reply": row.reply.text,
            "confidence": round(float(row.reply.confidence), 4),
            **({"error": row.reply.error} if row.reply.error else {}),
            **({"boxes": [[round(n, 1) for n in region.box] for region in row.found]} if finding else {}),
        }
        for row in rows
    ]  # fmt: skip
