"""What the small published releases of tests/fake/releases/<system>.py are made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from rsvlm.recipe import Recipe
from rsvlm.systems.build import byte_tokenizer

LLAMA = {"vocab_size": 262, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512}  # fmt: skip
POOLER = {"queries": 9, "width": 16, "depth": 2, "output": 24}
LORA = {"r": 4, "layers": 2, "hidden": 24, "wide": 40}

Place = tuple[str, ...]  # a file of the release, then the keys that lead to one thing in it


@dataclass(frozen=True, kw_only=True)
class Release:
    """`variants` write the release into a folder, each in one published form, and give the tensors of it by the names
    that an account of the conversion uses; the first is the plain form.

    `checkpoint` is the pickle in the folder, `given` what the user names (the checkpoint, or "." for the folder).
    `vision` writes the tower, where it is published apart, and `tower` is what is said without it. `base` is the id of
    the language model, whose head is its embedding where `tied`. `ignored` is found in the names that are left out,
    `transposed` in those whose matrix is turned. `sources` are the files whose SHA-256 is recorded, `written` what lies
    in the model folder beside the usual.
    `missing` are tensors that may not be lost; `strange` and
    `reshaped` what is said of a tensor more, or of another shape; `other_sizes` what is said with other numbers of the
    `sized` part of the model. `adapters` is where the adapters over the language model lie, whose (r, lora_alpha) are
    `scale`; a language model without adapters has none, a system without a language model has no `base`, no `adapters`
    and no `box_dialect`.
    """

    recipe: Recipe
    variants: Mapping[str, Callable[[Path], dict[str, Tensor]]]
    checkpoint: str
    given: str
    sources: frozenset[str]
    base: str = ""
    adapters: Place = ()
    scale: tuple[int, int] = (0, 0)
    tied: bool = False
    missing: tuple[Place, ...]
    strange: Mapping[Place, str]
    reshaped: Mapping[Place, str]
    other_sizes: tuple[tuple[Mapping[str, Any], str], ...] = ()
    sized: str = "bridge"
    written: tuple[str, ...] = ()
    vision: Callable[[Path], Path] | None = None
    tower: str = ""
    ignored: str = "^$"
    transposed: str = "^$"
    box_dialect: str = "lhrs"
    specials: tuple[str, ...] = field(default=())

    @property
    def system(self) -> str:
        """Its name."""
        return self.recipe.system

    def write(self, folder: Path) -> Path:
        """Write the plain form into `folder`; what the user names."""
        next(iter(self.variants.values()))(folder)
        return folder / self.given

    def resized(self, **numbers: Any) -> Recipe:
        """Its recipe with other numbers of its `sized` part."""
        part = {**self.recipe.model[self.sized], **numbers}
        return self.recipe.model_copy(update={"model": {**self.recipe.model, self.sized: part}})


def small(system: str, frame: str, vision: dict, bridge: dict, lora: dict | None, **language: Any) -> Recipe:
    """A recipe of the sizes of these files."""
    words = {"base": "llama", **LLAMA, **language, "lora": lora}
    return Recipe(
        system=system, size="small", model={"frame": frame, "vision": vision, "bridge": bridge, "language": words}
    )


def changed(folder: Path, place: Place, change: Callable[[dict, str], object]) -> None:
    """Read the file at `place` again after `change(the dict that holds it, its last key)`."""
    file, *keys, last = place
    path = folder / file
    pickled = path.suffix != ".safetensors"
    tree = torch.load(path, weights_only=True) if pickled else load_file(path)
    at = tree
    for key in keys:
        at = at[key]
    change(at, last)
    torch.save(tree, path) if pickled else save_file(tree, path)


def write_base(folder: Path, release: Release) -> Path:
    """The folder of the language model that a release is over."""
    return write_llama(folder, specials=release.specials, tie_word_embeddings=release.tied)


def write_llama(folder: Path, *, specials: tuple[str, ...] = (), **numbers: Any) -> Path:
    """The folder of a random language model, its vocabulary with `specials`."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": list(specials)})
    sizes = {**LLAMA, "vocab_size": LLAMA["vocab_size"] + len(specials), **numbers}
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
