"""Published weights: opened without running what is in them, renamed into ours, every tensor accounted for."""

import pickle
import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.files import atomic_folder, is_file, new_part, remove_part
from rsvlm.json_text import read_json_object
from rsvlm.lfs import refuse_pointer
from rsvlm.parts.checkpoints.admitted import check_tree
from rsvlm.pickles import check_torch_file, is_torch_zip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WeightTable:
    r"""How the names of a published state dict become ours; patterns are regular expressions over whole names.

    `renames` maps a pattern to our name (`\1` stands for its first group); `ignored` maps a pattern to the reason why
    such a tensor is not needed, and is asked first. `layouts` maps a pattern of published names to what turns such a
    tensor into ours where its values lie another way (a transposed matrix, an axis too many); it moves values and does
    nothing else to them, so that gradients are turned alike.
    """

    renames: Mapping[str, str]
    ignored: Mapping[str, str] = field(default_factory=dict)
    layouts: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)

    def ours(self, name: str) -> str | None:
        """Our name of a published tensor; None where no pattern knows it."""
        for pattern, target in self.renames.items():
            if found := re.fullmatch(pattern, name):
                return found.expand(target)
        return None

    def laid_out(self, name: str, tensor: Tensor) -> Tensor:
        """The values of the published tensor `name` (or its gradient) as they lie in ours."""
        turn = _match(name, self.layouts)
        return turn(tensor) if turn else tensor

    def under(self, theirs: str, ours: str) -> "WeightTable":
        """The same table one level down: names that start with `theirs` become names that start with `ours`."""
        front = re.escape(theirs)
        return WeightTable(
            {f"{front}(?:{pattern})": ours + target for pattern, target in self.renames.items()},
            {f"{front}(?:{pattern})": reason for pattern, reason in self.ignored.items()},
            {f"{front}(?:{pattern})": turn for pattern, turn in self.layouts.items()},
        )

    def __or__(self, other: "WeightTable") -> "WeightTable":
        return WeightTable(
            {**self.renames, **other.renames}, {**self.ignored, **other.ignored}, {**self.layouts, **other.layouts}
        )


@dataclass(frozen=True, slots=True)
class Account:
    """Where every tensor went: theirs -> ours, theirs -> why it is left out, ours -> where else it comes from.

    `notes` say what a trainer had put around the model.
    """

    loaded: Mapping[str, str]
    ignored: Mapping[str, str]
    elsewhere: Mapping[str, str]
    notes: tuple[str, ...] = ()


def adopt(
    published: Mapping[str, Tensor], own: Mapping[str, Tensor], table: WeightTable, *, source: str,
    elsewhere: Mapping[str, str] | None = None,
) -> tuple[dict[str, Tensor], Account]:  # fmt: skip
    """`published` under our names, and the account of both sides; `own` is our state dict (a meta one will do).

    `elsewhere` maps patterns of our names to where they come from, if not from this file. A matrix that is tied there
    comes under each of its names: two tensors may become one of ours where they are equal. Raises BadInput for a name
    that the table does not know, two that differ and become one, a shape that differs, and a tensor of ours that is
    missing.
    """
    state: dict[str, Tensor] = {}
    loaded: dict[str, str] = {}
    ignored: dict[str, str] = {}
    for name, tensor in published.items():
        reason = _match(name, table.ignored)
        if reason is not None:
            ignored[name] = reason
            continue
        ours = table.ours(name)
        if ours is None or ours not in own:
            raise BadInput(
                f"{source} holds {name}, which this system does not have; is it a checkpoint of another one?"
            )
        tensor = table.laid_out(name, tensor)
        if ours in state and not torch.equal(state[ours], tensor):
            raise BadInput(
                f"{source} holds {name} twice, under two names that both mean {ours}; it is not as published."
            )
        if tensor.shape != own[ours].shape:
            raise BadInput(
                f"{source}: {name} has shape {tuple(tensor.shape)}, expected {tuple(own[ours].shape)}; "
                "the recipe gives other sizes than the file, or it is a checkpoint of another system."
            )
        state[ours], loaded[name] = tensor, ours
    absent = {name: _match(name, elsewhere or {}) for name in own if name not in state}
    lost = [name for name, reason in absent.items() if reason is None]
    if lost:
        raise BadInput(f"{source} lacks {len(lost)} of {len(own)} tensors, the first is {lost[0]}; fetch it again.")
    return state, Account(loaded, ignored, {name: str(reason) for name, reason in absent.items()})


def split_thirds(tensors: Mapping[str, Tensor], pattern: str) -> dict[str, Tensor]:
    """`tensors`, each whose whole name `pattern` matches as its three equal parts: the same name and .q, .k or .v.

    Queries, keys and values that one map makes lie so. A tensor whose rows are no multiple of three stays as it is.
    """
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if re.fullmatch(pattern, name) and tensor.ndim and len(tensor) % 3 == 0:
            out |= {f"{name}.{part}": piece for part, piece in zip("qkv", tensor.chunk(3), strict=True)}
        else:
            out[name] = tensor
    return out


# What torch.load raises for a file that was cut short, wherever it was cut.
_UNREADABLE = (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, struct.error)


def read_pickle(path: Path) -> Any:
    """The plain data of a torch checkpoint. Code in it is never run: a file that wants to is refused with BadInput."""
    if not is_file(path):
        raise BadInput(f"There is no checkpoint at {path}; give the path of the published file.")
    refuse_pointer(path)
    try:
        check_torch_file(path)
        # Mapped where it can be: who wants the names only does not read the tensors.
        return check_tree(torch.load(path, map_location="cpu", weights_only=True, mmap=is_torch_zip(path)), path)
    except pickle.UnpicklingError as error:
        raise BadInput(
            f"{path} holds more than tensors (or is no torch checkpoint), and what it holds is not run; "
            "expected plain state dicts."
        ) from error
    except _UNREADABLE as error:
        raise BadInput(
            f"{path} is damaged or cut short and is no torch checkpoint as it stands; fetch it again."
        ) from error


def flatten(tree: Any, *, source: str, prefix: str = "") -> dict[str, Tensor]:
    """Nested dicts of tensors -> one dict under dotted names. Raises BadInput for a leaf that is no tensor."""
    if isinstance(tree, Tensor):
        return {prefix.removesuffix("."): tree}
    if not isinstance(tree, Mapping):
        raise BadInput(f"{source} holds a {type(tree).__name__} at {prefix or 'the top'}; expected tensors by name.")
    flat: dict[str, Tensor] = {}
    for key, value in tree.items():
        flat |= flatten(value, source=source, prefix=f"{prefix}{key}.")
    return flat


def read_adapter_config(path: Path) -> dict[str, Any]:
    """PEFT's adapter_config.json. Raises BadInput for a file that is missing or no JSON object."""
    return read_json_object(path, "PEFT's settings as published")


def read_adapter(folder: Path, *, r: int, lora_alpha: float) -> dict[str, Tensor]:
    """The tensors of a PEFT LoRA folder (adapter_config.json, adapter_model.safetensors or .bin), under PEFT's names.

    The scale lora_alpha / r is nowhere in the tensors: a folder made with other numbers than these, or with a variant
    of LoRA that computes something else, is refused with BadInput.
    """
    path = folder / "adapter_config.json"
    config = read_adapter_config(path)
    plain: dict[str, Any] = {"peft_type": "LORA", "r": r, "lora_alpha": lora_alpha}
    unset = ("use_dora", "use_rslora", "fan_in_fan_out", "rank_pattern", "alpha_pattern", "modules_to_save")
    wrong = [name for name, value in plain.items() if config.get(name) != value]
    wrong += [name for name in unset if config.get(name)] + ["bias"] * (config.get("bias", "none") != "none")
    if wrong:
        raise BadInput(
            f"{path}: {wrong[0]} is {config.get(wrong[0])!r}, expected {plain.get(wrong[0], 'none')!r}; "
            "it is not the adapter of this recipe."
        )
    if (folder / "adapter_model.safetensors").is_file():
        return read_state(folder / "adapter_model.safetensors")
    return flatten(read_pickle(folder / "adapter_model.bin"), source=str(folder))


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises BadInput for a damaged one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    refuse_pointer(path)
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path} is not a readable safetensors checkpoint ({error}); fetch it again.") from error


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill beside `out`, renamed to `out` when all went well and gone otherwise.

    Raises BadInput where `out` exists already or its parent cannot be written.
    """
    if out.exists():
        raise BadInput(f"{out} exists already; give the name of a folder that does not.")
    try:
        remove_part(*new_part(out.parent, out.name, folder=True))  # said before an hour of work, not after it
    except OSError as error:
        raise BadInput(f"{out.parent} is not writable ({error.strerror}); give another folder.") from error
    with atomic_folder(out) as aside:
        yield aside


def clip_prefix(own: Iterable[str], model: str, inner: str = "vision_model.") -> str:
    """What stands between `model` and CLIP's own names: `inner` before transformers 5, nothing since.

    Published files carry it, and a lenient load of one form into the other loads nothing without a word.
    """
    return inner if any(name.startswith(model + inner) for name in own) else ""


def _match(name: str, patterns: Mapping[str, T]) -> T | None:
    return next((what for pattern, what in patterns.items() if re.fullmatch(pattern, name)), None)
