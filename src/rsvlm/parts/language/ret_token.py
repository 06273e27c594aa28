"""One learned token, [RET], beside a frozen language model: rows of its own, never a gradient over the whole table.

Source: FROMAGe (arXiv:2301.13823), which adds the token to the embedding and zeroes the gradient of all other rows. The
same steps come out here, without the optimiser's state for a whole vocabulary.
"""

import torch
from torch import Tensor, nn

from rsvlm.errors import BadInput
from rsvlm.parts.language.model import LanguageModel

_STD = 0.02  # of the rows' first values, as transformers draws an embedding


class RetLanguage(LanguageModel):
    """A language model that knows one token more: the id `ret`, which is `rows`, behind its own vocabulary.

    `ret_in` (1, D) is the token's row of the embedding. Where the head is the embedding (OPT) it is the head's row,
    too; where it is not (LLaMA), `ret_out` (1, D) is, because else the token would never be said. `rows` is how many of
    the model's own rows count as words, by default all: OPT's table is longer than its vocabulary. Both stay in float32
    over a base in half precision.
    """

    def __init__(self, language: LanguageModel, *, rows: int | None = None) -> None:
        super().__init__(language.model)
        table = self.table
        self.rows = self.ret = len(table) if rows is None else rows
        if not 0 < self.rows <= len(table):
            raise BadInput(f"model.rows is {rows}; the language model has {len(table)} rows: give as many or fewer.")
        self.tied = self.model.lm_head.weight is table

        def row() -> nn.Parameter:
            return nn.Parameter(torch.empty(1, self.dim, dtype=torch.float32).normal_(std=_STD))

        self.ret_in, self.ret_out = row(), None if self.tied else row()
        self._norms: list[float] = []

    @property
    def table(self) -> Tensor:
        """The language model's own embedding (V, D)."""
        return self.model.get_input_embeddings().weight

    def embed(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> (B, T, D); `ret` is the learned row, negative ids are to be overwritten."""
        asked = ids == self.ret
        known = super().embed(ids.masked_fill(asked, 0))
        return torch.where(asked[..., None], self.ret_in[0].to(known.dtype), known)

    def head(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., D) -> next-token logits (..., rows + 1), the last of which is that of `ret`."""
        row = self.ret_in if self.ret_out is None else self.ret_out
        return torch.cat([super().head(hidden)[..., : self.rows], hidden @ row[0].to(hidden.dtype)[:, None]], -1)

    @torch.no_grad()
    def scale_rows(self) -> None:
        """Give each learned row the mean length of the rows beside it, so that its logits stay of their size."""
        learned = [self.ret_in] if self.ret_out is None else [self.ret_in, self.ret_out]
        if not self._norms:  # the others are frozen
            tables = (self.table, self.model.lm_head.weight)
            self._norms = [float(table[: self.rows].float().norm(dim=1).mean()) for table in tables]
        for row, norm in zip(learned, self._norms, strict=False):
            row.mul_(norm / row.norm())
