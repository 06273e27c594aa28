"""Replies as text: decoding of token ids, stop strings, and streaming."""

from collections.abc import Generator, Iterable, Sequence
from typing import Any

from rsvlm.errors import BadInput
from rsvlm.sample import Reply

_MAX_DIGITS = 18
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"  # what stands for the first bytes of a letter until its last one is there


def decode_reply(tokenizer: Any, ids: Sequence[int]) -> str:
    """The text of token ids as it was generated: without special tokens, blanks around it left in place."""
    return tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def stop_strings(stop: Sequence[str]) -> tuple[str, ...]:
    """`stop` as a tuple. Raises BadInput for an empty string, which would end every reply before it begins."""
    found = (stop,) if isinstance(stop, str) else tuple(stop)
    if not all(found):
        raise BadInput("A stop string is empty; give the text before which a reply should end, or none.")
    return found


def find_stop(text: str, stop: Sequence[str]) -> int:
    """Where the first of the stop strings begins in `text`; -1 where none is in it."""
    return min((at for one in stop if (at := text.find(one)) >= 0), default=-1)


def cut_at_stop(text: str, stop: Sequence[str] = ()) -> str:
    """The generated text up to the first stop string, stripped."""
    end = find_stop(text, stop)
    return (text if end < 0 else text[:end]).strip()


def stream_text(snapshots: Iterable[tuple[str, float]], stop: Sequence[str] = ()) -> Generator[str, None, Reply]:
    """Yield the text of a reply in pieces while it is generated; return the complete Reply.

    `snapshots` gives all the text so far and its confidence, after each step. What may still change is held back: a
    character with missing bytes, trailing blanks, and what may be the beginning of a stop string.
    """
    emitted, reply = 0, Reply(text="", confidence=0.0)
    for text, confidence in snapshots:
        reply = Reply(text=cut_at_stop(text, stop), confidence=confidence)
        if piece := _settled_text(text, stop)[emitted:]:
            emitted += len(piece)
            yield piece
    if piece := reply.text[emitted:]:
        yield piece
    return reply


def _settled_text(text: str, stop: Sequence[str]) -> str:
    """The prefix of a partial text that no continuation can change."""
    if find_stop(text, stop) >= 0:
        return cut_at_stop(text, stop)
    text = text.rstrip(_REPLACEMENT)
    begun = (n for one in stop for n in range(len(one) - 1, 0, -1) if text.endswith(one[:n]))
    return text[: len(text) - max(begun, default=0)].strip()


def whole_number(digits: str) -> int | None:
    """The number that digits write; None above 18 of them, which count nothing and take Python long to read."""
    digits = digits.lstrip("0") or "0"
    return int(digits) if len(digits) <= _MAX_DIGITS else None
