"""A reply while it is generated: its token ids, and how sure the model was of each. No PyTorch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

Ended = Callable[[list[int]], bool]  # whether a reply of these ids is whole, whatever would follow


@dataclass(slots=True)
class Row:
    """A reply while it grows: its ids without a stop token, and the log-probabilities of its tokens with it."""

    ids: list[int] = field(default_factory=list)
    logs: list[float] = field(default_factory=list)
    open: bool = True

    def add(self, token: int, log: float, stop: frozenset[int], ended: Ended | None) -> None:
        """One more token of log-probability `log`; the row ends with it where `stop` or `ended` says so."""
        self.logs.append(log)
        if token in stop:
            self.open = False
        else:
            self.ids.append(token)
            self.open = ended is None or not ended(self.ids)

    @property
    def confidence(self) -> float:
        """The geometric mean of the probabilities of its tokens, in [0, 1]."""
        return min(math.exp(math.fsum(self.logs) / len(self.logs)), 1.0)
