"""Conversations of a batch laid behind one another in shared rows, and taken apart again."""

from torch import Tensor


class Packing:
    """Brings what a batch has for each token, (B, L, ...), into rows (R, N, ...) without its padding, and back.

    `row` (B,) says which row a conversation shares, `real` (B, L) which of its tokens are there. The conversations of a
    row follow one another in the order of the batch; N is the length of the longest row.
    """

    def __init__(self, row: Tensor, real: Tensor) -> None:
        length = real.sum(1)
        start = ((row[:, None] == row).tril(-1) * length).sum(1)
        self.row, self.real = row, real
        self.rows, self.width = int(row.max()) + 1, int((start + length).max())
        # Padding has the place of some token: it is not packed, and what it gets back is never looked at.
        self.place = ((row * self.width + start)[:, None] + real.cumsum(1) - 1).clamp(min=0)

    def pack(self, x: Tensor, fill: int = 0) -> Tensor:
        """(B, L, ...) -> (R, N, ...), `fill` behind the last conversation of a row."""
        flat = x.new_full((self.rows * self.width, *x.shape[2:]), fill)
        return flat.index_copy(0, self.place[self.real], x[self.real]).unflatten(0, (self.rows, self.width))

    def unpack(self, x: Tensor) -> Tensor:
        """(R, N, D) -> (B, L, D); anything on padding."""
        return x.flatten(0, 1).index_select(0, self.place.flatten()).unflatten(0, self.place.shape)

    def of_rows(self, x: Tensor) -> Tensor:
        """What all conversations of a row have in common, (B,) -> (R,)."""
        return x.new_zeros(self.rows).index_copy(0, self.row, x)
