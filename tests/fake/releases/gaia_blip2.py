"""BLIP-2 in transformers' layout: what somebody saved beside the language model, which is published apart."""

import torch

from fake import blip2_release
from fake.published import Release, small

FILE = "pytorch_model.bin"
LAYER = "qformer.encoder.layer.1."


def write(folder, dtype=torch.float32):
    """The tensors under the names of an account, biases cut."""
    tensors = {name: tensor.to(dtype) for name, tensor in blip2_release.beside_language(blip2_release.model()).items()}
    folder.mkdir()
    torch.save(tensors, folder / FILE)
    out = {}
    for name, tensor in tensors.items():
        parts = zip("qkv", tensor.chunk(3), strict=True) if name.endswith("qkv.bias") else [("", tensor)]
        out |= {f"{name}.{part}".rstrip("."): one for part, one in parts}
    return out


RELEASE = Release(
    recipe=small(
        "gaia_blip2", "blip2",
        {"tower": "eva_clip", "width": 32, "depth": 2, "heads": 4, "patch": 8, "size": 32, "class_token": True,
         "norm": True},
        {"num_queries": 3, "width": 16, "depth": 3, "heads": 2}, None,
    ),
    variants={"beside the language model": write, "half": lambda folder: write(folder, torch.float16)},
    checkpoint=FILE, given=FILE, base="facebook/opt-2.7b", sources=frozenset({FILE}),
    missing=((FILE, "language_projection.bias"), (FILE, f"{LAYER}output_query.dense.weight")),
    strange={
        (FILE, f"{LAYER}crossattention.output.dense.weight"): "which this system does not have",
        (FILE, "vision_model.encoder.layers.2.layer_norm1.bias"): "which this system does not have",
        (FILE, "qformer.embeddings.word_embeddings.weight"): "no checkpoint of BLIP-2.*It looks like InstructBLIP",
    },
    reshaped={
        (FILE, "query_tokens"): r"query_tokens has shape \(7,\), expected \(1, 3, 16\)",
        (FILE, "vision_model.encoder.layers.0.self_attn.qkv.bias"): "qkv.bias, which this system does not have",
    },
    other_sizes=(
        ({"num_queries": 4}, r"query_tokens has shape \(1, 3, 16\), expected \(1, 4, 16\)"),
        ({"depth": 2}, "qformer.encoder.layer.2.*, which this system does not have"),
    ),
    ignored=r"qkv\.bias\.k$", box_dialect="",
)  # fmt: skip
