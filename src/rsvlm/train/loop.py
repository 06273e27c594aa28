"""The loop: one stage, step by step, on accelerate. Stops on a loss that is not finite; resumes to the same losses."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from rsvlm.errors import RsvlmError
from rsvlm.recipe import Stage
from rsvlm.sample import Batch
from rsvlm.train.stages import lr_factor

Report = Callable[[int, Mapping[str, float]], None]


class NotFinite(RsvlmError):
    """A loss became NaN or infinite: the run stops, the last checkpoint is kept."""


def fit(
    accelerator: Accelerator, model: nn.Module, optimizer: torch.optim.Optimizer, stage: Stage,
    batches: Iterable[list[Batch]], *, start: int = 0, report: Report,
) -> None:  # fmt: skip
    """Run `stage` from step `start`: each item of `batches` is the micro-batches of one step.

    `report(step, numbers)` is called after each step with the losses (means over processes), `lr` and `grad_norm`.
    """
    for step, micro_batches in enumerate(batches, start):
        factor = lr_factor(stage, step)
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        means: dict[str, torch.Tensor] = {}
        for index, batch in enumerate(micro_batches):
            last = index == len(micro_batches) - 1
            with _sync(accelerator, model, last), accelerator.autocast():
                losses = model(_to(batch, accelerator.device))
                total = torch.stack(list(losses.values())).sum() / len(micro_batches)
                if not torch.isfinite(total):
                    found = {name: float(value.detach()) for name, value in losses.items()}
                    raise NotFinite(
                        f"Stage {stage.name!r}, step {step}: the loss is {found}; lower lr or look at the data."
                    )
                accelerator.backward(total)
            for name, value in losses.items():
                means[name] = means.get(name, torch.zeros(())) + value.detach() / len(micro_batches)
        norm = accelerator.clip_grad_norm_(model.parameters(), stage.clip)
        optimizer.step()
        optimizer.zero_grad()
        getattr(accelerator.unwrap_model(model), "after_step", lambda: None)()
        numbers = {name: float(accelerator.reduce(value, "mean")) for name, value in means.items()}
        first = optimizer.param_groups[0]["base_lr"]
        report(step, {**numbers, "lr": first * factor, "grad_norm": float(norm) if norm is not None else 0.0})


def _sync(accelerator: Accelerator, model: nn.Module, last: bool) -> Any:
    """Gradients travel between processes once a step, with the last micro-batch."""
    from contextlib import nullcontext

    return nullcontext() if last else accelerator.no_sync(model)


def _to(batch: Batch, device: torch.device) -> dict[str, Any]:
    return {k: [x.to(device) for x in v] if isinstance(v, list) else v.to(device) for k, v in batch.items()}
