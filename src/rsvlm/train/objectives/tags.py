"""Which words of captions and scene names fit a picture: multi-label classification for a tag head."""

import numpy as np
import torch

from rsvlm.data.loader import Collate, ScheduledSample, to_tensor
from rsvlm.data.synth.tag_targets import tag_targets, tag_vocabulary
from rsvlm.sample import Batch
from rsvlm.train.objectives.base import Setting

KEYS = ("tags",)
TEXT_ONLY = CACHED = AUGMENTED = False  # every visit shows another part of a picture


def collate(setting: Setting) -> Collate:
    """Random parts of pictures and the soft targets of each, over the vocabulary of the stage's samples."""
    return collate_tags(setting, tag_vocabulary(setting.samples, setting.recipe.model["num_tags"]))


def collate_tags(setting: Setting, tags: list[str]) -> Collate:
    """As `collate`, for a vocabulary that is given."""

    def batch(draws: list[ScheduledSample]) -> Batch:
        pixels = [cut for draw in draws for cut in setting.pictures.random_crops(draw)]
        wanted = np.stack([tag_targets(draw.sample, tags) for draw in draws])
        return {"image": to_tensor(pixels), "tags": torch.from_numpy(wanted)}

    return lambda draws, own: [batch(part) for part in own]
