"""SmolLM2 out of its GGUF for ONNX Runtime: the published 4-bit blocks as they are, rounded nowhere. No PyTorch.

A Q4_1 block of 32 weights is w = scale * q + minimum, q in 0..15. MatMulNBits computes x @ (scale * (q - 8)); what is
missing is a constant of each block, minimum + 8 * scale, times the sum of the block's inputs. It is kept as `shift`,
(K / 32, N), so that the product is exact. A product of `rsvlm.systems.onnx.graph` over K inputs and N outputs has

    <name>.q       uint8 (N, K / 32, 16)  two numbers a byte, the even column in the low half
    <name>.scale   float32 (N * K / 32)
    <name>.shift   float32 (K / 32, N)

for "layers.<i>." with qkv (queries, keys and values under one another), o, gate_up and down. "embedding.q" is uint8
(V, K / 32, 32), the published Q8_0 plus 128, with "embedding.scale"; it is the output layer, too. Norms are float32.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import missing_extra

BLOCK = 32
_CONFIG = {  # of the model folder's config.json, from the metadata of the GGUF
    "num_hidden_layers": "llama.block_count",
    "hidden_size": "llama.embedding_length",
    "intermediate_size": "llama.feed_forward_length",
    "num_attention_heads": "llama.attention.head_count",
    "num_key_value_heads": "llama.attention.head_count_kv",
    "max_position_embeddings": "llama.context_length",
    "vocab_size": "llama.vocab_size",
    "rope_theta": "llama.rope.freq_base",
    "rms_norm_eps": "llama.attention.layer_norm_rms_epsilon",
}
_SPECIAL = 3  # gguf.TokenType.CONTROL


def pack_language(gguf_file: Path, made: Path) -> None:
    """`made`/model.safetensors, config.json and tokenizer.json from a GGUF whose weights are Q4_1 and Q8_0."""
    try:
        import gguf
        from safetensors.numpy import save_file
    except ImportError as error:
        raise missing_extra(error.name or "gguf", "ask") from error
    reader = gguf.GGUFReader(gguf_file)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    config = {key: fields[name] for key, name in _CONFIG.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    packed = _norms(tensors, config) | _embedding(tensors["token_embd.weight"])
    for layer in range(config["num_hidden_layers"]):
        of = f"blk.{layer}."
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        groups = {
            "qkv": [("attn_q", heads), ("attn_k", kv_heads), ("attn_v", 0)],
            "o": [("attn_output", 0)],
            "gate_up": [("ffn_gate", 0), ("ffn_up", 0)],
            "down": [("ffn_down", 0)],
        }
        for name, members in groups.items():
            parts = [_q4_1(tensors[f"{of}{member}.weight"], rotated) for member, rotated in members]
            for kind, rows in zip(("q", "scale", "shift"), zip(*parts, strict=True), strict=True):
                array = np.concatenate(rows, axis=1 if kind == "shift" else 0)
                packed[f"layers.{layer}.{name}.{kind}"] = array.reshape(-1) if kind == "scale" else array
    save_file(packed, made / "model.safetensors")
    (made / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    _tokenizer(fields).save(str(made / "tokenizer.json"))


def _norms(tensors: dict[str, Any], config: dict[str, Any]) -> dict[str, NDArray[Any]]:
    names = {"norm": "output_norm"}
    for layer in range(config["num_hidden_layers"]):
        names |= {f"layers.{layer}.norm_attention": f"blk.{layer}.attn_norm"}
        names |= {f"layers.{layer}.norm_mlp": f"blk.{layer}.ffn_norm"}
    return {ours: np.array(tensors[f"{theirs}.weight"].data, np.float32) for ours, theirs in names.items()}


def _embedding(tensor: Any) -> dict[str, NDArray[Any]]:
    """Q8_0: of each block a float16 scale and 32 int8."""
    width, rows = (int(side) for side in tensor.shape)
    blocks = np.asarray(tensor.data, np.uint8).reshape(rows, width // BLOCK, 2 + BLOCK)
    scale = np.ascontiguousarray(blocks[..., :2]).view(np.float16).astype(np.float32)
    return {"embedding.q": blocks[..., 2:] ^ 0x80, "embedding.scale": scale.reshape(-1)}  # int8 plus 128


def _q4_1(tensor: Any, heads: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Of each block a float16 scale, a float16 minimum and 16 bytes: the low halves are its first 16 weights.

    llama.cpp keeps the rows of queries and keys in another order than transformers, whose order is restored for the
    `heads` of a tensor (0 = as it is).
    """
    width, rows = (int(side) for side in tensor.shape)
    blocks = np.asarray(tensor.data, np.uint8).reshape(rows, width // BLOCK, 4 + BLOCK // 2)
    if heads:
        blocks = blocks.reshape(heads, rows // heads // 2, 2, *blocks.shape[1:]).swapaxes(1, 2).reshape(blocks.shape)
    numbers = np.ascontiguousarray(blocks[..., :4]).view(np.float16).astype(np.float32)
    scale, minimum = numbers[..., 0], numbers[..., 1]
    halves = blocks[..., 4:]
    q = np.concatenate([halves & 15, halves >> 4], axis=-1)
    return q[..., 0::2] | (q[..., 1::2] << 4), scale, np.ascontiguousarray((minimum + 8 * scale).T)


def _tokenizer(fields: dict[str, Any]) -> Any:
    """The tokenizer as its authors published it: byte-level BPE, before which each digit stands alone."""
    from tokenizers import AddedToken, Tokenizer, decoders, models
    from tokenizers import pre_tokenizers as steps

    tokens, kinds = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ", 1)) for merge in fields["tokenizer.ggml.merges"]]
    tokenizer: Any = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = steps.Sequence(
        [steps.Digits(individual_digits=True), steps.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    specials = [token for token, kind in zip(tokens, kinds, strict=True) if kind == _SPECIAL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    return tokenizer
