"""Training conversations for mixture-of-experts systems: which expert learns which part of an answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from rsvlm.data.prompt import ChatTemplate, EncodedConversation, encode, encode_question
from rsvlm.data.synth.conversations import make_conversation
from rsvlm.data.synth.sub_captions import split_caption
from rsvlm.sample import Sample, Turn

EncodeFn = Callable[[Sample, int], EncodedConversation]


def expert_encoder(
    tokenizer: Any, template: ChatTemplate, *, image_tokens: int, seed: int, max_tokens: int, experts: Sequence[str],
    prompts: Mapping[str, str], expert_of: Callable[[str], int | None], router: str = "", overlap: bool = False,
) -> EncodeFn:  # fmt: skip
    """Encoder of (sample, visit): one question and answer, and the index in `experts` of the one that learns it.

    Of a caption an expert learns its part (theme, object or relation, `split_caption`), asked with its text in
    `prompts`, or with the caption's own question where it has none; each visit draws one of the parts that are there,
    so that over a stage the losses of all are summed. A caption without any of them is learned whole by the first
    expert. Where there is a `router`, the text that it has to write for a caption, one visit in `len(experts)` + 1 is
    for the expert of number `len(experts)`, who writes it. Other questions go to `expert_of(question)`, and to anyone
    where that is None. Without `experts` nothing is cut, and no row has an expert.
    """

    def encode_sample(sample: Sample, visit: int) -> EncodedConversation:
        rng = Random(f"{seed}/{sample.id}/{visit}/expert")
        turn = make_conversation(sample, visit, seed=seed, max_turns=1)[0]
        asked, expert = _assign_expert(turn, rng) if experts else (turn, None)
        places = image_tokens if sample.images else 0
        encoded = encode(tokenizer, template, [[asked]], image_tokens=places, max_tokens=max_tokens)
        return replace(encoded, question=encode_question(tokenizer, turn.question), expert=expert)

    def _assign_expert(turn: Turn, rng: Random) -> tuple[Turn, int]:
        if turn.task != "caption":
            chosen = expert_of(turn.question)
            return turn, rng.randrange(len(experts)) if chosen is None else chosen
        if router and rng.randrange(len(experts) + 1) == 0:
            return Turn(question=turn.question, answer=router, task="route"), len(experts)
        cut = split_caption(turn.answer, overlap=overlap)
        parts = {number: cut.part(name) for number, name in enumerate(experts) if cut.part(name)}
        number = rng.choice([*parts] or [0])
        question = prompts.get(experts[number], turn.question)
        return Turn(question=question, answer=parts.get(number, turn.answer), task="caption"), number

    return encode_sample
