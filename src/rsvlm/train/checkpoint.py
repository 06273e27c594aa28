"""Checkpoints: weights, optimiser, random state and position, written aside and renamed; safetensors and JSON only."""

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
from rsvlm.systems.build import load_weights, read_state

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


def weights(model: nn.Module, moved: set[str], dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """The tensors under the names in `moved` (parameters that any stage trained), whole and on the CPU."""
    state = get_model_state_dict(model, options=_WHOLE)
    return {name: state[name].to(dtype or state[name].dtype).contiguous() for name in sorted(moved)}


def save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, moved: set[str], position: Mapping[str, Any], *,
    main: bool = True,
) -> None:  # fmt: skip
    """Write `folder` (weights.safetensors, optimizer.safetensors, position.json). Every process must call it (FSDP gathers)."""
    state, moments = weights(model, moved), get_optimizer_state_dict(model, optimizer, options=_WHOLE)
    if not main:
        return
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tensors = {name: value.contiguous() for name, value in moments.items() if isinstance(value, Tensor)}
    tensors["rng"] = torch.get_rng_state()
    save_file(state, aside / "weights.safetensors")
    save_file(tensors, aside / "optimizer.safetensors")
    plain = {name: value for name, value in moments.items() if not isinstance(value, Tensor)}
    write_json(aside / "position.json", {**position, "optimizer": plain})
    replace_folder(aside, folder)


def find(folder: Path) -> dict[str, Any] | None:
    """The position of the checkpoint in `folder` (or of the one it was about to replace), or None where there is none."""
    old = folder.with_name(folder.name + ".old")
    if not folder.exists() and old.exists():
        old.rename(folder)  # killed between the two renames
    path = folder / "position.json"
    if not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BadInput(f"{path} is damaged ({error}); delete {folder} to start again.") from error


def load_model(folder: Path, model: nn.Module) -> None:
    """Load the checkpoint's weights into an unwrapped model."""
    path = folder / "weights.safetensors"
    load_weights(model, read_state(path), source=str(path))


def load_optimizer(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, plain: Mapping[str, Any]) -> None:
    """Load the optimiser's moments and the random state."""
    tensors = read_state(folder / "optimizer.safetensors")
    torch.set_rng_state(tensors.pop("rng"))
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    set_optimizer_state_dict(model, optimizer, {**tensors, **plain}, options=_WHOLE)
