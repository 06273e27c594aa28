"""What changed between two dates, in one sentence of whole words: for systems with a vocabulary of words."""

from collections.abc import Sequence

import torch

from rsvlm.data.loader import Collate, ScheduledSample, pad_right
from rsvlm.errors import BadInput
from rsvlm.metrics.text.tokenizer import split_words, word_map
from rsvlm.parts.text.words import encode_words
from rsvlm.sample import IGNORE, Batch, Sample
from rsvlm.train.objectives.base import Setting
from rsvlm.train.objectives.semantic_maps import check_maps

KEYS = ("reply", "reply_mask", "labels", "normaliser")
TEXT_ONLY, CACHED, AUGMENTED = False, True, False  # augmentations would move pictures away from their maps


def collate(setting: Setting) -> Collate:
    """A caption of each draw's pair, the next one at each visit, and the pictures, with their maps where there are.

    `reply` has the start token and the words, `labels` the same words and the end token. An empty vocabulary is filled
    first: with the words of the splits that the system names. Raises BadInput for samples without a change caption,
    and where a system that is shown maps has neither maps nor a head that predicts them.
    """
    model, captions = setting.model, {sample.id: captions_of(sample) for sample in setting.samples}
    if lacking := [name for name, texts in captions.items() if not texts]:
        raise BadInput(
            f"Stage {setting.stage.name!r}: sample {lacking[0]} has no change caption (found in {len(lacking)} of "
            f"{len(captions)} samples); give it sets that have one."
        )
    maps = model.reads_maps and check_maps(setting, needed="semantic_maps" not in model.heads)
    if model.vocabulary.empty:
        model.vocabulary.fill(word_map(_texts(setting), model.min_frequency))
    words = model.vocabulary.ids()

    def encoded(draw: ScheduledSample) -> list[int]:
        texts = captions[draw.sample.id]
        return encode_words(words, split_words(texts[draw.visit % len(texts)]), model.most_words)

    def batches(draws: list[ScheduledSample], own: list[list[ScheduledSample]]) -> list[Batch]:
        ids = {draw.position: encoded(draw) for draw in draws}
        learned = torch.tensor(sum(len(row) - 1 for row in ids.values()) / (len(draws) / len(own[0])))
        return [batch(part, [ids[draw.position] for draw in part]) | {"normaliser": learned} for part in own]

    def batch(part: list[ScheduledSample], rows: Sequence[Sequence[int]]) -> Batch:
        padded = pad_right(rows)
        made: Batch = {"reply": padded.clamp(min=0), "reply_mask": padded >= 0, **setting.pictures.collate(part)}
        made["labels"] = torch.cat([torch.full_like(padded[:, :1], IGNORE), padded[:, 1:]], 1)
        made["labels"] = made["labels"].masked_fill(padded < 0, IGNORE)
        return made | ({"semantic": setting.pictures.maps(part)} if maps else {})

    return batches


def captions_of(sample: Sample) -> list[str]:
    """The change captions of a pair."""
    return [text for turn in sample.turns if turn.task == "change_caption" for text in turn.accepted]


def _texts(setting: Setting) -> list[str]:
    """The captions that the vocabulary is made of, as plain words."""
    splits = [setting.samples if split == "train" else setting.other_split(split) for split in setting.model.splits]
    samples = {sample.id: sample for samples in splits for sample in samples}
    return [" ".join(split_words(text)) for sample in samples.values() for text in captions_of(sample)]
