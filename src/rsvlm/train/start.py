"""What a run takes over from the finished model that it starts from (`start` of a recipe): its numbers, its weights."""

from collections.abc import Mapping

from torch import Tensor

from rsvlm.parts.experts import upcycle
from rsvlm.recipe import Recipe
from rsvlm.systems.build import HEADS


def inherit_model(recipe: Recipe, started: Recipe) -> Recipe:
    """`recipe`, with the `model` numbers of the model that it starts from where it gives none of its own."""
    return recipe if recipe.model else recipe.model_copy(update={"model": started.model})


def fitting_state(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], source: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The weights of a finished model for one whose state dict is `own`, and the names of the heads left out.

    A head (`rsvlm.systems.build.HEADS`), which nothing else needs, is left out where `own` has none of that name; the
    rest goes through `upcycle`, so plain MLPs may become experts. Raises BadInput, which names the `source`, for any
    other tensor without a place, or of another shape.
    """
    brought, built = ({name.partition(".")[0] for name in names} for names in (state, own))
    left_out = tuple(head for head in sorted(HEADS.values()) if head in brought - built)
    kept = {name: tensor for name, tensor in state.items() if name.partition(".")[0] not in left_out}
    return upcycle(kept, own, source=source), left_out
