"""Phrases and their boxes as training targets of a box head: one phrase a picture and visit."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rsvlm.data.images import picture_size
from rsvlm.data.resize import Part, PartOf, whole
from rsvlm.data.synth.claims import known
from rsvlm.data.synth.referring import Phrase, phrases, plural
from rsvlm.sample import Batch, Box, Sample

Target = tuple[list[int], list[Box]]  # token ids of a phrase, its boxes in fractions of the picture's width and height
Locate = Callable[[Sample, int], Target]

SINGLE = 0.75  # share of visits that ask for one box, where the picture has a phrase for one


def phrase_ids(tokenizer: Any, words: str) -> list[int]:
    """Token ids of a phrase, as a head reads it: plain, without special tokens."""
    return tokenizer(words.strip(), add_special_tokens=False)["input_ids"]


def locator(tokenizer: Any, samples: Sequence[Sample], *, seed: int, part: PartOf = whole) -> Locate:
    """For a sample with regions and a visit: one of its phrases, drawn by seed, sample and visit, and its boxes.

    Besides `rsvlm.data.synth.referring`'s phrases, the bare plural ("boats") asks for all of a kind, however many;
    kinds that the samples label elsewhere are asked for too, and have no box, where the sample's own set says so
    (`rsvlm.data.synth.claims`). `part` is what a picture's square shows.
    """
    labels = sorted({region.label for sample in samples for region in sample.regions})

    def one(sample: Sample, visit: int) -> Target:
        draw = random.Random(f"{seed}/{sample.id}/{visit}")
        asked = known(sample, labels)
        found = phrases(sample, asked)
        every = [phrase for phrase in found if phrase.kind == "all"]
        if not sample.meta.get("ignore"):
            every += [_all(sample, label) for label in asked]
        single = [phrase for phrase in found if phrase.kind != "all"]
        pool = single if single and (not every or draw.random() < SINGLE) else every
        phrase = draw.choice(pool) if pool else _all(sample, sample.regions[0].label)
        shown = part(picture_size(sample.images[0]))
        boxes = [_fractions(sample.regions[i].box, shown) for i in phrase.targets]
        return phrase_ids(tokenizer, phrase.words), boxes

    return one


def collate_targets(targets: Sequence[Target], pad: int) -> Batch:
    """Pad to the batch contract: phrases (B, Q) on the right, boxes (B, K, 4) with rows of -1, K at least 1."""
    width, most = max(len(ids) for ids, _ in targets), max(1, *(len(boxes) for _, boxes in targets))
    boxes: Tensor = torch.full((len(targets), most, 4), -1.0)
    for row, (_, found) in zip(boxes, targets, strict=True):
        if found:
            row[: len(found)] = torch.tensor(found)
    return {
        "phrase": torch.tensor([[*ids, *[pad] * (width - len(ids))] for ids, _ in targets]),
        "phrase_mask": torch.tensor([[i < len(ids) for i in range(width)] for ids, _ in targets]),
        "boxes": boxes,
    }


def _all(sample: Sample, label: str) -> Phrase:
    return Phrase(plural(label), "all", tuple(i for i, r in enumerate(sample.regions) if r.label == label))


def _fractions(box: Box, shown: Part) -> Box:
    start, extent = shown[:2], shown[2:]
    x1, y1, x2, y2 = (min(max((n - start[i % 2]) / extent[i % 2], 0.0), 1.0) for i, n in enumerate(box))
    return x1, y1, x2, y2
