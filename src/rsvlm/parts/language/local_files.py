"""Models of transformers from local files alone: no hub, no code of the folder, no kernels from elsewhere."""

import importlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rsvlm.errors import BadInput
from rsvlm.json_text import load_json
from rsvlm.lfs import refuse_pointer

_COMMON = frozenset((
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
    "pad_token_id", "bos_token_id", "eos_token_id", "tie_word_embeddings", "attention_dropout",
))  # fmt: skip
LLAMA_NUMBERS = _COMMON | frozenset((
    "intermediate_size", "num_key_value_heads", "head_dim", "hidden_act", "initializer_range", "rms_norm_eps",
    "rope_theta", "rope_parameters", "rope_scaling", "attention_bias", "mlp_bias",
))  # fmt: skip
OPT_NUMBERS = _COMMON | frozenset(("ffn_dim", "activation_function", "dropout", "init_std"))
DTYPES = ("bfloat16", "float16", "float32")
IMPLEMENTATIONS = (  # what a config.json may name without reaching for a hub; none of it is taken over
    "", "eager", "sdpa", "flex_attention", "flash_attention_2", "flash_attention_3", "batched_mm", "grouped_mm",
)  # fmt: skip
_REACHING = ("attn_implementation", "experts_implementation")  # whose value may name a repository on the hub
_ELSEWHERE = ("transformers_weights", "audio_tokenizer_name_or_path")  # names of other weights
_LOOPS = {("layers", "depth", "n_layer", "num_blocks"): 1024, ("image_seq", "image_tokens", "num_experts"): 65536}
_SIDES, _MOST_SIDE = ("size", "edge", "height", "width", "pinpoints", "divis"), 4096  # of a processor: a side
_AREAS, _MOST_PIXELS = ("min_pixels", "max_pixels"), 2**25  # in pixels of a whole picture, or of a video
_LOCK, _OPEN = threading.Lock(), list[Callable[[], None] | None]()  # the blocks of `offline` that are open
_MOST_LAYERS, _MOST_PARAMETERS = 1024, 2**38  # a budget before anything is allocated; the largest today are below


def check_numbers(numbers: Mapping[str, Any], known: frozenset[str] = LLAMA_NUMBERS, name: str = "a LLaMA") -> None:
    """Raises BadInput for keys that are no number of `name`, and for one that no machine holds."""
    if unknown := sorted(set(numbers) - known):
        raise BadInput(
            f"model.language has the key {unknown[0]!r}, which is no number of {name}; expected "
            f"{', '.join(sorted(known))}."
        )
    sizes = {k: value for k, value in numbers.items() if k.startswith("num_") or k.endswith("_size") or k == "ffn_dim"}
    if wrong := [key for key, value in sizes.items() if not isinstance(value, int) or not 0 < value < 2**31]:
        shown = repr(value) if not isinstance(value := sizes[wrong[0]], int) else "out of range"
        raise BadInput(f"model.language.{wrong[0]} is {shown:.60}; expected a whole number above zero and below 2^31.")
    width, layers = sizes.get("hidden_size", 4096), sizes.get("num_hidden_layers", 32)
    inner, words = sizes.get("intermediate_size", sizes.get("ffn_dim", 11008)), sizes.get("vocab_size", 32000)
    parameters = layers * width * (4 * width + 3 * inner) + 2 * words * width
    if layers > _MOST_LAYERS or parameters > _MOST_PARAMETERS:
        raise BadInput(
            f"model.language asks for {layers:,} layers and some {parameters:.1e} parameters, over the budget of "
            f"{_MOST_LAYERS:,} and {_MOST_PARAMETERS:.1e}; give the numbers of a model that exists."
        )


def check_folder(folder: Path) -> None:
    """Raises BadInput where the files of a model ask for code or weights from elsewhere, or for sizes that none has.

    Every JSON file at the top of the folder is looked over, at any depth.
    """
    if (folder / "adapter_config.json").is_file():
        raise BadInput(f"{folder} holds adapters beside a model, or instead of one; merge them into the weights first.")
    if strange := sorted(path.name for path in folder.glob("shard-*-model-*-of-*.safetensors")):
        raise BadInput(f"{folder} holds {strange[0]}, a distributed checkpoint; save it as one model first.")
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("tokenizer*")]):
        refuse_pointer(path)
    for path in sorted({folder / "config.json", *folder.glob("*config.json")}):
        _check_json(path)
    for path in sorted(folder.glob("*processor_config.json")):
        _check_pictures(path)


def _check_json(path: Path) -> None:
    try:
        todo: list[Any] = [load_json(path.read_bytes().decode("utf-8-sig"))]
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not readable JSON; fetch the model again.") from error
    while todo:  # without recursion: a file may nest as deep as the reader of JSON allows
        value = todo.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                _check_value(path, key, inner)
        todo += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _check_pictures(path: Path) -> None:
    """Raises BadInput for a size in the settings of a processor that no picture has: it would be resized to it."""
    text = path.read_bytes().decode("utf-8-sig")
    areas = (*_AREAS, "edge") if '"merge_size"' in text else _AREAS  # Qwen's family counts pixels of a whole picture
    todo: list[tuple[Any, str, int]] = [(load_json(text), "", 0)]
    while todo:
        value, name, most = todo.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                own = (
                    _MOST_PIXELS
                    if any(word in key for word in areas)
                    else _MOST_SIDE * any(word in key for word in _SIDES)
                )
                todo.append((inner, key if own else name, own or most))
        elif isinstance(value, list):
            todo += [(inner, name, most) for inner in value]
        elif most and isinstance(value, (int, float)) and not -most <= value <= most:
            raise BadInput(
                f"{path} has the {name} {str(value)[:60]}; expected {most:,} at the most: fetch the model again."
            )


def _check_value(path: Path, key: str, value: Any) -> None:
    """Raises BadInput for a value that transformers would fetch code or weights by, or loop over for ever."""
    bare = key.strip("_").removesuffix("_internal")
    if bare in _REACHING:
        inner = list(value.values()) if isinstance(value, dict) else [value]
        if strange := [one for one in inner if one is not None and one not in IMPLEMENTATIONS]:
            raise BadInput(
                f"{path} asks for the {key} {str(strange[0])[:60]!r}, which transformers would fetch and run; "
                "remove it, or give eager or sdpa."
            )
    if bare in _ELSEWHERE and value:
        raise BadInput(
            f"{path} takes its {key} from {str(value)[:60]!r}; expected a model that is whole in its folder."
        )
    most = next((most for words, most in _LOOPS.items() if any(word in bare for word in words)), None)
    if most and isinstance(value, (int, float)) and not -most <= value <= most:
        raise BadInput(f"{path} has the {key} {str(value)[:60]}; expected {most:,} at the most: fetch the model again.")


def open_config(folder: Path) -> Any:
    """The configuration of the model in `folder`, all parts of which compute with PyTorch's own implementations.

    To be called within `offline`. Raises what transformers raises.
    """
    from transformers import AutoConfig

    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    config._attn_implementation = config._experts_implementation = None  # which sets those of its parts, too
    return config


def check_pinned(model: Any, folder: Path) -> None:
    """Raises BadInput where a part of an opened model computes attention in another way than PyTorch's own."""
    for part in model.modules():
        used = getattr(getattr(part, "config", None), "_attn_implementation", None)
        if used not in (None, "eager", "sdpa"):
            raise BadInput(f"{folder} computes attention with {str(used)[:60]!r}; expected eager or sdpa.")


@contextmanager
def offline() -> Iterator[None]:
    """No request to the Hugging Face hub from this process, and no kernel out of its cache, whatever a library wishes.

    Blocks may overlap, in several threads, too: all is as before when the last one ends.
    """
    with _LOCK:
        _OPEN.append(_close_hub() if not _OPEN else None)
    try:
        yield
    finally:
        with _LOCK:
            restore = _OPEN.pop(1 if len(_OPEN) > 1 else 0)  # the first, which restores, is the last to go
            if restore:
                restore()


def _close_hub() -> Callable[[], None]:
    """Close the hub; what opens it again is returned."""
    from huggingface_hub import constants

    before, said = constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")
    constants.HF_HUB_OFFLINE, os.environ["HF_HUB_OFFLINE"] = True, "1"
    try:
        kernels: Any = importlib.import_module("transformers.integrations.hub_kernels")
        get_kernel = kernels.get_kernel
    except (ImportError, AttributeError):  # a version of transformers without kernels
        kernels, get_kernel = None, None
    if kernels:
        kernels.get_kernel = _refuse_kernel

    def restore() -> None:
        constants.HF_HUB_OFFLINE = before
        if said is None:
            os.environ.pop("HF_HUB_OFFLINE", None)
        else:
            os.environ["HF_HUB_OFFLINE"] = said
        if kernels:
            kernels.get_kernel = get_kernel

    return restore


def _refuse_kernel(name: object = "", *_: object, **__: object) -> NoReturn:
    # FileNotFoundError: where a kernel only makes a part faster, transformers then goes on without it.
    raise FileNotFoundError(f"the kernel {str(name)[:60]} is code from the hub, which is not run")
