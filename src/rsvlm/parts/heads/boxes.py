"""Boxes for a phrase, read off the visual levels: a heat map of centres and a box for every cell. Ours.

phrase (mean of its token embeddings) x levels -> one grid -> blocks that the phrase steers -> heat, boxes. The form is
CenterNet's (arXiv:1904.07850): no anchors, a peak is an object. For models too small to write coordinates as text.
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.parts.heads.head import Head
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.vision.tower import Tower
from rsvlm.sample import Batch

COARSE = 14  # cells a side on which all places see one another
_WAVES = 4  # sines and cosines a coordinate
_PRIOR = -4.6  # logit of 0.01: few cells are centres
_NEAR = 0.6  # of a target's bump: cells that learn its box, too


class SteeredBlock(nn.Module):
    """Depthwise conv, self-attention and MLP, each FiLM-conditioned on the phrase (arXiv:1709.07871)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.film = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)
        self.around = nn.Conv2d(width, width, 5, padding=2, groups=width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, phrase: Tensor) -> Tensor:
        """Grid x (B, W, G, G) and phrase (B, W) -> grid (B, W, G, G)."""
        films = self.film(phrase)[:, None].chunk(6, 2)
        side = x.shape[2]

        def steered(tokens: Tensor, at: int) -> Tensor:
            return self.norm[at](tokens) * (1 + films[2 * at]) + films[2 * at + 1]

        tokens = x.flatten(2).transpose(1, 2)
        looked = self.around(steered(tokens, 0).transpose(1, 2).unflatten(2, (side, side)))
        x = x + looked
        coarse = min(side, COARSE)
        pooled = F.adaptive_max_pool2d(x, coarse).flatten(2).transpose(1, 2)
        every = steered(pooled, 1)
        seen = self.attention(every, every, every, need_weights=False)[0]
        spread = seen.transpose(1, 2).unflatten(2, (coarse, coarse))
        x = x + (spread if coarse == side else F.interpolate(spread, size=(side, side), mode="nearest"))
        tokens = x.flatten(2).transpose(1, 2)
        return x + self.mlp(steered(tokens, 2)).transpose(1, 2).unflatten(2, (side, side))


class BoxHead(Head):
    """Levels [(B, N_l, D_l)] on square grids and phrases (B, P) -> heat logits (B, G, G) and boxes (B, G, G, 4).

    G is the side of the finest level, to which the others are enlarged. Boxes are (x1, y1, x2, y2) in fractions of the
    picture, around the cell's middle; they may reach over its edge. It computes in float32 under any autocast: it is
    small, and half precision would shift boxes and flatten peaks. With `size` and `grids` it looks through the
    system's tower at larger pictures, on finer grids (`Tower.at`).
    """

    objective, target = "boxes", "boxes"

    def __init__(
        self, *, level_dims: Sequence[int], phrase_dim: int, width: int, depth: int, heads: int,
        size: int | None = None, grids: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        self.size, self.grids = size, tuple(grids)
        self.level = nn.ModuleList(nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, width)) for dim in level_dims)
        self.phrase = nn.Sequential(
            nn.LayerNorm(phrase_dim), nn.Linear(phrase_dim, width), nn.GELU(), nn.Linear(width, width)
        )
        self.place = nn.Linear(2 + 4 * _WAVES, width)
        self.blocks = nn.ModuleList(SteeredBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.heat, self.sides = nn.Linear(width, 1), nn.Linear(width, 4)
        nn.init.constant_(self.heat.bias, _PRIOR)

    def tower(self, vision: Tower) -> Tower:
        """As every head, at the pictures and grids of this one."""
        return vision.at(size=self.size, grids=self.grids) if self.size else vision

    def locate(self, system: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Where the phrases of a batch are: heat logits (B, G, G), boxes (B, G, G, 4); training and asking go here."""
        phrase = mean_of_tokens(system.language, batch["phrase"], batch["phrase_mask"])
        return self(system.see(batch, self.objective), phrase)

    def loss(self, system: Any, batch: Batch) -> dict[str, Tensor]:
        """The named scalars of `box_loss`."""
        return box_loss(*self.locate(system, batch), batch["boxes"])

    def forward(self, levels: Sequence[Tensor], phrase: Tensor) -> tuple[Tensor, Tensor]:
        """Levels and phrase -> heat logits (B, G, G), boxes (B, G, G, 4)."""
        with torch.autocast(phrase.device.type, enabled=False):
            return self._find([level.float() for level in levels], phrase.float())

    def _find(self, levels: Sequence[Tensor], phrase: Tensor) -> tuple[Tensor, Tensor]:
        side = max(int(level.shape[1] ** 0.5) for level in levels)
        x = self.place(_waves(_middles(side, levels[0].device))).permute(2, 0, 1)[None]
        for proj, level in zip(self.level, levels, strict=True):
            own = int(level.shape[1] ** 0.5)
            grid = proj(level).transpose(1, 2).unflatten(2, (own, own))
            x = x + (grid if own == side else F.interpolate(grid, size=(side, side), mode="bilinear"))
        steer = self.phrase(phrase)
        for block in self.blocks:
            x = block(x, steer)
        x = self.norm(x.permute(0, 2, 3, 1))
        reach = self.sides(x).clamp(-4, 6).exp() / side  # left, top, right, bottom; 1 / G where the map is zero
        middle = _middles(side, x.device)
        return self.heat(x)[..., 0], torch.cat([middle - reach[..., :2], middle + reach[..., 2:]], -1)


def mean_of_tokens(language: LanguageModel, ids: Tensor, mask: Tensor) -> Tensor:
    """What a phrase is to a head: the mean of its token embeddings, (B, D) float32; ids and mask (B, Q)."""
    tokens = language.embed(ids).float() * mask[..., None]
    return tokens.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


def box_loss(heat: Tensor, boxes: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Named scalars of heat logits (B, G, G) and boxes (B, G, G, 4) against targets (B, K, 4).

    Targets are (x1, y1, x2, y2) in fractions; rows of -1 are padding. "heat" is CenterNet's focal loss against a bump a
    target, "boxes" 1 - GIoU of the cells near a centre; both are divided by the number of targets, 1 at least.
    """
    there = targets[..., 0] >= 0
    count = there.sum().clamp(min=1)
    bumps, centres = _bumps(targets, there, heat.shape[-1])
    nearest = bumps.amax(1)
    is_centre = centres.any(1)
    sure = torch.where(
        is_centre,
        F.logsigmoid(heat) * heat.sigmoid().neg().add(1).square(),
        F.logsigmoid(-heat) * heat.sigmoid().square() * (1 - nearest).pow(4),
    )
    weight = torch.where(centres, 1.0, torch.where(bumps >= _NEAR, bumps * 0.5, 0.0))  # (B, K, G, G)
    row, target, *cell = weight.nonzero(as_tuple=True)
    far = 1 - giou(boxes[row, cell[0], cell[1]], targets[row, target])
    return {"heat": -sure.sum() / count, "boxes": (far * weight[row, target, cell[0], cell[1]]).sum() / count}


def giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised IoU (arXiv:1902.09630) of boxes (N, 4) and (N, 4), in (-1, 1]."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (one[:, 2:] - one[:, :2]).prod(1) + (other[:, 2:] - other[:, :2]).prod(1) - shared
    around = (torch.maximum(one[:, 2:], other[:, 2:]) - torch.minimum(one[:, :2], other[:, :2])).prod(1)
    return shared / union.clamp(min=1e-9) - (around - union) / around.clamp(min=1e-9)


def peaks(heat: Tensor, boxes: Tensor, *, most: int) -> tuple[Tensor, Tensor]:
    """The `most` best peaks of each heat map: scores (B, most) in [0, 1], best first, and boxes (B, most, 4) in [0, 1].

    A peak is a cell that none of its eight neighbours exceeds; others have score 0.
    """
    score = heat.sigmoid()
    score = torch.where(F.max_pool2d(score[:, None], 3, 1, 1)[:, 0] == score, score, 0.0).flatten(1)
    best, at = score.topk(min(most, score.shape[1]), 1)
    return best, boxes.flatten(1, 2).gather(1, at[..., None].expand(-1, -1, 4)).clamp(0, 1)


def _middles(side: int, device: torch.device) -> Tensor:
    """(G, G, 2): x and y of the middles of the cells, in fractions."""
    line = (torch.arange(side, device=device) + 0.5) / side
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)


def _waves(place: Tensor) -> Tensor:
    """(G, G, 2) -> (G, G, 2 + 4 * _WAVES): coordinates, and their sines and cosines at doubling rates."""
    angles = torch.cat([place * (torch.pi * 2**k) for k in range(_WAVES)], -1)
    return torch.cat([place * 2 - 1, angles.sin(), angles.cos()], -1)


def _bumps(targets: Tensor, there: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """(B, K, G, G): a Gaussian around each target's centre, a sixth of its sides wide; and which cell holds it."""
    middle = _middles(side, targets.device)
    centre, size = (targets[..., :2] + targets[..., 2:]) / 2, targets[..., 2:] - targets[..., :2]
    spread = (size / 6).clamp(min=0.4 / side)
    away = (middle - centre[:, :, None, None]) / spread[:, :, None, None]
    cell = (centre * side).long().clamp(0, side - 1)
    own = F.one_hot(cell[..., 1] * side + cell[..., 0], side * side).bool().unflatten(-1, (side, side))
    mask = there[:, :, None, None]
    return (-away.square().sum(-1) / 2).exp() * mask, own & mask
