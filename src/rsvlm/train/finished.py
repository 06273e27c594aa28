"""The finished model of a run: a folder with its weights, the resolved recipe and what it was trained on."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml
from safetensors.torch import save_file
from torch import Tensor

from rsvlm.files import replace_folder, write_json
from rsvlm.json_text import load_json
from rsvlm.recipe import Recipe, differing, read_recipe
from rsvlm.systems.model_dir import model_folder


def write_finished(folder: Path, state: Mapping[str, Tensor], recipe: Recipe, data: Mapping[str, str]) -> None:
    """Write model.safetensors, recipe.yaml and data.json aside, then put the folder in its place.

    `recipe` has the numbers that the model ended with; `data` is ingredient -> hash of its samples. Where the run
    started from a finished model, what that was trained with and on comes first.
    """
    aside = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    save_file(dict(state), aside / "model.safetensors")
    plain = yaml.safe_dump(_history(recipe).model_dump(mode="json"), sort_keys=False)
    (aside / "recipe.yaml").write_text(plain, encoding="utf-8")
    write_json(aside / "data.json", {**_earlier_data(recipe), **data})
    replace_folder(aside, folder)


def _history(recipe: Recipe) -> Recipe:
    """The recipe as if all had been one run: the stages of the model that it started from come first."""
    if not recipe.start:
        return recipe
    first = read_recipe(model_folder(recipe.start) / "recipe.yaml")
    before = [
        stage.model_copy(update={"model": differing(first.in_stage(index).model, recipe.model)})
        for index, stage in enumerate(first.stages)
    ]
    return recipe.model_copy(update={"start": "", "stages": (*before, *recipe.stages)})


def _earlier_data(recipe: Recipe) -> dict[str, str]:
    path = model_folder(recipe.start) / "data.json" if recipe.start else None
    return load_json(path.read_text(encoding="utf-8")) if path is not None and path.is_file() else {}
