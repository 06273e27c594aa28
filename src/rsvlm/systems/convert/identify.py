"""Whose checkpoint is it? Told from the names and shapes of its tensors alone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from rsvlm.systems.discovery import submodule, system_names

QFORMER = r"query_tokens|Qformer"  # BLIP-2 and its children

# LLaMAs by the width of their stream and of their keys: who is asked for when an adapter does not fit.
_BASES = {
    (4096, 4096): "LLaMA-2-7B or Vicuna-7B",
    (4096, 1024): "LLaMA-3-8B",
    (5120, 5120): "LLaMA-2-13B or Vicuna-13B",
    (3200, 3200): "OpenLLaMA-3B",
    (2048, 512): "LLaMA-3.2-1B",
    (3072, 1024): "LLaMA-3.2-3B",
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA over a LLaMA: its rank, the width of the stream, the width of the keys (0 = it has none on k or v)."""

    rank: int
    width: int
    keys: int = 0

    @property
    def base(self) -> str:
        """Which language model it looks made for, in words."""
        name = _BASES.get((self.width, self.keys))
        sizes = f"{self.width} wide" + (f", keys {self.keys} wide" if self.keys else "")
        return f"{name} ({sizes})" if name else f"a language model {sizes}"


class Names:
    """The names of a checkpoint's tensors, flattened."""

    def __init__(self, names: Iterable[str]) -> None:
        self.all = tuple(names)

    def have(self, pattern: str) -> bool:
        """Whether a regular expression is found in any of them."""
        return any(re.search(pattern, name) for name in self.all)


class Identity(NamedTuple):
    """What a checkpoint is, in words; `variant` and `stage` are "" where there is only one."""

    what: str
    variant: str = ""
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Identified:
    """What a checkpoint looks like: a system of ours (None = of nobody here), in words, its variant and stage."""

    what: str
    system: str | None = None
    variant: str = ""
    stage: str = ""
    parameters: int = 0
    groups: Mapping[str, int] = field(default_factory=dict)  # tensors by the first part of their names
    adapter: Adapter | None = None


def identify_tensors(tensors: Mapping[str, Tensor]) -> Identified:
    """What these tensors look like, by flattened name; TextLoRA, where it lies beside, under "TextLoRA."."""
    groups: dict[str, int] = {}
    for name in tensors:
        top = ".".join(name.split(".")[: 2 if name.startswith("other_ckpt.") else 1])
        groups[top] = groups.get(top, 0) + 1
    system, (what, variant, stage) = _whose(Names(tensors))
    parameters = sum(tensor.numel() for tensor in tensors.values())
    return Identified(what, system, variant, stage, parameters, groups, adapter(tensors))


def adapter(tensors: Mapping[str, Tensor]) -> Adapter | None:
    """The adapter over LLaMA's layers among these tensors."""
    rank = width = keys = 0
    for name, tensor in tensors.items():
        found = re.search(r"layers\.\d+\.self_attn\.([qkvo]_proj)\.lora_([AB])", name)
        if found and tensor.ndim == 2 and found[2] == "A":
            rank, width = tensor.shape
        elif found and tensor.ndim == 2 and found[1] in ("k_proj", "v_proj"):
            keys = len(tensor)
    return Adapter(rank, width, keys) if rank else None


def _whose(names: Names) -> tuple[str | None, Identity]:
    """The system whose checkpoint this is, by asking each (None = none here), and what it is."""
    for system in system_names():
        module = submodule(system, "weights")
        if module and (found := module.identify(names)):
            return system, found
    what = next((what for pattern, what in _OTHERS.items() if names.have(pattern)), "no system that is known here")
    return None, Identity(what)


_OTHERS = {  # what is of no system, the first that fits
    QFORMER: "a BLIP-2 child with a Q-Former (MiniGPT-4, InstructBLIP, DeltaVLM)",
    r"^(vision|bridge|language)\..+": "a model of rsvlm itself, which is converted already",
    r"\.lora_[AB]\.": "an adapter alone, which belongs beside a checkpoint",
    r"^cls_token$|^blocks\.0\.": "the EVA-CLIP tower alone, which belongs beside a checkpoint (--vision)",
    r"^model\.embed_tokens|^model\.layers\.": "a language model alone, which belongs beside a checkpoint "
    "(--language-model)",
    r"vision_model\.|^visual\.": "CLIP or a vision tower alone",
}
