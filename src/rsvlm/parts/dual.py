"""DualEncoder: pictures and texts as vectors of one space, side by side, without a language model between them."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from rsvlm.parts.contrastive import PairLoss
from rsvlm.parts.system import System
from rsvlm.parts.vision.tower import Tower
from rsvlm.sample import Batch


class DualEncoder(System, PairLoss):
    """image -> levels = see -> embed_image; text -> embed_text; both of unit length in one space of D numbers.

    A system gives the two projections by overriding `image_features` and `text_features`; temperature and `bias` are
    those of `rsvlm.parts.contrastive.PairLoss`.
    """

    objectives = ("contrastive",)
    runtime = "rsvlm.systems.runtime.matching"
    max_text: int = 77  # tokens of a text that are read

    def __init__(self, vision: Tower, *, temperature: float = 0.07, bias: float | None = None) -> None:
        super().__init__(temperature=temperature, bias=bias)
        self.vision = vision

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
        """ "contrastive": the pairs of all processes, row by row; InfoNCE, or with a bias SigLIP's."""
        return {"contrastive": self.pair_loss(*self.vectors(self, batch), batch)}

    def vectors(self, system: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Vectors (B, D) of the batch's pictures, and of its texts; `system` is this one, as heads are given theirs."""
        return self.embed_image(batch), self.embed_text(batch)

    def after_step(self) -> None:
        """Keep the temperature within its limit."""
        super().after_step()
        self.limit_temperature()
