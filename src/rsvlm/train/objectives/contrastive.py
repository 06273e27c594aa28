"""Pictures and the texts that belong to them, as pairs: for a dual encoder."""

import random

from rsvlm.data.loader import Collate, ScheduledSample, pad_texts
from rsvlm.data.synth.conversations import to_sentence
from rsvlm.errors import BadInput
from rsvlm.sample import Batch, Sample
from rsvlm.train.objectives.base import Setting

KEYS = ("text", "text_mask")
TEXT_ONLY, CACHED = False, True


def collate(setting: Setting) -> Collate:
    """A caption of each draw's sample (its class name where it has no caption), drawn anew at each visit.

    Raises BadInput where a sample has neither.
    """
    for sample in setting.samples:
        if not texts_of(sample):
            raise BadInput(
                f"{sample.source or 'A set'}, sample {sample.id}, has no caption and no class to be matched with; give "
                f"stage {setting.stage.name!r} sets that have one."
            )

    def batch(draws: list[ScheduledSample]) -> Batch:
        texts = [
            random.Random(f"{setting.recipe.seed}/{draw.sample.id}/{draw.visit}/text").choice(texts_of(draw.sample))
            for draw in draws
        ]
        return {**pad_texts(setting.tokenizer, texts, setting.model.max_text), **setting.pictures.collate(draws)}

    return lambda draws, own: [batch(part) for part in own]


def texts_of(sample: Sample) -> list[str]:
    """The texts that belong to a sample's picture: its captions, else its class."""
    captions = [to_sentence(text) for turn in sample.turns if turn.task == "caption" for text in turn.accepted]
    return captions or [to_sentence(turn.answer) for turn in sample.turns if turn.task == "scene"]
