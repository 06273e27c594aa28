"""Routing 200 questions: `route` against a chain of `in` over key words, as one would write it at once.

The questions are those of the tests (tests/serve/questions.tsv). Both sides are warm. `right` is the share of questions
of the right kind: what the chain saves in time it loses there.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import medians, ratio, run, take_turns
from rsvlm.serve.question_type import route

QUESTIONS = Path(__file__).parents[1] / "tests" / "serve" / "questions.tsv"
NUMBER, ROUNDS = 200, 7


def chain(question: str) -> str:
    """The kind by the first key word in the text."""
    text = question.lower()
    if "how many" in text or "count" in text or "number of" in text:
        return "count"
    if "how much" in text or "percent" in text or "area" in text or "how large" in text:
        return "area"
    if "resolution" in text or "pixel" in text or "band" in text:
        return "resolution"
    if "when" in text or "date" in text:
        return "date"
    if "coordinates" in text or "country" in text or "crs" in text or "where is this" in text:
        return "place"
    if "find" in text or "locate" in text or "where" in text or "show me" in text:
        return "find"
    if "land cover" in text or "land use" in text or "classify" in text or "scene" in text:
        return "scene"
    if "is there" in text or "are there" in text or "contain" in text or "visible" in text:
        return "presence"
    if "describe" in text or "caption" in text or "what is in" in text:
        return "caption"
    return "other"


def ours(questions: Sequence[str]) -> list[str]:
    return ["+".join(part.kind for part in route(question)) for question in questions]


def main(*, smallest: bool) -> dict[str, Any]:
    with QUESTIONS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[: 10 if smallest else NUMBER]
    questions = [row["question"] for row in rows]
    sides = {"ours": lambda: ours(questions), "chain": lambda: [chain(question) for question in questions]}
    seconds, kinds = take_turns(sides, ROUNDS, smallest=smallest)
    right = {
        side: round(sum(kind == row["type"] for kind, row in zip(given, rows, strict=True)) / len(rows), 3)
        for side, given in kinds.items()
    }
    milliseconds = {side: [1000 * value for value in values] for side, values in seconds.items()}
    return {
        "questions": len(rows), "target_ms": 50, "ms": medians(milliseconds),
        "ratio": ratio(seconds, "ours", "chain", 4), "right": right,
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
