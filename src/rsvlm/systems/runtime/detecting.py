"""A chat system with a box head: it answers as others do, and finds what a phrase speaks of (`Detects`)."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Sequence

import torch

from rsvlm.data.resize import crop_window
from rsvlm.data.synth.box_targets import collate_targets, phrase_ids
from rsvlm.parts.heads.boxes import BoxHead, peaks
from rsvlm.sample import Batch, Region
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.runtime.chat import ChatModel
from rsvlm.systems.runtime.phrase_boxes import MAX_BOXES, detect, kept_boxes


class DetectingModel(ChatModel):
    """A `ChatModel` whose system has a box head. The boxes are the head's; `answer` still speaks in words."""

    def detect(self, images: Sequence[Pixels], phrases: Sequence[str]) -> list[tuple[Region, ...]]:
        """As `rsvlm.systems.runtime.phrase_boxes.detect`; the same array given several times is seen once."""
        return detect(images, phrases, self._find)

    @torch.inference_mode()
    def _find(self, images: Sequence[Pixels], phrases: Sequence[str]) -> list[tuple[Region, ...]]:
        """What the head finds for each phrase as it stands."""
        ids = [(phrase_ids(self.tokenizer, phrase), []) for phrase in phrases]
        phrase = collate_targets(ids, self.tokenizer.pad_token_id)
        head: BoxHead = self.model.heads["boxes"]
        levels, picture = self.levels(images, head.objective)
        batch: Batch = {
            "levels": [level[picture] for level in levels],
            "phrase": phrase["phrase"].to(self.device),
            "phrase_mask": phrase["phrase_mask"].to(self.device),
        }
        with self.precision():
            heat, boxes = head.locate(self.model, batch)
        vision = self.model.tower(head.objective)
        scores, found = (tensor.tolist() for tensor in peaks(heat, boxes, most=MAX_BOXES))
        return [
            kept_boxes(phrase, crop_window(image.shape[1::-1], vision.size, vision.fit), rows, where)
            for phrase, image, rows, where in zip(phrases, images, scores, found, strict=True)
        ]
