"""What moves in a stage, and how fast."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from rsvlm.errors import BadInput
from rsvlm.recipe import Stage
from rsvlm.train.optim import Adan


def named(names: Iterable[str], pattern: str) -> list[str]:
    """Those of the parameters `names` that `pattern` means: what lies at this path, "bridge" or "bridge.query".

    Where nothing does, dotted parts of the pattern must start dotted parts of the name in order, the first one at the
    front: "language.lora" are the adapters in the language model, wherever they are in it.
    """
    names = list(names)
    exact = [name for name in names if f"{name}.".startswith(f"{pattern}.")]
    return exact or [name for name in names if _within(name, pattern)]


def _within(name: str, pattern: str) -> bool:
    parts, wanted = iter(name.split(".")), pattern.split(".")
    return next(parts) == wanted[0] and all(any(p.startswith(w) for p in parts) for w in wanted[1:])


def freeze(model: nn.Module, trainable: Sequence[str]) -> dict[str, list[nn.Parameter]]:
    """Let exactly the parameters under `trainable` move; gives them by pattern. A pattern without any is refused."""
    groups: dict[str, list[nn.Parameter]] = {pattern: [] for pattern in trainable}
    names = [name for name, _ in model.named_parameters()]
    owners = {
        name: pattern for pattern in reversed(trainable) for name in named(names, pattern)
    }  # the first one has it
    for name, parameter in model.named_parameters():
        owner = owners.get(name)
        parameter.requires_grad_(owner is not None)
        if owner is not None:
            groups[owner].append(parameter)
    for pattern, parameters in groups.items():
        if not parameters:
            roots = sorted({name.split(".")[0] for name in names})
            raise BadInput(f"trainable {pattern!r} names no parameter; this system has: {', '.join(roots)}.")
    return groups


def optimizer(stage: Stage, groups: dict[str, list[nn.Parameter]]) -> torch.optim.Optimizer:
    """The stage's optimiser with one group a pattern; vectors (norms, biases) are not decayed.

    Each group carries its `base_lr` and the `floor` that `lr_factor` takes it to. Raises BadInput where the names under
    `lr` or `floor` are not those of the groups.
    """
    rates, floors = _by_group(stage, "lr", groups), _by_group(stage, "floor", groups)
    sets: list[dict[str, Any]] = []
    for pattern, parameters in groups.items():
        numbers = {"lr": rates[pattern], "base_lr": rates[pattern], "floor": floors[pattern]}
        for decayed in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1) == decayed]
            if chosen:
                sets.append({"params": chosen, "weight_decay": stage.weight_decay if decayed else 0.0, **numbers})
    make: Any = Adan if stage.optimizer == "adan" else torch.optim.AdamW
    return make(sets, betas=stage.betas, eps=stage.eps)


def _by_group(stage: Stage, field: Literal["lr", "floor"], groups: Collection[str]) -> Mapping[str, float]:
    value: float | dict[str, float] = getattr(stage, field)
    values = value if isinstance(value, dict) else dict.fromkeys(groups, value)
    if odd := sorted(values.keys() ^ set(groups)):
        raise BadInput(
            f"Stage {stage.name!r}: {odd[0]!r} is in only one of `trainable` and `{field}`; name there what moves."
        )
    return values


def lr_factor(stage: Stage, step: int, floor: float) -> float:
    """Share of the base learning rate at `step` (from 0): linear warm-up, then a cosine or a line down to `floor`."""
    if step < stage.warmup:
        first = stage.warmup_from
        return (step + 1) / stage.warmup if first is None else first + (1 - first) * step / stage.warmup
    done = min((step - stage.warmup) / max(stage.steps - stage.warmup, 1), 1.0)
    left = 1 - done if stage.decay == "linear" else 0.5 * (1 + math.cos(math.pi * done))
    return floor + (1 - floor) * left
