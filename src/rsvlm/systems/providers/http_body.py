"""What a server sends: its body within limits, its events one by one, the wait that it asks for."""

import json
import time
from collections.abc import Iterator
from typing import Any

from rsvlm.errors import RsvlmError

MOST_BYTES = 4 << 20  # of a response; a thousand tokens with their probabilities are far below


class NoReply(RsvlmError):
    """A request that got no usable response, in one sentence; `status` is the server's code, 0 where no answer came."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def read_whole(response: Any, deadline: float) -> bytes:
    """The body. The socket's timeout is per packet, so a server that drips is held to the deadline here."""
    found = bytearray()
    while piece := response.read1(1 << 16):
        found += piece
        _check(response.url, len(found), deadline)
    return bytes(found)


def read_events(response: Any, deadline: float) -> Iterator[Any]:
    """The JSON values of server-sent events up to [DONE]; a server that knows no events sends its whole answer as one.

    Raises NoReply for too much, TimeoutError past the deadline and EOFError where the events end before their end.
    """
    if response.headers.get_content_type() != "text/event-stream":
        yield json.loads(read_whole(response, deadline))
        return
    size = 0
    while line := response.readline(MOST_BYTES):
        size += len(line)
        _check(response.url, size, deadline)
        name, _, value = line.decode("utf-8", "replace").strip().partition(":")
        if name != "data":  # a comment that keeps the line open, or a field that says nothing here
            continue
        if value.strip() == "[DONE]":
            return
        yield json.loads(value)
    raise EOFError("the events end before their end")


def _check(url: str, size: int, deadline: float) -> None:
    if size > MOST_BYTES:
        raise NoReply(f"{url} sent more than {MOST_BYTES} bytes, which is no reply to a question", 200)
    if time.monotonic() > deadline:
        raise TimeoutError


def as_object(url: str, found: Any) -> dict[str, Any]:
    """`found` where it is a JSON object. Raises NoReply."""
    if not isinstance(found, dict):
        raise NoReply(f"{url} sent a JSON {type(found).__name__}, expected an object", 200)
    return found
