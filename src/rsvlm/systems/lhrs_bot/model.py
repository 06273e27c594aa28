"""LHRS-Bot: feature levels of one tower, read by more queries the shallower they are; a three-stage curriculum.

image -> vision levels -> MultiLevelPerceiver (64 > 48 > 32 queries) -> language model with LoRA -> text
Source: arXiv:2402.02544 (ECCV 2024), github.com/NJU-LHRS/LHRS-Bot.
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from rsvlm.data.prompt import filled
from rsvlm.parts import losses
from rsvlm.parts.bridges.perceiver import MultiLevelPerceiver
from rsvlm.parts.heads.boxes import BoxHead, box_loss, mean_of_tokens
from rsvlm.parts.heads.tags import TagHead
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.vision.tower import Tower
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.sample import Batch
from rsvlm.systems.abilities import SYSTEMS

# How the released weights are asked, by task (main_cls.py, main_vqa.py, main_vg.py).
QUESTIONS: Mapping[str, str] = {
    "scene": "[CLS] Choose the best categories describe the image from: {choices}",
    "vqa": "[VQA] {question}",
    "ground": "[VG] {question}",
}


@SYSTEMS("lhrs_bot")
class LHRSBot(VisionLanguageModel):
    """see: feature levels of the tower; bridge: perceiver; speak: LLaMA with LoRA.

    `tags` is ours and optional: a head on the tower's levels, trained on the words of captions and scene names before
    the curriculum starts. `boxes` is ours and optional, too: a head that finds a phrase on the tower's levels, because
    a small language model hardly learns to write coordinates; with `size` and `grids` it looks through the same tower
    at larger pictures, on finer grids. Without them the system is the published one. `tagged` says that it was trained
    on the tags of `questions`, as the released weights were.
    """

    questions = QUESTIONS

    box_dialect = "lhrs"
    box_sides = "stored"  # the released code multiplies by the sides of the picture, of which it shows the middle

    def __init__(
        self, vision: Tower, bridge: Mapping[str, Any], language: LanguageModel, num_tags: int = 0,
        boxes: Mapping[str, Any] | None = None, tagged: bool = False,
    ) -> None:  # fmt: skip
        perceiver = self.perceiver(vision, language, **bridge)
        super().__init__(vision, perceiver, language, image_tokens=perceiver.query.shape[1])
        self.tagged = tagged
        self.tags: nn.Module | None = TagHead(level_dims=vision.dims, num_tags=num_tags) if num_tags else None
        numbers = dict(boxes or {})
        self.finer = {key: numbers.pop(key) for key in ("size", "grids") if key in numbers}
        self.boxes: BoxHead | None = (
            BoxHead(level_dims=vision.dims, phrase_dim=language.dim, **numbers) if boxes else None
        )

    def tower(self, objective: str) -> Tower:
        """As every VisionLanguageModel; the box head may look at larger pictures."""
        return self.vision.at(**self.finer) if objective == "boxes" and self.finer else self.vision

    def phrase(self, task: str, words: str) -> str | None:
        """How it is asked for `task`; None where it has no wording of its own."""
        return filled(self.questions[task], words) if self.tagged and task in self.questions else None

    def locate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Where the phrases of a batch are: heat logits (B, G, G), boxes (B, G, G, 4); training and asking go here."""
        assert self.boxes is not None
        phrase = mean_of_tokens(self.language, batch["phrase"], batch["phrase_mask"])
        return self.boxes(self.see(batch, "boxes"), phrase)

    def perceiver(self, vision: Tower, language: LanguageModel, **numbers: Any) -> Any:
        """The bridge between this tower and this language model, whose `query` is (1, image tokens, width)."""
        return MultiLevelPerceiver(
            level_dims=vision.dims, level_tokens=vision.tokens, output_dim=language.dim, **numbers
        )

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """As every VisionLanguageModel; a batch with `tags` or `boxes` instead of a reply gives that head's losses."""
        if self.tags is not None and "tags" in batch:
            return {"tags": losses.multi_label(self.tags(self.see(batch)), batch["tags"])}
        if self.boxes is not None and "boxes" in batch:
            return box_loss(*self.locate(batch), batch["boxes"])
        return super().loss(batch)
