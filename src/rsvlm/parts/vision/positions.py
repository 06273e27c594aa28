"""Position embeddings of a vision transformer for another grid of patches."""

import torch
from torch import Tensor
from torch.nn import functional as F

from rsvlm.errors import BadInput


def resized(positions: Tensor, tokens: int, *, align_corners: bool = False) -> Tensor:
    """Position embeddings (1, 1 + g * g, D) for another square grid: (1, tokens, D), tokens = 1 + G * G.

    Bicubic in fp32, the class token's own kept. With `align_corners` the outermost patches keep their embeddings, as
    GeoChat goes from 336 to 504 pixels (clip_encoder.py); without, patches keep their places in the picture, as BLIP-2
    and MiniGPT-v2 go from 224 to 448 and transformers does. Raises BadInput where either is not a class token and a
    square.
    """
    old, new = (round((n - 1) ** 0.5) for n in (positions.shape[1], tokens))
    if old * old + 1 != positions.shape[1] or new * new + 1 != tokens:
        raise BadInput(
            f"{positions.shape[1]} position embeddings cannot become {tokens}; expected a class token and a square of "
            "patches on both sides."
        )
    if old == new:
        return positions
    grid = positions[:, 1:].float().unflatten(1, (old, old)).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(new, new), mode="bicubic", align_corners=align_corners)
    return torch.cat([positions[:, :1].float(), grid.flatten(2).transpose(1, 2)], 1)
