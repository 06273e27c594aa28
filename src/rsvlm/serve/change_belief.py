"""Which classes of change a model is believed about, by the resolution and bands of a pair; and why not, a sentence."""

from dataclasses import dataclass
from typing import Any

from rsvlm.geo.pair import Pair
from rsvlm.systems.model_limits import limits_of

_KIND = "change:"  # of `ModelLimits.gsd_m`, before the name of a class


@dataclass(frozen=True, slots=True)
class Belief:
    """`classes` that are looked for, None for all that the model has; `doubt` says why others, or all, are not sure.

    A model whose limits name classes ("change:damaged") is believed about those alone, each within its metres per
    pixel; of a pair of no known resolution all of them are looked for, and unsure.
    """

    classes: tuple[str, ...] | None = None
    doubt: str = ""

    @classmethod
    def of(cls, model: Any, pair: Pair, gsd: float | None = None) -> "Belief":
        """What is believed of a model about a pair; `gsd` is what the user says of its resolution."""
        limits, metres = limits_of(model), gsd or pair.gsd_m
        known = {kind.removeprefix(_KIND): of for kind, of in limits.gsd_m.items() if kind.startswith(_KIND)}
        shown = {scene.composite for scene in (pair.before, pair.after)}
        other = sorted(shown - {*limits.composites, "", "unknown order"}) if limits.composites else []
        if other:
            what = (
                f"{model.name} marks change in {' or '.join(limits.composites)}; this pair shows {' and '.join(other)}"
            )
            return cls(() if known else None, what)
        if not known:
            return cls()
        ranges = "; ".join(f"{name} at {low:g} to {high:g} m per pixel" for name, (low, high) in known.items())
        if metres is None:
            return cls(tuple(known), f"the resolution is not known (--gsd); {model.name} marks {ranges}")
        near = tuple(name for name, (low, high) in known.items() if low <= metres <= high)
        return cls(near, "" if near else f"{model.name} marks {ranges}; this pair has {metres:.3g} m")
