"""The semantic maps of two dates, read off the visual levels of both: which class each changed place has. Ours.

levels of two dates -> each date's own and the difference of both, level by level, coarse to fine -> classes
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.parts.heads.change import ConvBlock
from rsvlm.parts.heads.head import Head
from rsvlm.sample import Batch


class SemanticMapHead(Head):
    """Levels [(2 B, N_l, D_l)] on square grids, dates of a pair side by side -> logits (2 B, C, g, g), g the finest.

    `num_classes` is C; class 0 is what has not changed. It computes in float32 under any autocast.
    """

    objective, target, num_images = "semantic_maps", "map_labels", 2

    def __init__(self, *, level_dims: Sequence[int], num_classes: int, width: int) -> None:
        super().__init__()
        self.level = nn.ModuleList(nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width)) for dim in level_dims)
        self.compared = nn.ModuleList(ConvBlock(2 * width, width) for _ in level_dims)
        self.joined = nn.ModuleList(ConvBlock(width, width) for _ in level_dims)
        self.maps = nn.Conv2d(width, num_classes, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels of both dates -> logits."""
        with torch.autocast(levels[0].device.type, enabled=False):
            return self.maps(self._compared([level.float() for level in levels]))

    def _compared(self, levels: Sequence[Tensor]) -> Tensor:
        x: Tensor | None = None
        for at in sorted(range(len(levels)), key=lambda at: levels[at].shape[1]):  # coarse to fine
            side = math.isqrt(levels[at].shape[1])
            grid = self.level[at](levels[at]).mT.unflatten(2, (side, side))
            change = (grid[1::2] - grid[::2]).abs().repeat_interleave(2, 0)
            mine = self.compared[at](torch.cat([grid, change], 1))
            x = self.joined[at](mine if x is None else mine + _resized(x, side))
        assert x is not None
        return x

    def classes(self, levels: Sequence[Tensor], size: int) -> Tensor:
        """The likeliest class of each pixel of pictures of `size`: int64 (2 B, size, size)."""
        return _resized(self(levels), size).argmax(1)

    def loss(self, system: Any, batch: Batch) -> dict[str, Tensor]:
        """ "map": mean cross-entropy of every pixel's class."""
        labels = batch["map_labels"]
        logits = self(system.see(batch, self.objective))
        return {"map": F.cross_entropy(_resized(logits, labels.shape[-1]), labels)}


def _resized(maps: Tensor, side: int) -> Tensor:
    return maps if maps.shape[-1] == side else F.interpolate(maps, size=(side, side), mode="bilinear")
