"""ResNet (arXiv:1512.03385), its modules under the names of torchvision, timm, mmseg and mmdet."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.parts.vision.tower import IMAGENET_MEAN, IMAGENET_STD, StemmedTower


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class _Block(nn.Module):
    """Two convolutions of 3 x 3, or with a `bottleneck` one of 3 x 3 between two of 1 x 1, and a shortcut.

    The stride is that of the first (or only) 3 x 3 convolution, as in torchvision and timm ("v1.5").
    """

    def __init__(self, inputs: int, width: int, outputs: int, stride: int, *, bottleneck: bool) -> None:
        super().__init__()
        kernels = (1, 3, 1) if bottleneck else (3, 3)
        ends = (width,) * (len(kernels) - 1) + (outputs,)
        self.depth = len(kernels)
        for index, (kernel, start, end) in enumerate(zip(kernels, (inputs, *ends), ends, strict=False), 1):
            own = stride if index == kernels.index(3) + 1 else 1
            self.add_module(f"conv{index}", _conv(start, end, kernel, own))
            self.add_module(f"bn{index}", nn.BatchNorm2d(end))
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for index in range(1, self.depth + 1):
            out = self.get_submodule(f"bn{index}")(self.get_submodule(f"conv{index}")(out))
            out = F.relu(out) if index < self.depth else out
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(StemmedTower):
    """A ResNet whose levels are the maps after the stages in `taps` (0 is the first).

    image (B, 3, size, size) in [0, 1] -> [(B, N_l, D_l)]; strides are 4, 8, 16, 32. ResNet-50 has four stages of
    `depths` (3, 4, 6, 3) and bottlenecks, which widen `widths` fourfold. Pixels are normalised by `mean` and `std`,
    which are of the weights. Weights start as timm's: Kaiming's normal ones, the last norm of a block at 0.
    """

    def __init__(
        self, *, depths: Sequence[int] = (3, 4, 6, 3), widths: Sequence[int] = (64, 128, 256, 512),
        block: Literal["bottleneck", "basic"] = "bottleneck", stem: int = 64, size: int = 224,
        taps: Sequence[int] = (3,), mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD,
    ) -> None:  # fmt: skip
        super().__init__()
        self.taps, self.size, self.mean, self.std = tuple(taps), size, tuple(mean), tuple(std)
        self.stem_dim, self.stem_stride = stem, 4
        self.conv1, self.bn1 = nn.Conv2d(3, stem, 7, 2, padding=3, bias=False), nn.BatchNorm2d(stem)
        outputs = [width * (4 if block == "bottleneck" else 1) for width in widths]
        self.depth = len(depths)
        for stage, (depth, width, end) in enumerate(zip(depths, widths, outputs, strict=True)):
            inputs = (stem, *outputs)[stage]
            blocks = [
                _Block(inputs if i == 0 else end, width, end, 2 if i == 0 and stage else 1,
                       bottleneck=block == "bottleneck")
                for i in range(depth)
            ]  # fmt: skip
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.dims = tuple(outputs[tap] for tap in self.taps)
        self.tokens = tuple((-(-size // (4 << tap))) ** 2 for tap in self.taps)
        self.stride = 4 << self.taps[-1]
        self._start()

    def _start(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, _Block):
                last = module.get_submodule(f"bn{module.depth}")
                assert isinstance(last, nn.BatchNorm2d)
                nn.init.zeros_(last.weight)

    def stem_map(self, pixels: Tensor) -> Tensor:
        """As every StemmedTower: (B, stem, H / 4, W / 4)."""
        return F.max_pool2d(F.relu(self.bn1(self.conv1(pixels))), 3, 2, padding=1)

    def deep_maps(self, stem: Tensor) -> list[Tensor]:
        """As every StemmedTower: the maps after the stages of `taps`."""
        maps = [stem]
        for stage in range(self.depth):
            maps.append(self.get_submodule(f"layer{stage + 1}")(maps[-1]))
        return [maps[tap + 1] for tap in self.taps]
