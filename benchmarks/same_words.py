"""Greedy replies of the embedded model on ONNX Runtime and on PyTorch, float32 on both sides: how many are the same.

Twenty pictures, of the val split of UCM-Captions below RSVLM_DATA or made ones, and ten prompts each. Both sides hold
the published blocks exactly (`torch:mini` keeps them in bfloat16; here they are put back) and multiply in float32.
`gaps` are of the replies that differ: at the first other token, by how much each side's logit of its own choice is
above that of the other's. `shipped` is the same of both as they are installed: int8 inputs, and `dtype`.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from harness import run
from rsvlm.assets import language_model, packed_language_model
from rsvlm.data.catalogue import load as load_data
from rsvlm.data.images import read_rgb
from rsvlm.data.prompt import TASK_QUESTIONS
from rsvlm.errors import MissingPart
from rsvlm.parts.checkpoints.weights import read_state
from rsvlm.systems.load import load
from rsvlm.systems.onnx.chat import OnnxChat
from rsvlm.systems.onnx.export import _ranks
from rsvlm.systems.onnx.graph import FLOAT32, language_graph
from rsvlm.systems.onnx.language import OnnxLanguage
from rsvlm.systems.onnx.session import language_weights, open_graph, read_weights
from rsvlm.systems.runtime.chat import ChatModel

PICTURES, TOKENS = 20, 64
PROMPTS = (
    *TASK_QUESTIONS["caption"][:4], *TASK_QUESTIONS["scene"][:2], TASK_QUESTIONS["landcover"][0],
    "Is there water?", "How many buildings are there?", "Does this image contain trees?",
)  # fmt: skip
PARTS = {  # of a product of the packed model: the matrices of transformers that lie under one another in it
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "o": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"), "down": ("mlp.down_proj",),
}  # fmt: skip
Logits = list[NDArray[np.float32]]  # (V,) of each token of a reply
Said = tuple[str, Logits]


def main(*, smallest: bool) -> dict[str, Any]:
    data = "" if smallest else os.environ.get("RSVLM_DATA", "")
    count, prompts, tokens = (1, PROMPTS[:2], 3) if smallest else (PICTURES, PROMPTS, TOKENS)
    onnx, native = load("mini"), load("torch:mini")
    with patch("rsvlm.systems.runtime.load_system.precision_of", return_value="fp32"):
        exact = load("torch:mini")
    if not (isinstance(onnx, OnnxChat) and isinstance(native, ChatModel) and isinstance(exact, ChatModel)):
        raise MissingPart("mini is not run by ONNX Runtime here; run: pip install 'rsvlm[ask]'")
    asked = [(image, prompt) for image in pictures(count, data) for prompt in prompts]
    shipped = compared(onnx, native, asked, tokens)
    put_blocks_back(exact)
    onnx.language = in_float32(onnx)
    return {
        "prompts": len(asked), "real_images": count if data else 0, **compared(onnx, exact, asked, tokens),
        "shipped": shipped, "dtype": native.trace["dtype"], "threads": torch.get_num_threads(),
    }  # fmt: skip


def compared(onnx: OnnxChat, pytorch: ChatModel, asked: Sequence[tuple[Any, str]], tokens: int) -> dict[str, Any]:
    """How many replies are the same words, the gaps of the others, and how far the logits of first tokens differ."""
    pairs = [(of_onnx(onnx, *one, tokens), of_torch(pytorch, *one, tokens)) for one in asked]
    return {
        "same": sum(ours[0] == theirs[0] for ours, theirs in pairs),
        "gaps": [gap(ours[1], theirs[1]) for ours, theirs in pairs if ours[0] != theirs[0]],
        "largest_difference": round(max(float(np.abs(ours[1][0] - theirs[1][0]).max()) for ours, theirs in pairs), 6),
    }


def pictures(count: int, data: str) -> list[NDArray[np.uint8]]:
    """Of the val split of UCM-Captions, evenly spread over it, or noise where there is no folder of `data`."""
    if not data:
        return [*np.random.default_rng(0).integers(0, 255, (count, 256, 256, 3), np.uint8)]
    samples = load_data("ucm_captions", data, "val")
    return [read_rgb(one.images[0]) for one in samples[:: len(samples) // count][:count]]


def of_onnx(model: OnnxChat, image: Any, prompt: str, tokens: int) -> Said:
    """A reply, and the logits of each of its tokens."""
    forward, kept = model.language.forward, []

    def keeping(*given: Any) -> Any:
        logits, past = forward(*given)
        kept.append(logits[0])
        return logits, past

    with patch.object(model.language, "forward", keeping):
        return model.answer([image], [prompt], max_new_tokens=tokens)[0].text, kept


def of_torch(model: ChatModel, image: Any, prompt: str, tokens: int) -> Said:
    """The same on PyTorch."""
    head, kept = model.model.language.head, []

    def keeping(hidden: torch.Tensor) -> torch.Tensor:
        logits = head(hidden)
        kept.append(logits[0].float().numpy())
        return logits

    with patch.object(model.model.language, "head", keeping):
        return model.answer([image], [prompt], max_new_tokens=tokens)[0].text, kept


def gap(ours: Logits, theirs: Logits) -> list[float]:
    """At the first token that differs: each side's logit of its own choice above its logit of the other's."""
    for one, other in zip(ours, theirs, strict=False):
        a, b = int(one.argmax()), int(other.argmax())
        if a != b:
            return [round(float(one[a] - one[b]), 6), round(float(other[b] - other[a]), 6)]
    return []


def in_float32(model: OnnxChat) -> OnnxLanguage:
    """The language model of `model`, its products with float32 inputs in place of int8."""
    base = packed_language_model() / "model.safetensors"
    packed, adapters = read_weights(base), read_weights(model._file)
    graph = language_graph(model.config, _ranks(model.recipe), accuracy=FLOAT32)
    lora = model.recipe.model["language"]["lora"]["lora_alpha"]
    adapters = {name: array for name, array in adapters.items() if name.startswith("language.")}
    weights = language_weights(packed, adapters, lora_alpha=lora, config=model.config)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "language.onnx"
        file.write_bytes(graph.SerializeToString())
        return OnnxLanguage(open_graph(file, model._names["language"], weights, base), packed)


@torch.no_grad()
def put_blocks_back(model: ChatModel) -> None:
    """Add to the language model in `model`, adapters merged, what its base lost when it was kept in bfloat16."""
    packed = read_weights(packed_language_model() / "model.safetensors")
    kept = read_state(language_model() / "model.safetensors")
    own = dict(model.model.language.model.named_parameters())
    for name in [name.removesuffix(".q") for name in packed if name.endswith(".q")]:
        if name == "embedding":
            q, scale = packed["embedding.q"], packed["embedding.scale"]
            blocks, parts = (q.astype(np.float32) - 128) * scale.reshape(*q.shape[:2], 1), ["model.embed_tokens.weight"]
        else:
            half = packed[f"{name}.q"]
            q = np.stack([half & 15, half >> 4], -1).reshape(*half.shape[:2], -1).astype(np.float32) - 8
            scale, shift = packed[f"{name}.scale"].reshape(*q.shape[:2], 1), packed[f"{name}.shift"].T[..., None]
            layer, _, product = name.rpartition(".")
            blocks, parts = scale * q + shift, [f"model.{layer}.{part}.weight" for part in PARTS[product]]
        exact = torch.from_numpy(blocks.reshape(len(blocks), -1))
        for part, rows in zip(parts, exact.split([len(kept[part]) for part in parts]), strict=True):
            lost = rows - kept[part].float()
            assert lost.abs().max() < 0.01 * rows.abs().max(), part  # bfloat16 has eight bits
            own[part] += lost


if __name__ == "__main__":
    run(main)
