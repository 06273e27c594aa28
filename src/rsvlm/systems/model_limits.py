"""What a model was trained for, as `limits.json` in its folder says: resolution, bands, what it finds, how sure it is.

The rules of `rsvlm.serve` read it. A model without the file has no known limits, and no rule acts that needs them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rsvlm.errors import BadInput
from rsvlm.json_text import read_json_object

LIMITS = "limits.json"
_ADVICE = "take the file out, or fetch the model again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """What a model was trained for; empty where it is not known.

    `gsd_m`: by kind of question ("any" for those not named), the (least, most) metres per pixel. `composites`: what
    its pictures showed, as `Scene.composite` names it ("natural colour", ...). `finds`: objects that its detector was
    trained to find. `temperature`: by kind of question ("scene", "presence"), by what log-likelihoods are divided to
    become calibrated probabilities. `unsure_below`: by kind, the confidence under which it should not be believed.
    """

    gsd_m: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    composites: tuple[str, ...] = ()
    finds: tuple[str, ...] = ()
    temperature: Mapping[str, float] = field(default_factory=dict[str, float])
    unsure_below: Mapping[str, float] = field(default_factory=dict[str, float])

    def gsd_range(self, kind: str) -> tuple[float, float] | None:
        """(least, most) metres per pixel for a kind of question; None where it is not known."""
        return self.gsd_m.get(kind) or self.gsd_m.get("any")


@runtime_checkable
class HasLimits(Protocol):
    """Knows what it was trained for."""

    limits: ModelLimits


def limits_of(model: object) -> ModelLimits:
    """The limits of a model; empty ones where it does not tell them."""
    return model.limits if isinstance(model, HasLimits) else ModelLimits()


def read_limits(folder: Path) -> ModelLimits:
    """The limits of the model in a folder; empty ones where it holds no `limits.json`. Raises BadInput for another."""
    path = folder / LIMITS
    if not path.is_file():
        return ModelLimits()
    found = read_json_object(path, "what a model was trained for", _ADVICE)
    gsd = found.get("gsd_m", {})
    if not isinstance(gsd, dict) or not all(_numbers(one, 2) and one[0] <= one[1] for one in gsd.values()):
        raise BadInput(f"{path}: gsd_m is {gsd!r:.80}, expected the least and the most metres by kind: {_ADVICE}.")
    return ModelLimits(
        gsd_m={kind: (float(least), float(most)) for kind, (least, most) in gsd.items()},
        composites=_words(found, "composites", path),
        finds=_words(found, "finds", path), temperature=_by_kind(found, "temperature", path),
        unsure_below=_by_kind(found, "unsure_below", path),
    )  # fmt: skip


def _numbers(values: Any, count: int) -> bool:
    return isinstance(values, list) and len(values) == count and all(map(_positive, values))


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _words(found: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    values = found.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadInput(f"{path}: {key} is {values!r:.80}, expected a list of words: {_ADVICE}.")
    return tuple(values)


def _by_kind(found: Mapping[str, Any], key: str, path: Path) -> dict[str, float]:
    values = found.get(key, {})
    if not isinstance(values, dict) or not all(map(_positive, values.values())):
        raise BadInput(f"{path}: {key} is {values!r:.80}, expected a positive number for each kind: {_ADVICE}.")
    return {kind: float(value) for kind, value in values.items()}
