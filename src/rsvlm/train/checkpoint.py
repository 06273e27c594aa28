"""Checkpoints: weights, optimiser and position, written aside and renamed; safetensors and JSON only.

What a step draws depends on (seed, stage, step, process) alone, so the position is the random state too.
"""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from rsvlm.errors import BadInput
from rsvlm.parts.weights import read_state
from rsvlm.systems.build import load_weights

_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, flatten_optimizer_state_dict=True)


def replace_folder(aside: Path, final: Path) -> None:
    """Put a finished folder in the place of an older one; at any moment one of them is whole."""
    old = final.with_name(final.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    aside.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON aside, flush it to disk, rename."""
    aside = path.with_name(path.name + ".part")
    with aside.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(path)


def weights(model: nn.Module, names: set[str], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The tensors under `names`, whole and on the CPU; as `dtype` where given, but batch-norm statistics as they are.

    Every process must call it (sharded tensors are gathered); only the first one gets anything.
    """
    state = get_model_state_dict(model, options=_WHOLE)
    kept = {name: state[name].contiguous() for name in sorted(names)} if state else {}
    return {n: t.to(dtype) if dtype and t.is_floating_point() and "running_" not in n else t for n, t in kept.items()}


def save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, moved: set[str], position: Mapping[str, Any], *,
    main: bool = True,
) -> None:  # fmt: skip
    """Write `folder`: weights.safetensors, optimizer.safetensors, position.json. Every process must call it."""
    state, moments = weights(model, moved), get_optimizer_state_dict(model, optimizer, options=_WHOLE)
    if not main:
        return
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    plain: dict[str, Any] = {**moments}
    tensors = {name: plain.pop(name).contiguous() for name, value in moments.items() if isinstance(value, Tensor)}
    save_file(state, aside / "weights.safetensors")
    save_file(tensors, aside / "optimizer.safetensors")
    write_json(aside / "position.json", {**position, "optimizer": plain})
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
        position = json.loads(path.read_text(encoding="utf-8"))
        return {key: position[key] for key in ("recipe", "stage", "step", "moved", "data", "optimizer")}
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is damaged ({error}); delete {folder} to start again.") from error


def load_model(folder: Path, model: nn.Module) -> None:
    """Load the checkpoint's weights into an unwrapped model."""
    path = folder / "weights.safetensors"
    load_weights(model, read_state(path), source=str(path))


def load_optimizer(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, plain: Mapping[str, Any]) -> None:
    """Load the optimiser's moments from the checkpoint, and from its position what is not a tensor."""
    state: dict[str, Any] = {**read_state(folder / "optimizer.safetensors")}
    state |= {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    set_optimizer_state_dict(model, optimizer, state, options=_WHOLE)
