"""RS-CapRet: linear maps and one learned token, [RET], between a frozen CLIP and a frozen language model.

image -> CLIP -> class token -> linear -> language model -> caption; caption [RET] -> linear = linear <- class token
Source: arXiv:2402.06475, without public code or bridge weights. From the paper: which parts there are, which are
frozen, that captioning and retrieval are learned together. The mechanics are those of the method that it builds on,
FROMAGe (arXiv:2301.13823, github.com/kohjingyu/fromage).
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from rsvlm.parts import losses
from rsvlm.parts.bridges.retrieval_maps import RetrievalMaps
from rsvlm.parts.contrastive import PairLoss
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.language.ret_token import RetLanguage
from rsvlm.parts.system import PartBuilder
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.sample import Batch
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("rs_capret")
class RSCapRet(VisionLanguageModel, PairLoss):
    """see: a frozen CLIP; bridge: its pooled picture through linear maps; speak: a frozen decoder, and [RET].

    `rows` are the language model's words (`RetLanguage`), `prefix` the text behind the picture of every caption,
    `max_text` the tokens of a caption with start token and [RET], `concat_captions` the share of batches in which two
    pictures with their captions follow one another. `row_norm` keeps the [RET] rows as long as the others. The caption
    loss counts `caption_scale` times, both losses of retrieval `retrieval_scale` times.
    """

    objectives = ("caption_retrieval",)
    runtime = "rsvlm.systems.rs_capret.runtime"
    tasks = ("caption",)
    vision: Any  # a tower with `pool`
    bridge: Any  # RetrievalMaps
    language: Any  # RetLanguage

    def __init__(
        self, vision: Any, bridge: Mapping[str, Any], language: LanguageModel, *, rows: int | None = None,
        prefix: str = "", max_text: int = 24, concat_captions: float = 0.5, row_norm: bool = True,
        caption_scale: float = 1.0, retrieval_scale: float = 1.0,
    ) -> None:  # fmt: skip
        maps = RetrievalMaps(level_dim=vision.dims[-1], output_dim=language.dim, **bridge)
        super().__init__(vision, maps, RetLanguage(language, rows=rows), image_tokens=maps.tokens)
        self.prefix, self.max_text, self.concat_captions, self.row_norm = prefix, max_text, concat_captions, row_norm
        self.caption_scale, self.retrieval_scale = caption_scale, retrieval_scale

    @classmethod
    def build(cls, numbers: Mapping[str, Any], parts: PartBuilder) -> Self:
        """As any such system; the tower is read behind its last layer, class token first, unless the numbers say so."""
        if vision := numbers.get("vision"):
            last = {"taps": [vision["depth"]]} if "depth" in vision else {}
            numbers = {**numbers, "vision": {**last, "class_token": True, **vision}}
        return super().build(numbers, parts)

    def train(self, mode: bool = True) -> Self:
        """What is frozen stays as it answers: no dropout in the tower and in the language model."""
        super().train(mode)
        self.vision.eval()
        self.language.model.eval()
        return self

    def tokens(self, batch: Batch) -> Tensor:
        """The pictures as visual tokens of the language model (B, K, D)."""
        return self.bridge(self.vision.pool(self.see(batch)))

    def embed_image(self, batch: Batch) -> Tensor:
        """Vectors (B, dim) of unit length for the batch's pictures, by W_i."""
        return F.normalize(self.bridge.image(self.vision.pool(self.see(batch))).float(), dim=-1)

    def embed_text(self, batch: Batch) -> Tensor:
        """Vectors (B, dim) of unit length for the batch's texts, each of which ends with [RET]."""
        return self.query(self._last(self._read_text(batch), batch["text_mask"]))

    def query(self, hidden: Tensor) -> Tensor:
        """Hidden states of [RET] (..., D) -> vectors (..., dim) of unit length, by W_t."""
        return F.normalize(self.bridge.drop(self.bridge.text(hidden)).float(), dim=-1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalars over the same pairs: "caption", of words after a picture; "ret_lm", of words and [RET] without
        one, so that [RET] is said; "contrastive", of pictures and [RET].
        """  # fmt: skip
        batch = {**batch, "levels": self.see(batch)}
        hidden, mask = self._read_text(batch), batch["text_mask"]
        learned = mask[:, 1:]
        spoken = losses.next_token(
            self.language.head(hidden[:, :-1][learned]), batch["text"][:, 1:][learned],
            normaliser=batch.get("normaliser"),
        )  # fmt: skip
        pairs = self.pair_loss(self.embed_image(batch), self.query(self._last(hidden, mask)), batch)
        return {
            "caption": self.caption_scale * super().loss(batch)["language"],
            "ret_lm": self.retrieval_scale * spoken, "contrastive": self.retrieval_scale * pairs,
        }  # fmt: skip

    def after_step(self) -> None:
        """Keep the temperature within its limit, and the [RET] rows at their length."""
        super().after_step()
        self.limit_temperature()
        if self.row_norm:
            self.language.scale_rows()

    def _read_text(self, batch: Batch) -> Tensor:
        return self.language(self.language.embed(batch["text"]), batch["text_mask"])[0]

    @staticmethod
    def _last(hidden: Tensor, mask: Tensor) -> Tensor:
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(1) - 1]
