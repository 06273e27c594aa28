"""Results of questions about a scene: an answer or the reason why there is none, per model, and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rsvlm.sample import Answer
from rsvlm.serve.aggregate import Evidence


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a model has to say to one question about a scene: an answer and what supports it, or why there is none."""

    answer: Answer | None = None
    evidence: tuple[Evidence, ...] = ()
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Side:
    """What one model says about one scene: a Cell a question, or none and in `error` the sentence that tells why."""

    model: str
    cells: tuple[Cell, ...] = ()
    error: str = ""

    @property
    def answers(self) -> tuple[Answer | None, ...]:
        """The answers, one a question; None where none came. Empty where the model gave none at all."""
        return tuple(result.answer for result in self.cells)

    @property
    def problem(self) -> str:
        """Why an answer is missing, the first reason; "" where all are there."""
        return self.error or next((result.error for result in self.cells if result.error), "")

    @property
    def seconds(self) -> float:
        """What all questions together took, without loading; 0 where no answer came."""
        return next((float(one.trace["seconds"]) for one in self.answers if one), 0.0)


def as_json(answer: Answer) -> dict[str, Any]:
    """An answer as the object that `--json` prints."""
    return {
        "question": answer.question,
        "answer": answer.answer,
        "regions": [dict(region) for region in answer.regions],
        "confidence": answer.confidence,
        "trace": dict(answer.trace),
    }


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text, UTF-8 letters kept; numbers that JSON does not know are a bug (ValueError)."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def cells_json(questions: Sequence[str], side: Side) -> list[dict[str, Any]]:
    """An object a question: the answer as `as_json` gives it, or the question and the `error`."""
    return [
        as_json(result.answer) if result.answer else {"question": question, "error": result.error}
        for question, result in zip(questions, side.cells, strict=False)  # no results where the model failed
    ]
