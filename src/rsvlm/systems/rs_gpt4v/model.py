"""RS-GPT4V: LLaVA-1.5 fine-tuned on instructions made by GPT-4V, in one stage and one of three ways.

image -> CLIP-L/14-336, last but one hidden state -> MLP -> Vicuna, tuned in full, by LoRA or by LoRA experts -> text
Source: arXiv:2406.12479, github.com/GeoX-Lab/RS-GPT4V. GeoChat (arXiv:2311.15826) has the same parts at 504 px.
"""

from collections.abc import Mapping
from typing import Any, Literal

from rsvlm.parts.bridges.projector import MLPProjector
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.vision.tower import Tower
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.systems.registry import SYSTEMS

# How GeoChat is asked, by task, blanks as in its scripts (eval/batch_geochat_*.py); RS-GPT4V's wordings are unknown.
GEOCHAT: Mapping[str, str] = {
    "vqa": "{question}\nAnswer the question using a single word or phrase.",
    "scene": "Classify the image from the following classes: {classes}. Answer in one word or a short phrase.",
    "ground": "[refer] Give me the location of <p> {phrase} </p>",
    "grounded": "[grounding]{question}",
    "identify": "[identify] What is the object present at {box}",
}


@SYSTEMS("rs_gpt4v")
class RSGPT4V(VisionLanguageModel):
    """see: one level of the tower; bridge: MLP on each of its tokens; speak: LLaMA.

    The tuning mode is the language model's: no `lora` in the recipe is full tuning, `lora` is LoRA, `lora` with
    `experts` is MoE-LoRA, whose design is ours because the paper publishes only the name. `speech` is how it writes
    boxes and is asked: as LLaVA-1.5 does, in fractions of the padded square (RS-GPT4V's own way is unknown), or as
    GeoChat, with tags, and in hundredths of the picture without its padding.
    """

    def __init__(
        self, vision: Tower, bridge: Mapping[str, Any], language: LanguageModel, *,
        speech: Literal["llava", "geochat"] = "llava",
    ) -> None:  # fmt: skip
        projector = MLPProjector(level_dim=vision.dims[-1], output_dim=language.dim, **bridge)
        super().__init__(vision, projector, language, image_tokens=vision.tokens[-1])
        self.native_prompts = GEOCHAT if speech == "geochat" else {}
        self.box_dialect, self.box_sides = ("geochat", "stored") if speech == "geochat" else ("lhrs", "shown")
