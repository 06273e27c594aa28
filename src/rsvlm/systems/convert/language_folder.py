"""The language model of a checkpoint that holds all of a model, put into a folder of its own."""

from collections.abc import Mapping
from pathlib import Path
from shutil import copyfile
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from rsvlm.errors import BadInput

_TOKENIZER = ("tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
              "added_tokens.json", "vocab.json", "merges.txt")  # fmt: skip
_FRONT = "language.model."


def write_language(folder: Path, state: Mapping[str, Tensor], config: Any, source: Path) -> dict[str, Tensor]:
    """Write the language model of `state` as transformers reads it, and the tokenizer in `source`; the other tensors.

    `config` is its configuration of transformers. Raises BadInput where there is no tokenizer.
    """
    folder.mkdir()
    words = [source / name for name in _TOKENIZER if (source / name).is_file()]
    if not any(file.stem == "tokenizer" for file in words):
        raise BadInput(f"{source} holds no tokenizer (tokenizer.model or tokenizer.json); fetch it again.")
    for file in words:
        copyfile(file, folder / file.name)
    config.save_pretrained(folder)
    spoken = {name.removeprefix(_FRONT): t.contiguous() for name, t in state.items() if name.startswith(_FRONT)}
    save_file(spoken, folder / "model.safetensors", {"format": "pt"})
    return {name: tensor for name, tensor in state.items() if not name.startswith(_FRONT)}
