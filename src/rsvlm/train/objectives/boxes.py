"""Boxes for phrases: one phrase a picture and visit, for a box head."""

from rsvlm.data.loader import Collate, ScheduledSample
from rsvlm.data.resize import box_window
from rsvlm.data.synth.box_targets import collate_targets, make_target_sampler
from rsvlm.sample import Batch
from rsvlm.train.objectives.base import Setting

KEYS = ("phrase", "phrase_mask", "boxes")
TEXT_ONLY, CACHED, AUGMENTED = False, True, False


def collate(setting: Setting) -> Collate:
    """A phrase of each draw's sample, its boxes in fractions of what the tower is shown, and the pictures."""
    vision = setting.model.vision
    part = box_window(vision.size, vision.fit, "shown")
    locate = make_target_sampler(setting.tokenizer, setting.samples, seed=setting.recipe.seed, window_of=part)

    def batch(draws: list[ScheduledSample]) -> Batch:
        found = [locate(draw.sample, draw.visit) for draw in draws]
        return {**collate_targets(found, setting.tokenizer.pad_token_id), **setting.pictures.collate(draws)}

    return lambda draws, own: [batch(part) for part in own]
