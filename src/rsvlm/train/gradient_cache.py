"""Contrastive steps of large batches on small memory: gradients of vectors first, then of what made them, part by part.

GradCache (arXiv:2101.06983): all vectors are computed without a graph, the loss gives the gradient of each, and every
part of the batch is seen once more to carry its own back. Memory is that of one part, and of (B, B) similarities.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn


def backward(
    accelerator: Accelerator, model: nn.Module, batch: Mapping[str, Any], *, part: int, share: float,
    check: Callable[[Tensor], None], sync: Callable[[bool], AbstractContextManager[Any]],
) -> dict[str, Tensor]:  # fmt: skip
    """The batch's losses, and their gradients times `share` in the model; `part` pictures go through it at once.

    `check` is given the loss before it is used; `sync(last)` is the context of a backward pass. A part is seen the
    second time with the random numbers of the first, so dropout is the same. The learner of pairs is the system, or
    its head of the objective "contrastive".
    """
    system: Any = accelerator.unwrap_model(model)
    learner = system.heads.get("contrastive", system)
    parts = list(_parts(batch, part))
    states: list[Any] = []
    with torch.no_grad(), accelerator.autocast():
        seen = []
        for one in parts:
            states.append(_random_state(accelerator.device))
            seen.append(learner.vectors(system, one))
    images, texts = (torch.cat([found[side].float() for found in seen]).requires_grad_() for side in (0, 1))
    loss = learner.pair_loss(images, texts, batch)
    check(loss)
    (loss * share).backward()  # of the vectors, and of the temperature
    rows: Any = zip(*(one.grad.split(part) for one in (images, texts) if one.grad is not None), strict=True)
    for index, (one, state, gradients) in enumerate(zip(parts, states, rows, strict=True)):
        with _replayed(state, accelerator.device), sync(index == len(parts) - 1), accelerator.autocast():
            losses: dict[str, Tensor] = model({**one, "vector_gradients": gradients})
            accelerator.backward(torch.stack(list(losses.values())).sum())
    return {"contrastive": loss.detach()}


def _parts(batch: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    count = len(batch["text"])
    for start in range(0, count, size):
        cut = slice(start, start + size)
        yield {
            key: [level[cut] for level in value] if isinstance(value, list) else value[cut]
            for key, value in batch.items()
        }


def _random_state(device: torch.device) -> tuple[Tensor, Tensor | None]:
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


@contextmanager
def _replayed(state: tuple[Tensor, Tensor | None], device: torch.device) -> Iterator[None]:
    """The random numbers of an earlier time; those of now go on afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.set_rng_state(state[0])
        if state[1] is not None:
            torch.cuda.set_rng_state(state[1], device)
        yield
