"""What an image encoder is here: RGB in [0, 1] in, its feature levels out, shallow to deep, each (B, N, D)."""

from collections.abc import Sequence

from torch import nn

from rsvlm.errors import BadInput


class Tower(nn.Module):
    """An encoder: image (B, 3, H, W) in [0, 1] -> levels [(B, N_l, D_l)].

    It says what to expect: `size` = H = W in pixels, `dims` the D_l, `tokens` the N_l at that size; `fit` is how
    pictures of other shapes become that square (a name of `rsvlm.data.resize`).
    """

    fit: str = "squash"
    size: int
    dims: tuple[int, ...]
    tokens: tuple[int, ...]

    def at(self, *, size: int, grids: Sequence[int]) -> "Tower":
        """The same tower, weights shared, for pictures of another `size` whose levels have `grids` cells a side.

        Raises BadInput where the tower knows one size only.
        """
        raise BadInput(f"{type(self).__name__} sees pictures of {self.size} pixels only; leave size and grids out.")
