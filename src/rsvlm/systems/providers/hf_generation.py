"""Hooks into `generate` of transformers: probabilities of the tokens, custom stopping, and streaming."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from threading import Event
from typing import Any

import torch
import transformers
from torch import Tensor

from rsvlm.errors import BadInput

Report = Callable[[tuple[str, float]], bool]  # receives (text so far, confidence), returns True to end generation


class TokenLogProbs(transformers.LogitsProcessor):
    """Records the log-probability of the likeliest token of each row and step, the one that greedy decoding takes."""

    def __init__(self) -> None:
        self.steps: list[Tensor] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores (B, V), which stay as they are."""
        self.steps.append(scores.float().log_softmax(-1).amax(-1))
        return scores


class StopWhen(transformers.StoppingCriteria):
    """Ends a row when `ended(ids)` is true of its ids after the prompt's `width`; called after every token."""

    def __init__(self, width: int, ended: Callable[[list[int]], bool]) -> None:
        self.width, self.ended = width, ended

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Any:
        """Which rows of ids (B, T) have ended (B,)."""
        rows = input_ids[:, self.width :].tolist()
        return torch.tensor([self.ended(row) for row in rows], device=input_ids.device)


def stop_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Ids that end a reply: eos_token_id of the generation config and of the tokenizer. Raises BadInput for none."""
    own = model.generation_config.eos_token_id
    found = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id} - {None}
    if not found:
        raise BadInput(f"{model.name_or_path} says nowhere which token ends a reply; expected an eos_token.")
    return found


def run_in_thread(run: Callable[[Report], object]) -> Iterator[tuple[str, float]]:
    """Run `run(report)` in a thread and yield what it reports; its errors are raised here.

    `report` returns True once the iterator was closed: `run` should then end.
    """
    reports: Queue[tuple[str, float] | None] = Queue()
    closed = Event()

    def report(what: tuple[str, float]) -> bool:
        reports.put(what)
        return closed.is_set()

    with ThreadPoolExecutor(max_workers=1) as pool:
        work = pool.submit(run, report)
        work.add_done_callback(lambda _: reports.put(None))
        try:
            while (what := reports.get()) is not None:
                yield what
        finally:
            closed.set()
        work.result()
