"""A perceiver that knows where an image token lies: the bridge of LHRS-Bot-Nova."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from rsvlm.parts.bridges.perceiver import PerceiverLayer
from rsvlm.parts.experts import Experts


class PositionedPerceiver(nn.Module):
    """Learned queries read each level apart, through layers that all levels share (arXiv:2411.09301).

    Levels [(B, N_l, width)], shallow to deep, each a grid of `grid` = (rows, columns) tokens -> (B, sum(num_queries),
    output_dim). Keys are a level's tokens plus fixed positions, values the tokens alone; queries do not read one
    another. Where `experts` is not 0 each layer's MLP is a mixture of that many, `selects` a token.

    `expert_activation="none"` is the released form: the GELU between an expert's two maps is defined and never called,
    so that each expert is affine, and the published weights were trained like that. "gelu" is what the code says.
    """

    positions: Tensor

    def __init__(
        self, *, level_dims: Sequence[int], grid: tuple[int, int], num_queries: Sequence[int], width: int, depth: int,
        heads: int, output_dim: int, experts: int = 0, selects: int = 2,
        expert_activation: Literal["none", "gelu"] = "none",
    ) -> None:  # fmt: skip
        super().__init__()
        if len(num_queries) != len(level_dims):
            raise ValueError(f"num_queries names {len(num_queries)} levels, the tower gives {len(level_dims)}")
        if len(set(level_dims)) > 1:
            raise ValueError(f"levels of one width are read, the tower gives {list(level_dims)}")
        self.num_queries = tuple(num_queries)
        self.query = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, sum(num_queries), width), std=0.02))
        self.in_proj = nn.Linear(level_dims[0], width) if level_dims[0] != width else nn.Identity()
        self.norm_query, self.norm_kv, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.layers = nn.ModuleList(PerceiverLayer(width, heads) for _ in range(depth))
        if experts:
            for layer in self.layers:
                layer.mlp = Experts(
                    width, 4 * width, experts=experts, selects=selects, activation=expert_activation
                )  # fmt: skip
        self.out_proj = nn.Linear(width, output_dim)
        self.register_buffer("positions", sin_cos(*grid, width).flatten(0, 1), persistent=False)

    def forward(self, levels: Sequence[Tensor], question: Tensor | None = None) -> Tensor:
        """Levels -> language tokens (B, sum(num_queries), output_dim); the question is not looked at."""
        queries = self.query.expand(levels[0].shape[0], -1, -1).split(self.num_queries, 1)
        read = [self._read(q, level) for q, level in zip(queries, levels, strict=True)]
        return self.out_proj(self.norm_out(torch.cat(read, 1)))

    def _read(self, x: Tensor, tokens: Tensor) -> Tensor:
        x, tokens = self.norm_query(x), self.norm_kv(self.in_proj(tokens))
        for layer in self.layers:
            x = layer(x, tokens, self.positions.to(tokens.dtype))
        return x


def sin_cos(rows: int, columns: int, width: int) -> Tensor:
    """Fixed positions (rows, columns, width): column numbers in the first half of the channels, rows in the second.

    Each half is [sin, cos] of the number times 10000^(-i / (width / 4)), i = 0 .. width / 4 - 1. `width` must be a
    multiple of 4.
    """
    if width % 4:
        raise ValueError(f"positions need a width that is a multiple of 4, not {width}")
    quarter = width // 4
    speed = 10000.0 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
    down = torch.arange(rows, dtype=torch.float64)[:, None, None] * speed
    right = torch.arange(columns, dtype=torch.float64)[None, :, None] * speed
    parts = (right.sin(), right.cos(), down.sin(), down.cos())
    return torch.cat([part.expand(rows, columns, quarter) for part in parts], -1).float()
