"""What a converted checkpoint becomes: a model folder of ours, with the account of where its tensors come from."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml
from safetensors.torch import save_file
from torch import Tensor

from rsvlm.parts import weights
from rsvlm.parts.weights import Account
from rsvlm.recipe import Recipe


def write_folder(
    folder: Path, state: Mapping[str, Tensor], recipe: Recipe, files: Mapping[str, Path], account: Account
) -> None:
    """Write model.safetensors, recipe.yaml and provenance.json into `folder`; `files` are the sources by name."""
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "model.safetensors")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    record = {
        "system": recipe.system, "recipe": recipe.hash,
        "sha256": {name: weights.sha256(file) for name, file in files.items()},
        "loaded": len(account.loaded), "ignored": dict(account.ignored),
        "elsewhere": sorted(set(account.elsewhere.values())),
    }  # fmt: skip
    (folder / "provenance.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
