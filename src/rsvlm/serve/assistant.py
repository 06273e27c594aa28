"""Assistant: a model that answers questions about scenes in words, with the places that support each answer.

A small scene is one picture. A large one is shown to the model tile by tile and then as a whole, and the replies are
put together by the kind of the question (`rsvlm.serve.aggregate`). All questions share one reading of the scene.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, overload

from rsvlm import __version__
from rsvlm.errors import BadInput
from rsvlm.geo.bands import BandChoice
from rsvlm.geo.raster import open_scene
from rsvlm.geo.scene import Scene
from rsvlm.sample import Answer, Region
from rsvlm.serve.aggregate import Evidence, SceneAnswer, ViewReply
from rsvlm.serve.change import ComparesScenes
from rsvlm.serve.georeference import answer_text, features, overlay_regions
from rsvlm.serve.grounding import ModelQuestion, grounding_question
from rsvlm.serve.matching import MatchesScenes
from rsvlm.serve.model_parts import Part, Views, raw_part
from rsvlm.serve.question_type import route
from rsvlm.serve.results import Cell
from rsvlm.serve.rules import plan
from rsvlm.serve.run_views import Advance, run_views
from rsvlm.serve.scene_classes import check_classes
from rsvlm.serve.scene_facts import facts_for_trace
from rsvlm.serve.settings import DEFAULTS, Settings
from rsvlm.serve.situation import Situation
from rsvlm.serve.tiling import MOST_TILES, TilePlan, plan_tiles
from rsvlm.systems.abilities import Answers, Matches, ability_error

_LONGEST_QUESTION = 2000  # letters


def _silent(done: int, total: int) -> None:
    pass


def load(name: str) -> "Assistant":
    """An assistant with the model called `name`: "mini", the folder of a trained model, "hf:..." or "openai:...".

    Raises MissingPart where a package or model file is not installed, BadInput for an unknown or damaged model.
    """
    from rsvlm.systems.load import load as load_model

    return Assistant(load_model(name))


class Assistant(MatchesScenes, ComparesScenes):
    """A model that answers questions about scenes, matches texts with them, or compares two dates.

    `rsvlm.load("mini")` makes one.

    Any `Answers` will do, and any `Matches` for `match`, `match_scene` and the vectors. Several threads may ask: the
    model runs for one of them at a time.
    """

    model: Any

    def __init__(self, model: Answers | Matches) -> None:
        self.model, self._in_use = model, threading.Lock()

    @overload
    def ask(
        self, scene: str | Path | Scene, questions: str, *, bands: BandChoice = None, tile: int | None = None,
        max_new_tokens: int = 64, batch: int = 8, task: str | None = None, classes: Sequence[str] = (),
        raw: bool = False, advance: Advance = _silent,
    ) -> Answer: ...  # fmt: skip

    @overload
    def ask(
        self, scene: str | Path | Scene, questions: list[str] | tuple[str, ...], *, bands: BandChoice = None,
        tile: int | None = None, max_new_tokens: int = 64, batch: int = 8, task: str | None = None,
        classes: Sequence[str] = (), raw: bool = False, advance: Advance = _silent,
    ) -> list[Answer]: ...  # fmt: skip

    def ask(
        self, scene: str | Path | Scene, questions: str | list[str] | tuple[str, ...], *, bands: BandChoice = None,
        tile: int | None = None, max_new_tokens: int = 64, batch: int = 8, task: str | None = None,
        classes: Sequence[str] = (), raw: bool = False, advance: Advance = _silent,
    ) -> Answer | list[Answer]:  # fmt: skip
        """The Answer to one question about a scene, or a list of them for a list of questions.

        `scene` is a file or an open scene. `bands`: what is shown, see `rsvlm.open_scene`. `tile`: side of a tile in
        pixels (default: by resolution). `batch`: how many (picture, question) pairs the model gets at once. `task`: the
        kind of all questions (`QuestionType`), by default told by their words. `classes`: the vocabulary of questions
        of class, by default by resolution. `raw`: the model's words alone, without the rules of `rsvlm.serve.rules`.
        `advance` is called with the views done and their number. Raises BadInput for an empty question, an unknown
        task, classes that are none, or a file that is no scene.
        """
        self._check_answers()
        asked = check_questions([questions] if isinstance(questions, str) else questions)
        settings = Settings(
            bands=bands, tile=tile, max_new_tokens=max_new_tokens, batch=batch, task=task, raw=raw,
            classes=check_classes(classes) if classes else (),
        )  # fmt: skip
        with nullcontext(scene) if isinstance(scene, Scene) else open_scene(scene, bands=bands) as opened:
            answers, _ = self.answers(opened, asked, settings, advance=advance)
        return answers[0] if isinstance(questions, str) else answers

    def answers(
        self, scene: Scene, questions: Sequence[str], settings: Settings = DEFAULTS, *, advance: Advance = _silent
    ) -> tuple[list[Answer], list[Region]]:
        """As `ask` of an open scene, and with the regions of all answers in scene pixels, to draw."""
        found = self.cells(scene, questions, settings, advance=advance)
        for result in found:
            if result.error:
                raise BadInput(result.error)
        answers = [result.answer for result in found if result.answer is not None]
        return answers, overlay_regions([one for result in found for one in result.evidence])

    def cells(
        self, scene: Scene, questions: Sequence[str], settings: Settings = DEFAULTS, *, advance: Advance = _silent
    ) -> list[Cell]:
        """As `answers`, but a question that gets no reply is a Cell that says so, and the others are answered."""
        self._check_answers()
        started = time.perf_counter()
        asked, planned = check_questions(questions), plan_tiles(scene, settings.tile, raw=settings.raw)
        parts = self._plan(scene, asked, tiled=bool(planned.windows), settings=settings)
        asks = {_same(ask): ask for part in chain(*parts) for ask in part.asks}
        seen: list[list[ViewReply]] = []
        if asks:
            with self._in_use:
                seen = run_views(
                    self.model, scene, planned, list(asks.values()), max_new_tokens=settings.max_new_tokens,
                    batch=settings.batch, advance=advance, rules=not settings.raw,
                )  # fmt: skip
        replies = dict(zip(asks, seen, strict=True))
        common = {
            **self.model.trace, "model": self.model.name, "rsvlm": __version__, **facts_for_trace(scene),
            **_tiling(planned, max(seen, key=len, default=[])), "questions_together": len(asked), "raw": settings.raw,
            "seconds": round(time.perf_counter() - started, 3),
        }  # fmt: skip
        return [
            self._answer(question, own, [[replies[_same(ask)] for ask in part.asks] for part in own], scene, common)
            for question, own in zip(asked, parts, strict=True)
        ]

    def _check_answers(self) -> None:
        if not isinstance(self.model, Answers):
            raise ability_error(self.model.name, Answers)

    def _plan(
        self, scene: Scene, questions: Sequence[str], *, tiled: bool, settings: Settings
    ) -> list[list[Part]]:  # fmt: skip
        """The parts of each question; `raw`: one, which is the model's words put together by the kind alone."""
        if settings.raw:
            return [[raw_part(self.model, scene, question, tiled=tiled)] for question in questions]
        at = Situation(model=self.model, scene=scene, tiled=tiled, classes=settings.classes)
        return [[plan(part, at) for part in route(question, settings.task)] for question in questions]

    def _answer(
        self, question: str, parts: Sequence[Part], views: Sequence[Views], scene: Scene, common: Mapping[str, Any]
    ) -> Cell:
        """The answer to one question from what its parts gave, one after another."""
        results: list[SceneAnswer] = []
        for part, own in zip(parts, views, strict=True):
            result = part.finish(own)
            problem = next((rows[-1].reply.error for rows in own if rows[-1].reply.error), "")
            if problem and not part.computed and not result.answer:
                return Cell(error=f"{question!r} got no reply: {problem}; ask again.")
            results.append(result)
        evidence = _distinct(chain(*(result.evidence for result in results)))
        asks = [
            (ask, rows)
            for part, own in zip(parts, views, strict=True)
            for ask, rows in zip(part.asks, own, strict=True)
        ]
        trace = {
            **common, "kind": "+".join(part.question.kind.value for part in parts),
            "routed": "; ".join(part.question.rule for part in parts),
            "rule": "; ".join(result.rule for result in results), "rules": [*chain(*(part.rules for part in parts))],
            "confidence": "; ".join(dict.fromkeys(result.about for result in results)),
            "prompt": "; ".join(dict.fromkeys(_prompt(self.model, ask) for ask, _ in asks)),
            "second_opinion": "; ".join(filter(None, (result.second_opinion for result in results))),
            "windows": [window for ask, rows in asks for window in _windows(rows, ask.phrase is not None)],
        }  # fmt: skip
        texts = [answer_text(result, features(result.evidence, scene.place)) for result in results]
        answer = Answer(
            question=question, answer=" ".join(dict.fromkeys(texts)), regions=features(evidence, scene.place),
            confidence=min(max(float(min(result.confidence for result in results)), 0.0), 1.0), trace=trace,
        )  # fmt: skip
        return Cell(answer=answer, evidence=evidence)


def _distinct(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Each place once: parts of a compound question may rest on the same ones, whose areas a user adds up."""
    found: dict[tuple[Any, ...], Evidence] = {}
    for one in evidence:
        outline = one.region and (one.region.box, one.region.polygon)
        found.setdefault((one.label, one.windows, outline, id(one.shape)), one)
    return tuple(found.values())


def _same(ask: ModelQuestion) -> tuple[Any, ...]:
    """What two questions have in common that get one reply."""
    return ask.words, ask.choices, ask.tiles, ask.phrase and ask.phrase.words, ask.phrase and ask.phrase.plural_phrase


def _prompt(model: Answers, ask: ModelQuestion) -> str:
    return ask.words if ask.phrase is None else grounding_question(model, ask.words)


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
