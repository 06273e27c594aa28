"""What LLaVA-1.5 and its children publish: read as it is, checked against a recipe, the language model put apart.

Layouts: github.com/haotian-liu/LLaVA and github.com/mbzuai-oryx/GeoChat, model/builder.py and train/train.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.shards import read_config, read_shards, read_tensors
from rsvlm.recipe import Recipe
from rsvlm.systems.build import GATED


@dataclass(frozen=True, slots=True)
class Published:
    """Tensors by their names, the files they are from, the adapter's numbers, and what it is an adapter of."""

    tensors: Mapping[str, Tensor]
    files: list[Path]
    adapter: Mapping[str, Any] | None = None
    base: str = "vicuna-7b-v1.5"
    config: Mapping[str, Any] = field(default_factory=dict[str, Any])


def read(path: Path, *, lora: bool) -> Published:
    """The tensors at `path` in any of the layouts; an adapter's only with `lora`. Raises BadInput for anything else."""
    if path.is_dir() and (path / "adapter_config.json").is_file():
        return _read_adapter(path, lora)
    if path.is_dir() and (path / "mm_projector.bin").is_file():
        path = path / "mm_projector.bin"
    tensors, files = read_shards(path) if path.is_dir() else (read_tensors(path), [path])
    if not any(".mm_projector." in f".{name}" for name in tensors):
        found = sorted({name.split(".")[0] for name in tensors})
        like = next((f" It looks like {what}." for sign, what in _OTHERS.items() if sign in found), "")
        raise BadInput(
            f"{path} is no LLaVA-1.5-shaped checkpoint: expected mm_projector among its names, found "
            f"{', '.join(found[:4])}{', ...' if len(found) > 4 else ''}.{like}"
        )
    return Published(tensors, files, config=read_config(path) if path.is_dir() else {})


_OTHERS = {
    "multi_modal_projector": "the port of llava-hf, which needs no conversion: ask hf:<its folder>",
    "rgb_ckpt": "LHRS-Bot or LHRS-Bot-Nova",
    "llama_proj": "SkyEyeGPT, in MiniGPT-v2's layout",
    "vision_model": "the CLIP tower alone, which belongs beside it (--vision)",
    "lm_head": "a language model alone, which belongs beside it (--language-model)",
}


def _read_adapter(path: Path, lora: bool) -> Published:
    beside = path / "non_lora_trainables.bin"
    if not beside.is_file():
        raise BadInput(f"{path} holds an adapter but no non_lora_trainables.bin, where the projector is; put it there.")
    tensors, files = read_tensors(beside), [beside]
    config: dict[str, Any] = read_config(path, "adapter_config.json")
    base = str(config.get("base_model_name_or_path") or "vicuna-7b-v1.5").rstrip("/").rpartition("/")[2]
    numbers: dict[str, Any] | None = None
    if lora:
        r, alpha = config.get("r", 0), config.get("lora_alpha", 0)
        adapter = weights.read_adapter(path, r=r, lora_alpha=alpha)
        targets = sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in adapter})
        numbers = {"r": r, "lora_alpha": alpha, "lora_dropout": config.get("lora_dropout", 0.0),
                   "target_modules": targets}  # fmt: skip
        tensors, files = tensors | adapter, [*files, *sorted(path.glob("adapter_*"))]
    return Published(tensors, files, numbers, base, read_config(path))


def check(config: Mapping[str, Any], recipe: Recipe, path: Path) -> None:
    """Raises BadInput where the model's own config says that it is wired otherwise than the recipe."""
    vision = recipe.model["vision"]
    kind = str(config.get("model_type", "")).partition("_")[0]  # "llava" and "llava_llama" are one
    expected: dict[str, Any] = {
        "mm_vision_select_layer": vision["taps"][-1] - vision["depth"] - 1, "mm_vision_select_feature": "patch",
        "mm_use_im_start_end": False, **({"model_type": recipe.model.get("speech", "llava")} if kind in _KINDS else {}),
    }  # fmt: skip
    for name, value in {**config, "model_type": kind}.items():
        if name in expected and value != expected[name]:
            raise BadInput(
                f"{path / 'config.json'}: {name} is {value!r}, but {expected[name]!r} in the recipe {recipe.size!r}; "
                "give geochat.yaml for GeoChat, paper.yaml for LLaVA-1.5, or a recipe with the numbers of this model."
            )


_KINDS = ("llava", "geochat")


def base_of(found: Published, given: Path | None, numbers: Mapping[str, Any], path: Path) -> str:
    """The folder of the language model, or the name under which it is asked for later.

    Raises MissingPart where the adapter is one of a model that has no such name, BadInput where `given` has other sizes
    than `numbers`.
    """
    if given is None:
        if found.base not in GATED:
            raise MissingPart(
                f"{path} is an adapter of {found.base}, which is not part of it; convert that model, and give the "
                "folder `language` in it as `language_model` (--language-model)."
            )
        return found.base
    config = read_config(given)
    for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size"):
        if config.get(name, numbers[name]) != numbers[name]:
            raise BadInput(
                f"{given} is not the language model of {path}: its {name} is {config[name]}, expected {numbers[name]}."
            )
    return str(given.resolve())


def language_config(numbers: Mapping[str, Any], config: Mapping[str, Any]) -> Any:
    """The configuration of the LLaMA in a whole model: a recipe's sizes, and what only its config.json tells."""
    from transformers import LlamaConfig

    kept = ("rms_norm_eps", "max_position_embeddings", "rope_theta", "bos_token_id", "eos_token_id", "pad_token_id")
    sizes = {name: value for name, value in numbers.items() if name != "base"}
    values = sizes | {name: config[name] for name in kept if config.get(name) is not None}
    return LlamaConfig(**values, architectures=["LlamaForCausalLM"])
