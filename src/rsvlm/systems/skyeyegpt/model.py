"""SkyEyeGPT: four visual tokens in one, one linear map, and a task's tag before the question; boxes are text.

image -> EVA-CLIP -> TokenMerge (4 tokens in 1) -> linear alignment -> LLaMA-2 with LoRA -> text
Source: arXiv:2401.09712, github.com/ZhanYang-nwpu/SkyEyeGPT, which has no code: what its figures do not say is taken
from MiniGPT-v2 (github.com/Vision-CAIR/MiniGPT-4), in whose code its checkpoint runs.
"""

from collections.abc import Mapping
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.parts.bridges.token_merge import TokenMerge
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.system import fill
from rsvlm.parts.vision.tower import Tower
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.registry import unknown
from rsvlm.systems.registry import SYSTEMS

# What stands where the question goes, letter by letter as in the figures of the repository, odd grammar included.
# {box} is a box in the dialect "minigpt", {classes} a list with commas.
PROMPTS: Mapping[str, tuple[str, ...]] = {
    "caption": ("[caption] briefly describe the image",),
    "video_caption": ("[caption] briefly describe the video frame image",),
    "vqa": ("[vqa] {question}",),
    "scene": (
        "[vqa] Classify the image within one of the given classes: {classes}. "
        "Answer it using the above category word or phrase.",
    ),
    "ground": ("[refer] where can I locate the {phrase}?",),
    "identify": (
        "[identify] this {box} is",
        "[identify] what object is in this location {box}",
        "[identify] identify the object present at this location {box}",
        "[identify] {box} what is it in",
        "[identify] the object in {box} is",
        "[identify] {box}",
    ),
    "detect": ("[detection] {phrase}",),
    "describe": ("Describe this image in detail.",),
}

# The wordings that MiniGPT-v2 was trained with for the same tags; whether SkyEyeGPT saw them is unknown. Its evaluation
# of referring expressions asks the second.
MINIGPT_V2_PROMPTS: Mapping[str, tuple[str, ...]] = {
    "vqa": ("[vqa] {question}", "[vqa] Based on the image, respond to this question with a short answer: {question}"),
    "ground": (
        "[refer] {phrase}",
        "[refer] give me the location of {phrase}",
        "[refer] where is {phrase} ?",
        "[refer] from this image, tell me the location of {phrase}",
        "[refer] the location of {phrase} is",
        "[refer] could you tell me the location for {phrase} ?",
        "[refer] where can I locate the {phrase} ?",
    ),
    "identify": (
        "[identify] {box}",
        "[identify] what object is in this location {box}",
        "[identify] identify the object present at this location {box}",
        "[identify] what is it in {box}",
        "[identify] describe this object in {box}",
        "[identify] this {box} is",
        "[identify] the object in {box} is",
    ),
    "detect": ("[detection] {phrase}",),
}


def prompt(task: str, words: str = "") -> str:
    """How SkyEyeGPT is asked for `task` of `PROMPTS`; `words` are its question, phrase, classes or box.

    Raises BadInput for a task that it was not taught.
    """
    if task not in PROMPTS:
        raise BadInput(unknown("task of SkyEyeGPT", task, list(PROMPTS)))
    return fill(PROMPTS[task][0], words)


@SYSTEMS("skyeyegpt")
class SkyEyeGPT(VisionLanguageModel):
    """see: the last tokens of a frozen EVA-CLIP; bridge: merged tokens, linear; speak: LLaMA-2 with LoRA."""

    box_dialect = "minigpt"
    native_prompts = {task: wordings[0] for task, wordings in PROMPTS.items()}  # noqa: RUF012 (declared by the base)

    def __init__(self, vision: Tower, bridge: Mapping[str, Any], language: LanguageModel) -> None:
        merge = TokenMerge(dim=vision.dims[-1], tokens=vision.tokens[-1], output_dim=language.dim, **bridge)
        super().__init__(vision, merge, language, image_tokens=merge.tokens)

    def native_prompt(self, task: str, words: str) -> str | None:
        """As every system; a phrase loses its "the", which the wording brings. Ours."""
        return super().native_prompt(task, words.removeprefix("the ") if task == "ground" else words)
