"""SigLIP's vision transformer, read at several depths (arXiv:2303.15343)."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from rsvlm.parts.vision.tower import Tower


class SigLIPLevels(Tower):
    """A SigLIP vision transformer whose levels are the outputs of the layers in `taps`, counted from 1.

    image (B, 3, size, size) in [0, 1] -> [(B, (size // patch)^2, width)] for each tap; tap 0 is the embedding. Only
    `depth` layers are built: layers behind the last tap, the norm after them and the pooling head give nothing to any
    level; `pools` keeps norm and head, for a tower whose last layer is the last tap. Pixels are scaled to [-1, 1], as
    SigLIP's are.
    """

    def __init__(
        self, *, width: int, depth: int, heads: int, hidden: int, patch: int, size: int, taps: Sequence[int],
        pools: bool = False,
    ) -> None:  # fmt: skip
        from transformers import SiglipVisionConfig, SiglipVisionModel

        super().__init__()
        if not all(0 <= tap <= depth for tap in taps):
            raise ValueError(f"taps {list(taps)} of a tower of {depth} layers")
        config = SiglipVisionConfig(
            hidden_size=width, intermediate_size=hidden, num_hidden_layers=depth, num_attention_heads=heads,
            patch_size=patch, image_size=size,
        )  # fmt: skip
        config.vision_use_head = pools
        self.model: Any = SiglipVisionModel(config)
        if not pools:
            self.model.post_layernorm = nn.Identity()  # no level is behind it
        self.taps, self.size = tuple(taps), size
        self.dims = (width,) * len(self.taps)
        self.tokens = ((size // patch) ** 2,) * len(self.taps)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, size, size) in [0, 1] -> [(B, N, width)], one a tap."""
        out = self.model(pixel_values=image * 2 - 1, output_hidden_states=True)
        return [out.hidden_states[tap] for tap in self.taps]

    def pool(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels -> (B, width): the last one normed and gathered by SigLIP's attention head; needs `pools`."""
        return self.model.head(self.model.post_layernorm(levels[-1]))
