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
    """Nodes and weights as they are added; a node is called after its one output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[TensorProto] = []
        self.constants: list[TensorProto] = []

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
        self.weights.append(tensor)
        return name

    def constant(self, name: str, *numbers: int) -> str:
        self.constants.append(numpy_helper.from_array(np.array(numbers, np.int64), name))
        return name


def language_graph(config: Mapping[str, Any], ranks: Mapping[str, int], *, accuracy: int = INT8) -> ModelProto:
    """embeds (B, T, D), positions (B, T), mask (B, 1, T, P + T), past.* (B, KV, P, d) -> logits of the last place, past.

    `config` is that of `rsvlm.assets.packed_language`; `ranks` is the total rank of the adapters of "qkv" and "o" (0:
    none). Rows are padded on the left, so that the last place is each row's own. Outputs: "logits" (B, V) and
    "present.<layer>.k", "present.<layer>.v" (B, KV, P + T, d).
    """
    width, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size, graph = width // heads, _Graph()
    rows = config["max_position_embeddings"]
    cos, sin = (graph.weight(f"rope.{name}", TensorProto.FLOAT, rows, size // 2) for name in ("cos", "sin"))
    split = graph.constant("split_qkv", width, kv_heads * size, kv_heads * size)
    halves = graph.constant("split_gate_up", inner, inner)

    def linear(x: str, name: str, inputs: int, outputs: int, rank: int = 0) -> str:
        blocks = inputs // BLOCK
        packed = graph.weight(f"{name}.q", TensorProto.UINT8, outputs, blocks, BLOCK // 2)
        scale = graph.weight(f"{name}.scale", TensorProto.FLOAT, outputs * blocks)
        main = graph.node(
            "MatMulNBits", [x, packed, scale], f"{name}.main", _MS,
            K=inputs, N=outputs, bits=4, block_size=BLOCK, accuracy_level=accuracy,
        )  # fmt: skip
        reduce = graph.weight(f"{name}.reduce", TensorProto.FLOAT, inputs, blocks + rank)
        shift = graph.weight(f"{name}.shift", TensorProto.FLOAT, blocks + rank, outputs)
        low = graph.node("MatMul", [x, reduce], f"{name}.low")
        return graph.node("Add", [main, graph.node("MatMul", [low, shift], f"{name}.rest")], f"{name}.out")

    def norm(x: str, name: str) -> str:
        scale = graph.weight(name, TensorProto.FLOAT, width)
        return graph.node("RMSNormalization", [x, scale], f"{name}.out", axis=-1, epsilon=float(config["rms_norm_eps"]))

    x = "embeds"
    for layer in range(config["num_hidden_layers"]):
        of = f"layers.{layer}"
        seen = norm(x, f"{of}.norm_attention")
        qkv = linear(seen, f"{of}.qkv", width, width + 2 * kv_heads * size, ranks.get("qkv", 0))
        graph.node("Split", [qkv, split], [f"{of}.{part}" for part in ("queries", "keys", "values")], axis=-1)
        for part, count in (("queries", heads), ("keys", kv_heads)):
            graph.node(
                "RotaryEmbedding", [f"{of}.{part}", cos, sin, "positions"], f"{of}.{part}.turned", num_heads=count
            )
        graph.node(
            "Attention",
            [f"{of}.queries.turned", f"{of}.keys.turned", f"{of}.values", "mask", f"past.{layer}.k", f"past.{layer}.v"],
            [f"{of}.attention", f"present.{layer}.k", f"present.{layer}.v"],
            q_num_heads=heads, kv_num_heads=kv_heads,
        )  # fmt: skip
        x = graph.node("Add", [x, linear(f"{of}.attention", f"{of}.o", width, width, ranks.get("o", 0))], f"{of}.mid")
        both = linear(norm(x, f"{of}.norm_mlp"), f"{of}.gate_up", width, 2 * inner)
        graph.node("Split", [both, halves], [f"{of}.gate", f"{of}.up"], axis=-1)
        sigmoid = graph.node("Sigmoid", [f"{of}.gate"], f"{of}.sigmoid")
        silu = graph.node("Mul", [f"{of}.gate", sigmoid], f"{of}.silu")
        x = graph.node(
            "Add",
            [x, linear(graph.node("Mul", [silu, f"{of}.up"], f"{of}.product"), f"{of}.down", inner, width)],
            f"{of}.end",
        )
    last = graph.node("Gather", [norm(x, "norm"), graph.constant("last", -1)], "last_place", axis=1)
    vocabulary = config["vocab_size"]
    table = [
        graph.weight("embedding.q", TensorProto.UINT8, vocabulary, width // BLOCK, BLOCK),
        graph.weight("embedding.scale", TensorProto.FLOAT, vocabulary * width // BLOCK),
    ]
    graph.node(
        "MatMulNBits", [last, *table], "logits", _MS,
        K=width, N=vocabulary, bits=8, block_size=BLOCK, accuracy_level=accuracy,
    )  # fmt: skip
    return _model(graph, config, size)


def _model(graph: _Graph, config: Mapping[str, Any], size: int) -> ModelProto:
    def value(name: str, kind: int, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, kind, shape)

    inputs = [
        value("embeds", TensorProto.FLOAT, "B", "T", config["hidden_size"]),
        value("positions", TensorProto.INT64, "B", "T"), value("mask", TensorProto.BOOL, "B", 1, "T", "S"),
    ]  # fmt: skip
    outputs = [value("logits", TensorProto.FLOAT, "B", 1, config["vocab_size"])]
    for layer in range(config["num_hidden_layers"]):
        for part in ("k", "v"):
            inputs.append(
                value(f"past.{layer}.{part}", TensorProto.FLOAT, "B", config["num_key_value_heads"], "P", size)
            )
            outputs.append(
                value(f"present.{layer}.{part}", TensorProto.FLOAT, "B", config["num_key_value_heads"], "S", size)
            )
    made = helper.make_graph(graph.nodes, "language", inputs, outputs, [*graph.weights, *graph.constants])
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid(_MS, 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=10)
