"""LHRS-Bot-Nova: LHRS-Bot with a SigLIP tower that moves too, positions in its perceiver, and experts after stage 1.

image -> SigLIP levels -> PositionedPerceiver (112 > 96 > 64 queries, experts) -> language model with LoRA -> text
Source: arXiv:2411.09301 (ISPRS J. 2025), github.com/NJU-LHRS/LHRS-Bot, branch nova.
"""

from math import isqrt
from typing import Any

from rsvlm.parts.bridges.positioned_perceiver import PositionedPerceiver
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.vision.tower import Tower
from rsvlm.systems.lhrs_bot.model import LHRSBot
from rsvlm.systems.lhrs_bot_nova.prompts import PROMPTS
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("lhrs_bot_nova")
class LHRSBotNova(LHRSBot):
    """see: levels of SigLIP; bridge: perceiver with positions, dense in stage 1 and of experts from stage 2 on."""

    box_dialect = "nova"
    prompts = PROMPTS

    def native_prompt(self, task: str, words: str) -> str | None:
        """As LHRS-Bot; a question gets the mark that it lacks (main_vqa.py)."""
        return super().native_prompt(task, f"{words}?" if task == "vqa" and not words.endswith("?") else words)

    def perceiver(self, vision: Tower, language: LanguageModel, **numbers: Any) -> PositionedPerceiver:
        """The bridge; `experts: 0` in its numbers makes it the dense one of stage 1."""
        side = isqrt(vision.tokens[0])
        return PositionedPerceiver(level_dims=vision.dims, grid=(side, side), output_dim=language.dim, **numbers)
