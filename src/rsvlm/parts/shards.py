"""The tensors of a Hugging Face model folder: one file or several with an index, safetensors or torch's own."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from rsvlm.errors import BadInput
from rsvlm.parts.weights import flatten, read_pickle, read_state

_WHOLE = ("model.safetensors", "pytorch_model.bin")


def read_shards(folder: Path) -> tuple[dict[str, Tensor], list[Path]]:
    """The tensors by name, and the files they came from; safetensors are taken where both forms are there.

    Raises BadInput for a folder without weights, a file of the index that is missing, and a damaged one.
    """
    files = next((found for name in _WHOLE if (found := _files(folder, name))), [])
    if not files:
        raise BadInput(f"{folder} holds no weights; expected {' or '.join(_WHOLE)}, or their parts and an index.")
    state: dict[str, Tensor] = {}
    for file in files:
        if not file.is_file():
            raise BadInput(f"{folder} lacks {file.name}, which its index names; fetch it again.")
        state |= read_tensors(file)
    return state, files


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of one file, by its ending. Raises BadInput for a damaged one, or one that holds more."""
    return read_state(file) if file.suffix == ".safetensors" else flatten(read_pickle(file), source=str(file))


def read_config(folder: Path, name: str = "config.json") -> dict[str, Any]:
    """The values of config.json; empty where there is none. Raises BadInput for one that is not valid JSON."""
    path = folder / name
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (ValueError, OSError) as error:
        raise BadInput(f"{path} is not valid JSON; fetch it again.") from error


def _files(folder: Path, name: str) -> list[Path]:
    index = folder / f"{name}.index.json"
    if index.is_file():
        try:
            parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        except (ValueError, KeyError, AttributeError) as error:
            raise BadInput(f"{index} is no index of a model's parts; fetch it again.") from error
        return [folder / part for part in sorted(set(parts))]
    return [folder / name] if (folder / name).is_file() else []
