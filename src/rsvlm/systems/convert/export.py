"""`rsvlm weights export`: the tower of a model folder as a plain file, under the names that others know it by."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.files import write_json
from rsvlm.json_text import read_json_object
from rsvlm.parts.checkpoints.weights import new_folder, read_state
from rsvlm.parts.vision.swin import Swin, to_transformers
from rsvlm.parts.vision.tower import StemmedTower
from rsvlm.recipe import Recipe, read_recipe
from rsvlm.systems.build import build
from rsvlm.systems.model_dir import model_folder

Part = Literal["student", "teacher"]
Layout = Literal["plain", "transformers"]
_FRONTS: Mapping[str, str] = {"student": "vision.", "teacher": "teacher.vision."}


def export_tower(name: str, out: Path, *, part: Part = "student", layout: Layout = "plain", pth: bool = False) -> Path:
    """Write the tower of the model `name` into the new folder `out`: its weights, and preprocessing.json beside them.

    `part` "teacher" is CMID's moving average. "plain" writes backbone.safetensors (with `pth` also backbone.pth, a
    pickle of tensors, which mmseg and mmdet read): a ResNet has the names of torchvision, timm, mmseg and mmdet, a Swin
    those of MMClassification, whose merging mmseg and mmdet share. It is also what `weights` of a recipe's tower takes.
    "transformers" writes a folder of `SwinModel`. Gives the path of the weights. Raises BadInput for a tower or a part
    that cannot be written so, and where `out` is there already.
    """
    folder = model_folder(name)
    recipe = read_recipe(folder / "recipe.yaml")
    with torch.device("meta"):
        tower = build(recipe, for_training=False).vision
    if not isinstance(tower, StemmedTower) or (layout == "transformers" and not isinstance(tower, Swin)):
        can = "swin" if layout == "transformers" else "resnet, swin or efficientnet_lite0"
        raise BadInput(f"{name} has the tower {type(tower).__name__}; expected {can}.")
    state = read_state(folder / "model.safetensors")
    front = _FRONTS[part]
    kept = {n.removeprefix(front): tensor.contiguous() for n, tensor in state.items() if n.startswith(front)}
    if not kept:
        raise BadInput(f"{name} holds no {part}: it was not trained by CMID here, or is a backbone alone.")
    with new_folder(out) as aside:
        write_json(aside / "preprocessing.json", _preprocessing(folder, recipe, tower, part))
        if layout == "transformers":
            file = _write_transformers(aside, kept, recipe)
        else:
            file = "backbone.safetensors"
            save_file(kept, aside / file)
            if pth:
                torch.save(kept, aside / "backbone.pth")
    return out / file


def _preprocessing(folder: Path, recipe: Recipe, tower: StemmedTower, part: str) -> dict[str, Any]:
    """What pictures must be to this tower, and where its weights come from, where others published them."""
    record = folder / "provenance.json"
    source = read_json_object(record, "a record of ours").get("source") if record.is_file() else "trained with rsvlm"
    return {
        "channels": "RGB", "size": tower.size, "fit": recipe.model["vision"].get("fit", "squash"),
        "mean": list(tower.mean), "std": list(tower.std),
        "mean_255": [255 * value for value in tower.mean], "std_255": [255 * value for value in tower.std],
        "tower": recipe.model["vision"]["tower"], "part": part, "system": recipe.system, "recipe": recipe.hash,
        "source": source,
    }  # fmt: skip


def _write_transformers(folder: Path, state: Mapping[str, Tensor], recipe: Recipe) -> str:
    from transformers import SwinConfig

    numbers = recipe.model["vision"]
    if list(numbers.get("taps", [3])) != [len(numbers["depths"]) - 1]:
        raise BadInput("SwinModel has one norm, behind its last stage; export a tower whose only tap is the last one.")
    config = SwinConfig(
        image_size=numbers.get("size", 224), patch_size=numbers.get("patch", 4), embed_dim=numbers["width"],
        depths=list(numbers["depths"]), num_heads=list(numbers["heads"]), window_size=numbers.get("window", 7),
    )  # fmt: skip
    config.save_pretrained(folder)
    save_file(to_transformers(state), folder / "model.safetensors", {"format": "pt"})
    return "model.safetensors"
