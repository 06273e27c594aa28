"""The bridge of LLaVA-1.5: every visual token through a small MLP (arXiv:2310.03744)."""

from collections.abc import Sequence

from torch import Tensor, nn


class MLPProjector(nn.Module):
    """`layers` linear maps, GELU between (`mlp2x_gelu`): the deepest level (B, N, level_dim) -> (B, N, output_dim)."""

    def __init__(self, *, level_dim: int, output_dim: int, layers: int = 2) -> None:
        super().__init__()
        parts: list[nn.Module] = [nn.Linear(level_dim, output_dim)]
        for _ in range(layers - 1):
            parts += [nn.GELU(), nn.Linear(output_dim, output_dim)]
        self.mlp = nn.Sequential(*parts)

    def forward(self, levels: Sequence[Tensor], _prompt: Tensor | None = None) -> Tensor:
        """[(B, N_l, D_l)], shallow to deep -> (B, N, output_dim); the question is not read."""
        return self.mlp(levels[-1])
