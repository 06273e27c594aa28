"""Generation by transformers, seen from outside: how sure each token is, where a row ends, what there is so far."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from threading import Event
from typing import Any

import torch
import transformers
from torch import Tensor

from rsvlm.errors import BadInput

Report = Callable[[tuple[str, float]], bool]  # is told a text and its confidence, says True to end


class Sureness(transformers.LogitsProcessor):
    """Keeps the log-probability of the likeliest token of each row and step: what greedy generation takes."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, V), which stay as they are."""
        self.steps.append(scores.float().log_softmax(-1).amax(-1))
        return scores


class Until(transformers.StoppingCriteria):
    """Ends a row when `ended` says so of its ids behind the first `width`, asked after every token."""

    def __init__(self, width: int, ended: Callable[[list[int]], bool]) -> None:
        self.width, self.ended = width, ended

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Any:
        """Which rows of ids (B, T) have ended (B,)."""
        rows = input_ids[:, self.width :].tolist()
        return torch.tensor([self.ended(row) for row in rows], device=input_ids.device)


def stop_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Tokens that end a reply: what the model's own settings say, and the tokenizer's end. Raises BadInput for none."""
    own = model.generation_config.eos_token_id
    found = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id} - {None}
    if not found:
        raise BadInput(f"{model.name_or_path} says nowhere which token ends a reply; expected an eos_token.")
    return found


def overheard(run: Callable[[Report], object]) -> Iterator[tuple[str, float]]:
    """What `run` reports while it runs, in a thread of its own; its errors are raised here.

    `run` is given a function for reports, which says True once nobody listens any more: it should then end.
    """
    reports: Queue[tuple[str, float] | None] = Queue()
    gone = Event()

    def report(what: tuple[str, float]) -> bool:
        reports.put(what)
        return gone.is_set()

    with ThreadPoolExecutor(max_workers=1) as pool:
        work = pool.submit(run, report)
        work.add_done_callback(lambda _: reports.put(None))
        try:
            while (what := reports.get()) is not None:
                yield what
        finally:
            gone.set()
        work.result()
