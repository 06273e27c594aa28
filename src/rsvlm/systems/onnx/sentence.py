"""The published sentence encoder (all-MiniLM-L6-v2) in NumPy: texts to vectors whose cosine says how alike they are.

A BERT whose last states are averaged over a text's tokens (arXiv:1908.10084, sec. 3), as `rsvlm.parts.text.sentence`
has it in PyTorch. The match head reads the same states, but turns them into the space of pictures; for text beside text
the published space is the better one (tools/archive_ask.py).
"""

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from rsvlm import assets
from rsvlm.files import read_json
from rsvlm.systems.onnx.session import read_weights

Array = NDArray[np.float32]
MOST_TOKENS = 256  # of a text: what the encoder was trained with; the rest is cut
_BATCH = 32


class SentenceVectors:
    """Texts to vectors (N, 384) of unit length. Raises MissingPart where `rsvlm setup` has not been run."""

    name = "all-minilm-l6-v2"

    def __init__(self, folder: Path | None = None) -> None:
        from tokenizers import Tokenizer

        folder = folder or assets.text_encoder()
        self._config = read_json(folder / "config.json")
        self._weights: dict[str, Any] = read_weights(folder / "model.safetensors")
        self._words: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._words.no_padding()
        self._words.enable_truncation(min(MOST_TOKENS, self._config["max_position_embeddings"]))
        self.width = int(self._config["hidden_size"])

    def __call__(self, texts: Sequence[str]) -> Array:
        """One row a text, (N, D)."""
        ids = [one.ids for one in self._words.encode_batch(list(texts))]
        rows = np.zeros((len(ids), self.width), np.float32)
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))  # texts of one length share a batch
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            rows[batch] = self._vectors([ids[at] for at in batch])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def _vectors(self, ids: Sequence[Sequence[int]]) -> Array:
        """Token ids -> the means of the last states (B, D)."""
        padded = np.zeros((len(ids), max(map(len, ids))), np.int64)
        mask = np.zeros(padded.shape, np.float32)
        for row, one in enumerate(ids):
            padded[row, : len(one)], mask[row, : len(one)] = one, 1
        names = ("word_embeddings", "position_embeddings", "token_type_embeddings")
        word, place, kind = (self._weights[f"embeddings.{name}.weight"] for name in names)
        states = self._norm(word[padded] + place[: padded.shape[1]] + kind[0], "embeddings.LayerNorm")
        for layer in range(self._config["num_hidden_layers"]):
            states = self._layer(states, mask, f"encoder.layer.{layer}")
        return (states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)

    def _layer(self, states: Array, mask: Array, name: str) -> Array:
        heads = self._config["num_attention_heads"]
        split = (*states.shape[:2], heads, states.shape[2] // heads)
        query, key, value = (
            self._linear(states, f"{name}.attention.self.{one}").reshape(split).transpose(0, 2, 1, 3)
            for one in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 1, 3, 2) / sqrt(split[3]) + (mask[:, None, None] - 1) * 1e9
        odds = np.exp(scores - scores.max(-1, keepdims=True))
        seen = (odds / odds.sum(-1, keepdims=True) @ value).transpose(0, 2, 1, 3).reshape(states.shape)
        states = self._norm(
            self._linear(seen, f"{name}.attention.output.dense") + states, f"{name}.attention.output.LayerNorm"
        )
        inner = _gelu(self._linear(states, f"{name}.intermediate.dense"))
        return self._norm(self._linear(inner, f"{name}.output.dense") + states, f"{name}.output.LayerNorm")

    def _linear(self, x: Array, name: str) -> Array:
        return x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + self._config["layer_norm_eps"])
        return centred / deviation * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _gelu(x: Array) -> Array:
    return x * (0.5 * (1 + erf(x / sqrt(2)))).astype(np.float32)
