"""ONNX graphs opened with weights that lie elsewhere: in the model's own safetensors file and in the user's cache."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import Fail
from safetensors import SafetensorError, deserialize

from rsvlm.assets.packed_language import BLOCK
from rsvlm.errors import BadInput
from rsvlm.systems.model_dir import OTHER_KIND, unfinished

Weights = Mapping[str, NDArray[Any]]
_TYPES = {"F32": np.float32, "U8": np.uint8}
_MISFITS = {"have another shape": "dimensions do not match", OTHER_KIND: "data type does not match"}  # in ORT's words
ENCODER = "contrastive.text.model."  # begins the names of a match head's text encoder, whose weights others published
GRAPHS = "graphs.json"  # what `export.py` writes beside the graphs: the names of the weights of each, and more


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a safetensors file by name; bfloat16 becomes float32, which holds it exactly.

    Raises BadInput for a damaged file, another type, and for numbers that are not finite.
    """
    try:
        stored = dict(deserialize(path.read_bytes()))
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path} is not a readable safetensors file ({error}); fetch it again.") from error
    if odd := [name for name, one in stored.items() if one["dtype"] != "U8" and "F" not in one["dtype"]]:
        raise unfinished(path, odd, OTHER_KIND)
    found = {name: _array(name, one) for name, one in stored.items()}
    if strange := [name for name, array in found.items() if array.dtype.kind == "f" and not np.isfinite(array).all()]:
        raise unfinished(path, strange, "are not finite")
    return found


def _array(name: str, stored: Mapping[str, Any]) -> NDArray[Any]:
    kind, shape = stored["dtype"], stored["shape"]
    if kind == "BF16":
        halves = np.frombuffer(stored["data"], np.uint16).astype(np.uint32) << 16
        return halves.view(np.float32).reshape(shape)
    if kind not in _TYPES:
        raise BadInput(f"The tensor {name} has the type {kind}; expected BF16, {' or '.join(_TYPES)}.")
    return np.frombuffer(stored["data"], _TYPES[kind]).reshape(shape)


def check_weights(
    weights: Weights, names: Iterable[str], *, lora: Mapping[str, Any], config: Mapping[str, Any], source: Path
) -> None:
    """Raises BadInput where the tensors `names` or the recipe's adapters are missing, or an adapter does not fit."""
    width, heads = config["hidden_size"], config["num_attention_heads"]
    kv = config["num_key_value_heads"] * (width // heads)
    shapes = {}
    for layer, target in product(range(config["num_hidden_layers"]), lora.get("target_modules", ())):
        name = f"language.model.model.layers.{layer}.self_attn.{target}.lora_%s.default.weight"
        shapes |= {
            name % "A": (lora["r"], width),
            name % "B": (kv if target in ("k_proj", "v_proj") else width, lora["r"]),
        }
    present = {name: weights[name] for name in shapes if name in weights}
    for wrong, what in (
        (sorted({*names, *shapes} - set(weights)), "are missing"),
        ([name for name, array in present.items() if array.shape != shapes[name]], "have another shape"),
        ([name for name, array in present.items() if array.dtype.kind != "f"], OTHER_KIND),
    ):
        if wrong:
            raise unfinished(source, wrong, what)


def open_graph(path: Path, names: Sequence[str], weights: Weights, source: Path) -> Any:
    """An InferenceSession on the CPU of the graph at `path`, its weights `names` taken from `weights`.

    Raises BadInput, which says that they are those of `source`, where some are missing or do not fit.
    """
    if absent := [name for name in names if name not in weights]:
        raise unfinished(source, absent, "are missing")
    try:
        return _session(path, names, weights)
    except Fail:
        for what, says in _MISFITS.items():
            if wrong := _refused(path, names, weights, says):
                raise unfinished(source, wrong, what) from None
        raise


def _session(path: Path, names: Sequence[str], weights: Weights) -> Any:
    options: Any = ort.SessionOptions()
    options.log_severity_level = 3  # errors: the CastLike that it cannot fold is no news
    values = [ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(weights[name])) for name in names]
    options.add_external_initializers(list(names), values)
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _refused(path: Path, names: Sequence[str], weights: Weights, says: str) -> list[str]:
    """The names of the weights that ONNX Runtime refuses in these words, which name none: halves are tried."""
    try:
        _session(path, names, weights)
    except Exception as error:  # noqa: BLE001 (without the others' weights it fails, too, and in other words)
        if says not in str(error):
            return []
        if len(names) == 1:
            return list(names)
        half = len(names) // 2
        return _refused(path, names[:half], weights, says) + _refused(path, names[half:], weights, says)
    return []


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
