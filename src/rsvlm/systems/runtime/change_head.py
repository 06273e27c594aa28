"""A chat system with a change head: it answers about one picture, and marks what changed between two."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rsvlm.data.loader import to_tensor
from rsvlm.parts.heads.change import PART, ChangeHead
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.runtime.change_maps import MarksChange
from rsvlm.systems.runtime.chat import ChatModel


class ChangeMarkingModel(MarksChange, ChatModel):
    """A `ChatModel` whose system has a change head. The head computes in float32: it is small."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.change_head: ChangeHead = self.model.heads[ChangeHead.objective]
        self.change_classes, self.change_size = self.change_head.classes, self.model.tower(ChangeHead.objective).size
        self.change_part = round(PART * self.change_size)

    @torch.inference_mode()
    def compare_squares(self, before: list[Pixels], after: list[Pixels]) -> NDArray[np.float32]:
        """Probabilities (N, C, h, w) of N pairs of squares."""
        shown = to_tensor([date for pair in zip(before, after, strict=True) for date in pair]).to(self.device)
        with self.precision():
            logits = self.change_head.segment(self.model, {"image": shown})
        return logits.float().sigmoid().cpu().numpy()
