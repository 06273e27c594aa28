"""CLIP's vision transformer, read at several depths (arXiv:2103.00020)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rsvlm.parts.vision.tower import Tower


class CLIPLevels(Tower):
    """A CLIP vision transformer whose levels are hidden states, class token dropped (arXiv:2402.02544, sec. 3.2).

    image (B, 3, size, size) in [0, 1] -> [(B, (size/patch)^2, width)] for each index in `taps`; index 0 is the
    embedding, index i the output of layer i. `mean` and `std` are CLIP's. `align_corners` is how published positions
    get from another grid to this one (`rsvlm.parts.vision.positions`): True as GeoChat, False as transformers.
    `activation` is that of its MLPs: "quick_gelu" as OpenAI's weights, "gelu" as LAION's; tensors do not tell which.
    With `class_token` the levels have one token more, the class token first, and can be pooled.
    """

    mean: Tensor
    std: Tensor

    MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

    def __init__(
        self, *, width: int, depth: int, heads: int, patch: int, size: int, taps: Sequence[int],
        align_corners: bool = False, activation: str = "quick_gelu", class_token: bool = False, mlp_ratio: float = 4.0,
    ) -> None:  # fmt: skip
        from transformers import CLIPVisionConfig, CLIPVisionModel

        super().__init__()
        config = CLIPVisionConfig(
            hidden_size=width, intermediate_size=int(mlp_ratio * width), num_hidden_layers=depth,
            num_attention_heads=heads, patch_size=patch, image_size=size, hidden_act=activation,
        )  # fmt: skip
        self.model = CLIPVisionModel(config)
        self.taps, self.size, self.align_corners = tuple(taps), size, align_corners
        self.keeps_class_token = class_token
        self.dims = (width,) * len(self.taps)
        self.tokens = ((size // patch) ** 2 + class_token,) * len(self.taps)
        self.register_buffer("mean", torch.tensor(self.MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(self.STD).view(1, 3, 1, 1), persistent=False)

    def hidden(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Normalised pixels (B, 3, size, size) -> the embedding and each layer's output, (B, 1 + N, width)."""
        return self.model(pixel_values=pixels, output_hidden_states=True).hidden_states

    def forward(self, image: Tensor) -> list[Tensor]:
        """Image (B, 3, size, size) in [0, 1] -> [(B, N, width)], one a tap."""
        states = self.hidden((image - self.mean) / self.std)
        return [states[tap] if self.keeps_class_token else states[tap][:, 1:] for tap in self.taps]

    def pool(self, levels: Sequence[Tensor]) -> Tensor:
        """Levels -> (B, width): the last one's class token, normed, as CLIP reads a picture (`ln_post`)."""
        return self.model.post_layernorm(levels[-1][:, 0])
