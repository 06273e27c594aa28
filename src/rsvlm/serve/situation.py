"""A scene before a model: what the rules of `rsvlm.serve.rules` look at, each thing found out once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rsvlm.errors import BadInput
from rsvlm.geo.cover_rules import COVERS
from rsvlm.geo.indices import Cover, classify
from rsvlm.geo.scene import Scene
from rsvlm.serve import scene_facts
from rsvlm.serve.aggregate import SceneAnswer, ViewReply
from rsvlm.serve.class_answers import class_answer
from rsvlm.serve.object_sizes import find_size
from rsvlm.serve.scene_classes import Vocabulary, vocabulary
from rsvlm.systems.abilities import Answers, Detects, ScoresReplies
from rsvlm.systems.model_limits import ModelLimits, limits_of

_DESCRIBED = ("water", "vegetation", "snow")  # covers that a description speaks of
_WEAK = ("built-up", "burnt")  # bare soil has such values, too: believed only where they form a group of their own


@dataclass(kw_only=True)
class Situation:
    """A scene before a model. `tiled`: it is shown in tiles. `classes`: the user's own vocabulary, or empty."""

    model: Answers
    scene: Scene
    tiled: bool
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._covers: dict[str, Cover | str] = {}

    @cached_property
    def gsd(self) -> float | None:
        """Metres per pixel, None where not known."""
        return scene_facts.usable_gsd(self.scene)

    @cached_property
    def limits(self) -> ModelLimits:
        """What the model was trained for."""
        return limits_of(self.model)

    @property
    def scores(self) -> bool:
        """Whether the model tells how likely a reply is."""
        return isinstance(self.model, ScoresReplies)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The classes that make sense at this resolution."""
        return vocabulary(self.gsd)

    def cover(self, name: str) -> Cover | str:
        """What the bands tell of water, vegetation, ...; or the sentence that says why they do not."""
        if name not in self._covers:
            try:
                found = classify(self.scene, name)
            except BadInput as error:
                self._covers[name] = str(error)
            else:
                weak = name in _WEAK and not found.border.clear
                self._covers[name] = f"{found.index} does not part {name} land from bare soil here." if weak else found
        return self._covers[name]

    @property
    def covers(self) -> tuple[Cover, ...]:
        """The covers that the bands tell, for a description."""
        found = (self.cover(name) for name in COVERS if name in _DESCRIBED)
        return tuple(one for one in found if isinstance(one, Cover))

    def finds(self, thing: str) -> bool:
        """Whether the model detects a thing and was trained to find it."""
        size = find_size(thing)
        return isinstance(self.model, Detects) and size is not None and size.name in self.limits.finds

    def beyond(self, kind: str) -> str:
        """Why a question of a kind is outside of what the model was trained for, or ""."""
        span, name = self.limits.gsd_range(kind), self.model.name
        if span and self.gsd is not None and not span[0] <= self.gsd <= span[1]:
            return (
                f"{name} was trained on {span[0]:g} to {span[1]:g} m per pixel, this scene has "
                f"{scene_facts.format_gsd(self.gsd)}"
            )
        if self.limits.composites and self.scene.composite.startswith(("false colour", "one band")):
            return f"{name} was trained on {' and '.join(self.limits.composites)}, this is {self.scene.composite}"
        return ""

    def classes_of(self, views: Sequence[ViewReply], choices: Sequence[str]) -> SceneAnswer:
        """The class of the scene from the choices of its tiles and, where it has none, of the whole."""
        return class_answer(
            views[:-1] or views, choices, temperature=self.limits.temperature.get("scene", 1.0),
            least=self.limits.unsure_below.get("scene", 0.5), taught=bool(self.limits.gsd_m) and not self.classes,
        )  # fmt: skip
