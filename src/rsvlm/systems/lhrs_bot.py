"""LHRS-Bot: feature levels of one tower, read by more queries the shallower they are; a three-stage curriculum.

image -> vision levels -> MultiLevelPerceiver (64 > 48 > 32 queries) -> language model with LoRA -> text
Source: arXiv:2402.02544 (ECCV 2024), github.com/NJU-LHRS/LHRS-Bot.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rsvlm.parts import losses
from rsvlm.parts.bridge import MultiLevelPerceiver
from rsvlm.parts.language import LanguageModel
from rsvlm.parts.tags import TagHead
from rsvlm.parts.vision import Tower
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.sample import Batch
from rsvlm.systems.base import SYSTEMS


@SYSTEMS("lhrs_bot")
class LHRSBot(VisionLanguageModel):
    """see: feature levels of the tower; bridge: perceiver; speak: LLaMA with LoRA.

    `tags` is ours and optional: a head on the tower's levels, trained on the words of captions and scene names before
    the curriculum starts. Without it the system is the published one.
    """

    def __init__(self, vision: Tower, bridge: Mapping[str, Any], language: LanguageModel, num_tags: int = 0) -> None:
        perceiver = MultiLevelPerceiver(
            level_dims=vision.dims, level_tokens=vision.tokens, output_dim=language.dim, **bridge
        )
        super().__init__(vision, perceiver, language, image_tokens=sum(perceiver.num_queries))
        self.tags: nn.Module | None = TagHead(level_dims=vision.dims, num_tags=num_tags) if num_tags else None

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """As every VisionLanguageModel; a batch that carries `tags` instead of a reply gives the "tags" loss."""
        if self.tags is not None and "tags" in batch:
            return {"tags": losses.multi_label(self.tags(self.see(batch)), batch["tags"])}
        return super().loss(batch)
