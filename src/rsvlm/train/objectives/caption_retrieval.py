"""Pictures and their captions twice: as words after the picture, and as texts that end with [RET] and are matched."""

import random

import torch
from torch import Tensor

from rsvlm.data.loader import Collate, ScheduledSample, pad_right
from rsvlm.data.prompt import EncodedConversation
from rsvlm.data.synth.caption_targets import caption_ids, captions_of
from rsvlm.errors import BadInput
from rsvlm.sample import IMAGE_TOKEN, Batch
from rsvlm.train.objectives.base import Setting
from rsvlm.train.objectives.contrastive import check_lengths, check_pairs, keys
from rsvlm.train.objectives.language import check_tasks, pad_conversations

KEYS = ("prompt", "prompt_mask", "reply", "reply_mask", "labels", "turn", "normaliser", "text", "text_mask")
TEXT_ONLY, CACHED, AUGMENTED = False, True, True


def collate(setting: Setting) -> Collate:
    """A caption of each draw's sample, drawn anew at each visit, for both modes.

    `reply` is the caption with its start token, which is learned, too; `text` is the same with [RET] behind it. In a
    share `concat_captions` of the micro-batches two neighbours are one `sequence`. Raises BadInput for a sample without
    a caption, a caption that is too long where the stage does not say that it is cut, a batch of one pair, and a stage
    that asks for what only pairs alone can have.
    """
    model, tokenizer, stage, seed = setting.model, setting.tokenizer, setting.stage, setting.recipe.seed
    _check(setting)
    places = [IMAGE_TOKEN] * model.image_tokens
    prompt = [*places, *tokenizer(model.prefix, add_special_tokens=False)["input_ids"]]

    def drawn(draw: ScheduledSample) -> str:
        rng = random.Random(f"{seed}/{draw.sample.id}/{draw.visit}/caption")
        return rng.choice(captions_of(draw.sample))

    def batches(draws: list[ScheduledSample], own: list[list[ScheduledSample]]) -> list[Batch]:
        texts = {draw.position: drawn(draw) for draw in draws}
        ids = {
            at: caption_ids(tokenizer, text, ret=model.language.ret, most=model.max_text) for at, text in texts.items()
        }
        # Each mode learns as many tokens: the start token and the words, or the words and [RET].
        normaliser = torch.tensor(sum(len(row) - 1 for row in ids.values()) / (len(draws) / len(own[0])))
        return [batch(part, [ids[d.position] for d in part], [texts[d.position] for d in part], normaliser)
                for part in own]  # fmt: skip

    def batch(part: list[ScheduledSample], rows: list[list[int]], texts: list[str], normaliser: Tensor) -> Batch:
        spoken = [EncodedConversation(prompt, row[:-1], row[:-1], [0] * (len(row) - 1)) for row in rows]
        whole = pad_right(rows)
        made: Batch = {**pad_conversations(spoken, tokenizer.pad_token_id), "normaliser": normaliser,
                       "text": whole.clamp(min=0), "text_mask": whole >= 0}  # fmt: skip
        if random.Random(f"{seed}/{part[0].position}/concat").random() < model.concat_captions:
            made["sequence"] = torch.arange(len(part)) // 2
        if stage.positives == "labels":
            nothing = torch.full((len(part),), -1)
            made |= keys(texts, part)
            made |= {"text_class": nothing, "image_class": nothing}
        return {**made, **setting.pictures.collate(part)}

    return batches


def _check(setting: Setting) -> None:
    stage = setting.stage
    check_tasks(setting)
    check_pairs(stage)
    if odd := [name for name in ("gradient_cache", "class_share", "templates") if getattr(stage, name)]:
        raise BadInput(f"Stage {stage.name!r} learns captions and their pairs at once, without {odd[0]}; remove it.")
    if stage.captions == "all":
        raise BadInput(f"Stage {stage.name!r} learns one caption of a picture at a visit; remove captions: all.")
    for sample in setting.samples:
        source = f"{sample.source or 'A set'}, sample {sample.id}"
        check_lengths(setting, captions_of(sample), setting.model.max_text, source, added=2)
