"""Hooks into `generate` of transformers: probabilities of the tokens, custom stopping, and streaming."""

from collections.abc import Callable, Iterator, Sequence
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


@torch.inference_mode()
def reply_log_likelihoods(model: Any, inputs: Any, replies: Sequence[Sequence[int]], stop: set[int]) -> Tensor:
    """(R,): natural log-probability of the ids of each reply, and of one of `stop` after them, to one prompt.

    `inputs` are what a processor makes of one conversation. Every reply gets a row of its own, pictures included: the
    one way that all models share.
    """
    width, rows = max(map(len, replies)), len(replies)
    ids = inputs["input_ids"].new_tensor([[*reply, *[min(stop)] * (width - len(reply))] for reply in replies])
    real = torch.arange(width, device=ids.device) < torch.tensor([[len(reply)] for reply in replies], device=ids.device)
    prompt = inputs["input_ids"].shape
    feed = {key: torch.cat([value] * rows) for key, value in inputs.items()}
    for key, value in feed.items():
        if inputs[key].shape == prompt:  # one number a token: ids, the mask, types of tokens
            after = {"input_ids": ids, "attention_mask": real.to(value.dtype)}.get(key, torch.zeros_like(ids))
            feed[key] = torch.cat([value, after.to(value.dtype)], 1)
    logs = model(**feed, logits_to_keep=width + 1).logits.float().log_softmax(-1)
    tokens = logs[:, :-1].gather(-1, ids[..., None])[..., 0].masked_fill(~real, 0).sum(1)
    ends = logs[torch.arange(rows), real.sum(1)][:, sorted(stop)].logsumexp(-1)
    return tokens + ends


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
