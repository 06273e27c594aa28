"""Published weights behind one door: which system a checkpoint is of, and that system's reader.

A reader is `rsvlm.systems.<system>_weights.convert_published(path, out, *, recipe, language_model, vision, lora)`.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account
from rsvlm.recipe import Recipe, read_recipe, shipped
from rsvlm.registry import unknown
from rsvlm.systems.build import build  # noqa: F401  (every system registers itself where they are built)
from rsvlm.systems.convert.base_llm import check_base
from rsvlm.systems.convert.identify import Adapter, Identified, identify_tensors
from rsvlm.systems.convert.provenance import SOURCES, Source
from rsvlm.systems.registry import SYSTEMS


def readers() -> dict[str, Any]:
    """`convert_published` of every system that has one, by the name of the system."""
    found = {}
    for system in SYSTEMS:
        if find_spec(f"rsvlm.systems.{system}.weights"):
            module = import_module(f"rsvlm.systems.{system}.weights")
            if hasattr(module, "convert_published"):
                found[system] = module.convert_published
    return found


def identify(path: Path) -> Identified:
    """What the checkpoint at `path` looks like, with the adapters beside it. Raises BadInput for a damaged one."""
    if path.is_dir() and (path / "adapter_config.json").is_file():
        parts = sorted(f for f in path.iterdir() if f.suffix in checkpoint.SUFFIXES)
        return identify_tensors({name: tensor for part in parts for name, tensor in checkpoint.tensors(part).items()})
    path = checkpoint.located(path)
    tensors = checkpoint.tensors(path)
    for part in sorted((path.parent / "TextLoRA").glob("adapter_model.*")) if _is_final(tensors) else ():
        tensors |= {f"TextLoRA.{name}": tensor for name, tensor in checkpoint.tensors(part).items()}
    return identify_tensors(tensors)


def convert(
    path: Path, out: Path, *, system: str | None = None, recipe: Recipe | None = None,
    language_model: Path | None = None, vision: Path | None = None, lora: bool = True,
) -> Account:  # fmt: skip
    """Turn a published checkpoint into the model folder `out` (or that of `out`, if it names model.safetensors).

    The system is `system`, that of `recipe`, or what the names look like; the sizes are `recipe`'s, else the paper's
    with the adapters' rank and alpha of the file. Raises BadInput, or MissingPart for a part that is published apart,
    and then leaves nothing at `out`.
    """
    out = out.parent if out.suffix == ".safetensors" else out
    if out.exists():
        raise BadInput(f"{out} exists already; give the name of a folder that does not.")
    system, seen = _whose(path, system or (recipe.system if recipe else None))
    if recipe and recipe.system != system:
        raise BadInput(f"The recipe is of {recipe.system}, the system is {system}; give a recipe of {system}, or none.")
    base = SOURCES.get(system, Source()).base
    told = _adapter_config(path)
    sizes = recipe or _paper(system, told if seen.adapter else {})
    if seen.adapter and lora:
        _check_adapter(path, seen.adapter, sizes.model["language"], base, told=bool(told))
    if language_model:
        check_base(language_model, sizes.model["language"], wanted=base)
    return readers()[system](path, out, recipe=sizes, language_model=language_model, vision=vision, lora=lora)


def _whose(path: Path, system: str | None) -> tuple[str, Identified]:
    """The system that a reader is taken of, and what the checkpoint looks like; the two have to agree."""
    known = list(readers())
    if system is not None and system not in SYSTEMS:
        raise BadInput(unknown("system", system, known))
    if system is not None and system not in known:
        raise BadInput(f"No weights of {system} are published; there is a reader for {', '.join(known)}.")
    seen = identify(path)
    if seen.system is None and system is None:
        raise BadInput(f"{path} looks like {seen.what}; if it is a system's checkpoint, say of which (--system).")
    if system and seen.system not in (None, system):
        raise BadInput(f"{path} is no checkpoint of {system}: it looks like {seen.what}; convert it as {seen.system}.")
    if seen.system and seen.system not in known:
        raise BadInput(f"{path} looks like {seen.what}, for which there is no reader; there is for {', '.join(known)}.")
    return system or str(seen.system), seen


def _adapter_config(path: Path) -> dict[str, Any]:
    """What the adapters' own file says; empty without one."""
    folders = [path, path / "TextLoRA"] if path.is_dir() else [path.parent / "TextLoRA"]
    configs = [config for folder in folders if (config := folder / "adapter_config.json").is_file()]
    return weights.read_adapter_config(configs[0]) if configs else {}


def _paper(system: str, told: Mapping[str, Any]) -> Recipe:
    """The paper's sizes, with rank and alpha of the adapters as their file tells."""
    recipe = read_recipe(shipped(system))
    numbers = {name: told[name] for name in ("r", "lora_alpha") if name in told}
    if not numbers or not recipe.model["language"].get("lora"):
        return recipe
    language = {**recipe.model["language"], "lora": {**recipe.model["language"]["lora"], **numbers}}
    return recipe.model_copy(update={"model": {**recipe.model, "language": language}})


def _check_adapter(path: Path, found: Adapter, language: Mapping[str, Any], base: str, *, told: bool) -> None:
    if language["base"] != "llama":
        return
    width, lora = language["hidden_size"], language.get("lora")
    keys = width // language["num_attention_heads"] * language["num_key_value_heads"]
    wanted = Adapter(0, width, keys if found.keys else 0)
    if found.width != width or found.keys not in (0, keys):
        raise BadInput(
            f"The adapters of {path} are made for {found.base}, expected {wanted.base}; they need another base than "
            f"{base}, and a recipe of its sizes (--recipe)."
        )
    if lora and not told and found.rank != lora["r"]:
        raise BadInput(
            f"The adapters of {path} have rank {found.rank}, expected {lora['r']}, and no file beside them tells "
            "their lora_alpha; give r and lora_alpha of model.language.lora in a recipe (--recipe)."
        )


def _is_final(tensors: Mapping[str, Any]) -> bool:
    return any(name.startswith("other_ckpt.") for name in tensors)
