"""Pictures and the texts that belong to them, as pairs: for a dual encoder."""

import random
from collections.abc import Iterable
from hashlib import sha256

import torch

from rsvlm.data.loader import Collate, ScheduledSample, pad_texts
from rsvlm.data.synth.conversations import to_sentence
from rsvlm.errors import BadInput
from rsvlm.sample import Batch, Sample
from rsvlm.train.objectives.base import Setting

KEYS = ("text", "text_mask")
TEXT_ONLY, CACHED = False, True


def collate(setting: Setting) -> Collate:
    """A caption of each draw's sample or, as often as `class_share` says and where there is none, its class.

    Drawn anew at each visit; a class is put into one of the stage's `templates`.

    Raises BadInput where a sample has neither.
    """
    for sample in setting.samples:
        if not captions_of(sample) and not class_of(sample):
            raise BadInput(
                f"{sample.source or 'A set'}, sample {sample.id}, has no caption and no class to be matched with; give "
                f"stage {setting.stage.name!r} sets that have one."
            )

    most = setting.model.heads.get("contrastive", setting.model).max_text
    stage, numbers = setting.stage, {name: number for number, name in enumerate(_classes(setting.samples))}

    def batch(draws: list[ScheduledSample]) -> Batch:
        drawn = [_drawn(draw, setting) for draw in draws]
        made = pad_texts(setting.tokenizer, [text for text, _ in drawn], most)
        if stage.positives == "labels":
            keys = [int.from_bytes(sha256(text.encode()).digest()[:7]) for text, _ in drawn]
            made["text_key"] = torch.tensor(keys)
            made["text_class"] = torch.tensor([numbers.get(name, -1) for _, name in drawn])
            made["image_class"] = torch.tensor([numbers.get(class_of(draw.sample), -1) for draw in draws])
        return {**made, **setting.pictures.collate(draws)}

    return lambda draws, own: [batch(part) for part in own]


def _drawn(draw: ScheduledSample, setting: Setting) -> tuple[str, str]:
    """A text of a draw's sample, and the class that it names, "" for a caption."""
    rng = random.Random(f"{setting.recipe.seed}/{draw.sample.id}/{draw.visit}/text")
    stage, captions, name = setting.stage, captions_of(draw.sample), class_of(draw.sample)
    if name and (not captions or rng.random() < stage.class_share):
        if stage.templates:
            return rng.choice(stage.templates).replace("{}", name), name
        return to_sentence(name), name
    return rng.choice(captions), ""


def captions_of(sample: Sample) -> list[str]:
    """The captions of a sample's picture, as sentences."""
    return [to_sentence(text) for turn in sample.turns if turn.task == "caption" for text in turn.accepted]


def class_of(sample: Sample) -> str:
    """The class of a sample's picture in words, "" where it has none."""
    return next((turn.answer for turn in sample.turns if turn.task == "scene"), "")


def _classes(samples: Iterable[Sample]) -> list[str]:
    return sorted({name for sample in samples if (name := class_of(sample))})
