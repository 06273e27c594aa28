"""Training targets of a box head: one phrase and its boxes per picture and visit."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rsvlm.data.images import picture_size
from rsvlm.data.resize import CropWindow, CropWindowOf, full_window
from rsvlm.data.synth.claims import decidable_labels
from rsvlm.data.synth.referring import ReferringPhrase, pluralize, referring_phrases
from rsvlm.sample import Batch, Box, Sample

PhraseTarget = tuple[
    list[int], list[Box]
]  # token ids of a phrase, its boxes in fractions of the picture's width and height
TargetSampler = Callable[[Sample, int], PhraseTarget]

SINGLE_BOX_SHARE = 0.75  # share of visits that ask for one box, where the picture has a phrase for one


def phrase_ids(tokenizer: Any, words: str) -> list[int]:
    """Token ids of a phrase, as a head reads it: plain, without special tokens."""
    return tokenizer(words.strip(), add_special_tokens=False)["input_ids"]


def make_target_sampler(
    tokenizer: Any, samples: Sequence[Sample], *, seed: int, window_of: CropWindowOf = full_window
) -> TargetSampler:
    """For a sample with regions and a visit: one of its phrases, drawn by seed, sample and visit, and its boxes.

    Besides `rsvlm.data.synth.referring`'s phrases, the bare plural ("boats") asks for all of a kind, however many;
    kinds that the samples label elsewhere are asked for too, and have no box, where the sample's own set says so
    (`rsvlm.data.synth.claims`). `window_of` gives the crop window that
    a picture's square shows.
    """
    labels = sorted({region.label for sample in samples for region in sample.regions})

    def sample_target(sample: Sample, visit: int) -> PhraseTarget:
        rng = random.Random(f"{seed}/{sample.id}/{visit}")
        asked = decidable_labels(sample, labels)
        found = referring_phrases(sample, asked)
        every = [phrase for phrase in found if phrase.kind == "all"]
        if not sample.meta.get("ignore"):
            every += [_all_phrase(sample, label) for label in asked]
        single = [phrase for phrase in found if phrase.kind != "all"]
        pool = single if single and (not every or rng.random() < SINGLE_BOX_SHARE) else every
        phrase = rng.choice(pool) if pool else _all_phrase(sample, sample.regions[0].label)
        shown = window_of(picture_size(sample.images[0]))
        boxes = [_normalized_box(sample.regions[i].box, shown) for i in phrase.targets]
        return phrase_ids(tokenizer, phrase.words), boxes

    return sample_target


def collate_targets(targets: Sequence[PhraseTarget], pad: int) -> Batch:
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


def _all_phrase(sample: Sample, label: str) -> ReferringPhrase:
    return ReferringPhrase(pluralize(label), "all", tuple(i for i, r in enumerate(sample.regions) if r.label == label))


def _normalized_box(box: Box, shown: CropWindow) -> Box:
    start, extent = shown[:2], shown[2:]
    x1, y1, x2, y2 = (min(max((n - start[i % 2]) / extent[i % 2], 0.0), 1.0) for i, n in enumerate(box))
    return x1, y1, x2, y2
