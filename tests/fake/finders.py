"""The tiny LHRS-Bot with a box head: its recipe, a saved model, and pictures with boxes to train it on."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from fake import annotations, runs
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build

STAGE = {
    "name": "boxes", "objective": "boxes", "data": [{"set": "ships/referring"}], "trainable": ["boxes"], "steps": 3,
    "batch": 4, "lr": 0.003,
}  # fmt: skip


def recipe(path: Path, **changes: object) -> Path:
    """The tiny recipe of LHRS-Bot with a box head and one stage for it, written to `path`."""
    values = read_recipe(runs.tiny("lhrs_bot")).model_dump(mode="json")
    values["model"]["boxes"] = {"width": 16, "depth": 1, "heads": 2}
    values |= {"stages": [STAGE]} | changes
    return runs.written(path, values)


def folder(root: Path) -> Path:
    """A model folder of that recipe, of random weights."""
    torch.manual_seed(0)
    model = build(read_recipe(recipe(root / "recipe.yaml")))
    save_file({n: t.clone() for n, t in model.state_dict().items()}, root / "model.safetensors")
    return root


def data(root: Path) -> Path:
    """A data root with Ships in it."""
    annotations.make("ships", root, "Ships")
    return root
