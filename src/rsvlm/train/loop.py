"""The loop: one stage, step by step, on accelerate. Stops on a loss that is not finite; resumes to the same losses."""

import multiprocessing
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.utils.data import DataLoader, Dataset, Subset

from rsvlm.errors import RsvlmError
from rsvlm.recipe import Stage
from rsvlm.sample import Batch
from rsvlm.train.gradient_cache import backward as cached
from rsvlm.train.stages import lr_factor

Report = Callable[[int, Mapping[str, float]], None]


class NotFinite(RsvlmError):
    """A loss or gradient became NaN or infinite: the run stops, the last checkpoint is kept."""


def distribute(accelerator: Accelerator, model: nn.Module, *, sharded: bool) -> nn.Module:
    """The model as it trains on all processes: a copy each (DDP), or a slice each where `sharded` (FSDP2).

    Sharded, every block of a stack (`nn.ModuleList`) is gathered when its turn comes, the rest once a step. This is
    torch's own `fully_shard`, in place: accelerate's wrapping of it leaves out the CPU and wants the optimiser too.
    """
    if not sharded or accelerator.num_processes == 1:
        return accelerator.prepare_model(model)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for stack in reversed([module for module in model.modules() if isinstance(module, nn.ModuleList)]):
        for block in stack:
            fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def ahead(batches: Dataset[list[Batch]], steps: Sequence[int]) -> DataLoader[list[Batch]]:
    """The batches of `steps` in order, the next ones made by a second process while one is trained on.

    The process is forked: it shares the samples and cached levels instead of getting a copy.
    """
    fork = len(steps) > 8 and "fork" in multiprocessing.get_all_start_methods()
    return DataLoader(
        Subset(batches, steps), batch_size=None, num_workers=int(fork),
        multiprocessing_context="fork" if fork else None,
    )  # fmt: skip


def fit(
    accelerator: Accelerator, model: nn.Module, optimizer: torch.optim.Optimizer, stage: Stage,
    batches: Iterable[list[Batch]], *, report: Report, start: int = 0, seed: str = "",
) -> None:  # fmt: skip
    """Run `stage` from step `start`: each item of `batches` is the micro-batches of one step.

    `report(step, numbers)` is called after each step with the losses (means over processes), `lr`, `grad_norm` and
    `tokens`: how many the step's conversations have, padding left out. What a step draws (dropout) depends on `seed`,
    step and process only, so there is no random state to save.
    """
    for step, micro_batches in enumerate(batches, start):
        torch.manual_seed(random.Random(f"{seed}/{step}/{accelerator.process_index}").getrandbits(63))
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * lr_factor(stage, step, group["floor"])
        means: dict[str, Tensor] = {}
        for index, batch in enumerate(micro_batches):
            last = index == len(micro_batches) - 1
            check = partial(_check, stage, step, "loss")
            backward = _backward if stage.gradient_cache is None else partial(cached, part=stage.gradient_cache)
            losses = backward(
                accelerator, model, _to(batch, accelerator.device), share=1 / len(micro_batches), check=check,
                sync=lambda done, last=last: _sync(accelerator, model, last and done),
            )  # fmt: skip
            for name, value in losses.items():
                means[name] = means.get(name, torch.zeros(())) + value.detach() / len(micro_batches)
        norm = nn.utils.clip_grad_norm_(model.parameters(), stage.clip)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        _check(stage, step, "gradient norm", norm)
        optimizer.step()
        optimizer.zero_grad()
        accelerator.unwrap_model(model).after_step()
        numbers = {name: _mean(accelerator, value) for name, value in means.items()}
        tokens, rate = _tokens(accelerator, micro_batches), optimizer.param_groups[0]["lr"]
        report(step, {**numbers, "lr": rate, "grad_norm": float(norm), "tokens": tokens})


def _backward(
    accelerator: Accelerator, model: nn.Module, batch: Mapping[str, Any], *, share: float,
    check: Callable[[Tensor], None], sync: Callable[[bool], AbstractContextManager[Any]],
) -> dict[str, Tensor]:  # fmt: skip
    """The batch's losses, and their gradients times `share` in the model. `check` is given their sum first."""
    with sync(True), accelerator.autocast():
        losses: dict[str, Tensor] = model(batch)
        total = torch.stack(list(losses.values())).sum() * share
        check(total)
        accelerator.backward(total)
    return losses


def _check(stage: Stage, step: int, what: str, value: Tensor) -> None:
    if not torch.isfinite(value):
        raise NotFinite(
            f"Stage {stage.name!r}, step {step}: the {what} is {float(value.detach())}; lower lr or look at the data, "
            "the last checkpoint is as it was."
        )


def _mean(accelerator: Accelerator, value: Tensor) -> float:
    mean: Any = accelerator.reduce(value, "mean")
    return float(mean)


def _tokens(accelerator: Accelerator, micro_batches: list[Batch]) -> int:
    """Tokens of prompts and replies over all processes, padding left out."""
    masks: Any = [batch.get(key) for batch in micro_batches for key in ("prompt_mask", "reply_mask")]
    own = torch.tensor(sum(int(mask.sum()) for mask in masks if mask is not None), device=accelerator.device)
    total: Any = accelerator.reduce(own, "sum")
    return int(total)


def _sync(accelerator: Accelerator, model: nn.Module, last: bool) -> AbstractContextManager[Any]:
    """Gradients travel between processes once a step, with the last micro-batch."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(last)
        return nullcontext()
    return nullcontext() if last else accelerator.no_sync(model)


def _to(batch: Batch, device: torch.device) -> dict[str, Any]:
    values: dict[str, Any] = {**batch}
    return {k: [x.to(device) for x in v] if isinstance(v, list) else v.to(device) for k, v in values.items()}
