"""Published weights of any system: which system a checkpoint is of, and its conversion into a model folder.

The conversion is `convert_published(path, out, *, recipe, language_model, vision, lora)` of the system's weights.py. It
may have `size_of(path)`, the name of a file's recipe, and `wanted_base(recipe)`, the language model of a recipe.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.files import is_folder
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.checkpoints.weights import Account
from rsvlm.recipe import Recipe, read_recipe, shipped
from rsvlm.registry import unknown
from rsvlm.systems.cards import source_of
from rsvlm.systems.convert.base_llm import check_base
from rsvlm.systems.convert.identified import Adapter, Identified
from rsvlm.systems.convert.identify import identify_tensors, layouts
from rsvlm.systems.convert.published_files import row_of
from rsvlm.systems.discovery import submodule
from rsvlm.systems.registry import SYSTEMS


def readers() -> dict[str, Any]:
    """`convert_published` of every system whose weights.py has one, by the name of the system."""
    found = {system: getattr(submodule(system, "weights"), "convert_published", None) for system in SYSTEMS}
    return {system: reader for system, reader in found.items() if reader}


def identify(path: Path) -> Identified:
    """What the checkpoint at `path` is, with the adapters beside it. Raises BadInput for a damaged one."""
    fronts = [front for layout in layouts() for front in layout.fronts]
    adapter = is_folder(path) and (path / "adapter_config.json").is_file()
    parts = sorted(f for f in path.iterdir() if f.suffix in checkpoint.SUFFIXES) if adapter else []
    parts = parts or [checkpoint.located(path)]
    tensors: dict[str, Tensor] = {}
    notes: dict[str, None] = {}
    for part in parts:
        tree, more = checkpoint.read_with_notes(part)
        tensors |= checkpoint.tensors_of(tree, fronts)
        notes |= dict.fromkeys(more)
    for folder in [] if adapter else _adapter_folders(parts[0].parent, tensors):
        for part in sorted(folder.glob("adapter_model.*")):
            tensors |= {f"{folder.name}.{name}": tensor for name, tensor in checkpoint.tensors(part).items()}
    found = identify_tensors(tensors)
    if found.system is None and (row := row_of(parts[0])):  # of several systems by its names, of one by its file's name
        known = f"{row[1].activation} by its name, because its tensors do not tell"
        found = replace(found, system=row[0], what=f"{row[1].name}, {found.what}", variant=known)
    return replace(found, notes=tuple(notes))


def convert(
    path: Path, out: Path, *, system: str | None = None, recipe: Recipe | None = None,
    language_model: Path | None = None, vision: Path | None = None, lora: bool = True,
) -> Account:  # fmt: skip
    """Turn a published checkpoint into the model folder `out` (or that of `out`, if it names model.safetensors).

    The system is `system`, that of `recipe`, or what the names look like; the sizes are `recipe`'s, else those that the
    system knows the file by (`size_of` of its weights.py), else the paper's, with the adapters' rank and alpha of the
    file. Raises BadInput, or MissingPart for a part that is published apart, and then leaves nothing at `out`.
    """
    out = out.parent if out.suffix == ".safetensors" else out
    if out.exists():
        raise BadInput(f"{out} exists already; give the name of a folder that does not.")
    system, seen = _system_of(path, system or (recipe.system if recipe else None))
    if recipe and recipe.system != system:
        raise BadInput(f"The recipe is of {recipe.system}, the system is {system}; give a recipe of {system}, or none.")
    adapter_config = _adapter_config(path)
    size_of = getattr(submodule(system, "weights"), "size_of", lambda _: "paper")
    sizes = recipe or _shipped(system, size_of(path), adapter_config if seen.adapter else {})
    base = getattr(submodule(system, "weights"), "wanted_base", lambda _: source_of(system).base)(sizes)
    if seen.adapter and lora:
        _check_adapter(path, seen.adapter, sizes.model["language"], base, scale_known=bool(adapter_config))
    if language_model and "language" in sizes.model:
        check_base(language_model, sizes.model["language"], wanted=base)
    account = readers()[system](path, out, recipe=sizes, language_model=language_model, vision=vision, lora=lora)
    return replace(account, notes=(*seen.notes, *account.notes))


def _system_of(path: Path, system: str | None) -> tuple[str, Identified]:
    """The system whose reader is taken (`system` where that is given), and what the checkpoint is; both agree."""
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
    """adapter_config.json of the adapters in or beside a checkpoint; empty without one."""
    folder = path if path.is_dir() else path.parent
    folders = [path] * path.is_dir() + _adapter_folders(folder)
    configs = [config for folder in folders if (config := folder / "adapter_config.json").is_file()]
    return weights.read_adapter_config(configs[0]) if configs else {}


def _shipped(system: str, size: str, adapter_config: Mapping[str, Any]) -> Recipe:
    """The recipe of this size, with r and lora_alpha of the adapters' own file where it has them."""
    recipe = read_recipe(shipped(system, size))
    numbers = {name: adapter_config[name] for name in ("r", "lora_alpha") if name in adapter_config}
    if not numbers or not recipe.model["language"].get("lora"):
        return recipe
    language = {**recipe.model["language"], "lora": {**recipe.model["language"]["lora"], **numbers}}
    return recipe.model_copy(update={"model": {**recipe.model, "language": language}})


def _check_adapter(path: Path, found: Adapter, language: Mapping[str, Any], base: str, *, scale_known: bool) -> None:
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
    if lora and not scale_known and found.rank != lora["r"]:
        raise BadInput(
            f"The adapters of {path} have rank {found.rank}, expected {lora['r']}, and no file beside them tells "
            "their lora_alpha; give r and lora_alpha of model.language.lora in a recipe (--recipe)."
        )


def _adapter_folders(folder: Path, tensors: Mapping[str, Any] | None = None) -> list[Path]:
    """The folders beside a checkpoint that may hold its adapters; given its `tensors`, those of its own layout."""
    names = {
        layout.adapter_folder
        for layout in layouts()
        if layout.adapter_folder and (tensors is None or any(name.startswith(layout.fronts) for name in tensors))
    }
    return [folder / name for name in sorted(names)]
