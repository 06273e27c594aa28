"""LHRS-Bot: feature levels of one tower, read by more queries the shallower they are; a three-stage curriculum.

image -> vision levels -> MultiLevelPerceiver (64 > 48 > 32 queries) -> language model with LoRA -> text
Source: arXiv:2402.02544 (ECCV 2024), github.com/NJU-LHRS/LHRS-Bot.
"""

from collections.abc import Mapping
from typing import Any

from rsvlm.parts.bridges.perceiver import MultiLevelPerceiver
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.vision.tower import Tower
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.systems.lhrs_bot.prompts import PROMPTS
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("lhrs_bot")
class LHRSBot(VisionLanguageModel):
    """see: feature levels of the tower; bridge: perceiver; speak: LLaMA with LoRA.

    `tagged` says that it was trained on the tags of `PROMPTS`, as the released weights were.
    """

    prompts = PROMPTS
    box_dialect = "lhrs"
    box_sides = "stored"  # the released code multiplies by the sides of the picture, of which it shows the middle

    def __init__(
        self, vision: Tower, bridge: Mapping[str, Any], language: LanguageModel, *, tagged: bool = False
    ) -> None:
        perceiver = self.perceiver(vision, language, **bridge)
        super().__init__(vision, perceiver, language, image_tokens=perceiver.query.shape[1])
        self.native_prompts = self.prompts if tagged else {}

    def perceiver(self, vision: Tower, language: LanguageModel, **numbers: Any) -> Any:
        """The bridge between this tower and this language model, whose `query` is (1, image tokens, width)."""
        return MultiLevelPerceiver(
            level_dims=vision.dims, level_tokens=vision.tokens, output_dim=language.dim, **numbers
        )
