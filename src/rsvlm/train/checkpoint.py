"""Checkpoints: weights, optimiser and position, written aside and renamed; safetensors and JSON only.

What a step draws depends on (seed, stage, step, process) alone, so the position is the random state too.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from rsvlm.errors import BadInput
from rsvlm.files import replace_folder, write_json
from rsvlm.json_text import load_json
from rsvlm.parts.checkpoints.weights import read_state
from rsvlm.systems.build import load_weights


def weights(model: nn.Module, names: set[str], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The tensors under `names`, whole and on the CPU; as `dtype` where given, but batch-norm statistics as they are.

    Every process must call it: sharded tensors are gathered.
    """
    state = model.state_dict()
    kept = {name: _whole(state[name]).contiguous() for name in sorted(names)}
    return {n: t.to(dtype) if dtype and t.is_floating_point() and "running_" not in n else t for n, t in kept.items()}


def moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser keeps for each parameter, as "state.<parameter>.<what>", whole and on the CPU."""
    return {
        f"state.{name}.{what}": _whole(value).contiguous()
        for name, parameter in model.named_parameters()
        if parameter in optimizer.state
        for what, value in optimizer.state[parameter].items()
    }


def _whole(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).cpu()


def save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, moved: set[str], position: Mapping[str, Any], *,
    main: bool = True,
) -> None:  # fmt: skip
    """Write `folder`: weights.safetensors, optimizer.safetensors, position.json. Every process must call it."""
    state, kept = weights(model, moved), moments(model, optimizer)
    if not main:
        return
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file(state, aside / "weights.safetensors")
    save_file(kept, aside / "optimizer.safetensors")
    write_json(aside / "position.json", position)
    replace_folder(aside, folder)


def find(folder: Path) -> dict[str, Any] | None:
    """The position of the checkpoint in `folder`, or of the one it was about to replace; None where there is none."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and old.exists():
        old.rename(folder)  # killed between the two renames
    path = folder / "position.json"
    if not path.is_file():
        return None
    try:
        position = load_json(path.read_text(encoding="utf-8"))
        return {key: position[key] for key in ("recipe", "stage", "step", "moved", "data")}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is damaged ({error}); delete {folder} to start again.") from error


def load_model(folder: Path, model: nn.Module) -> None:
    """Load the checkpoint's weights into an unwrapped model."""
    path = folder / "weights.safetensors"
    load_weights(model, read_state(path), source=str(path))


def load_optimizer(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Load what `moments` gave, for the parameters that move now. Raises BadInput where nothing fits."""
    path = folder / "optimizer.safetensors"
    state = read_state(path)
    for name, parameter in model.named_parameters():
        front = f"state.{name}."
        own = {key.removeprefix(front): value for key, value in state.items() if key.startswith(front)}
        if parameter.requires_grad and own:
            optimizer.state[parameter] = {key: _as(parameter, value) for key, value in own.items()}
    if not optimizer.state:
        raise BadInput(f"{path} has nothing for the parameters of this stage; delete {folder} to start again.")


def _as(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` where and as `parameter` is (sharded alike); the count of steps stays on the CPU, as AdamW has it."""
    if value.ndim == 0:
        return value
    if isinstance(parameter, DTensor):
        return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
    return value.to(parameter.device)
