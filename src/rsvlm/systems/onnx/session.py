"""ONNX graphs opened with weights that lie elsewhere: in the model's own safetensors file and in the user's cache."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from safetensors import SafetensorError, deserialize

from rsvlm.assets.packed_language import BLOCK
from rsvlm.errors import BadInput

Weights = Mapping[str, NDArray[Any]]
_TYPES = {"F32": np.float32, "U8": np.uint8}
GRAPHS = "graphs.json"  # what `export.py` writes beside the graphs: the names of the weights of each, and more


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file by name; bfloat16 becomes float32, which holds it exactly.

    Raises BadInput for a damaged file, another type, and for numbers that are not finite.
    """
    try:
        found = {name: _array(name, stored) for name, stored in deserialize(path.read_bytes())}
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path} is not a readable safetensors file ({error}); fetch it again.") from error
    if strange := [name for name, array in found.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]:
        raise BadInput(f"{path}: {len(strange)} tensors are not finite, the first is {strange[0]}; fetch it again.")
    return found


def _array(name: str, stored: Mapping[str, Any]) -> NDArray[Any]:
    kind, shape = stored["dtype"], stored["shape"]
    if kind == "BF16":
        halves = np.frombuffer(stored["data"], np.uint16).astype(np.uint32) << 16
        return halves.view(np.float32).reshape(shape)
    if kind not in _TYPES:
        raise BadInput(f"The tensor {name} has the type {kind}; expected BF16, {' or '.join(_TYPES)}.")
    return np.frombuffer(stored["data"], _TYPES[kind]).reshape(shape)


def open_graph(path: Path, names: list[str], weights: Weights) -> Any:
    """An InferenceSession on the CPU of the graph at `path`, its weights `names` taken from `weights`."""
    options: Any = ort.SessionOptions()
    if absent := [name for name in names if name not in weights]:
        raise BadInput(
            f"{path} needs {len(absent)} tensors that are not there, the first is {absent[0]}; fetch it again."
        )
    options.log_severity_level = 3  # errors: the CastLike that it cannot fold is no news
    values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(weights[name])) for name in names]
    options.add_external_initializers(names, values)
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def language_weights(packed: Weights, adapters: Weights, *, lora_alpha: float, config: Mapping[str, Any]) -> Weights:
    """The weights of `graph.language_graph`: the packed base, the adapters as rows and columns of low rank, and RoPE.

    `adapters` are peft's, "<...>layers.<i>.self_attn.<q|k|v|o>_proj.lora_<A|B>.<...>": A (r, K), B (N, r).
    """
    weights = dict(packed)
    width, heads = config["hidden_size"], config["num_attention_heads"]
    size, kv = width // heads, config["num_key_value_heads"] * (width // heads)
    starts = {"q": ("qkv", 0), "k": ("qkv", width), "v": ("qkv", width + kv), "o": ("o", 0)}
    found: dict[str, list[tuple[int, NDArray[Any], NDArray[Any]]]] = {}
    for name in adapters:
        if ".lora_A." in name:
            layer, projection = name.split("layers.")[1].split(".")[0], name.split("_proj")[0][-1]
            group, start = starts[projection]
            down, up = adapters[name], adapters[name.replace(".lora_A.", ".lora_B.")]
            found.setdefault(f"layers.{layer}.{group}", []).append((start, down, up * (lora_alpha / len(down))))
    for name in [name[: -len(".shift")] for name in packed if name.endswith(".shift")]:
        shift = packed[f"{name}.shift"]
        reduce = [np.kron(np.eye(len(shift), dtype=np.float32), np.ones((BLOCK, 1), np.float32))]
        rows = [shift]
        for start, down, up in found.get(name, ()):
            reduce.append(down.T)
            rows.append(np.zeros((len(down), shift.shape[1]), np.float32))
            rows[-1][:, start : start + len(up)] = up.T
        weights[f"{name}.reduce"], weights[f"{name}.shift"] = np.concatenate(reduce, 1), np.concatenate(rows)
    angles = np.arange(config["max_position_embeddings"])[:, None] / config["rope_theta"] ** (
        np.arange(0, size, 2) / size
    )
    weights |= {"rope.cos": np.cos(angles).astype(np.float32), "rope.sin": np.sin(angles).astype(np.float32)}
    return weights
