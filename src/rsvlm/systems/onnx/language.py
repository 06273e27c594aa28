"""Greedy decoding with an exported language model: embeddings in, tokens out, in NumPy."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.assets.packed_language import BLOCK
from rsvlm.parts.decoding import Ended, Row
from rsvlm.systems.onnx.session import Weights

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Past = list[Floats]  # keys and values of each layer, (B, KV, P, d), in the order of the graph's inputs


class OnnxLanguage:
    """The graph of `graph.language_graph`, opened; `packed` holds the embeddings."""

    def __init__(self, session: Any, packed: Weights) -> None:
        self.session = session
        self.inputs = [one for one in session.get_inputs() if one.name.startswith("past.")]
        self.q = packed["embedding.q"]
        self.scale = packed["embedding.scale"].reshape(len(self.q), -1, 1)

    def embed(self, ids: NDArray[np.int64]) -> Floats:
        """ids (...) -> embeddings (..., D); negative ids (image placeholders) give those of id 0."""
        rows = np.maximum(ids, 0)
        blocks = (self.q[rows].astype(np.float32) - 128) * self.scale[rows]
        return blocks.reshape(*ids.shape, self.q.shape[1] * BLOCK)

    def forward(self, x: Floats, real: Bools, past: Past | None = None) -> tuple[Floats, Past]:
        """Embeddings (B, T, D) after `past` -> logits (B, V) of the last place, and the past with them.

        `real` (B, P + T) is True on tokens, False on padding, which is on the left of x.
        """
        width, before = x.shape[1], real.shape[1] - x.shape[1]
        if past is None:
            past = [np.zeros((len(x), one.shape[1], 0, one.shape[3]), np.float32) for one in self.inputs]
        positions = np.maximum(real.cumsum(1) - 1, 0)[:, before:]
        mask = np.tri(width, real.shape[1], before, dtype=bool) & real[:, None]
        mask |= np.eye(width, real.shape[1], before, dtype=bool)  # padding looks at itself: a softmax needs something
        feed = {"embeds": x, "positions": positions, "mask": mask[:, None]}
        logits, *present = self.session.run(
            None, feed | {one.name: array for one, array in zip(self.inputs, past, strict=True)}
        )
        return logits[:, 0], present

    def steps(
        self, x: Floats, real: Bools, past: Past | None, *, stop: frozenset[int], max_new_tokens: int,
        ended: Ended | None,
    ) -> Iterator[list[Row]]:  # fmt: skip
        """Greedy replies while they grow: the same rows, one a prompt, after every token.

        As `VisionLanguageModel.steps`; a row that has ended is computed no further.
        """
        rows = [Row() for _ in x]
        going = list(range(len(rows)))
        for _ in range(max_new_tokens):
            logits, past = self.forward(x, real, past)
            best = logits.argmax(-1)
            for at, token, sure in zip(going, best.tolist(), _log_probability(logits, best), strict=True):
                rows[at].add(token, sure, stop, ended)
            yield rows
            kept = [k for k, at in enumerate(going) if rows[at].open]
            if not kept:
                break
            if len(kept) < len(going):
                past, real, best = [one[kept] for one in past], real[kept], best[kept]
                going = [going[k] for k in kept]
            x = self.embed(best[:, None])
            real = np.concatenate([real, np.ones((len(real), 1), bool)], 1)


def _log_probability(logits: Floats, token: NDArray[np.int64]) -> list[float]:
    """The log-probability of each row's token."""
    top = logits.max(-1, keepdims=True)
    total = np.log(np.exp(logits - top).sum(-1)) + top[:, 0]
    return (logits[np.arange(len(token)), token] - total).tolist()
