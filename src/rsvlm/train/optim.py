"""Adan: Adam that looks one gradient back, to see where the next one will be (arXiv:2208.06677)."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor


class Adan(torch.optim.Optimizer):
    """Adaptive Nesterov momentum, Algorithm 1 of the paper with the bias corrections of its released code.

    `betas` are the shares of the old that are kept, of the mean gradient, the mean difference of two gradients and the
    mean square, 1 minus the paper's. Weight decay is decoupled: `proximal` divides by 1 + lr * decay after the step, as
    in the paper (timm's `adanp`), else the weights are multiplied by 1 - lr * decay before it (`adanw`). Each parameter
    counts its own steps, and keeps four values an element of it.
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, betas: tuple[float, float, float] = (0.98, 0.92, 0.99), *,
        eps: float = 1e-8, weight_decay: float = 0.0, proximal: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "proximal": proximal}
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step for every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group)

    def _move(self, parameter: Tensor, gradient: Tensor, group: Mapping[str, Any]) -> None:
        state = self.state[parameter]
        if not state:  # before the first step there is no difference
            state |= {name: torch.zeros_like(parameter) for name in ("mean", "difference", "square")}
            state |= {"step": torch.tensor(0.0), "before": gradient.clone()}
        state["step"] += 1
        difference = gradient - state["before"]
        state["before"].copy_(gradient)
        ahead = gradient + group["betas"][1] * difference
        news = {"mean": gradient, "difference": difference, "square": ahead * ahead}
        steps = int(state["step"])
        for (name, new), beta in zip(news.items(), group["betas"], strict=True):
            state[name].mul_(beta).add_(new, alpha=1 - beta)
        one, two, three = (state[name] / (1 - beta**steps) for name, beta in zip(news, group["betas"], strict=True))
        move = (one + group["betas"][1] * two) / (three.sqrt() + group["eps"])
        shrink = group["lr"] * group["weight_decay"]
        if group["proximal"]:
            parameter.sub_(group["lr"] * move).div_(1 + shrink)
        else:
            parameter.mul_(1 - shrink).sub_(group["lr"] * move)
