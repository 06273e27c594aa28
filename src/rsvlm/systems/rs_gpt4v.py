"""RS-GPT4V: LLaVA-1.5 fine-tuned on instructions made by GPT-4V, in one stage and one of three ways.

image -> CLIP-L/14-336, last but one hidden state -> MLP -> Vicuna, tuned in full, by LoRA or by LoRA experts -> text
Source: arXiv:2406.12479, github.com/GeoX-Lab/RS-GPT4V. GeoChat (arXiv:2311.15826) has the same parts at 504 px.
"""

from collections.abc import Mapping
from typing import Any

from rsvlm.parts.language import LanguageModel
from rsvlm.parts.projector import MLPProjector
from rsvlm.parts.vision import Tower
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.systems.base import SYSTEMS


@SYSTEMS("rs_gpt4v")
class RSGPT4V(VisionLanguageModel):
    """see: one level of the tower; bridge: MLP on each of its tokens; speak: LLaMA.

    The tuning mode is the language model's: no `lora` in the recipe is full tuning, `lora` is LoRA, `lora` with
    `experts` is MoE-LoRA, whose design is ours because the paper publishes only the name.
    """

    def __init__(self, vision: Tower, bridge: Mapping[str, Any], language: LanguageModel) -> None:
        projector = MLPProjector(level_dim=vision.dims[-1], output_dim=language.dim, **bridge)
        super().__init__(vision, projector, language, image_tokens=vision.tokens[-1])
