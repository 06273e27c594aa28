"""What moves in a stage, and how fast."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from rsvlm.errors import BadInput
from rsvlm.recipe import Stage


def moves(name: str, pattern: str) -> bool:
    """Whether parameter `name` belongs to `pattern`: "bridge" is all below it, "language.lora" the adapters in it.

    Dotted parts of the pattern must start dotted parts of the name in order, the first one at the front.
    """
    parts, wanted = iter(name.split(".")), pattern.split(".")
    return next(parts) == wanted[0] and all(any(p.startswith(w) for p in parts) for w in wanted[1:])


def freeze(model: nn.Module, trainable: Sequence[str]) -> dict[str, list[nn.Parameter]]:
    """Let exactly the parameters under `trainable` move; gives them by pattern. A pattern without any is refused."""
    groups: dict[str, list[nn.Parameter]] = {pattern: [] for pattern in trainable}
    for name, parameter in model.named_parameters():
        owner = next((pattern for pattern in trainable if moves(name, pattern)), None)
        parameter.requires_grad_(owner is not None)
        if owner is not None:
            groups[owner].append(parameter)
    for pattern, parameters in groups.items():
        if not parameters:
            roots = sorted({name.split(".")[0] for name, _ in model.named_parameters()})
            raise BadInput(f"trainable {pattern!r} names no parameter; this system has: {', '.join(roots)}.")
    return groups


def optimizer(stage: Stage, groups: dict[str, list[nn.Parameter]]) -> torch.optim.Optimizer:
    """AdamW with one group a pattern; vectors (norms, biases) are not decayed. `lr` must name the groups."""
    rates = stage.lr if isinstance(stage.lr, dict) else dict.fromkeys(groups, stage.lr)
    if odd := sorted(rates.keys() ^ groups.keys()):
        raise BadInput(
            f"Stage {stage.name!r}: {odd[0]!r} is in only one of `trainable` and `lr`; give a rate to what moves."
        )
    sets = []
    for pattern, parameters in groups.items():
        rate = rates[pattern]
        for decayed in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1) == decayed]
            if chosen:
                decay = stage.weight_decay if decayed else 0.0
                sets.append({"params": chosen, "lr": rate, "base_lr": rate, "weight_decay": decay})
    return torch.optim.AdamW(sets, betas=stage.betas)


def lr_factor(stage: Stage, step: int) -> float:
    """Share of the base learning rate at `step` (from 0): linear warm-up, then a cosine down to `floor`."""
    if step < stage.warmup:
        return (step + 1) / stage.warmup
    done = (step - stage.warmup) / max(stage.steps - stage.warmup, 1)
    return stage.floor + (1 - stage.floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
