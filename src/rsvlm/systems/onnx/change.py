"""The embedded model with its change head on ONNX Runtime: what changed between two dates (`MapsChange`)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsvlm.files import read_json
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.onnx.chat import OnnxChat, pooled_levels
from rsvlm.systems.onnx.session import GRAPHS
from rsvlm.systems.runtime.change_maps import MarksChange

_LEAST = 0.1  # contrast, as of `rsvlm.parts.heads.change.stretched`


class OnnxChangeChat(MarksChange, OnnxChat):
    """An `OnnxChat` with the graph change, which computes in float32."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        numbers = self.recipe.model["change"]
        self.change_classes = tuple(numbers["classes"])
        self.change_size = numbers.get("size") or self.recipe.model["vision"]["size"]
        self._change_grids = numbers.get("grids") or self.recipe.model["vision"]["grids"]
        self.change_part = int(read_json(folder / "onnx" / GRAPHS)["change_part"])

    def compare_squares(self, before: list[Pixels], after: list[Pixels]) -> NDArray[np.float32]:
        """Probabilities (N, C, h, w) of N pairs of squares."""
        dates = np.stack([date for pair in zip(before, after, strict=True) for date in pair])
        shown = stretched(dates.transpose(0, 3, 1, 2) / np.float32(255))
        levels = pooled_levels(self._run("tower", shown), self._change_grids)
        return (1 / (1 + np.exp(-self._run("change", *levels, shown)[0]))).astype(np.float32)


def stretched(image: NDArray[np.floating]) -> NDArray[np.float32]:
    """As `rsvlm.parts.heads.change.stretched`."""
    low, high = np.quantile(image[..., ::4, ::4].reshape(*image.shape[:2], -1), (0.02, 0.98), axis=2)
    wide, middle = np.maximum(high - low, _LEAST), (high + low) / 2
    found = (image - middle[..., None, None]) / wide[..., None, None] + 0.5
    return found.clip(0, 1).astype(np.float32)
