"""Tags: which words fit an image, read off pooled feature levels. Ours: a cheap way to bring a tower down to Earth."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TagHead(nn.Module):
    """Levels [(B, N_l, D_l)] -> logits (B, num_tags), from the mean of each level."""

    def __init__(self, *, level_dims: Sequence[int], num_tags: int) -> None:
        super().__init__()
        self.norm = nn.ModuleList(nn.LayerNorm(dim) for dim in level_dims)
        self.out = nn.Linear(sum(level_dims), num_tags)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels -> one logit a tag, (B, num_tags)."""
        pooled = [norm(level.mean(1)) for norm, level in zip(self.norm, levels, strict=True)]
        return self.out(torch.cat(pooled, 1))
