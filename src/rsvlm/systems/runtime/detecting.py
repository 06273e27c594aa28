"""A chat system with a box head: it answers as others do, and finds what a phrase speaks of (`Detects`)."""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rsvlm.data.referring_parser import parse_phrase
from rsvlm.data.resize import Part, part
from rsvlm.data.synth.box_targets import collate_targets, phrase_ids
from rsvlm.parts.heads.boxes import BoxHead, peaks
from rsvlm.sample import Batch, Region
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.runtime.chat import ChatModel

MAX_BOXES = 100  # of one phrase
SCORE_THRESHOLD = 0.3  # of a box, where a phrase may mean several
NMS_IOU = 0.5  # from which two boxes are taken for one object


class DetectingModel(ChatModel):
    """A `ChatModel` whose system has a box head. The boxes are the head's; `answer` still speaks in words."""

    def detect(self, images: Sequence[Pixels], phrases: Sequence[str]) -> list[tuple[Region, ...]]:
        """Regions per (image, phrase): boxes in pixels of the image as given, each with its score, best first.

        A phrase that says which of several is meant ("the largest boat", `rsvlm.data.referring_parser`) is answered in
        two steps: the head finds all of the kind, and geometry chooses among them. Any other that begins with "the", or
        finds none so, gets the best box; the rest ("boats", "all cars") every box with a score of `SCORE_THRESHOLD` or
        more, perhaps none. The same array given several times is seen once.
        """
        if len(images) != len(phrases):
            raise ValueError(f"{len(images)} images and {len(phrases)} phrases")
        if not images:
            return []
        read = [parse_phrase(phrase) for phrase in phrases]
        found = self._find(images, [one.several if one.choose else one.words for one in read])
        for at, (one, image) in enumerate(zip(read, images, strict=True)):
            if one.choose:
                chosen = one.choose(found[at], (image.shape[1], image.shape[0]))
                found[at] = (replace(chosen, label=phrases[at]),) if chosen else ()
        if lost := [at for at, one in enumerate(read) if one.choose and not found[at]]:
            again = self._find([images[at] for at in lost], [phrases[at] for at in lost])
            found = [again[lost.index(at)] if at in lost else regions for at, regions in enumerate(found)]
        return found

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
        scores, found = (tensor.cpu() for tensor in peaks(heat, boxes, most=MAX_BOXES))
        return [
            _regions(phrase, part(image.shape[1::-1], vision.size, vision.fit), rows, where)
            for phrase, image, rows, where in zip(phrases, images, scores, found, strict=True)
        ]


def _regions(phrase: str, shown: Part, scores: Tensor, boxes: Tensor) -> tuple[Region, ...]:
    left, top, width, height = shown
    one = phrase.strip().lower().startswith("the ")
    kept: list[Region] = []
    for score, (x1, y1, x2, y2) in zip(scores.tolist(), boxes.tolist(), strict=True):
        box = left + x1 * width, top + y1 * height, left + x2 * width, top + y2 * height
        region = Region(label=phrase, box=box, score=score)
        if one:
            return (region,)
        if score < SCORE_THRESHOLD:
            break
        if all(_iou(region.box, other.box) < NMS_IOU for other in kept):
            kept.append(region)
    return tuple(kept)


def _iou(one: Sequence[float], other: Sequence[float]) -> float:
    sides = [max(0.0, min(one[k + 2], other[k + 2]) - max(one[k], other[k])) for k in (0, 1)]
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    shared = sides[0] * sides[1]
    return shared / max(sum(areas) - shared, 1e-9)
