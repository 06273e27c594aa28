"""What changed between two dates, read off the visual levels of both: a map for each class of change. Ours.

levels of two dates, and those of a small tower of its own that sees the pixels -> their difference and their mean,
level by level -> a pyramid, coarse to fine -> logits at a quarter of the side. The form is that of ChangeStar
(arXiv:2108.07002): one tower for both dates, and a small head that compares.
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.parts.heads.head import Head
from rsvlm.parts.vision.tower import Tower
from rsvlm.sample import Batch

STRIDE = 4  # pixels of a side of one cell of the maps
PART = 0.57  # side of what is looked at in pixels of the picture, of the side that the tower sees: it is enlarged
LEAST = 0.1  # contrast, of [0, 1]
_PRIOR = -3.0  # logit of 0.05: most of a scene does not change


class ConvBlock(nn.Module):
    """Conv of 3 x 3, layer norm, GELU: (B, D, h, w) -> (B, `width`, h, w).

    The norm is over the channels of each cell: one over cells would make a scene without change look like any other.
    """

    def __init__(self, inputs: int, width: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(inputs, width, 3, stride, 1), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps -> maps."""
        return F.gelu(self.norm(self.conv(x).movedim(1, -1))).movedim(-1, 1)


class ChangeHead(Head):
    """Levels [(2 B, N_l, D_l)] on square grids, dates of a pair side by side -> logits (B, C, S / 4, S / 4).

    `classes` names the C maps; S is the side of the pictures. It computes in float32 under any autocast. With `size`
    and `grids` it looks through the system's tower at larger pictures, on finer grids (`Tower.at`).
    """

    objective, target, num_images = "change", "change", 2

    def __init__(
        self, *, level_dims: Sequence[int], classes: Sequence[str], width: int, size: int | None = None,
        grids: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.classes, self.size, self.grids = tuple(classes), size, tuple(grids)
        self.level = nn.ModuleList(nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width)) for dim in level_dims)
        self.compared = nn.ModuleList(ConvBlock(4 * width, width) for _ in level_dims)
        self.joined = nn.ModuleList(ConvBlock(width, width) for _ in level_dims)
        self.stem = ConvBlock(3, width // 2, stride=2)
        self.pixels = nn.ModuleList(
            ConvBlock(width if at else width // 2, width, stride=2) for at in range(len(level_dims) + 1)
        )  # at strides 4, 8, ...
        self.fine = nn.Sequential(nn.Conv2d(3 * width, width, 1), ConvBlock(width, width), ConvBlock(width, width))
        self.maps = nn.Conv2d(width, len(self.classes), 1)
        nn.init.constant_(cast(Tensor, self.maps.bias), _PRIOR)

    def tower(self, vision: Tower) -> Tower:
        """As every head, at the pictures and grids of this one."""
        return vision.at(size=self.size, grids=self.grids) if self.size else vision

    def segment(self, system: Any, batch: Batch) -> Tensor:
        """The logits (B, C, S / 4, S / 4) of the pairs of a batch; training and asking go here."""
        image = stretched(batch["image"])
        return self(system.see({"image": image}, self.objective), image)

    def loss(self, system: Any, batch: Batch) -> dict[str, Tensor]:
        """The named scalars of `change_loss`."""
        return change_loss(self.segment(system, batch), batch["change"])

    def forward(self, levels: Sequence[Tensor], image: Tensor) -> Tensor:
        """Levels and pixels (2 B, 3, S, S) in [0, 1] of two dates, side by side -> logits (B, C, S / 4, S / 4)."""
        with torch.autocast(image.device.type, enabled=False):
            return self._compare([level.float() for level in levels], image.float())

    def _compare(self, levels: Sequence[Tensor], image: Tensor) -> Tensor:
        seen = [self.stem((image - 0.5).contiguous(memory_format=torch.channels_last))]
        for stage in self.pixels:
            seen.append(stage(seen[-1]))
        x: Tensor | None = None
        for at in sorted(range(len(levels)), key=lambda at: levels[at].shape[1]):  # coarse to fine
            side = math.isqrt(levels[at].shape[1])
            grid = self.level[at](levels[at]).transpose(1, 2).unflatten(2, (side, side))
            both = [*_difference_and_mean(grid), *_difference_and_mean(_resized(seen.pop(), side))]
            mine = self.compared[at](torch.cat(both, 1))
            x = self.joined[at](mine if x is None else mine + _resized(x, side))
        assert x is not None
        fine = torch.cat(_difference_and_mean(seen[1]), 1)
        return self.maps(self.fine(torch.cat([_resized(x, fine.shape[-1]), fine], 1)))


def stretched(image: Tensor) -> Tensor:
    """(N, 3, S, S) in [0, 1] -> the same, each channel of each picture from its 2nd to its 98th percentile.

    So dates of other light, and dark ones, look alike. A channel of less contrast than LEAST is stretched as if it had
    that much.
    """
    some = image[..., ::4, ::4].flatten(2).float()
    low, high = torch.quantile(some, torch.tensor([0.02, 0.98], device=some.device), dim=2)
    wide = (high - low).clamp(min=LEAST)
    middle = (high + low) / 2
    return ((image - middle[..., None, None]) / wide[..., None, None] + 0.5).clamp(0, 1)


def _difference_and_mean(maps: Tensor) -> tuple[Tensor, Tensor]:
    """(2 B, D, h, w), dates side by side -> |after - before| and the mean, each (B, D, h, w)."""
    before, after = maps[::2], maps[1::2]
    return (after - before).abs(), (after + before) / 2


def _resized(maps: Tensor, side: int) -> Tensor:
    return maps if maps.shape[-1] == side else F.interpolate(maps, size=(side, side), mode="bilinear")


def change_loss(logits: Tensor, target: Tensor) -> dict[str, Tensor]:
    """Named scalars of logits (B, C, h, w) against the share of each cell that changed; -1 = not labelled.

    "change" is the mean cross-entropy of the labelled cells, "overlap" 1 - the soft Dice of each class that is labelled
    in the batch, over all of its cells.
    """
    there = target >= 0
    wanted = target.clamp(min=0)
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    said = logits.sigmoid() * there
    shared, both = ((values * there).sum((0, 2, 3)) for values in (said * wanted, said + wanted))
    overlap = 1 - (2 * shared + 1) / (both + 1)
    labelled = there.any(dim=(0, 2, 3)) if there.ndim == 4 else there.any()
    return {
        "change": (entropy * there).sum() / there.sum().clamp(min=1),
        "overlap": (overlap * labelled).sum() / labelled.sum().clamp(min=1),
    }
