"""A trained dual encoder behind `Matches`: pictures and texts as unit vectors of one space."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rsvlm.data.loader import pad_texts
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.build import build_tokenizer
from rsvlm.systems.runtime.open_model import OpenModel


def open_model(folder: Path, name: str) -> "MatchingModel":
    """The model in a folder. Raises as `load`."""
    return MatchingModel(folder, name)


class MatchingModel(OpenModel):
    """A model folder whose system is a dual encoder (`rsvlm.parts.dual`)."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.tokenizer = build_tokenizer(self.recipe)

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length."""
        with self.precision():
            return self.model.embed_image({"image": self.pixels(images)}).cpu().numpy()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length; a text longer than the system's `max_text` tokens is cut."""
        batch: Any = pad_texts(self.tokenizer, texts, self.model.max_text)
        with self.precision():
            return self.model.embed_text({key: ids.to(self.device) for key, ids in batch.items()}).cpu().numpy()
