"""A trained tower behind `Embeds`: pictures as unit vectors, for systems that neither read nor speak."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsvlm.systems.abilities import Pixels
from rsvlm.systems.runtime.open_model import OpenModel


def open_model(folder: Path, name: str) -> "EmbeddingModel":
    """The model in a folder. Raises as `load`."""
    return EmbeddingModel(folder, name)


class EmbeddingModel(OpenModel):
    """A model folder whose system has feature levels, and nothing else that can be asked."""

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length: the means of the levels (`OpenModel.pooled`)."""
        return self.pooled(images)
