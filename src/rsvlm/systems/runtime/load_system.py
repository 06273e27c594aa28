"""A model folder opened: the recipe, the system with its weights in place, and what a result file says of both."""

from pathlib import Path

import torch
import transformers

from rsvlm.data.ingredients import dataset_names
from rsvlm.errors import BadInput
from rsvlm.files import sha256
from rsvlm.parts.checkpoints.weights import read_state
from rsvlm.parts.precision import precision_of
from rsvlm.parts.system import System
from rsvlm.recipe import Recipe, read_recipe
from rsvlm.systems.build import build, load_weights, own_tensors


def check_folder(folder: Path) -> Path:
    """The model.safetensors in `folder`. Raises BadInput where there is none."""
    path = folder / "model.safetensors"
    if not path.is_file():
        raise BadInput(f"{folder} holds no model.safetensors; expected the model folder of a finished run.")
    return path


def load_system(folder: Path) -> tuple[Recipe, System, dict[str, str]]:
    """What `folder` holds (model.safetensors, recipe.yaml): recipe, system with its adapters merged, trace.

    It computes in the recipe's precision where that is native here (`rsvlm.parts.precision`), else in float32.

    Raises BadInput where it holds no model, or one that is not of its recipe.
    """
    path = check_folder(folder)
    recipe = read_recipe(folder / "recipe.yaml")
    precision = precision_of(recipe.precision, insist=False)
    model = build(recipe, for_training=False, precision=precision)
    load_weights(model, read_state(path), source=str(path), needed=own_tensors(recipe, model))
    model.merge_adapters()
    trace = {
        "system": recipe.system, "size": recipe.size, "recipe": recipe.hash, "weights": sha256(path)[:16],
        "dtype": precision, "torch": str(torch.__version__), "transformers": transformers.__version__,
        "trained_on": " ".join(sorted({name for s in recipe.stages for i in s.data for name in dataset_names(i.set)})),
    }  # fmt: skip
    return recipe, model, trace
