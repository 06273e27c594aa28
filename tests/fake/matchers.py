"""Models that match pictures and texts: one without weights that knows colours by name, and a tiny dual encoder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from fake import batches, runs
from rsvlm.systems.matching import Matcher

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "white": (1, 1, 1)}


class Colours(Matcher):
    """Vectors of three numbers: a picture's mean colour, and the colours that a text names."""

    name = "colours"

    def __init__(self, scale: float = 10.0, bias: float | None = None, weights: str = "0123") -> None:
        self.logit_scale, self.logit_bias, self.max_text = scale, bias, 12
        self.trace = {"model": self.name, "system": "fake", "weights": weights}
        self.seen: list[int] = []  # pictures at once

    def embed_images(self, images: Sequence):
        self.seen.append(len(images))
        return _unit([np.asarray(image, np.float64).mean((0, 1)) + 1e-3 for image in images])

    def embed_texts(self, texts: Sequence[str]):
        return _unit([np.sum([COLOURS.get(word, (0, 0, 0)) for word in text.split()], 0) + 1e-3 for text in texts])

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]


class Plain:
    """`Matches` and nothing more, as a user may write it; `spoil` changes its vectors of pictures."""

    name = "plain"

    def __init__(self, spoil=lambda rows: rows) -> None:
        self.trace, self.spoil, self._own = {"system": "fake"}, spoil, Colours()

    def embed_images(self, images: Sequence):
        return self.spoil(self._own.embed_images(images))

    def embed_texts(self, texts: Sequence[str]):
        return self._own.embed_texts(texts)


def _unit(rows) -> np.ndarray:
    found = np.asarray(rows, np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def dual_folder(root: Path, system: str = "georsclip") -> Path:
    """A model folder of a dual encoder's tiny recipe, of random weights."""
    path = runs.tiny(system)
    _, model, _ = batches.tiny(path)
    (root / "recipe.yaml").write_text(path.read_text("utf-8"), "utf-8")
    save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, root / "model.safetensors")
    return root
