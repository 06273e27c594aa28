"""A model folder opened to be asked, on a GPU where there is one: what every runtime shares."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rsvlm.data.loader import to_tensor
from rsvlm.data.resize import resize_square
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.model_limits import read_limits
from rsvlm.systems.runtime.load_system import load_system


class OpenModel:
    """A model folder (model.safetensors, recipe.yaml). `name` is what the user asked for, `trace` as of `Answers`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.limits = name, read_limits(folder)
        self.recipe, model, trace = load_system(folder)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: Any = model.to(self.device).eval()  # a System, with what its class has besides
        self.trace = {"model": name, **trace}

    def native_prompt(self, task: str, words: str) -> str | None:
        """How the system was asked for `task` (caption, vqa, ground, ...) in training; None where it has no wording."""
        return self.model.native_prompt(task, words)

    def precision(self) -> Any:
        """A context in which the model computes in the precision that its trace names."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.trace["dtype"] == "bf16")

    def pixels(self, images: Sequence[Pixels], objective: str = "") -> Tensor:
        """The pictures as the tower takes them, (I, 3, size, size) in [0, 1]."""
        size = self.model.tower(objective).size
        return to_tensor([resize_square(image, size, self.model.vision.fit) for image in images]).to(self.device)

    @torch.inference_mode()
    def levels(self, images: Sequence[Pixels], objective: str = "") -> tuple[list[Tensor], Tensor]:
        """Levels of the distinct pictures (the same array object given twice is seen once), and which is whose (B,)."""
        unique = {id(image): image for image in images}
        order = {key: row for row, key in enumerate(unique)}
        with self.precision():
            levels = self.model.see({"image": self.pixels([*unique.values()], objective)}, objective)
        return levels, torch.tensor([order[id(image)] for image in images], device=self.device)

    def pooled(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) unit vectors: the means of the tower's levels, each level scaled to unit length first."""
        levels, picture = self.levels(images)
        rows = [F.normalize(level.float().mean(1), dim=-1)[picture] for level in levels]
        return F.normalize(torch.cat(rows, 1), dim=-1).cpu().numpy().astype(np.float32)
