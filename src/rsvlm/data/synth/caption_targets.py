"""Captions as what a captioner learns: said of the picture, without a question."""

from random import Random
from typing import Any

from rsvlm.data.prompt import ChatTemplate, EncodedConversation, encode
from rsvlm.data.synth.conversations import to_sentence
from rsvlm.data.synth.expert_targets import EncodeFn
from rsvlm.sample import Sample, Turn


def captions_of(sample: Sample) -> list[str]:
    """The captions of a sample's picture, as sentences."""
    return [to_sentence(text) for turn in sample.turns if turn.task == "caption" for text in turn.accepted]


def caption_ids(tokenizer: Any, caption: str, *, ret: int, most: int) -> list[int]:
    """Start token, caption and the token `ret`: at most `most` (3 or more) ids, the last of which is always `ret`.

    `ret` is put behind the caption's own ids, so that no tokenizer has to know it or can part it.
    """
    words = tokenizer(caption, add_special_tokens=False)["input_ids"]
    return [tokenizer.bos_token_id, *words[: most - 2], ret]


def caption_encoder(
    tokenizer: Any, template: ChatTemplate, *, image_tokens: int, seed: int, most: int, max_tokens: int
) -> EncodeFn:
    """Encoder of (sample, visit): up to `most` of the sample's captions, drawn anew at each visit.

    Several are branches, which share the picture and do not see one another. A sample without a caption is none that
    can be encoded: a system that learns so says `tasks = ("caption",)`, and its stage is refused.
    """

    def encode_sample(sample: Sample, visit: int) -> EncodedConversation:
        rng, captions = Random(f"{seed}/{sample.id}/{visit}/caption"), captions_of(sample)
        drawn = rng.sample(captions, min(most, len(captions)))
        turns = [[Turn(question="", answer=caption, task="caption")] for caption in drawn]
        return encode(
            tokenizer, template, turns, image_tokens=image_tokens if sample.images else 0, max_tokens=max_tokens
        )

    return encode_sample
