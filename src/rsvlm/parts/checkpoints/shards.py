"""The tensors of a Hugging Face model folder: one file or several with an index, safetensors or torch's own."""

from pathlib import Path
from typing import Any

from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.json_text import read_json_object
from rsvlm.parts.checkpoints import published as checkpoint
from rsvlm.parts.checkpoints.weights import flatten

_WHOLE = ("model.safetensors", "pytorch_model.bin")


def read_shards(folder: Path) -> tuple[dict[str, Tensor], list[Path]]:
    """The tensors by name, and the files they came from; safetensors are taken where both forms are there.

    Raises BadInput for a folder without weights, a file of the index that is missing, and a damaged one.
    """
    there = (folder / file for name in _WHOLE for file in (f"{name}.index.json", name))
    path = next((file for file in there if file.is_file()), None)
    if path is None:
        raise BadInput(f"{folder} holds no weights; expected {' or '.join(_WHOLE)}, or their parts and an index.")
    files = list(checkpoint.files(path).values())
    return read_tensors(path), files[1:] or files


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of one file, or of the shards that an index names. Raises BadInput for a damaged one."""
    return flatten(checkpoint.read_tree(file), source=str(file))


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The values of config.json; empty where there is none. Raises BadInput for one that is not valid JSON."""
    path = folder / name
    return read_json_object(path, "a configuration of Hugging Face's") if path.is_file() else {}
