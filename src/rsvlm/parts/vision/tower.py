"""What an image encoder is here: RGB in [0, 1] in, its feature levels out, shallow to deep, each (B, N, D)."""

from collections.abc import Sequence

from torch import Tensor, nn

from rsvlm.errors import BadInput

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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


class StemmedTower(Tower):
    """A tower in two parts, so that something (a mask token) can be added to the map between the stem and the rest.

    Maps are (B, D, h, w). `stem_dim` are the channels of the stem's map, `stem_stride` the pixels of a side of one of
    its cells, `stride` those of the last map. `mean` and `std` are what pixels are normalised by, of [0, 1].
    """

    stem_dim: int
    stem_stride: int
    stride: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalised(self, image: Tensor) -> Tensor:
        """Image (B, 3, H, W) in [0, 1] -> pixels as the stem takes them, each channel less its mean, by its std."""
        return (image - image.new_tensor(self.mean)[:, None, None]) / image.new_tensor(self.std)[:, None, None]

    def stem_map(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (B, 3, H, W) -> the stem's map."""
        raise NotImplementedError(f"{type(self).__name__} has no stem")

    def deep_maps(self, stem: Tensor) -> list[Tensor]:
        """The stem's map -> the maps of the taps, shallow to deep."""
        raise NotImplementedError(f"{type(self).__name__} has no maps")

    def maps(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, H, W) in [0, 1] -> the maps of the taps, shallow to deep."""
        return self.deep_maps(self.stem_map(self.normalised(image)))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, H, W) in [0, 1] -> [(B, h * w, D)], one a tap."""
        return [level.flatten(2).transpose(1, 2) for level in self.maps(image)]
