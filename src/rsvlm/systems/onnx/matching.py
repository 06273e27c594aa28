"""The embedded model with its match head on ONNX Runtime: pictures and texts in one space (`Matches`)."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm import assets
from rsvlm.files import read_json
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.matching import Matcher
from rsvlm.systems.onnx.chat import OnnxChat
from rsvlm.systems.onnx.session import ENCODER, GRAPHS, read_weights


class OnnxMatchingChat(Matcher, OnnxChat):
    """An `OnnxChat` with the graphs match_image and match_text, which compute in float32."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        facts = read_json(folder / "onnx" / GRAPHS)
        self._encoder, self.max_text = facts["text_encoder"], facts["max_text"]
        self.logit_scale = math.exp(self._weights["contrastive.logit_scale"].item())
        self._words: Any = None  # the tokenizer of texts, once there is one to embed

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length, in the space of `embed_texts`."""
        levels, picture = self._levels(images)
        return self._run("match_image", *levels)[0][picture]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length; a text longer than the encoder's context is cut."""
        self._fetch_encoder()
        whole, most = self._ids(texts), self.max_text
        found = [ids if len(ids) <= most else [*ids[: most - 1], ids[-1]] for ids in whole]
        ids = np.zeros((len(found), max(map(len, found))), np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(found):
            ids[row, : len(one)], mask[row, : len(one)] = one, 1
        return self._run("match_text", ids, mask)[0]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, with those around it."""
        self._fetch_encoder()
        return [len(ids) for ids in self._ids(texts)]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._words.encode(text).ids for text in texts]

    def _fetch_encoder(self) -> None:
        """The text encoder's weights beside the model's own, at the first text: pictures alone need not its 90 MB.

        Raises MissingPart where `rsvlm setup` has not been run.
        """
        if self._words is not None:
            return
        from tokenizers import Tokenizer

        folder = assets.text_encoder()
        published = read_weights(folder / "model.safetensors")
        self._weights |= {ENCODER + name: array for name, array in published.items()}
        self._names["match_text"] = [*self._names["match_text"], *self._encoder]
        self._words = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._words.no_truncation()
        self._words.no_padding()
