"""Pictures and the texts that belong to them, as pairs: for a dual encoder."""

import random
from collections.abc import Iterable, Sequence
from hashlib import sha256

import torch

from rsvlm.data.loader import Collate, ScheduledSample, pad_texts
from rsvlm.data.synth.caption_targets import captions_of
from rsvlm.data.synth.conversations import to_sentence
from rsvlm.errors import BadInput
from rsvlm.recipe import Stage
from rsvlm.sample import Batch, Sample
from rsvlm.train.objectives.base import Setting

KEYS = ("text", "text_mask")
TEXT_ONLY, CACHED, AUGMENTED = False, True, True


def collate(setting: Setting) -> Collate:
    """A caption of each draw's sample or, as often as `class_share` says and where there is none, its class.

    Drawn anew at each visit; a class is put into one of the stage's `templates`. With `captions` "all" a sample gives a
    row for each of its captions. Raises BadInput where a sample has neither, where a text is longer than the model's
    context and the stage does not say that it is cut, and for a batch of one pair, from which nothing is learned.
    """
    learner = setting.model.heads.get("contrastive", setting.model)
    _check(setting, learner.max_text)
    numbers = {name: number for number, name in enumerate(_classes(setting.samples))}
    rows = max(len(captions_of(sample)) for sample in setting.samples) if setting.stage.captions == "all" else 1

    def batch(draws: list[ScheduledSample]) -> Batch:
        shown = [draw for draw in draws for _ in range(rows)]
        drawn = [_drawn(draw, setting, at % rows) for at, draw in enumerate(shown)]
        made = pad_texts(setting.tokenizer, [text for text, _ in drawn], learner.max_text)
        if setting.stage.positives == "labels":
            made |= keys([text for text, _ in drawn], shown)
            made["text_class"] = torch.tensor([numbers.get(name, -1) for _, name in drawn])
            made["image_class"] = torch.tensor([numbers.get(class_of(draw.sample), -1) for draw in shown])
        return {**made, **setting.pictures.collate(shown)}

    return lambda draws, own: [batch(part) for part in own]


def check_pairs(stage: Stage) -> None:
    """Raises BadInput for a batch of one pair, from which nothing is learned."""
    if stage.batch // stage.accumulate < 2:
        raise BadInput(f"Stage {stage.name!r} compares the pairs of a batch, and has one at a time; raise batch.")


def _check(setting: Setting, most: int) -> None:
    stage = setting.stage
    check_pairs(stage)
    if stage.captions == "all" and stage.positives != "labels":
        raise BadInput(
            f"Stage {stage.name!r} takes all captions of a picture, which would count as wrong for one another; set "
            "positives: labels."
        )
    for sample in setting.samples:
        texts = [*captions_of(sample), *_phrased(class_of(sample), stage.templates)]
        if not texts:
            raise BadInput(
                f"{sample.source or 'A set'}, sample {sample.id}, has no caption and no class to be matched with; give "
                f"stage {stage.name!r} sets that have one."
            )
        check_lengths(setting, texts, most, f"{sample.source or 'A set'}, sample {sample.id}")


def check_lengths(setting: Setting, texts: Sequence[str], most: int, source: str, *, added: int = 0) -> None:
    """Raises BadInput for the first text of more than `most` tokens, those and `added` that are put around it included.

    None is refused where the stage says that long texts are cut.
    """
    for text in texts if setting.stage.long_texts == "refuse" else ():
        if len(text) + added <= most:
            continue
        if (count := len(setting.tokenizer(text, add_special_tokens=not added)["input_ids"]) + added) > most:
            raise BadInput(
                f"{source}: the text {text[:60]!r}... has {count} tokens, and the model reads {most}; shorten it, or "
                "set long_texts: cut in the stage."
            )


def _drawn(draw: ScheduledSample, setting: Setting, at: int) -> tuple[str, str]:
    """A text of a draw's sample, the `at`-th where all are taken; and the class that it names, "" for a caption."""
    rng = random.Random(f"{setting.recipe.seed}/{draw.sample.id}/{draw.visit}/text")
    stage, captions, name = setting.stage, captions_of(draw.sample), class_of(draw.sample)
    if name and (not captions or rng.random() < stage.class_share):
        return rng.choice(_phrased(name, stage.templates)), name
    return captions[at % len(captions)] if stage.captions == "all" else rng.choice(captions), ""


def _phrased(name: str, templates: Sequence[str]) -> list[str]:
    """A class in each of the templates, as a sentence where there are none; nothing for no class."""
    if not name:
        return []
    return [template.replace("{}", name) for template in templates] or [to_sentence(name)]


def keys(texts: Sequence[str], draws: Sequence[ScheduledSample]) -> Batch:
    """`text_key` and `image_key` of the batch contract."""
    images = [draw.sample.images[0].key for draw in draws]
    return {
        "text_key": torch.tensor([_key(text) for text in texts]),
        "image_key": torch.tensor([_key(image) for image in images]),
    }


def _key(words: str) -> int:
    return int.from_bytes(sha256(words.encode()).digest()[:7])


def class_of(sample: Sample) -> str:
    """The class of a sample's picture in words, "" where it has none."""
    return next((turn.answer for turn in sample.turns if turn.task == "scene"), "")


def _classes(samples: Iterable[Sample]) -> list[str]:
    return sorted({name for sample in samples if (name := class_of(sample))})
