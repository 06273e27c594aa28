"""A trained dual encoder behind `Matches`: pictures and texts as unit vectors of one space."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from rsvlm.data.loader import pad_texts
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.build import build_tokenizer
from rsvlm.systems.matching import Matcher, token_counts
from rsvlm.systems.runtime.open_model import OpenModel


def open_model(folder: Path, name: str) -> "MatchingModel":
    """The model in a folder. Raises as `load`."""
    return MatchingModel(folder, name)


class MatchingModel(Matcher, OpenModel):
    """A model folder whose system is a dual encoder (`rsvlm.parts.dual`)."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.tokenizer, self.max_text = build_tokenizer(self.recipe, model_dir=folder), int(self.model.max_text)
        self.logit_scale, self.logit_bias = self.model.scale_and_bias()

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length."""
        with self.precision():
            return self.model.embed_image({"image": self.pixels(images)}).cpu().numpy()

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length; a text longer than the system's `max_text` tokens is cut."""
        return F.normalize(torch.from_numpy(self.encode_texts(texts)), dim=-1).numpy()

    @torch.inference_mode()
    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of any length, as they leave the text tower."""
        batch: Any = pad_texts(self.tokenizer, texts, self.max_text)
        ids, mask = (batch[key].to(self.device) for key in ("text", "text_mask"))
        with self.precision():
            return self.model.text_features(ids, mask).float().cpu().numpy()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, with those around it."""
        return token_counts(self.tokenizer, texts)
