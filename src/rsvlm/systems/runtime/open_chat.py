"""Which runtime a chat system has: one that detects, matches, compares, or only answers."""

from pathlib import Path

from rsvlm.recipe import read_recipe
from rsvlm.systems.registry import SYSTEMS
from rsvlm.systems.runtime.chat import ChatModel, ComparingModel, SpeakingModel
from rsvlm.systems.runtime.detecting import DetectingModel
from rsvlm.systems.runtime.match_head import MatchingChatModel, MatchingDetectingModel


def open_model(folder: Path, name: str) -> SpeakingModel:
    """The model in a folder: by its heads it detects and matches; one of two pictures compares. Raises as `load`."""
    recipe = read_recipe(folder / "recipe.yaml")
    if SYSTEMS[recipe.system].num_images == 2:
        return ComparingModel(folder, name)
    kinds = {
        (False, False): ChatModel, (True, False): DetectingModel,
        (False, True): MatchingChatModel, (True, True): MatchingDetectingModel,
    }  # fmt: skip
    return kinds[bool(recipe.model.get("boxes")), bool(recipe.model.get("match"))](folder, name)
