"""Tags: which words fit an image, read off pooled feature levels. Ours: a cheap way to bring a tower down to Earth."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rsvlm.parts import losses
from rsvlm.parts.heads.head import Head
from rsvlm.sample import Batch


class TagHead(Head):
    """Levels [(B, N_l, D_l)] -> logits (B, num_tags), from the mean of each level."""

    objective, target = "tags", "tags"

    def __init__(self, *, level_dims: Sequence[int], num_tags: int) -> None:
        super().__init__()
        self.norm = nn.ModuleList(nn.LayerNorm(dim) for dim in level_dims)
        self.out = nn.Linear(sum(level_dims), num_tags)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels -> one logit a tag, (B, num_tags)."""
        pooled = [norm(level.mean(1)) for norm, level in zip(self.norm, levels, strict=True)]
        return self.out(torch.cat(pooled, 1))

    def loss(self, system: Any, batch: Batch) -> dict[str, Tensor]:
        """ "tags": binary cross-entropy of the levels' tags against the batch's, where those are known."""
        levels = system.see(batch, self.objective)
        return {"tags": losses.multi_label(self(levels), batch["tags"])}
