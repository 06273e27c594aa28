"""A trained change captioner behind `Compares`: two dates to one sentence, with predicted maps or with true ones."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rsvlm.data.semantic_maps import Classes, resized_map
from rsvlm.parts.text.words import decode_words
from rsvlm.recipe import read_recipe
from rsvlm.sample import Batch, Reply
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.registry import SYSTEMS
from rsvlm.systems.runtime.open_model import OpenModel


def open_model(folder: Path, name: str) -> "ChangeCaptioningModel":
    """The model in a folder; one that is shown maps can be given the true ones, too. Raises as `load`."""
    system = SYSTEMS[read_recipe(folder / "recipe.yaml").system]
    return (MapReadingModel if getattr(system, "reads_maps", False) else ChangeCaptioningModel)(folder, name)


class ChangeCaptioningModel(OpenModel):
    """A model folder whose system is a `ChangeCaptioner`. Whatever it is asked, it says what has changed."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.words = self.model.vocabulary.ids()

    def compare(
        self, before: Sequence[Pixels], after: Sequence[Pixels], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One sentence per (before, after), of `max_new_tokens` words at the most; the questions are not read."""
        return self.described({"image": self.pairs(before, after, questions)}, max_new_tokens) if questions else []

    def pairs(self, before: Sequence[Pixels], after: Sequence[Pixels], questions: Sequence[str]) -> torch.Tensor:
        """The pictures of both dates side by side, as the tower takes them."""
        pictures = [picture for pair in zip(before, after, strict=True) for picture in pair]
        if len(pictures) != 2 * len(questions):
            raise ValueError(f"{len(pictures) // 2} pairs and {len(questions)} questions")
        return self.pixels(pictures)

    def described(self, batch: Batch, most_words: int) -> list[Reply]:
        """The sentences about the pairs of a batch."""
        with self.precision():
            said = self.model.answer(batch, most_words=most_words)
        return [Reply(text=decode_words(self.words, one.ids), confidence=one.confidence) for one in said]

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) unit vectors: the means of the tower's levels (`OpenModel.pooled`)."""
        return self.pooled(images)


class MapReadingModel(ChangeCaptioningModel):
    """One that is shown semantic maps: those that it predicts, or with `compare_with_maps` the true ones."""

    def compare_with_maps(
        self, before: Sequence[Pixels], after: Sequence[Pixels], maps: Sequence[tuple[Classes, Classes]],
        questions: Sequence[str], *, max_new_tokens: int = 64,
    ) -> list[Reply]:  # fmt: skip
        """As `compare`, with the maps of both dates, (H, W) classes by `rsvlm.data.semantic_maps`."""
        if not questions:
            return []
        size = self.model.vision.size
        shown = np.stack([resized_map(classes, size) for pair in maps for classes in pair])
        semantic = torch.from_numpy(shown).long().to(self.device)
        batch: Batch = {"image": self.pairs(before, after, questions), "semantic": semantic}
        return self.described(batch, max_new_tokens)
