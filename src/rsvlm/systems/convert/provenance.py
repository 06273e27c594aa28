"""Writes the model folder of a converted checkpoint, with the record of its sources (provenance.json)."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import yaml
from safetensors.torch import save_file
from torch import Tensor

from rsvlm import __version__
from rsvlm.files import sha256
from rsvlm.parts.checkpoints.weights import Account
from rsvlm.recipe import Recipe
from rsvlm.systems.cards import source_of


def write_model_dir(
    folder: Path, state: Mapping[str, Tensor], recipe: Recipe, files: Mapping[str, Path], account: Account
) -> None:
    """Write model.safetensors, recipe.yaml and provenance.json into `folder`; `files` are the sources by name.

    The same sources give the same bytes: no date is written, and names are in order.
    """
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    record = {
        "system": recipe.system, "recipe": recipe.hash, "rsvlm": __version__,
        "source": asdict(source_of(recipe.system)),
        "sha256": {name: sha256(file) for name, file in files.items()},
        "written": {name: sha256(folder / name) for name in ("model.safetensors", "recipe.yaml")},
        "loaded": len(account.loaded), "ignored": dict(account.ignored),
        "elsewhere": sorted(set(account.elsewhere.values())),
    }  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
