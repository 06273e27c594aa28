"""Answers that take more than one prompt: a system says what it asks itself, round by round, and what comes of it."""

import math
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rsvlm.data.synth.sub_captions import join_unique_sentences
from rsvlm.sample import Reply
from rsvlm.systems.abilities import Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt: `text` as the model reads it, which is part of answering the user's `question`.

    `expert` is the number of the expert that replies, None where the system has no experts; `image_tokens` how many
    tokens the prompt has for the picture, where not as many as usual.
    """

    text: str
    question: str
    expert: int | None = None
    image_tokens: int | None = None

    @classmethod
    def of(cls, question: str) -> "Prompt":
        """The question itself, as it is."""
        return cls(text=question, question=question)


# Yields the prompts of a round, is sent their replies, returns the answer.
Rounds = Generator[list[Prompt], list[Reply], Reply]


@runtime_checkable
class AnswersInRounds(Protocol):
    """A system that prompts itself before it answers."""

    def rounds(self, question: str) -> Rounds:
        """The rounds of prompts that answer `question`."""
        ...


def run_rounds(
    questions: Sequence[Rounds], images: Sequence[Pixels | None],
    answer: Callable[[list[Pixels | None], list[Prompt]], list[Reply]],
) -> list[Reply]:  # fmt: skip
    """The answer to each question about its image; the prompts of a round go together in batches.

    What one batch cannot mix goes apart: with a picture and without, with more image tokens and with fewer.
    """
    results: dict[int, Reply] = {}
    sent: dict[int, Any] = dict.fromkeys(range(len(questions)))  # None is what starts a generator
    while sent:
        prompts: dict[int, list[Prompt]] = {}
        for row, replies in sent.items():
            try:
                prompts[row] = questions[row].send(replies)
            except StopIteration as end:
                results[row] = end.value
        flat = [(row, prompt) for row, several in prompts.items() for prompt in several]
        kinds: dict[Any, list[int]] = {}
        for index, (row, prompt) in enumerate(flat):
            kinds.setdefault((images[row] is None, prompt.image_tokens, prompt.expert is None), []).append(index)
        replied: dict[int, Reply] = {}
        for at in kinds.values():
            replied |= zip(at, answer([images[flat[i][0]] for i in at], [flat[i][1] for i in at]), strict=True)
        sent = {row: [replied[i] for i, (of, _) in enumerate(flat) if of == row] for row in prompts}
    return [results[row] for row in range(len(questions))]


def concat(drafts: Sequence[Reply]) -> Reply:
    """The drafts one after another without repeated sentences; sure of it as the mean of its drafts, geometrically."""
    sure = [draft.confidence for draft in drafts if draft.text]
    mean = math.exp(sum(map(math.log, sure)) / len(sure)) if sure and all(sure) else 0.0
    return Reply(text=join_unique_sentences([draft.text for draft in drafts]), confidence=mean)


def vote(replies: Sequence[Reply]) -> Reply:
    """The reply that most give, case and marks aside; among as many, the one whose best voice is the surest."""
    groups: dict[str, list[Reply]] = {}
    for reply in replies:
        groups.setdefault(re.sub(r"\W+", " ", reply.text.lower()).strip(), []).append(reply)
    best = max(groups.values(), key=lambda group: (len(group), max(reply.confidence for reply in group)))
    return max(best, key=lambda reply: reply.confidence)
