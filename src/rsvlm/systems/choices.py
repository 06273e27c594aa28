"""One of several choices, by how likely each is as a reply: nothing is parsed, and no choice can be invented."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsvlm.systems.abilities import Pixels, ScoresReplies


def choice_log_likelihoods(
    model: ScoresReplies, images: Sequence[Pixels | None], questions: Sequence[str], choices: Sequence[str]
) -> NDArray[np.float64]:
    """(N, C): log-likelihood of each choice as the reply to each (image, question), batched.

    A choice is read as a sentence: it begins with a capital letter, and may end with a full stop or without.
    """
    replies = [choice[:1].upper() + choice[1:] for choice in choices]
    logs = model.log_likelihoods(images, questions, [*replies, *(f"{reply}." for reply in replies)])
    return np.logaddexp(logs[:, : len(choices)], logs[:, len(choices) :])


def choice_probabilities(logs: NDArray[np.float64], temperature: float = 1.0) -> NDArray[np.float64]:
    """(N, C) probabilities that sum to 1 over the choices, from `choice_log_likelihoods` divided by `temperature`."""
    scaled = (logs - logs.max(-1, keepdims=True)) / temperature
    odds = np.exp(scaled)
    return odds / odds.sum(-1, keepdims=True)
