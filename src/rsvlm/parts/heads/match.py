"""Vectors of pictures and texts in one space, read off the visual levels and a sentence encoder. Ours.

levels -> LevelsToVector | SentenceToVector <- sentence encoder <- text: a dual encoder (CLIP, arXiv:2103.00020) beside
a system that does something else, looking through the same tower. For small models.
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.parts.contrastive import PairLoss
from rsvlm.parts.heads.head import Head
from rsvlm.parts.text.sentence import SentenceEncoder
from rsvlm.sample import Batch


class LevelsToVector(nn.Module):
    """Levels [(B, N_l, D_l)] on square grids -> vectors (B, `dim`) of unit length.

    All levels are averaged down to one grid of `grid` cells a side; learned `queries` look at its cells, and what they
    saw goes with the mean of all cells through an MLP.
    """

    def __init__(
        self, *, level_dims: Sequence[int], dim: int, width: int, grid: int, queries: int, heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.grid = grid
        self.norm = nn.ModuleList(nn.LayerNorm(size) for size in level_dims)
        self.cell, self.mean = nn.Linear(sum(level_dims), width), nn.Linear(sum(level_dims), width)
        self.place = nn.Parameter(torch.zeros(grid * grid, width))
        self.query = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.mlp = _mlp((queries + 1) * width, width, dim, dropout)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels -> (B, dim) of unit length."""
        cells = torch.cat([norm(self._pooled(one)) for norm, one in zip(self.norm, levels, strict=True)], -1)
        keys = self.before(self.cell(cells) + self.place)
        seen = self.attention(self.query.expand(cells.shape[0], -1, -1), keys, keys, need_weights=False)[0]
        return F.normalize(self.mlp(torch.cat([self.after(seen).flatten(1), self.mean(cells.mean(1))], 1)), dim=-1)

    def _pooled(self, level: Tensor) -> Tensor:
        side = math.isqrt(level.shape[1])
        maps = level.transpose(1, 2).unflatten(2, (side, side))
        return F.adaptive_avg_pool2d(maps, self.grid).flatten(2).transpose(1, 2)


class SentenceToVector(nn.Module):
    """A sentence's vector (B, D) -> (B, `dim`) of unit length, by an MLP beside a linear map."""

    def __init__(self, *, inputs: int, dim: int, width: int, dropout: float) -> None:
        super().__init__()
        self.mlp, self.direct = _mlp(inputs, width, dim, dropout), nn.Linear(inputs, dim)

    def forward(self, sentence: Tensor) -> Tensor:
        """Vectors of any length -> (B, dim) of unit length."""
        x = F.normalize(sentence, dim=-1) * math.sqrt(sentence.shape[-1])
        return F.normalize(self.mlp(x) + self.direct(x), dim=-1)


class MatchHead(Head, PairLoss):
    """Levels [(B, N_l, D_l)] and texts (B, T) -> vectors (B, `dim`) of unit length in one space."""

    objective, target = "contrastive", "text"

    def __init__(
        self, *, level_dims: Sequence[int], text: SentenceEncoder, dim: int = 256, width: int = 512, grid: int = 7,
        queries: int = 4, heads: int = 8, dropout: float = 0.0, temperature: float = 0.07,
    ) -> None:  # fmt: skip
        super().__init__(temperature=temperature)
        self.image = LevelsToVector(
            level_dims=level_dims, dim=dim, width=width, grid=grid, queries=queries, heads=heads, dropout=dropout
        )
        self.text = text
        self.words = SentenceToVector(inputs=text.dim, dim=dim, width=width, dropout=dropout)

    @property
    def max_text(self) -> int:
        """Tokens of a text that are read."""
        return self.text.max_text

    def embed_text(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids (B, T) and their mask -> (B, dim) of unit length."""
        return self.words(self.text(ids, mask))

    def after_step(self) -> None:
        """Keep the temperature within its limit."""
        self.limit_temperature()

    def vectors(self, system: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Vectors (B, dim) of the batch's pictures, and of its texts."""
        images = self.image(system.see(batch, self.objective))
        return images, self.embed_text(batch["text"], batch["text_mask"])

    def loss(self, system: Any, batch: Batch) -> dict[str, Tensor]:
        """ "contrastive": InfoNCE between the pictures and texts of all processes, row by row a pair."""
        return {"contrastive": self.pair_loss(*self.vectors(system, batch), batch)}


def _mlp(inputs: int, width: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, outputs))
