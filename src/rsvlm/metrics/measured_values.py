"""Answers that are a measured value with a unit ("12.51mm", "-0.01"): right within a tolerance. Ours.

RS-RAG measures such answers by BLEU of the whole string, where 12.50mm for 12.51mm scores as little as any other word.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsvlm.metrics.score import Score, mean_score

TOLERANCES = (1, 5, 10)  # per cent of the reference
_NUMBER = re.compile(r"(?<![\w.])([-\u2212+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([^\s\d,;.]*)")
_LONGEST = 10_000  # letters of an answer that are looked at


@dataclass(frozen=True, slots=True)
class Value:
    """A number, its unit ("" = none) and half a step of its last decimal, within which it is not known better."""

    number: float
    unit: str
    half_step: float


def read_value(text: str, asked: str = "") -> Value | None:
    """The value in an answer; None where it holds none, or several different ones.

    Numbers that the question `asked` holds (the year and the day of a measurement) are no values.
    """
    known = {found[0] for found in _NUMBER.findall(asked)}
    found = [match for match in _NUMBER.findall(text[:_LONGEST]) if match[0] not in known]
    values = {_value(number, unit) for number, unit in found}
    return values.pop() if len(values) == 1 else None


def _value(digits: str, unit: str) -> Value:
    plain = digits.replace(",", "").replace("\u2212", "-")
    mantissa, _, exponent = plain.lower().partition("e")
    decimals = len(mantissa.partition(".")[2]) - int(exponent[:4] or 0)
    return Value(float(plain), unit.strip("()").lower(), 0.5 * 10.0 ** -max(-30, min(30, decimals)))


def value_scores(answers: Sequence[Value | None], references: Sequence[Value | None]) -> dict[str, Score]:
    """value_within_1, _5 and _10: shares of answers that are off by no more per cent of the reference; unit_accuracy.

    Half a step of the reference's last decimal is allowed in any case. Only over references that are values. A unit
    that is missing is taken for the reference's, another one makes the answer wrong. Raises ValueError where the
    lengths differ.
    """
    among = np.array([reference is not None for reference in references], bool)
    pairs = list(zip(answers, references, strict=True))
    scores = {
        f"value_within_{share}": mean_score(
            f"value_within_{share}", [float(_right(answer, truth, share / 100)) for answer, truth in pairs], among
        )
        for share in TOLERANCES
    }
    units = [float(answer is not None and truth is not None and answer.unit == truth.unit) for answer, truth in pairs]
    return scores | {"unit_accuracy": mean_score("unit_accuracy", units, among)}


def _right(answer: Value | None, truth: Value | None, share: float) -> bool:
    if answer is None or truth is None or answer.unit not in ("", truth.unit):
        return False
    slack = max(share * abs(truth.number), truth.half_step)
    return abs(answer.number - truth.number) <= slack * (1 + 1e-9)
