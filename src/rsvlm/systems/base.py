"""What every system offers: the registry of systems and the abilities as Protocols."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rsvlm.registry import Registry
from rsvlm.sample import Reply

Pixels = NDArray[np.uint8]  # (H, W, 3), RGB, 0..255

SYSTEMS: Registry[type] = Registry("system")


@runtime_checkable
class Answers(Protocol):
    """Answers a question about a picture in words. What `rsvlm.systems.load` returns for a chat system.

    `name` is what the user asked for ("mini", or a path); `trace` holds what a result file must carry about the model
    (system, size, recipe hash, sha256 of the weights, versions).
    """

    name: str
    trace: dict[str, str]

    def answer(self, images: Sequence[Pixels], questions: Sequence[str], *, max_new_tokens: int = 64) -> list[Reply]:
        """One greedy reply per (image, question) pair, batched; `images` and `questions` have one length."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """Turns pictures into vectors: the features behind the nearest-image baseline."""

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length."""
        ...
