"""The graph of a LLaMA for ONNX Runtime, over embeddings and a KV cache, its weights left to `weights.py`. Needs onnx.

Every product with weights is MatMulNBits over the published 4-bit blocks, plus (x @ P) @ S, which holds two things that
4 bits cannot: the constant of each block (P sums the inputs of a block) and the LoRA adapter (P has its A, S its B).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from rsvlm.assets.packed_language import BLOCK

_MS = "com.microsoft"
# The least precision that inputs are rounded to before a product: 1 is float32, 4 is int8 in blocks as the weights are.
INT8, FLOAT32 = 4, 1


class _Graph:
    """Nodes and weights as they are added. A node is called after its first output, whose name adding it returns."""

    def __init__(self, accuracy: int) -> None:
        self.accuracy = accuracy
        self.nodes: list[Any] = []
        self.tensors: list[TensorProto] = []

    def node(
        self, op: str, inputs: Sequence[str], outputs: str | list[str], domain: str = "", **attributes: Any
    ) -> str:
        names = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(op, inputs, names, name=names[0], domain=domain, **attributes))
        return names[0]

    def weight(self, name: str, kind: int, *shape: int) -> str:
        """A tensor that is not in the file: the one who opens it gives its values by name."""
        tensor = TensorProto(name=name, data_type=kind, dims=shape, data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value="model.safetensors")
        self.tensors.append(tensor)
        return name

    def constant(self, name: str, *numbers: int) -> str:
        self.tensors.append(numpy_helper.from_array(np.array(numbers, np.int64), name))
        return name

    def packed(self, x: str, name: str, out: str, inputs: int, outputs: int, bits: int) -> str:
        """x @ the packed weights `name`, of `bits` bits in blocks."""
        blocks = inputs // BLOCK
        table = self.weight(f"{name}.q", TensorProto.UINT8, outputs, blocks, BLOCK * bits // 8)
        scale = self.weight(f"{name}.scale", TensorProto.FLOAT, outputs * blocks)
        return self.node(
            "MatMulNBits", [x, table, scale], out, _MS,
            K=inputs, N=outputs, bits=bits, block_size=BLOCK, accuracy_level=self.accuracy,
        )  # fmt: skip

    def linear(self, x: str, name: str, inputs: int, outputs: int, rank: int = 0) -> str:
        """x @ the 4-bit weights `name`, their blocks' constants and adapters of `rank` included."""
        rows = inputs // BLOCK + rank
        main = self.packed(x, name, f"{name}.main", inputs, outputs, 4)
        reduce = self.weight(f"{name}.reduce", TensorProto.FLOAT, inputs, rows)
        shift = self.weight(f"{name}.shift", TensorProto.FLOAT, rows, outputs)
        low = self.node("MatMul", [x, reduce], f"{name}.low")
        return self.node("Add", [main, self.node("MatMul", [low, shift], f"{name}.rest")], f"{name}.out")

    def norm(self, x: str, name: str, width: int, epsilon: float) -> str:
        scale = self.weight(name, TensorProto.FLOAT, width)
        return self.node("RMSNormalization", [x, scale], f"{name}.out", axis=-1, epsilon=epsilon)


def language_graph(config: Mapping[str, Any], ranks: Mapping[str, int], *, accuracy: int = INT8) -> ModelProto:
    """embeds (B, T, D), positions (B, T), mask (B, 1, T, P + T), past.* (B, KV, P, d) -> logits (B, 1, V), present.*

    `config` is that of `rsvlm.assets.packed_language`; `ranks` is the total rank of the adapters of "qkv" and "o" (0:
    none). Rows are padded on the left, so that the last place, whose logits are given, is each row's own. The cache is
    "past.<layer>.k", "past.<layer>.v" and "present.<layer>.k", "present.<layer>.v" (B, KV, P + T, d).
    """
    width, size = config["hidden_size"], config["hidden_size"] // config["num_attention_heads"]
    graph, epsilon = _Graph(accuracy), float(config["rms_norm_eps"])
    for name in ("cos", "sin"):
        graph.weight(f"rope.{name}", TensorProto.FLOAT, config["max_position_embeddings"], size // 2)
    kv_width = config["num_key_value_heads"] * size
    graph.constant("split_qkv", width, kv_width, kv_width)
    graph.constant("split_gate_up", config["intermediate_size"], config["intermediate_size"])
    x = "embeds"
    for layer in range(config["num_hidden_layers"]):
        x = _attention(graph, x, layer, config, ranks)
        x = _mlp(graph, x, f"layers.{layer}", config)
    last = graph.node("Gather", [graph.norm(x, "norm", width, epsilon), graph.constant("last", -1)], "place", axis=1)
    graph.packed(last, "embedding", "logits", width, config["vocab_size"], 8)
    return _model(graph, config, size)


def _attention(graph: _Graph, x: str, layer: int, config: Mapping[str, Any], ranks: Mapping[str, int]) -> str:
    of, width, heads, kv_heads = (
        f"layers.{layer}", config["hidden_size"], config["num_attention_heads"], config["num_key_value_heads"],
    )  # fmt: skip
    seen = graph.norm(x, f"{of}.norm_attention", width, float(config["rms_norm_eps"]))
    qkv = graph.linear(seen, f"{of}.qkv", width, width + 2 * kv_heads * (width // heads), ranks.get("qkv", 0))
    graph.node("Split", [qkv, "split_qkv"], [f"{of}.{part}" for part in ("queries", "keys", "values")], axis=-1)
    for part, count in (("queries", heads), ("keys", kv_heads)):
        names = [f"{of}.{part}", "rope.cos", "rope.sin", "positions"]
        graph.node("RotaryEmbedding", names, f"{of}.{part}.turned", num_heads=count)
    graph.node(
        "Attention",
        [f"{of}.queries.turned", f"{of}.keys.turned", f"{of}.values", "mask", f"past.{layer}.k", f"past.{layer}.v"],
        [f"{of}.attention", f"present.{layer}.k", f"present.{layer}.v"],
        q_num_heads=heads, kv_num_heads=kv_heads,
    )  # fmt: skip
    mixed = graph.linear(f"{of}.attention", f"{of}.o", width, width, ranks.get("o", 0))
    return graph.node("Add", [x, mixed], f"{of}.mid")


def _mlp(graph: _Graph, x: str, of: str, config: Mapping[str, Any]) -> str:
    width, inner = config["hidden_size"], config["intermediate_size"]
    seen = graph.norm(x, f"{of}.norm_mlp", width, float(config["rms_norm_eps"]))
    both = graph.linear(seen, f"{of}.gate_up", width, 2 * inner)
    graph.node("Split", [both, "split_gate_up"], [f"{of}.gate", f"{of}.up"], axis=-1)
    sigmoid = graph.node("Sigmoid", [f"{of}.gate"], f"{of}.sigmoid")
    silu = graph.node("Mul", [f"{of}.gate", sigmoid], f"{of}.silu")
    product = graph.node("Mul", [silu, f"{of}.up"], f"{of}.product")
    return graph.node("Add", [x, graph.linear(product, f"{of}.down", inner, width)], f"{of}.end")


def _model(graph: _Graph, config: Mapping[str, Any], size: int) -> ModelProto:
    def value(name: str, kind: int, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [
        value("embeds", TensorProto.FLOAT, "B", "T", config["hidden_size"]),
        value("positions", TensorProto.INT64, "B", "T"), value("mask", TensorProto.BOOL, "B", 1, "T", "S"),
    ]  # fmt: skip
    outputs = [value("logits", TensorProto.FLOAT, "B", 1, config["vocab_size"])]
    kv_heads = config["num_key_value_heads"]
    for name in (f"{layer}.{part}" for layer in range(config["num_hidden_layers"]) for part in ("k", "v")):
        inputs.append(value(f"past.{name}", TensorProto.FLOAT, "B", kv_heads, "P", size))
        outputs.append(value(f"present.{name}", TensorProto.FLOAT, "B", kv_heads, "S", size))
    made = helper.make_graph(graph.nodes, "language", inputs, outputs, graph.tensors)
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid(_MS, 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=10)
