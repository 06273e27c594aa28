"""Bridges: feature levels [(B, N_l, D_l)] (and the question) -> language tokens (B, K, D)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PerceiverLayer(nn.Module):
    """Pre-norm cross-attention and MLP: x + MHA(LN(x), LN(kv)), then x + MLP(LN(x)); all (B, *, width)."""

    mlp: nn.Module

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_query, self.norm_kv, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, kv: Tensor, position: Tensor | None = None) -> Tensor:
        """Queries x (B, Q, width), keys and values kv (B, N, width) -> queries (B, Q, width).

        `position` (N, width) is added to the keys before their norm, and not to the values.
        """
        value = self.norm_kv(kv)
        key = value if position is None else self.norm_kv(kv + position)
        x = x + self.attention(self.norm_query(x), key, value, need_weights=False)[0]
        return x + self.mlp(self.norm_mlp(x))


class MultiLevelPerceiver(nn.Module):
    """Learned queries read each feature level apart, through layers that all levels share (arXiv:2402.02544, sec. 3.2).

    Levels [(B, N_l, D_l)], shallow to deep -> (B, sum(num_queries), output_dim). Keys and values are the level's
    queries as they start, followed by the level's image tokens, in every layer. Where D_l differs from `width` a linear
    map comes first: one for all levels of one D (as released), one a level where they differ (ours, for convolutional
    towers).

    `start="grid"` is ours: each query starts at its learned vector plus the mean of its own cell of the level (so
    num_queries must be squares and levels square grids), and image tokens carry learned positions. Meant for
    small data, where an image token should reach the language model from the first step; not compared with the released
    form, `start="learned"`.
    """

    def __init__(
        self, *, level_dims: Sequence[int], num_queries: Sequence[int], width: int, depth: int, heads: int,
        output_dim: int, start: Literal["learned", "grid"] = "learned", level_tokens: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__()
        if len(num_queries) != len(level_dims):
            raise ValueError(f"num_queries names {len(num_queries)} levels, the tower gives {len(level_dims)}")
        self.num_queries, self.start = tuple(num_queries), start
        self.query = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, sum(num_queries), width), std=0.02))
        one_size = len(set(level_dims)) == 1
        mapped = [] if one_size and level_dims[0] == width else level_dims[:1] if one_size else level_dims
        norms = [nn.Identity() if one_size else nn.LayerNorm(dim) for dim in mapped]
        self.in_proj = nn.ModuleList(nn.Sequential(n, nn.Linear(d, width)) for n, d in zip(norms, mapped, strict=True))
        self.position = nn.ParameterList(
            nn.Parameter(nn.init.trunc_normal_(torch.empty(1, n, width), std=0.02))
            for n in (level_tokens if start == "grid" else ())
        )
        self.layers = nn.ModuleList(PerceiverLayer(width, heads) for _ in range(depth))
        self.out_proj = nn.Linear(width, output_dim)

    def forward(self, levels: Sequence[Tensor], question: Tensor | None = None) -> Tensor:
        """Levels -> language tokens (B, sum(num_queries), output_dim); the question is not looked at."""
        queries = self.query.expand(levels[0].shape[0], -1, -1).split(self.num_queries, 1)
        read = [self._read(index, q, x) for index, (q, x) in enumerate(zip(queries, levels, strict=True))]
        return self.out_proj(torch.cat(read, 1))

    def _read(self, index: int, x: Tensor, tokens: Tensor) -> Tensor:
        if self.in_proj:
            tokens = self.in_proj[min(index, len(self.in_proj) - 1)](tokens)
        if self.start == "grid":
            side, cells = int(tokens.shape[1] ** 0.5), int(x.shape[1] ** 0.5)
            grid = tokens.transpose(1, 2).unflatten(2, (side, side))
            x = x + F.adaptive_avg_pool2d(grid, cells).flatten(2).transpose(1, 2)
            tokens = tokens + self.position[index]
        kv = torch.cat([x, tokens], 1)
        for layer in self.layers:
            x = layer(x, kv)
        return x
