"""Checks of the folder of a base language model, before a checkpoint's adapters are put over it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput, MissingPart
from rsvlm.json_text import load_json
from rsvlm.lfs import refuse_pointer
from rsvlm.parts.checkpoints import published as checkpoint

_NUMBERS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
_PADDING = 256  # rows that some add behind the vocabulary, up to a round number


def config_numbers(folder: Path, *, wanted: str) -> dict[str, Any]:
    """The numbers of a LLaMA in the folder's config.json. Raises MissingPart without one, BadInput where damaged."""
    path = folder / "config.json"
    if not path.is_file():
        raise MissingPart(
            f"There is no language model at {folder}; fetch {wanted} from Hugging Face and give its folder as "
            "--language-model."
        )
    try:
        config = load_json(path.read_text(encoding="utf-8"))
        config = config.get("text_config", config)
        heads = config["num_attention_heads"]
        return {"num_key_value_heads": heads, **{n: config[n] for n in (*_NUMBERS, "vocab_size") if n in config}}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no configuration of a LLaMA; fetch {wanted} again.") from error


def check_base(folder: Path, language: Mapping[str, Any], *, wanted: str) -> None:
    """Whether the folder holds the language model of these numbers, whole, with its own tokenizer.

    `wanted` is its Hugging Face id. Raises MissingPart where there is none, BadInput where it is another one, a shard
    is missing or cut short, or the tokenizer's vocabulary is not that of the model's rows.
    """
    found = config_numbers(folder, wanted=wanted)
    for name in _NUMBERS:
        if name in language and name in found and found[name] != language[name]:
            raise BadInput(
                f"{folder} is another language model: its {name} is {found[name]}, expected {language[name]}; "
                f"give {wanted} (--language-model)."
            )
    rows = _rows(folder, wanted)
    vocabulary = language.get("vocab_size", rows)
    if not vocabulary <= rows < vocabulary + _PADDING:
        raise BadInput(
            f"{folder} has {rows} rows of vocabulary, expected {vocabulary}; give {wanted} (--language-model)."
        )
    words = _words(folder / "tokenizer.json")
    if words is not None and not rows - _PADDING < words <= rows:
        raise BadInput(
            f"The tokenizer in {folder} has {words} words and the language model {rows} rows: they are of two models; "
            f"fetch {wanted} again."
        )


def _rows(folder: Path, wanted: str) -> int:
    """Rows of the embedding, of which only the headers are read."""
    from safetensors import SafetensorError, safe_open

    index = folder / "model.safetensors.index.json"
    shards = list(checkpoint.files(index).values())[1:] if index.is_file() else sorted(folder.glob("*.safetensors"))
    rows = 0
    for shard in shards:
        refuse_pointer(shard)
        try:
            with safe_open(shard, framework="pt") as file:
                named = [name for name in file.keys() if name.endswith("embed_tokens.weight")]  # noqa: SIM118
                rows = file.get_slice(named[0]).get_shape()[0] if named else rows
        except (SafetensorError, OSError) as error:
            raise BadInput(f"{shard} is damaged or cut short ({error}); fetch it again.") from error
    if not rows:
        raise BadInput(f"{folder} holds no embedding in safetensors; fetch {wanted} in that form (--language-model).")
    return rows


def _words(path: Path) -> int | None:
    """One more than the largest id of a tokenizer.json; None without one (SentencePiece is left to itself)."""
    if not path.is_file():
        return None
    refuse_pointer(path)
    try:
        tokenizer = load_json(path.read_text(encoding="utf-8"))
        words = tokenizer["model"]["vocab"]
        ids = list(words.values()) if isinstance(words, dict) else list(range(len(words)))
        return 1 + max([*ids, *(token["id"] for token in tokenizer.get("added_tokens", ()))])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no tokenizer of Hugging Face's form; fetch it again.") from error
