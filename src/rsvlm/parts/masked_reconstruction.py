"""Masked image modelling of CMID: blocks that are hidden, a decoder of one layer, losses of pixels and frequencies.

Sources: CMID (arXiv:2304.09670, sec. III); the mean colour and the focal frequency loss are A2MIM's (arXiv:2205.13943,
arXiv:2012.12821).
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rsvlm.parts.vision.tower import StemmedTower

Filler = Literal["mixed", "target", "prediction", "mean"]


def block_mask(side: int, ratio: float, rng: np.random.Generator | np.random.RandomState) -> NDArray[np.bool_]:
    """(side, side) of blocks, of which ceil(ratio * side^2), drawn at random, are hidden (True)."""
    hidden = np.zeros(side * side, bool)
    hidden[rng.permutation(side * side)[: math.ceil(side * side * ratio)]] = True
    return hidden.reshape(side, side)


def on_grid(mask: Tensor, size: Sequence[int]) -> Tensor:
    """A mask (B, n, m) on a finer grid of `size` (rows, columns), (B, 1, *size) floats; n and m must divide it."""
    rows, columns = (fine // own for fine, own in zip(size, mask.shape[1:], strict=True))
    return mask.repeat_interleave(rows, 1).repeat_interleave(columns, 2)[:, None].float()


def mean_filled(pixels: Tensor, mask: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) whose hidden parts (mask (B, n, m)) have the mean of each channel of the whole picture."""
    return torch.where(on_grid(mask, pixels.shape[2:]) > 0, pixels.mean((2, 3), keepdim=True), pixels)


def masked_map(tower: StemmedTower, pixels: Tensor, mask: Tensor, token: Tensor) -> Tensor:
    """The tower's last map of normalised pixels, `token` (1, D, 1, 1) added to the stem's map where `mask` hides."""
    stem = tower.stem_map(pixels)
    return tower.deep_maps(stem + token * on_grid(mask, stem.shape[2:]))[-1]


class PixelDecoder(nn.Module):
    """Each cell of a map (B, D, h, w) becomes stride x stride pixels of 3 channels by one linear map."""

    def __init__(self, dim: int, stride: int) -> None:
        super().__init__()
        self.proj, self.shuffle = nn.Conv2d(dim, 3 * stride * stride, 1), nn.PixelShuffle(stride)

    def forward(self, features: Tensor) -> Tensor:
        """(B, D, h, w) -> (B, 3, h * stride, w * stride)."""
        return self.shuffle(self.proj(features))


def focal_l1(
    prediction: Tensor, target: Tensor, *, alpha: float = 0.2, gamma: float = 1.0,
    activation: Literal["sigmoid", "tanh"] = "sigmoid", residual: bool = False,
) -> Tensor:  # fmt: skip
    """Elementwise d * (2 sigmoid(alpha d) - 1)^gamma (or d * tanh(alpha d)^gamma) of the absolute difference d.

    With `residual` d itself is added.
    """
    difference = (prediction - target).abs()
    scaled = alpha * difference
    weight = 2 * torch.sigmoid(scaled) - 1 if activation == "sigmoid" else torch.tanh(scaled)
    loss = difference * weight**gamma
    return loss + difference if residual else loss


def focal_frequency(
    prediction: Tensor, target: Tensor, *, alpha: float = 1.0, average: bool = True, logarithm: bool = True
) -> Tensor:
    """Mean of the squared difference of two spectra, each frequency weighted by its difference; a scalar, in fp32.

    The weight is the difference to the power `alpha`, its log(1 + x) where `logarithm`, divided by the largest one of
    the batch, and moves no gradient. With `average` the spectra are averaged over the batch first. Pictures are
    (B, C, H, W).
    """
    spectra = [torch.fft.fft2(pixels.float(), norm="ortho") for pixels in (prediction, target)]
    difference = torch.view_as_real(spectra[0] - spectra[1])
    difference = difference.mean(0, keepdim=True) if average else difference
    distance = difference.square().sum(-1)
    with torch.no_grad():
        weight = distance.sqrt() ** alpha
        weight = torch.log1p(weight) if logarithm else weight
        weight = (weight / weight.max()).nan_to_num(0.0)  # two pictures that are equal: 0 / 0
    return (weight * distance).mean()


def reconstruction_loss(
    prediction: Tensor, target: Tensor, mask: Tensor, *, seen_weight: float = 0.0, frequency_weight: float = 1.0,
    seen_frequency: float = 0.001, filler: Filler = "mixed",
) -> Tensor:  # fmt: skip
    """Focal L1 over the hidden pixels plus `frequency_weight` times the focal frequency loss; a scalar, in fp32.

    `prediction` and `target` are (B, 3, H, W), `mask` (B, n, m) where n divides H and m W. Pixels that were seen count
    `seen_weight` in the first; in the second they are replaced by `filler`, but for a share `seen_frequency`, so that
    the prediction is asked only for what it could not see. "mixed" is half the prediction, without its gradient, and
    half the target.
    """
    prediction, target = prediction.float(), target.float()
    hidden = on_grid(mask, target.shape[2:])
    counted = hidden + (1 - hidden) * seen_weight
    loss = (focal_l1(prediction, target) * counted).sum() / (counted.sum() + 1e-5) / target.shape[1]
    if not frequency_weight:
        return loss
    fillers = {
        "mixed": 0.5 * prediction.detach() + 0.5 * target, "target": target, "prediction": prediction.detach(),
        "mean": target.mean((2, 3), keepdim=True).expand_as(target),
    }  # fmt: skip
    kept = hidden + (1 - hidden) * seen_frequency
    return loss + frequency_weight * focal_frequency(prediction * kept + fillers[filler] * (1 - kept), target)
