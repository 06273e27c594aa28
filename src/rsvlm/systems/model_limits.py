"""What a model was trained for, as `limits.json` in its folder says: resolution, bands, what it finds, how sure it is.

The rules of `rsvlm.serve` read it. A model without the file has no known limits, and no rule acts that needs them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.json_text import read_json_object

LIMITS, EXEMPLARS = "limits.json", "exemplars.safetensors"
_NEAREST = 3
_ADVICE = "take the file out, or fetch the model again"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLimits:
    """What a model was trained for; empty where it is not known.

    `gsd_m`: by kind of question ("any" for those not named), the (least, most) metres per pixel. `composites`: what
    its pictures showed, as `Scene.composite` names it ("natural colour", ...). `finds`: objects that its detector was
    trained to find. `temperature`: by kind of question ("scene", "presence"), by what log-likelihoods are divided to
    become calibrated probabilities. `unsure_below`: by kind, the confidence under which it should not be believed.
    `mean` (D,) and `exemplars` (E, D) stand for its training pictures (`familiarity`), `least_similarity` is what a
    picture should have at least for the model's words to be believed.
    """

    gsd_m: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    composites: tuple[str, ...] = ()
    finds: tuple[str, ...] = ()
    temperature: Mapping[str, float] = field(default_factory=dict[str, float])
    unsure_below: Mapping[str, float] = field(default_factory=dict[str, float])
    least_similarity: float = 0.0
    mean: NDArray[np.float32] | None = field(default=None, repr=False)
    exemplars: NDArray[np.float32] | None = field(default=None, repr=False)

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


def familiarity(limits: ModelLimits, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N,) similarity in [-1, 1] of pictures to those of training; vectors (N, D) as of `features_of`.

    The mean cosine, of vectors less the mean of training, to the three nearest exemplars. 1 where none are known.
    """
    if limits.mean is None or limits.exemplars is None:
        return np.ones(len(vectors))
    rows = vectors - limits.mean
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.sort(rows @ limits.exemplars.T, axis=1)[:, -_NEAREST:].mean(1).astype(np.float64)


def read_limits(folder: Path) -> ModelLimits:
    """The limits of the model in a folder; empty ones where it holds no `limits.json`. Raises BadInput for another."""
    path = folder / LIMITS
    if not path.is_file():
        return ModelLimits()
    found = read_json_object(path, "what a model was trained for", _ADVICE)
    gsd = found.get("gsd_m", {})
    if not isinstance(gsd, dict) or not all(_numbers(one, 2) and one[0] <= one[1] for one in gsd.values()):
        raise BadInput(f"{path}: gsd_m is {gsd!r:.80}, expected the least and the most metres by kind: {_ADVICE}.")
    mean, exemplars = _exemplars(folder / EXEMPLARS)
    least = found.get("least_similarity", 0.0)
    if not isinstance(least, int | float) or not -1 <= least <= 1:
        raise BadInput(f"{path}: least_similarity is {least!r:.80}, expected a cosine: {_ADVICE}.")
    return ModelLimits(
        mean=mean, exemplars=exemplars, least_similarity=float(least),
        gsd_m={kind: (float(least), float(most)) for kind, (least, most) in gsd.items()},
        composites=_words(found, "composites", path),
        finds=_words(found, "finds", path), temperature=_by_kind(found, "temperature", path),
        unsure_below=_by_kind(found, "unsure_below", path),
    )  # fmt: skip


def _exemplars(path: Path) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """The mean and the exemplars in a file; None where there is none. Raises BadInput for a damaged one."""
    if not path.is_file():
        return None, None
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(path)
        mean, exemplars = found["mean"].astype(np.float32), found["exemplars"].astype(np.float32)
    except (SafetensorError, KeyError, OSError) as error:
        raise BadInput(f"{path} does not hold mean and exemplars ({error}): {_ADVICE}.") from error
    if (
        mean.ndim != 1
        or exemplars.shape[1:] != mean.shape
        or not (np.isfinite(mean).all() and np.isfinite(exemplars).all())
    ):
        raise BadInput(f"{path}: mean {mean.shape} and exemplars {exemplars.shape} do not fit together: {_ADVICE}.")
    return mean, exemplars


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
