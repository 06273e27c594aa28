"""Models of transformers from local files alone: no hub, no code of the folder, no kernels from elsewhere."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput

LLAMA_NUMBERS = frozenset((
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings", "initializer_range", "rms_norm_eps",
    "pad_token_id", "bos_token_id", "eos_token_id", "tie_word_embeddings", "rope_theta", "rope_parameters",
    "rope_scaling", "attention_bias", "attention_dropout", "mlp_bias",
))  # fmt: skip
DTYPES = ("bfloat16", "float16", "float32")
_REACHING = ("attn_implementation", "experts_implementation")  # whose value may name a repository on the hub
_MOST_LAYERS, _MOST_PARAMETERS = 1024, 2**38  # a budget before anything is allocated; the largest today are below


def check_numbers(numbers: Mapping[str, Any]) -> None:
    """Raises BadInput for keys that are no number of a LLaMA, and for one that no machine holds."""
    if unknown := sorted(set(numbers) - LLAMA_NUMBERS):
        raise BadInput(
            f"model.language has the key {unknown[0]!r}, which is no number of a LLaMA; expected "
            f"{', '.join(sorted(LLAMA_NUMBERS))}."
        )
    sizes = {key: value for key, value in numbers.items() if key.startswith("num_") or key.endswith("_size")}
    if wrong := [key for key, value in sizes.items() if not isinstance(value, int) or not 0 < value < 2**31]:
        shown = repr(value) if not isinstance(value := sizes[wrong[0]], int) else "out of range"
        raise BadInput(f"model.language.{wrong[0]} is {shown:.60}; expected a whole number above zero and below 2^31.")
    width, layers = sizes.get("hidden_size", 4096), sizes.get("num_hidden_layers", 32)
    inner, words = sizes.get("intermediate_size", 11008), sizes.get("vocab_size", 32000)
    parameters = layers * width * (4 * width + 3 * inner) + 2 * words * width
    if layers > _MOST_LAYERS or parameters > _MOST_PARAMETERS:
        raise BadInput(
            f"model.language asks for {layers:,} layers and some {parameters:.1e} parameters, over the budget of "
            f"{_MOST_LAYERS:,} and {_MOST_PARAMETERS:.1e}; give the numbers of a model that exists."
        )


def check_config(folder: Path) -> None:
    """Raises BadInput where config.json names an implementation on the hub, which transformers would run as code."""
    path = folder / "config.json"
    try:
        todo: list[Any] = [json.loads(path.read_bytes().decode("utf-8-sig"))]
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not readable JSON; fetch the model again.") from error
    while todo:  # without recursion: a file may nest as deep as the reader of JSON allows
        value = todo.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                if key.strip("_").removesuffix("_internal") in _REACHING and "/" in str(inner):
                    raise BadInput(
                        f"{path} asks for the {key} {str(inner)[:60]!r}, which transformers would fetch and run; "
                        "remove it, or give eager or sdpa."
                    )
        todo += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


@contextmanager
def offline() -> Iterator[None]:
    """No request to the Hugging Face hub from this process, whatever a library wishes."""
    from huggingface_hub import constants

    before, said = constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")
    constants.HF_HUB_OFFLINE, os.environ["HF_HUB_OFFLINE"] = True, "1"
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
        if said is None:
            del os.environ["HF_HUB_OFFLINE"]
        else:
            os.environ["HF_HUB_OFFLINE"] = said
