"""`rsvlm weights check`: what a published checkpoint is, or whether a model folder is whole; writes nothing."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from rsvlm import assets
from rsvlm.errors import BadInput
from rsvlm.files import is_file, sha256
from rsvlm.json_text import read_json_object
from rsvlm.parts.checkpoints import weights
from rsvlm.recipe import Recipe, read_recipe, shipped
from rsvlm.systems.build import GATED, build, check_weights, own_tensors
from rsvlm.systems.convert.base_llm import config_numbers
from rsvlm.systems.convert.convert import identify
from rsvlm.systems.registry import SYSTEMS


def verify(path: Path, *, system: str | None = None) -> dict[str, Any]:
    """What is at `path`, as values for JSON: of a model folder that it is whole, of a checkpoint what it is.

    Raises BadInput for what is damaged, incomplete or not finite, for what is not of `system`, and for a file of no
    system that is known.
    """
    if is_file(path / "recipe.yaml"):
        return _folder(path, system)
    seen = identify(path)
    if system and seen.system != system:
        _ = SYSTEMS[system]  # an unknown name is said first
        raise BadInput(f"{path} is no checkpoint of {system}: it looks like {seen.what}.")
    if seen.system is None:
        raise BadInput(f"{path} looks like {seen.what}; expected the checkpoint of a system, or a model folder.")
    found = {**asdict(seen), "looks_like": seen.what}
    order = ("system", "looks_like", "variant", "stage", "parameters", "groups")
    out: dict[str, Any] = {"kind": "published", **{name: found[name] for name in order}}
    if seen.notes:
        out["notes"] = "; ".join(seen.notes)
    if seen.adapter:
        out["adapter"] = {"rank": seen.adapter.rank, "base": seen.adapter.base}
    return out


def _folder(folder: Path, system: str | None) -> dict[str, Any]:
    recipe = read_recipe(folder / "recipe.yaml")
    if system and system != recipe.system:
        raise BadInput(f"{folder} is a model of {recipe.system}, not of {system}.")
    path = folder / "model.safetensors"
    if not path.is_file():
        raise BadInput(f"{folder} has no model.safetensors; run rsvlm train to its end, or convert it again.")
    sums = _check_sums(folder)
    state = weights.read_state(path)
    try:
        model = _meta(recipe)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"{folder}/recipe.yaml has no numbers of a {recipe.system} that can be built ({error})."
        ) from error
    check_weights(state, model.state_dict(), source=str(path), needed=own_tensors(recipe, model))
    groups: dict[str, int] = {}
    for name in state:
        groups[name.split(".")[0]] = groups.get(name.split(".")[0], 0) + 1
    language = recipe.model.get("language")
    return {
        "kind": "model folder", "system": recipe.system, "size": recipe.size, "recipe": recipe.hash,
        **({"language_model": language["base"]} if language else {}),
        "parameters": sum(t.numel() for t in state.values()),
        "groups": groups, "checksums": sums, "complete": True, "finite": True,
    }  # fmt: skip


def _check_sums(folder: Path) -> str:
    """Compare the files with their sha256 in provenance.json, which the folder of a training run does not have."""
    path = folder / "provenance.json"
    if not path.is_file():
        return "none are known"
    written = read_json_object(path, "a record of ours", "convert the checkpoint again").get("written", {})
    if not isinstance(written, dict):
        raise BadInput(f"{path} says {written!r:.60} of the files, expected name and sha256; convert it again.")
    pairs = [(folder / name, recorded) for name, recorded in written.items() if Path(name).name == name]
    for file, recorded in pairs:
        if not is_file(file) or sha256(file) != recorded:
            raise BadInput(f"{file} is not as it was written: {path.name} has another sha256; fetch it again.")
    return f"{len(pairs)} as written" if pairs else "none are known"


def _meta(recipe: Recipe) -> Any:
    """The recipe's system on the meta device, its language model as large as its folder or the paper's recipe say."""
    model = recipe.model
    if "language" in model or not model:
        model = {**model, "language": _language_numbers(recipe)}
    with torch.device("meta"):
        return build(recipe.model_copy(update={"model": model}), for_training=False)


def _language_numbers(recipe: Recipe) -> Mapping[str, Any]:
    language = recipe.model["language"]
    base, lora = language["base"], language.get("lora")
    if base in GATED:
        return {**read_recipe(shipped(recipe.system)).model["language"], "lora": lora}
    if base == "smollm2-135m-instruct" or Path(base).is_absolute():
        base = assets.language_model() if base == "smollm2-135m-instruct" else base
        return {"base": "llama", **config_numbers(Path(base), wanted=Path(base).name), "lora": lora}
    return language
