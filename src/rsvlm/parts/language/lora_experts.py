"""LoRA experts with a router: y = W x + alpha / r * sum_e g_e(x) B_e A_e x, g = softmax(G x). Ours.

RS-GPT4V (arXiv:2406.12479) names a tuning mode "MoE-LoRA" and publishes none of its numbers; this is the plain form of
the idea. With one expert it is LoRA, with all B at zero it is the base.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.errors import BadInput


class LoRAExperts(nn.Module):
    """A frozen linear map with `experts` low-rank updates, mixed for each token by a router.

    x (..., in) -> (..., out). `top` experts a token share its weight, all by default. Every parameter that is trained
    has `lora_` in its name.
    """

    def __init__(
        self, base: nn.Linear, *, r: int, lora_alpha: float, experts: int, top: int = 0, lora_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.base_layer, self.scale, self.top = base.requires_grad_(False), lora_alpha / r, top or experts
        self.lora_dropout = nn.Dropout(lora_dropout)
        self.lora_A = nn.ModuleList(nn.Linear(base.in_features, r, bias=False) for _ in range(experts))
        self.lora_B = nn.ModuleList(nn.Linear(r, base.out_features, bias=False) for _ in range(experts))
        self.lora_route = nn.Linear(base.in_features, experts, bias=False)
        for weight in self.lora_A.parameters():
            nn.init.kaiming_uniform_(weight, a=5**0.5)  # as peft starts LoRA
        for weight in self.lora_B.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., out) in the base's dtype."""
        out = self.base_layer(x)
        seen = self.lora_dropout(x).to(self.lora_route.weight.dtype)
        shares = self.shares(seen)
        update = torch.zeros_like(out, dtype=shares.dtype)
        for expert, (down, up) in enumerate(zip(self.lora_A, self.lora_B, strict=True)):
            update = update + shares[..., expert, None] * up(down(seen))
        return out + (self.scale * update).to(out.dtype)

    def shares(self, x: Tensor) -> Tensor:
        """x (..., in) -> (..., experts): what each expert counts, 0 outside the `top`, in sum 1."""
        shares = F.softmax(self.lora_route(x).float(), dim=-1)
        if self.top < len(self.lora_A):
            kept = shares.topk(self.top, dim=-1)
            shares = torch.zeros_like(shares).scatter(-1, kept.indices, kept.values)
            shares = shares / shares.sum(-1, keepdim=True)
        return shares


def inject(model: nn.Module, *, target_modules: Sequence[str], **numbers: Any) -> nn.Module:
    """Replace every linear map of `model` whose last name is in `target_modules`; the rest of the model is frozen.

    `numbers` are those of `LoRAExperts`. Raises BadInput where no map has such a name.
    """
    model.requires_grad_(False)
    found = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in target_modules
    ]
    if not found:
        raise BadInput(f"No linear map of the model is called {', '.join(target_modules)}; mend lora.target_modules.")
    for name, module in found:
        parent = model.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], LoRAExperts(module, **numbers))
    return model
