"""Swin Transformer (arXiv:2103.14030), its modules under the names of MMClassification, mmseg and mmdet."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.errors import BadInput
from rsvlm.parts.vision.tower import IMAGENET_MEAN, IMAGENET_STD, StemmedTower

_HIDDEN = -100.0  # added to what a query must not see, as released


def _position_index(window: int) -> Tensor:
    """(window^2, window^2): row of the bias table for each pair of places, by their difference in rows and columns."""
    places = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
    rows, columns = places[:, :, None] - places[:, None, :] + window - 1
    return rows * (2 * window - 1) + columns


class _WindowAttention(nn.Module):
    """Attention within windows, with a learned bias for each difference of places."""

    relative_position_index: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", _position_index(window))  # published files hold it
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        """Windows (B, W, N, C) and what is hidden in each, (W, N, N) -> (B, W, N, C)."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        bias = bias if hidden is None else bias + hidden[:, None]
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.proj(out.transpose(2, 3).flatten(3))


class _ShiftedWindows(nn.Module):
    """A map cut into windows, which start half a window later where they are shifted."""

    def __init__(self, width: int, heads: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.window, self.shift = window, window // 2 if shifted else 0
        self.w_msa = _WindowAttention(width, heads, window)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) -> (B, H, W, C). Raises BadInput for a map that is smaller than a window."""
        height, width = x.shape[1:3]
        side = self.window
        if min(height, width) < side:
            raise BadInput(
                f"A map of {height} x {width} cells has no window of {side} x {side}; give the Swin tower larger "
                "pictures (size), or a smaller window."
            )
        shift = self.shift if min(height, width) > side else 0  # one window a side: as released, it is not shifted
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        x = x.roll((-shift, -shift), (1, 2)) if shift else x
        hidden = _hidden(x, side, shift) if shift else None
        rows, columns = x.shape[1] // side, x.shape[2] // side
        windows = x.unflatten(2, (columns, side)).unflatten(1, (rows, side)).transpose(2, 3)
        out = self.w_msa(windows.flatten(1, 2).flatten(2, 3), hidden)
        out = out.unflatten(2, (side, side)).unflatten(1, (rows, columns)).transpose(2, 3).flatten(3, 4).flatten(1, 2)
        out = out.roll((shift, shift), (1, 2)) if shift else out
        return out[:, :height, :width]


def _hidden(x: Tensor, window: int, shift: int) -> Tensor:
    """(W, N, N) added to the attention in shifted windows: what was rolled round the edge is not seen from here."""
    parts = []
    for extent in x.shape[1:3]:
        place = torch.arange(extent, device=x.device)
        parts.append((place >= extent - window).int() + (place >= extent - shift).int())
    regions = parts[0][:, None] * 3 + parts[1][None, :]
    regions = regions.unflatten(1, (-1, window)).unflatten(0, (-1, window)).transpose(1, 2).flatten(0, 1).flatten(1)
    return (regions[:, :, None] != regions[:, None, :]) * _HIDDEN


class _MLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Sequential(nn.Linear(width, 4 * width), nn.GELU()), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, window: int, *, shifted: bool) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), _ShiftedWindows(width, heads, window, shifted=shifted)
        self.norm2, self.ffn = nn.LayerNorm(width), _MLP(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class _PatchMerging(nn.Module):
    """Four neighbours become one cell of twice the channels.

    They lie channel after channel, the four places of each side by side: the order of `nn.Unfold`, as in mmcv. In timm
    and transformers they lie place after place, so that norm and reduction are in another order (`to_transformers`).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) -> (B, H / 2, W / 2, 2 C); an odd last row or column is paired with zeros."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        x = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, h, 2, w, 2, C)
        return self.reduction(self.norm(x.permute(0, 1, 3, 5, 2, 4).flatten(3)))


class _Stage(nn.Module):
    def __init__(self, width: int, depth: int, heads: int, window: int, *, merge: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([_Block(width, heads, window, shifted=i % 2 == 1) for i in range(depth)])
        self.downsample = _PatchMerging(width) if merge else None

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class _PatchEmbed(nn.Module):
    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.projection, self.norm = nn.Conv2d(3, width, patch, patch), nn.LayerNorm(width)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, H / patch, W / patch, width)."""
        return self.norm(self.projection(pixels).permute(0, 2, 3, 1))


class Swin(StemmedTower):
    """A Swin Transformer whose levels are the maps after the stages in `taps` (0 is the first), each behind a norm.

    image (B, 3, size, size) in [0, 1] -> [(B, N_l, D_l)]. As in MMClassification, a stage ends with the merging of its
    cells, so that with four stages and patches of 4 the strides are 8, 16, 32, 32. Swin-B has `width` 128, `depths`
    (2, 2, 18, 2) and `heads` (4, 8, 16, 32). `start` "truncated_normal" draws matrices and bias tables as the paper
    does; "released" leaves PyTorch's own and tables of zeros, as CMID's code does. Without stochastic depth.
    """

    def __init__(
        self, *, width: int, depths: Sequence[int], heads: Sequence[int], window: int = 7, patch: int = 4,
        size: int = 224, taps: Sequence[int] = (3,), mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD, start: Literal["truncated_normal", "released"] = "truncated_normal",
    ) -> None:  # fmt: skip
        super().__init__()
        self.taps, self.size, self.mean, self.std = tuple(taps), size, tuple(mean), tuple(std)
        self.stem_dim, self.stem_stride = width, patch
        self.patch_embed, last = _PatchEmbed(width, patch), len(depths) - 1
        self.stages = nn.ModuleList(
            _Stage(width << i, depth, heads[i], window, merge=i < last) for i, depth in enumerate(depths)
        )
        after = [min(i + 1, last) for i in range(len(depths))]  # how often cells were merged when a stage ends
        self.dims = tuple(width << after[tap] for tap in self.taps)
        for tap, dim in zip(self.taps, self.dims, strict=True):
            self.add_module(f"norm{tap}", nn.LayerNorm(dim))
        self.tokens = tuple(math.ceil(size / (patch << after[tap])) ** 2 for tap in self.taps)
        self.stride = patch << after[self.taps[-1]]
        if start == "truncated_normal":
            self._start()

    def _start(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, _WindowAttention):
                nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)

    def stem_map(self, pixels: Tensor) -> Tensor:
        """As every StemmedTower: (B, width, H / patch, W / patch)."""
        return self.patch_embed(pixels).permute(0, 3, 1, 2)

    def deep_maps(self, stem: Tensor) -> list[Tensor]:
        """As every StemmedTower: the maps after the stages of `taps`, normalised."""
        x, maps = stem.permute(0, 2, 3, 1), dict[int, Tensor]()
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in self.taps:
                maps[i] = self.get_submodule(f"norm{i}")(x).permute(0, 3, 1, 2)
        return [maps[tap] for tap in self.taps]


_TRANSFORMERS = {
    r"patch_embed\.projection\.": "embeddings.patch_embeddings.projection.",
    r"patch_embed\.norm\.": "embeddings.norm.",
    r"norm\d\.": "layernorm.",
    r"stages\.(\d)\.downsample\.": r"encoder.layers.\1.downsample.",
    r"stages\.(\d)\.blocks\.(\d+)\.norm1\.": r"encoder.layers.\1.blocks.\2.layernorm_before.",
    r"stages\.(\d)\.blocks\.(\d+)\.norm2\.": r"encoder.layers.\1.blocks.\2.layernorm_after.",
    r"stages\.(\d)\.blocks\.(\d+)\.ffn\.layers\.0\.0\.": r"encoder.layers.\1.blocks.\2.intermediate.dense.",
    r"stages\.(\d)\.blocks\.(\d+)\.ffn\.layers\.1\.": r"encoder.layers.\1.blocks.\2.output.dense.",
    r"stages\.(\d)\.blocks\.(\d+)\.attn\.w_msa\.proj\.": r"encoder.layers.\1.blocks.\2.attention.output.dense.",
    r"stages\.(\d)\.blocks\.(\d+)\.attn\.w_msa\.": r"encoder.layers.\1.blocks.\2.attention.self.",
}


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of a `Swin` as a file of transformers' `SwinModel` has it, its merged channels in their order.

    For a tower whose only tap is the last stage. The index of places is a constant, which they compute themselves.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.endswith("relative_position_index"):
            continue
        if ".downsample." in name:  # channel, row, column -> column, row, channel
            tensor = tensor.unflatten(-1, (-1, 2, 2)).transpose(-3, -1).flatten(-3)
        pattern = next(pattern for pattern in _TRANSFORMERS if re.match(pattern, name))
        name = re.sub(pattern, _TRANSFORMERS[pattern], name, count=1)
        parts = ("query", "key", "value") if ".self.qkv." in name else ("qkv",)
        for part, values in zip(parts, tensor.chunk(len(parts)), strict=True):
            out[name.replace(".self.qkv.", f".self.{part}.")] = values.contiguous()
    return out
