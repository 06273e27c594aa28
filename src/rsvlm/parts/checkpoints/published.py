"""Published checkpoints: .pt, .pth(.tar), .bin or .safetensors, whole or in shards, opened without running them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.files import is_file, is_folder
from rsvlm.json_text import load_json
from rsvlm.lfs import refuse_pointer
from rsvlm.parts.checkpoints import weights

SUFFIXES = (".pt", ".pth", ".pth.tar", ".bin", ".safetensors")
_INDEX = ".index.json"
_WRAPPERS = ("model", "state_dict", "model_state_dict", "module")  # where trainers keep the model among their own state
_PARALLEL = "module."  # before every name of a model that was saved inside DataParallel


def located(path: Path) -> Path:
    """`path`, or the checkpoint in the folder `path`: FINAL.*, an index of shards, model.*, or the only one.

    Raises BadInput where nothing is there, or several and none of them is the one.
    """
    if not is_folder(path):
        if not is_file(path):
            raise BadInput(f"There is no checkpoint at {path}; give the path of the published file.")
        return path
    there = sorted(file for file in path.iterdir() if file.name.endswith((*SUFFIXES, _INDEX)))
    named = [file for file in there if file.stem == "FINAL"] or [f for f in there if f.name.endswith(_INDEX)][:1]
    named = named or [file for file in there if file.stem in ("model", "pytorch_model")][:1] or there
    if len(named) != 1:
        found = ", ".join(file.name for file in named[:4]) or "none"
        raise BadInput(f"{path} is a folder with no one checkpoint ({found}); give the path of the published file.")
    return named[0]


def files(path: Path) -> dict[str, Path]:
    """The files of a checkpoint by name: itself, and the shards where it is an index of them.

    Raises BadInput for an index that cannot be read or names a shard that is not beside it.
    """
    if not path.name.endswith(_INDEX):
        return {path.name: path}
    refuse_pointer(path)
    try:
        shards = set(load_json(path.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no index of shards (JSON with a weight_map); fetch it again.") from error
    strange = [name for name in shards if not isinstance(name, str) or Path(name).name != name]
    if strange or not shards:
        raise BadInput(f"{path} names {strange[0] if strange else 'no file'!r} as a shard; fetch it again.")
    lost = sorted(name for name in shards if not is_file(path.parent / name))
    if lost:
        raise BadInput(
            f"{path} names {len(shards)} shards, of which {len(lost)} are not beside it, the first is {lost[0]}; "
            "fetch what is missing."
        )
    return {path.name: path} | {name: path.parent / name for name in sorted(shards)}


def read_tree(path: Path) -> Any:
    """The model in a checkpoint: tensors by name, or in dicts, without what a trainer put around. Raises BadInput."""
    return read_with_notes(path)[0]


def read_with_notes(path: Path) -> tuple[Any, tuple[str, ...]]:
    """As `read_tree`, and what was taken off, a sentence each."""
    if path.name.endswith(_INDEX):
        merged: dict[str, Tensor] = {}
        notes: dict[str, None] = {}
        for shard in list(files(path).values())[1:]:
            tree, more = read_with_notes(shard)
            merged |= weights.flatten(tree, source=str(shard))
            notes |= dict.fromkeys(more)
        return merged, tuple(notes)
    return _unwrapped(weights.read_state(path) if path.suffix == ".safetensors" else weights.read_pickle(path))


def _unwrapped(tree: Any) -> tuple[Any, tuple[str, ...]]:
    notes: list[str] = []
    while isinstance(tree, Mapping):
        held = next((name for name in _WRAPPERS if isinstance(tree.get(name), Mapping)), None)
        if held is None:
            break
        beside = ", ".join(sorted(str(name) for name in tree if name != held)[:8])
        notes.append(
            f"the model is what the file has under {held!r}" + (f"; {beside} beside it: not read" * bool(beside))
        )
        tree = tree[held]
    if isinstance(tree, Mapping) and tree and all(str(name).startswith(_PARALLEL) for name in tree):
        tree = {str(name).removeprefix(_PARALLEL): value for name, value in tree.items()}
        notes.append(f"{_PARALLEL!r} is taken off its names")
    return tree, tuple(notes)


def inner(tree: Any, fronts: Sequence[str] = ()) -> Any:
    """`tree` without "model." before its names, where one of `fronts`, the first parts of the model's own, follows it.

    A safetensors file has no dicts, so a model under "model" has its names there.
    """
    if not isinstance(tree, Mapping):
        return tree
    if any(str(name).startswith(tuple(f"model.{front}" for front in fronts)) for name in tree):
        return {str(name).removeprefix("model."): value for name, value in tree.items()}
    return tree


def tensors(path: Path, fronts: Sequence[str] = ()) -> dict[str, Tensor]:
    """Every tensor of a checkpoint by its flattened name; what is no tensor is passed over. `fronts` as for `inner`.

    Raises BadInput.
    """
    return tensors_of(read_tree(path), fronts)


def tensors_of(tree: Any, fronts: Sequence[str] = ()) -> dict[str, Tensor]:
    """As `tensors`, of what `read_tree` gave."""
    return _tensors(inner(tree, fronts), "")


def _tensors(tree: Any, prefix: str) -> dict[str, Tensor]:
    if isinstance(tree, Tensor):
        return {prefix.removesuffix("."): tree}
    found: dict[str, Tensor] = {}
    for key, value in tree.items() if isinstance(tree, Mapping) else ():
        found |= _tensors(value, f"{prefix}{key}.")
    return found
