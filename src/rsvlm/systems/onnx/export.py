"""Exports a trained LHRS-Bot with a small convolutional tower as ONNX graphs without weights. Needs PyTorch and onnx.

The graphs are tower (picture -> feature maps), bridge (levels -> visual tokens), boxes (levels, phrase -> heat, boxes),
match_image and match_text (levels, token ids -> vectors), change (levels and pixels of two dates -> maps) and language.
Their weights stay in the model's safetensors file, those of language model and text encoder in the user's cache.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rsvlm.assets import packed_language_model
from rsvlm.errors import BadInput
from rsvlm.files import atomic_folder
from rsvlm.parts.heads.change import PART
from rsvlm.recipe import Recipe
from rsvlm.systems.onnx.graph import language_graph
from rsvlm.systems.onnx.session import ENCODER, GRAPHS
from rsvlm.systems.runtime.load_system import load_system

_PROJECTIONS = {"q_proj": "qkv", "k_proj": "qkv", "v_proj": "qkv", "o_proj": "o"}  # of a LoRA -> product of the graph
_OPSET = 20


class _Tower(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1], sides multiples of 32 -> the maps that the tower pools into its levels."""

    def __init__(self, vision: Any) -> None:
        super().__init__()
        self.vision = vision

    def forward(self, image: Tensor) -> list[Tensor]:
        return self.vision.maps(image)


class _Bridge(nn.Module):
    def __init__(self, bridge: nn.Module) -> None:
        super().__init__()
        self.bridge = bridge

    def forward(self, *levels: Tensor) -> Tensor:
        return self.bridge(levels)


class _Boxes(nn.Module):
    def __init__(self, boxes: nn.Module) -> None:
        super().__init__()
        self.boxes = boxes

    def forward(self, *levels_and_phrase: Tensor) -> Any:
        *levels, phrase = levels_and_phrase
        return self.boxes(levels, phrase)


class _Change(nn.Module):
    """Levels and stretched pixels of pairs, dates side by side -> logits of their maps."""

    def __init__(self, change: nn.Module) -> None:
        super().__init__()
        self.change: Any = change

    def forward(self, *levels_and_image: Tensor) -> Tensor:
        *levels, image = levels_and_image
        return self.change(levels, image)


class _MatchImage(nn.Module):
    def __init__(self, contrastive: nn.Module) -> None:
        super().__init__()
        self.contrastive: Any = contrastive

    def forward(self, *levels: Tensor) -> Tensor:
        return self.contrastive.image(levels)


class _MatchText(nn.Module):
    def __init__(self, contrastive: nn.Module) -> None:
        super().__init__()
        self.contrastive: Any = contrastive

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.contrastive.embed_text(ids, mask)


def export(model_dir: Path, folder: Path) -> None:
    """Write the graphs of the model in `model_dir` and `graphs.json` into the new `folder`.

    Raises BadInput for a model of another kind.
    """
    recipe, model, _ = load_system(model_dir)
    config = json.loads((packed_language_model() / "config.json").read_text(encoding="utf-8"))
    ranks = _ranks(recipe)
    net: Any = model.float().eval()
    vision = net.vision
    batch, rows, columns = torch.export.Dim("B"), torch.export.Dim("H"), torch.export.Dim("W")
    picture = torch.rand(2, 3, vision.size, vision.size)
    graphs = {"tower": _graph(_Tower(vision), [picture], [{0: batch, 2: 32 * rows, 3: 32 * columns}])}
    levels = [torch.rand(2, tokens, dim) for tokens, dim in zip(vision.tokens, vision.dims, strict=True)]
    graphs["bridge"] = _graph(_Bridge(net.bridge), levels, [{0: batch}] * len(levels))
    if "boxes" in net.heads:
        eye = net.tower("boxes")
        seen = [torch.rand(2, tokens, dim) for tokens, dim in zip(eye.tokens, eye.dims, strict=True)]
        inputs = [*seen, torch.rand(2, config["hidden_size"])]
        graphs["boxes"] = _graph(_Boxes(net.heads["boxes"]), inputs, [{0: batch}] * len(inputs))
    if "contrastive" in net.heads:
        graphs |= _match_graphs(recipe, net.heads["contrastive"], levels)
    if "change" in net.heads:
        eye = net.tower("change")
        seen = [torch.rand(4, tokens, dim) for tokens, dim in zip(eye.tokens, eye.dims, strict=True)]
        inputs = [*seen, torch.rand(4, 3, eye.size, eye.size)]
        graphs["change"] = _graph(_Change(net.heads["change"]), inputs, [{0: 2 * torch.export.Dim("P")}] * len(inputs))
    graphs["language"] = language_graph(config, ranks)
    names = {graph: _external(one) for graph, one in graphs.items()}
    facts = {
        "weights": {graph: [name for name in own if not name.startswith(ENCODER)] for graph, own in names.items()},
        "text_encoder": [name for name in names.get("match_text", ()) if name.startswith(ENCODER)],
        "image_tokens": net.image_tokens, "box_dialect": net.box_dialect, "native_prompts": dict(net.native_prompts),
    }  # fmt: skip
    if "contrastive" in net.heads:
        facts["max_text"] = net.heads["contrastive"].max_text
    if "change" in net.heads:
        facts["change_part"] = round(PART * net.tower("change").size)
    with atomic_folder(folder) as made:
        for name, graph in graphs.items():
            (made / f"{name}.onnx").write_bytes(graph.SerializeToString())
        (made / GRAPHS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _match_graphs(recipe: Recipe, head: Any, levels: list[Tensor]) -> dict[str, onnx.ModelProto]:
    if recipe.model["match"]["text"].get("lora"):
        raise BadInput("The adapters of a text encoder cannot be exported; train the match head without lora.")
    head.text.model.set_attn_implementation("eager")
    batch, tokens = torch.export.Dim("B"), torch.export.Dim("T")
    ids, mask = torch.arange(18).reshape(2, 9), torch.ones(2, 9, dtype=torch.int64)
    return {
        "match_image": _graph(_MatchImage(head), levels, [{0: batch}] * len(levels)),
        "match_text": _graph(_MatchText(head), [ids, mask], [{0: batch, 1: tokens}] * 2),
    }


def _ranks(recipe: Recipe) -> dict[str, int]:
    """The rank that the adapters of each product of the graph add up to."""
    lora = recipe.model["language"].get("lora") or {}
    ranks = {"qkv": 0, "o": 0}
    for target in lora.get("target_modules", ()):
        if target not in _PROJECTIONS or "experts" in lora:
            raise BadInput(f"The adapter of {target} cannot be exported; expected {', '.join(_PROJECTIONS)} alone.")
        ranks[_PROJECTIONS[target]] += lora["r"]
    return ranks


def _graph(module: nn.Module, inputs: list[Tensor], dynamic: list[dict[int, Any]]) -> onnx.ModelProto:
    """The module as a graph whose large weights are named as in its state dict and left out of the file."""
    names = [f"in{number}" for number in range(len(inputs))]
    with _static_pooling(), torch.inference_mode():
        several = isinstance(module, (_Bridge, _Boxes, _MatchImage, _Change))  # its inputs are one tuple
        shapes = (tuple(dynamic),) if several else tuple(dynamic)
        program: Any = torch.onnx.export(
            module.eval(), tuple(inputs), input_names=names, dynamic_shapes=shapes, opset_version=_OPSET, dynamo=True,
            optimize=False, verbose=False,
        )  # fmt: skip
    graph: onnx.ModelProto = program.model_proto
    parameters = module.state_dict()
    for tensor in graph.graph.initializer:
        if tensor.name in parameters:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="model.safetensors")
    for node in graph.graph.node:
        node.ClearField("metadata_props")  # stack traces, with paths of the machine that exports
    return graph


def _external(graph: onnx.ModelProto) -> list[str]:
    return [one.name for one in graph.graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL]


@contextmanager
def _static_pooling() -> Iterator[None]:
    """Adaptive pooling as matrices and plain pooling, which ONNX has; grids are known when a graph is made."""
    average, largest, fast = F.adaptive_avg_pool2d, F.adaptive_max_pool2d, torch.backends.mha.get_fastpath_enabled()

    def averaged(x: Tensor, cells: int) -> Tensor:
        side = int(x.shape[-1])
        rows = torch.zeros(cells, side)
        for cell in range(cells):
            first, end = cell * side // cells, -(-(cell + 1) * side // cells)
            rows[cell, first:end] = 1 / (end - first)
        return x if side == cells else rows @ x @ rows.T

    def maximum(x: Tensor, cells: int) -> Tensor:
        side = int(x.shape[-1])
        if side % cells:
            raise BadInput(f"A grid of {side} cells a side is not pooled into {cells} here; give a multiple of it.")
        return x if side == cells else F.max_pool2d(x, side // cells)

    names: Mapping[str, Any] = {"adaptive_avg_pool2d": averaged, "adaptive_max_pool2d": maximum}
    torch.backends.mha.set_fastpath_enabled(False)
    for name, function in names.items():
        setattr(F, name, function)
    try:
        yield
    finally:
        F.adaptive_avg_pool2d, F.adaptive_max_pool2d = average, largest
        torch.backends.mha.set_fastpath_enabled(fast)
