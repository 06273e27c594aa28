"""Next-token prediction of the replies in conversations about pictures, or of text alone."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from rsvlm.data.loader import Collate, ScheduledSample, pad_prompts, pad_right
from rsvlm.data.packing import first_fit
from rsvlm.data.prompt import CHAT_TEMPLATES, ChatTemplate, EncodedConversation, encode
from rsvlm.data.synth.conversations import make_conversation
from rsvlm.errors import BadInput
from rsvlm.sample import IGNORE, Batch, Sample
from rsvlm.train.objectives.base import Setting

KEYS = ("prompt", "prompt_mask", "reply", "reply_mask", "labels", "turn", "normaliser")
TEXT_ONLY = CACHED = AUGMENTED = True

Encode = Callable[[Sample, int], EncodedConversation]  # a sample and its visit -> token ids


@runtime_checkable
class EncodesConversations(Protocol):
    """A system that turns samples into conversations in its own way (RS-MoE: one question a row, for one expert)."""

    def conversation_encoder(
        self, tokenizer: Any, frame: ChatTemplate, *, image_tokens: int, seed: int, most: int, max_tokens: int
    ) -> Encode:
        """As `conversation_encoder` below."""
        ...


def collate(setting: Setting) -> Collate:
    """Conversations encoded, padded or packed; a step's labelled tokens are counted over the whole global batch."""
    check_tasks(setting)
    encode_one, pad, pack = encoder_of(setting), setting.tokenizer.pad_token_id, setting.stage.pack
    if pack is not None:  # the longest that may come is refused now, not when it comes
        frame = CHAT_TEMPLATES[setting.recipe.model["frame"]]
        head = encode(setting.tokenizer, frame, (), image_tokens=setting.model.image_tokens).prompt
        first_fit([len(head) + setting.stage.max_tokens], pack)

    def batches(draws: list[ScheduledSample], own: list[list[ScheduledSample]]) -> list[Batch]:
        encoded = {draw.position: encode_one(draw.sample, draw.visit) for draw in draws}
        labelled = sum(label != IGNORE for one in encoded.values() for label in one.labels)
        normaliser = torch.tensor(max(labelled, 1) / (len(draws) / len(own[0])))
        return [
            {
                **pad_conversations([encoded[draw.position] for draw in part], pad, pack), "normaliser": normaliser,
                **setting.pictures.collate(part),
            }
            for part in own
        ]  # fmt: skip

    return batches


def check_tasks(setting: Setting) -> None:
    """Raises BadInput for samples without a turn of the tasks that a system learns, where it says which."""
    tasks = setting.model.tasks
    other = [sample for sample in setting.samples if tasks and not any(turn.task in tasks for turn in sample.turns)]
    if other:
        raise BadInput(
            f"Stage {setting.stage.name!r}: {other[0].source or 'a set'}, sample {other[0].id}, has no "
            f"{' and no '.join(tasks)}, and {setting.recipe.system} learns nothing else (found in {len(other)} of "
            f"{len(setting.samples)} samples); give it sets that have one."
        )


def encoder_of(setting: Setting) -> Encode:
    """How samples become token ids in a stage: the system's own way, else `conversation_encoder`."""
    own = _encoder_of(setting.model)
    return own(
        setting.tokenizer, CHAT_TEMPLATES[setting.recipe.model["frame"]], image_tokens=setting.model.image_tokens,
        seed=setting.recipe.seed, most=setting.stage.turns, max_tokens=setting.stage.max_tokens,
    )  # fmt: skip


def _encoder_of(model: object) -> Callable[..., Encode]:
    return model.conversation_encoder if isinstance(model, EncodesConversations) else conversation_encoder


def conversation_encoder(
    tokenizer: Any, frame: ChatTemplate, *, image_tokens: int, seed: int, most: int, max_tokens: int
) -> Encode:
    """Conversations of `rsvlm.data.synth.conversations.make_conversation` as token ids.

    Four visits of five ask the turns apart, as branches that share the image; in the fifth they follow one another, as
    a user would ask. A sample without a picture is a conversation already: it is learned as it is written.
    """

    def one(sample: Sample, visit: int) -> EncodedConversation:
        if not sample.images:
            return encode(tokenizer, frame, [sample.turns], image_tokens=0, max_tokens=max_tokens)
        turns = make_conversation(sample, visit, seed=seed, max_turns=most)
        chained = (visit + len(sample.id)) % 5 == 0
        talks = [turns] if chained else [[turn] for turn in turns]
        return encode(tokenizer, frame, talks, image_tokens=image_tokens, max_tokens=max_tokens)

    return one


def pad_conversations(encoded: Sequence[EncodedConversation], pad: int, pack: int | None = None) -> Batch:
    """Pad to tensors of the batch contract: prompts on the left, replies on the right.

    With `pack` conversations share rows of so many tokens, those of one expert at a time (`first_fit`).
    """
    reply = max(len(e.reply) for e in encoded)

    def right(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
        return torch.tensor([[*row, *[fill] * (reply - len(row))] for row in rows])

    batch: Batch = {
        **pad_prompts([e.prompt for e in encoded], pad),
        "reply": right([e.reply for e in encoded], pad),
        "reply_mask": torch.tensor([[i < len(e.reply) for i in range(reply)] for e in encoded]),
        "labels": right([e.labels for e in encoded], IGNORE),
        "turn": right([e.turn for e in encoded], 0),
    }
    if encoded[0].question is not None:
        batch["question"] = pad_right([e.question or [] for e in encoded])
    if encoded[0].expert is not None:
        batch["expert"] = torch.tensor([e.expert for e in encoded])
    if pack is not None:
        lengths = [len(e.prompt) + len(e.reply) for e in encoded]
        batch["row"] = torch.tensor(first_fit(lengths, pack, [e.expert for e in encoded]))
    return batch
