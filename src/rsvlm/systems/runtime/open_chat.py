"""Which runtime a chat system has: one that detects, matches, marks changes, compares, or only answers."""

from pathlib import Path
from typing import Any

from rsvlm.recipe import Recipe, read_recipe
from rsvlm.systems.registry import SYSTEMS
from rsvlm.systems.runtime.change_head import ChangeMarkingModel
from rsvlm.systems.runtime.chat import ChatModel, ComparingModel, SpeakingModel
from rsvlm.systems.runtime.detecting import DetectingModel
from rsvlm.systems.runtime.match_head import MatchingChatModel

# Numbers of a recipe's model -> what a head of them adds to a `ChatModel`.
ADDED = {"match": MatchingChatModel, "boxes": DetectingModel, "change": ChangeMarkingModel}


def open_model(folder: Path, name: str) -> SpeakingModel:
    """The model in a folder: what its heads add; one of two pictures compares. Raises as `load`."""
    recipe = read_recipe(folder / "recipe.yaml")
    if SYSTEMS[recipe.system].num_images == 2:
        return ComparingModel(folder, name)
    return _kind(recipe)(folder, name)


def _kind(recipe: Recipe) -> type[ChatModel]:
    bases: Any = tuple(kind for number, kind in ADDED.items() if recipe.model.get(number))
    return bases[0] if len(bases) == 1 else type("HeadedModel", bases, {}) if bases else ChatModel
