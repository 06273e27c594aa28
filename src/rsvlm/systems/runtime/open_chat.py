"""Which runtime a chat system has: one that detects, compares, or only answers."""

from pathlib import Path

from rsvlm.recipe import read_recipe
from rsvlm.systems.registry import SYSTEMS
from rsvlm.systems.runtime.chat import ChatModel, ComparingModel, SpeakingModel
from rsvlm.systems.runtime.detecting import DetectingModel


def open_model(folder: Path, name: str) -> SpeakingModel:
    """The model in a folder: with a box head it detects too; a system of two pictures compares. Raises as `load`."""
    recipe = read_recipe(folder / "recipe.yaml")
    if SYSTEMS[recipe.system].num_images == 2:
        return ComparingModel(folder, name)
    return (DetectingModel if recipe.model.get("boxes") else ChatModel)(folder, name)
