"""The published weights of CMID: whole checkpoints (epoch_N.pth) and backbones alone, into a model folder of ours.

Layout: github.com/NJU-LHRS/official-CMID, Pretrain/models/pretrain_model.py; a backbone is `online_encoder.model` of a
checkpoint without that prefix. ResNets have the names of torchvision, Swins those of MMClassification, as ours have.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints import backbones, weights
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints.weights import Account, WeightTable
from rsvlm.recipe import Recipe
from rsvlm.systems.build import build
from rsvlm.systems.convert.identified import Has, Identified, Layout
from rsvlm.systems.convert.provenance import write_model_dir

LAYOUT = Layout(fronts=("online_encoder.",))

PROJECTOR = WeightTable({r"layer\.0\.(\d+\..+)": r"\1"})
LOCAL_HEAD = WeightTable({r"((?:mlp|last_layer)\..+)": r"\1"})
DECODER = WeightTable({r"decoder_pred\.0\.(weight|bias)": r"proj.\1"})
_TOWERS = {"swin": r"^(online_encoder\.model\.)?patch_embed\.projection\.weight$",
           "resnet": r"^(online_encoder\.model\.)?layer1\.0\.conv1\.weight$"}  # fmt: skip
_PAPERS = {"swin": "paper_swin", "resnet": "paper"}  # recipes with the sizes of each


def identify(has: Has) -> Identified | None:
    """What a checkpoint with CMID's names is; None for any other."""
    tower = next((tower for tower, pattern in _TOWERS.items() if has(pattern)), None)
    if tower is None:
        return None
    if not has(r"^online_encoder\."):
        names = "torchvision" if tower == "resnet" else "MMClassification"
        what = f"a {tower} backbone alone, which CMID publishes (others, too: its names are those of {names})"
        return Identified(what, variant=tower, stage="unknown")
    form = "BYOL" if has(r"^predictor\.") else "MoCo"
    return Identified("CMID, with all that trained it", variant=f"{tower}, {form}", stage="views")


def size_of(path: Path) -> str:
    """The recipe that has the tower of the file at `path`: "paper" (ResNet-50) or "paper_swin"."""
    return _PAPERS[_tower_of(checkpoint.tensors(checkpoint.located(path), LAYOUT.fronts), path)]


def published_table() -> WeightTable:
    """Names of a whole checkpoint (under "model") -> names of `CMID`."""
    towers = WeightTable(
        {
            r"online_encoder\.model\.(.+)": r"vision.\1", r"online_encoder\.mask_token": "mask_token",
            r"branch_encoder\.(.+)": r"teacher.vision.\1", r"class_loss\.center": "local_loss.centre",
            "queue": "queue.keys", "queue_ptr": "queue.pointer",
        },
        {r"(?:classifier|bn|conv_seg|cls_metrics)\..+": "the probe that watched the training"},
        {r"online_encoder\.mask_token": lambda token: token.reshape(1, -1, 1, 1)},
    )  # fmt: skip
    heads = {
        "online_projector.": ("projector.", PROJECTOR), "branch_projector.": ("teacher.projector.", PROJECTOR),
        "predictor.": ("predictor.", PROJECTOR), "class_projector.": ("local_head.", LOCAL_HEAD),
        "branch_class_projector.": ("teacher.local_head.", LOCAL_HEAD), "mim2org.": ("decoder.", DECODER),
    }  # fmt: skip
    for theirs, (ours, table) in heads.items():
        towers |= table.under(theirs, ours)
    return towers


def convert_published(
    path: Path, out: Path, *, recipe: Recipe, language_model: Path | None = None, vision: Path | None = None,
    lora: bool = True,
) -> Account:  # fmt: skip
    """Turn a published CMID into the model folder `out`: model.safetensors, recipe.yaml, provenance.json.

    A whole checkpoint becomes a model that can go on learning, its `vision` the student (`rsvlm weights export` has the
    teacher on demand); of a backbone alone there is a tower. `recipe` gives the sizes (cmid/paper, cmid/paper_swin).
    Nothing is left at `out` on failure. Raises BadInput for a file that is damaged, holds code or is of another system,
    for a recipe with another tower, for a tower or language model from elsewhere, and for any tensor, theirs or ours,
    without a counterpart.
    """
    path = checkpoint.located(path)
    if vision is not None or language_model is not None:
        word = "vision tower; leave out --vision" if vision else "whole model; leave out --language-model"
        raise BadInput(f"{path} holds the {word}.")
    published = checkpoint.tensors(path, LAYOUT.fronts)
    with weights.new_folder(out) as aside:
        whole = any(name.startswith("online_encoder.") for name in published)
        numbers = _numbers(published, recipe, path, whole=whole)
        with torch.device("meta"):
            own = build(recipe.model_copy(update={"model": numbers}), for_training=False).state_dict()
        table = published_table() if whole else backbones.TABLE.under("", "vision.")
        state, account = weights.adopt(published, own, table, source=str(path))
        final = recipe.model_copy(update={"model": numbers, "stages": ()})
        write_model_dir(aside, state, final, checkpoint.files(path), account)
    return account


def _tower_of(names: Collection[str], path: Path) -> str:
    found = next((t for t, pattern in _TOWERS.items() if any(re.search(pattern, name) for name in names)), None)
    if found is None:
        tops = sorted({name.split(".")[0] for name in names})
        raise BadInput(
            f"{path} is no CMID checkpoint: expected online_encoder, or a ResNet or Swin alone, found "
            f"{', '.join(tops[:4])}{', ...' if len(tops) > 4 else ''}."
        )
    return found


def _numbers(names: Collection[str], recipe: Recipe, path: Path, *, whole: bool) -> dict[str, Any]:
    """The recipe's `model`, without what trains it for a backbone alone, and with the form of training of the file."""
    tower, own = _tower_of(names, path), recipe.model["vision"]["tower"]
    if own != tower:
        raise BadInput(f"{path} holds a {tower}, the recipe has a {own}; give cmid/{_PAPERS[tower]}, or none.")
    numbers = {name: value for name, value in recipe.model.items() if whole or name != "distillation"}
    if whole and any(name.startswith("predictor.") for name in names):
        numbers["distillation"] = {**numbers["distillation"], "variant": "byol"}
    return numbers
