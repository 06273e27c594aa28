"""What an objective is: a module of this package with `KEYS`, `TEXT_ONLY`, `CACHED`, `AUGMENTED` and `collate`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, cast

from rsvlm.data.augment import Augmentation, read_augmentation
from rsvlm.data.loader import Collate, ImageCollator
from rsvlm.errors import BadInput
from rsvlm.recipe import Recipe, Stage
from rsvlm.sample import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the batches of a stage are made of; `recipe` is as the stage has it (`Recipe.in_stage`).

    `samples` are those that are trained on; `other_split(name)` gives those of another split of the same sets.
    """

    recipe: Recipe
    stage: Stage
    samples: Sequence[Sample]
    model: Any  # a rsvlm.parts.system.System, with what its class has besides
    tokenizer: Any
    pictures: ImageCollator
    other_split: Callable[[str], Sequence[Sample]] = lambda split: ()


class Objective(Protocol):
    """An objective's module."""

    KEYS: tuple[str, ...]  # keys of the batch contract that its batches always have, besides `image` or `levels`
    TEXT_ONLY: bool  # whether samples without a picture can be learned
    CACHED: bool  # whether the cached levels of a frozen tower will do in place of pixels
    AUGMENTED: bool  # whether a stage's `augment` may change its pictures

    def collate(self, setting: Setting) -> Collate:
        """What makes the micro-batches of a step from its draws."""
        ...


def load_objective(name: str) -> Objective:
    """The module of an objective. Raises BadInput for a name without one."""
    module = f"{__package__}.{name}"
    if not name.isidentifier() or name == "base" or not find_spec(module):
        raise BadInput(f"There is no objective {name!r}; an objective is a module of {__package__}.")
    return cast(Objective, import_module(module))


def augmentation_of(stage: Stage) -> Augmentation | None:
    """What a stage's `augment` says; None for nothing. Raises BadInput for what its objective cannot take."""
    if not stage.augment:
        return None
    if not load_objective(stage.objective).AUGMENTED:
        raise BadInput(
            f"Stage {stage.name!r} learns {stage.objective}, which speaks of places in a picture or cuts it in its own "
            "way; remove augment."
        )
    return read_augmentation(stage.augment)


def check_samples(stage: Stage, objective: Objective, samples: Sequence[Sample]) -> None:
    """Raises BadInput for samples without a picture where the objective learns from pictures, and for packing there."""
    if objective.TEXT_ONLY:
        return
    if stage.pack is not None:
        raise BadInput(f"Stage {stage.name!r} learns {stage.objective} and has no conversations to pack; remove pack.")
    if blind := sum(not sample.images for sample in samples):
        raise BadInput(
            f"Stage {stage.name!r} learns {stage.objective} from pictures, and {blind} of its {len(samples)} samples "
            "have none; give it sets of pictures only."
        )
