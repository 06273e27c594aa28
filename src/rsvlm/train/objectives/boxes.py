"""Boxes for phrases: one phrase a picture and visit, for a box head."""

from rsvlm.data.loader import Collate, Draw
from rsvlm.data.resize import box_part
from rsvlm.data.synth.box_targets import collate_targets, locator
from rsvlm.sample import Batch
from rsvlm.train.objectives.base import Setting

KEYS = ("phrase", "phrase_mask", "boxes")
TEXT_ONLY, CACHED = False, True


def collate(setting: Setting) -> Collate:
    """A phrase of each draw's sample, its boxes in fractions of what the tower is shown, and the pictures."""
    vision = setting.model.vision
    part = box_part(vision.size, vision.fit, "shown")
    locate = locator(setting.tokenizer, setting.samples, seed=setting.recipe.seed, part=part)

    def batch(draws: list[Draw]) -> Batch:
        found = [locate(draw.sample, draw.visit) for draw in draws]
        return {**collate_targets(found, setting.tokenizer.pad_token_id), **setting.pictures.of(draws)}

    return lambda draws, own: [batch(part) for part in own]
