"""What a published checkpoint was found to be, and how a system says which checkpoints are its own.

A system's weights.py may hold `identify(has)`, which says from the names of the tensors whether the checkpoint is one
of that system, and `LAYOUT`, where its files differ from a plain state dict.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# LLaMAs by hidden size and width of the keys: which base an adapter that does not fit was made for.
_BASES = {
    (4096, 4096): "LLaMA-2-7B or Vicuna-7B",
    (4096, 1024): "LLaMA-3-8B",
    (5120, 5120): "LLaMA-2-13B or Vicuna-13B",
    (3200, 3200): "OpenLLaMA-3B",
    (2048, 512): "LLaMA-3.2-1B",
    (3072, 1024): "LLaMA-3.2-3B",
}

Has = Callable[[str], bool]  # whether a regular expression is found in the name of any tensor (re.search)


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA over a LLaMA: its rank, the hidden size, the width of the keys (0 = no adapter on k_proj or v_proj)."""

    rank: int
    width: int
    keys: int = 0

    @property
    def base(self) -> str:
        """Which language model it looks made for, in words."""
        name = _BASES.get((self.width, self.keys))
        sizes = f"{self.width} wide" + (f", keys {self.keys} wide" if self.keys else "")
        return f"{name} ({sizes})" if name else f"a language model {sizes}"


@dataclass(frozen=True, slots=True)
class Identified:
    """What a checkpoint is: in words, the system here that reads it (None where there is none), its variant and stage.

    `parameters` counts all tensors' elements, `groups` the tensors by the first part of their names. `notes` say what a
    trainer had put around the model.
    """

    what: str
    system: str | None = None
    variant: str = ""
    stage: str = ""
    parameters: int = 0
    groups: Mapping[str, int] = field(default_factory=dict)
    adapter: Adapter | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of a system's release are laid out.

    `fronts` are the first parts of its tensors' names; a safetensors file may have "model." before them. `nested` are
    those of `fronts` that hold several modules, which are counted one by one. `adapter_folder` is the folder beside the
    checkpoint in which its adapters lie.
    """

    fronts: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    adapter_folder: str = ""
