"""Answers that take more than one asking: a system says what it asks itself, round by round, and what comes of it."""

import math
import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from rsvlm.data.synth.sub_captions import joined
from rsvlm.sample import Reply
from rsvlm.systems.abilities import Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One asking: `text` as the model reads it, which is part of answering the question `about`.

    `expert` is the number of the one who answers, None where the system has no experts; `image_tokens` how many tokens
    the prompt has for the picture, where not as many as usual.
    """

    text: str
    about: str
    expert: int | None = None
    image_tokens: int | None = None

    @classmethod
    def of(cls, question: str) -> "Ask":
        """The question itself, put as it is."""
        return cls(text=question, about=question)


Talk = Generator[list[Ask], list[Reply], Reply]  # yields the askings of a round, is sent their replies, returns the end


@runtime_checkable
class Talks(Protocol):
    """A system that asks itself before it answers."""

    def talk(self, question: str) -> Talk:
        """The rounds of asking that answer `question`."""
        ...


def hold(
    talks: Sequence[Talk], images: Sequence[Pixels | None],
    answer: Callable[[list[Pixels | None], list[Ask]], list[Reply]],
) -> list[Reply]:  # fmt: skip
    """What each talk about its image comes to, the askings of a round together in batches.

    What one batch cannot mix is asked apart: with a picture and without, with more image tokens and with fewer.
    """
    results: dict[int, Reply] = {}
    sent: dict[int, Any] = dict.fromkeys(range(len(talks)))  # None is what starts a generator
    while sent:
        rounds: dict[int, list[Ask]] = {}
        for place, replies in sent.items():
            try:
                rounds[place] = talks[place].send(replies)
            except StopIteration as end:
                results[place] = end.value
        flat = [(place, ask) for place, asks in rounds.items() for ask in asks]
        kinds: dict[Any, list[int]] = {}
        for index, (place, ask) in enumerate(flat):
            kinds.setdefault((images[place] is None, ask.image_tokens, ask.expert is None), []).append(index)
        said: dict[int, Reply] = {}
        for at in kinds.values():
            said |= zip(at, answer([images[flat[i][0]] for i in at], [flat[i][1] for i in at]), strict=True)
        sent = {place: [said[i] for i, (of, _) in enumerate(flat) if of == place] for place in rounds}
    return [results[place] for place in range(len(talks))]


def concat(drafts: Sequence[Reply]) -> Reply:
    """The drafts one after another without repeated sentences; sure of it as the mean of its drafts, geometrically."""
    sure = [draft.confidence for draft in drafts if draft.text]
    mean = math.exp(sum(map(math.log, sure)) / len(sure)) if sure and all(sure) else 0.0
    return Reply(text=joined([draft.text for draft in drafts]), confidence=mean)


def vote(replies: Sequence[Reply]) -> Reply:
    """The reply that most give, case and marks aside; among as many, the one whose best voice is the surest."""
    groups: dict[str, list[Reply]] = {}
    for reply in replies:
        groups.setdefault(re.sub(r"\W+", " ", reply.text.lower()).strip(), []).append(reply)
    best = max(groups.values(), key=lambda group: (len(group), max(reply.confidence for reply in group)))
    return max(best, key=lambda reply: reply.confidence)
