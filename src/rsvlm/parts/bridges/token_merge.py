"""Token merging: neighbours side by side in one wider token, then one linear map into the language model."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from rsvlm.errors import BadInput
from rsvlm.parts import lora as peft_lora


class TokenMerge(nn.Module):
    """The last level (B, N, dim) -> language tokens (B, N / group, output_dim), as in MiniGPT-v2 (arXiv:2310.09478).

    `group` tokens that follow one another row by row become one of group * dim: a strip of 1 x `group` patches, not a
    square block. Without `lora` the linear map is all there is and moves whole (MiniGPT-v2). With `lora`, the numbers
    of a peft LoraConfig, it carries adapters, so that a stage can train it as "bridge.lora" (SkyEyeGPT's figure).
    """

    def __init__(
        self, *, dim: int, tokens: int, output_dim: int, group: int = 4, lora: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        if group < 1 or tokens % group:
            raise BadInput(
                f"{tokens} tokens of an image cannot be merged {group} by {group}; give a group that divides."
            )
        self.group, self.tokens = group, tokens // group
        self.proj: nn.Module = nn.Linear(group * dim, output_dim)
        if lora:
            peft_lora.inject(self, lora, target_modules=["proj"])

    def forward(self, levels: Sequence[Tensor], question: Tensor | None = None) -> Tensor:
        """Levels -> language tokens (B, N / group, output_dim), from the last one; the question is not looked at."""
        return self.proj(levels[-1].unflatten(1, (-1, self.group)).flatten(2))
