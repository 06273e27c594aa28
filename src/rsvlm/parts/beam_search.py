"""Beam search over the words of one sentence, as the change captioning repositories have it (RSICC, eval.py)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Sentence:
    """Ids from the start token on, and the sum of the log-probabilities of those behind it; `whole`: it has ended."""

    ids: list[int]
    log: float
    whole: bool = True

    @property
    def confidence(self) -> float:
        """The geometric mean of the probabilities of its words, its end included, in [0, 1]."""
        return min(math.exp(self.log / max(len(self.ids) - 1, 1)), 1.0)


@torch.no_grad()
def beam_search(
    next_logits: Callable[[Tensor], Tensor], *, start: int, end: int, beams: int, most: int = 51
) -> list[Sentence]:
    """The sentences that ended, in the order in which they did; where none did, the best one so far.

    `next_logits` takes ids (k, t) and gives the logits (k, V) of their next words. A sentence that ends leaves the
    beam, which shrinks by it. Sums of log-probabilities are compared as they are: long sentences are not favoured. At
    most `most` words follow the start, the end token included. With one beam it is greedy.
    """
    ids, sums, found = torch.full((1, 1), start), torch.zeros(1), list[Sentence]()
    for _ in range(most):
        logs = next_logits(ids).float().log_softmax(-1)
        ids, sums = ids.to(logs.device), sums.to(logs.device)
        total = (sums[:, None] + logs).flatten()
        sums, place = total.topk(min(beams - len(found), len(total)))
        ids = torch.cat([ids[place // logs.shape[1]], (place % logs.shape[1])[:, None]], 1)
        ended = ids[:, -1] == end
        found += [Sentence(row.tolist(), float(log)) for row, log in zip(ids[ended], sums[ended], strict=True)]
        ids, sums = ids[~ended], sums[~ended]
        if len(found) == beams or not len(ids):
            break
    return found or [Sentence(ids[0].tolist(), float(sums[0]), whole=False)]


def best(sentences: list[Sentence]) -> Sentence:
    """The likeliest; of equal ones the first."""
    return max(sentences, key=lambda one: one.log)
