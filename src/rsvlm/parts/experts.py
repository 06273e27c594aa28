"""Mixtures of experts: a router sends each token through a few of several MLPs, which may start as copies of one."""

import re
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.errors import BadInput


def mlp(width: int, hidden: int, activation: Literal["gelu", "none"] = "gelu") -> nn.Sequential:
    """(..., width) -> (..., width) through `hidden`; "none" leaves out the GELU, so that the whole is affine."""
    between = nn.GELU() if activation == "gelu" else nn.Identity()
    return nn.Sequential(nn.Linear(width, hidden), between, nn.Linear(hidden, width))


class NoisyTopKRouter(nn.Module):
    """Chooses `selects` of `experts` for each token (arXiv:1701.06538, with a gate of two maps and a tanh between).

    While training, normal noise of the size softplus(noise(x)) + `epsilon` is added to the gate's logits, so that
    experts are tried; asked (`eval()`), the choice depends on the token alone. `noise` starts at zero, as that paper
    has it and LHRS-Bot-Nova's code says; there a later initialisation of all maps overwrites it.
    """

    def __init__(self, width: int, experts: int, selects: int, epsilon: float = 0.01) -> None:
        super().__init__()
        if not 1 <= selects <= experts:
            raise ValueError(f"{selects} of {experts} experts cannot be chosen")
        self.selects, self.epsilon = selects, epsilon
        self.gate = nn.Sequential(
            nn.Linear(width, experts, bias=False), nn.Tanh(), nn.Linear(experts, experts, bias=False)
        )
        self.noise = nn.Linear(width, experts, bias=False)
        nn.init.zeros_(self.noise.weight)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (N, width) -> shares (N, selects), best first, each row a sum of 1, and experts (N, selects)."""
        logits = self.gate(x)
        if self.training:
            logits = logits + torch.randn_like(logits) * (F.softplus(self.noise(x)) + self.epsilon)
        best, chosen = logits.topk(self.selects, dim=1)
        return best.float().softmax(1).to(logits.dtype), chosen


class Experts(nn.Module):
    """In the place of one MLP several of the same size, mixed by a router: the sum of the chosen, each by its share."""

    def __init__(
        self, width: int, hidden: int, *, experts: int, selects: int, activation: Literal["gelu", "none"]
    ) -> None:
        super().__init__()
        self.router = NoisyTopKRouter(width, experts, selects)
        self.experts = nn.ModuleList(mlp(width, hidden, activation) for _ in range(experts))

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (..., width) -> (..., width); a token's place among the others does not matter."""
        flat = x.flatten(0, -2)
        shares, chosen = self.router(flat)
        out = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            # An expert that nobody chose runs too, on no token: processes that share it in slices wait for each other.
            rows, place = (chosen == number).nonzero(as_tuple=True)
            said = expert(flat[rows]) * shares[rows, place, None]
            out = out.index_add(0, rows, said.to(out.dtype))
        return out.view_as(x)


def upcycle(
    dense: Mapping[str, Tensor], own: Mapping[str, Tensor], *, source: str = "The weights"
) -> dict[str, Tensor]:
    """The weights of a model with plain MLPs, for the same model with `Experts` in their place (arXiv:2212.05055).

    Every expert (x.experts.<name>.y) starts as what it replaces (x.y), and so does a layer that gets adapters
    (x.base_layer.y); everything else by its name, as does an expert that is there already. `own` is the state dict of
    the new model, whose routers and adapters are not in the result: they are new. What the model computes is only kept
    where the experts have the activation of the MLP. Raises BadInput, which names the `source`, for a tensor that has
    no place, or another shape.
    """
    sources = {name: name if name in dense else re.sub(r"\.experts\.\w+\.|\.base_layer\.", ".", name) for name in own}
    state = {name: dense[source].clone() for name, source in sources.items() if source in dense}
    lost = sorted(set(dense) - set(sources.values()))
    wrong = [name for name, tensor in state.items() if tensor.shape != own[name].shape]
    if lost or wrong:
        raise BadInput(
            f"{source} cannot go on in a model of this form: {(lost or wrong)[0]} has no place in it; only MLPs may "
            "become experts, and layers get adapters, from one stage to the next."
        )
    return state
