"""The linear maps of FROMAGe (arXiv:2301.13823): a picture into a language model, and both into one space."""

from torch import Tensor, nn


class RetrievalMaps(nn.Module):
    """A pooled picture (B, level_dim) -> `tokens` language tokens (B, tokens, output_dim), by one linear map, W_c.

    `image` (W_i) takes the same picture, and `text` (W_t) the hidden state of [RET], (B, output_dim), into the space of
    `dim` numbers in which the two are compared. `dropout` is that of W_t's output.
    """

    def __init__(
        self, *, level_dim: int, output_dim: int, tokens: int = 1, dim: int = 256, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.visual = nn.Linear(level_dim, output_dim * tokens)
        self.image = nn.Linear(level_dim, dim)
        self.text = nn.Linear(output_dim, dim)
        self.drop = nn.Dropout(dropout)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, level_dim) -> (B, tokens, output_dim)."""
        return self.visual(pooled).unflatten(1, (self.tokens, -1))
