"""DualEncoder: pictures and texts as vectors of one space, side by side, without a language model between them."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.parts import losses
from rsvlm.parts.system import System
from rsvlm.parts.vision.tower import Tower
from rsvlm.sample import Batch


class DualEncoder(System):
    """image -> levels = see -> embed_image; text -> embed_text; both of unit length in one space of D numbers.

    A system gives the two projections by overriding `image_features` and `text_features`; `logit_scale` is the
    logarithm of the temperature's inverse, learned, and held at `max_logit_scale` (CLIP, arXiv:2103.00020, sec. 2.5).
    """

    objectives = ("contrastive",)
    runtime = "rsvlm.systems.runtime.matching"
    max_logit_scale: ClassVar[float] = math.log(100)
    max_text: int = 77  # tokens of a text that are read

    def __init__(self, vision: Tower, *, temperature: float = 0.07) -> None:
        super().__init__()
        self.vision = vision
        self.logit_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def image_features(self, levels: list[Tensor]) -> Tensor:
        """Feature levels [(B, N_l, D_l)] -> vectors (B, D) of any length."""
        raise NotImplementedError(f"{type(self).__name__} has no image projection")

    def text_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids (B, T) and their mask -> vectors (B, D) of any length."""
        raise NotImplementedError(f"{type(self).__name__} has no text tower")

    def embed_image(self, batch: Batch) -> Tensor:
        """Vectors (B, D) of unit length for the batch's pictures."""
        return F.normalize(self.image_features(self.see(batch)).float(), dim=-1)

    def embed_text(self, batch: Batch) -> Tensor:
        """Vectors (B, D) of unit length for the batch's texts."""
        return F.normalize(self.text_features(batch["text"], batch["text_mask"]).float(), dim=-1)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """ "contrastive": symmetric InfoNCE between the batch's pictures and texts, row by row a pair."""
        scale = self.logit_scale.clamp(max=self.max_logit_scale).exp()
        logits = scale * self.embed_image(batch) @ self.embed_text(batch).T
        return {"contrastive": losses.contrastive(logits, losses.fitting(batch))}

    def after_step(self) -> None:
        """Keep the temperature within its limit."""
        with torch.no_grad():
            self.logit_scale.clamp_(max=self.max_logit_scale)
