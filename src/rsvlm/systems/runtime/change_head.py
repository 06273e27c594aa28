"""A chat system with a change head: it answers about one picture, and marks what changed between two."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rsvlm.data.loader import to_tensor
from rsvlm.parts.heads.change import PART, ChangeHead
from rsvlm.systems.abilities import ChangeStrip, Maps, Pixels, ReadPair
from rsvlm.systems.runtime.change_maps import change_maps, change_mask, change_strips
from rsvlm.systems.runtime.chat import ChatModel


class ChangeMarkingModel(ChatModel):
    """A `ChatModel` whose system has a change head. The head computes in float32: it is small."""

    def segment_change(
        self, before: Sequence[Pixels], after: Sequence[Pixels], phrases: Sequence[str]
    ) -> list[NDArray[np.bool_]]:
        """One mask (H, W) per (before, after, phrase): a class of the head that the phrase names, else any change."""
        classes = self.change_classes
        return [
            change_mask(self.change_maps(one, other), classes, phrase)
            for one, other, phrase in zip(before, after, phrases, strict=True)
        ]

    @property
    def change_classes(self) -> tuple[str, ...]:
        """What the maps of `change_maps` are of."""
        return self._head.classes

    def change_maps(self, before: Pixels, after: Pixels) -> Maps:
        """(C, H, W) probabilities of a pair of any size (`rsvlm.systems.runtime.change_maps`)."""
        return change_maps(before, after, self._compare, **self._parts)

    def change_strips(self, read: ReadPair, width: int, height: int) -> Iterator[ChangeStrip]:
        """As `change_maps`, strip by strip of a pair that is read by windows."""
        return change_strips(read, width, height, self._compare, **self._parts)

    @property
    def _parts(self) -> dict[str, int]:
        size = self.model.tower(ChangeHead.objective).size
        return {"size": size, "part": round(PART * size), "classes": len(self.change_classes)}

    @property
    def _head(self) -> ChangeHead:
        return self.model.heads[ChangeHead.objective]

    @torch.inference_mode()
    def _compare(self, before: list[Pixels], after: list[Pixels]) -> Maps:
        shown = to_tensor([date for pair in zip(before, after, strict=True) for date in pair]).to(self.device)
        with self.precision():
            logits = self._head.segment(self.model, {"image": shown})
        return logits.float().sigmoid().cpu().numpy()
