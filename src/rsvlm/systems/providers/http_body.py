"""HTTP response bodies: JSON and server-sent events, within limits of size; the connection keeps those of time."""

from collections.abc import Iterator
from typing import Any

from rsvlm.errors import RsvlmError
from rsvlm.json_text import load_json

MAX_BYTES = 4 << 20  # of a response; a thousand tokens with their probabilities are far below


class RequestFailed(RsvlmError):
    """A request without a usable response, in one sentence; `status` is the HTTP status, 0 where no response came."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


def read_whole(response: Any) -> bytes:
    """The body. Raises RequestFailed above `MAX_BYTES`."""
    found = bytearray()
    while piece := response.read1(1 << 16):
        found += piece
        _check(response.url, len(found))
    return bytes(found)


def read_events(response: Any) -> Iterator[Any]:
    """The JSON values of server-sent events up to [DONE]; a response that is no event stream is yielded as one value.

    Raises RequestFailed above `MAX_BYTES`, EOFError where [DONE] is missing.
    """
    if response.headers.get_content_type() != "text/event-stream":
        yield load_json(read_whole(response))
        return
    size = 0
    while line := response.readline(MAX_BYTES):
        size += len(line)
        _check(response.url, size)
        name, _, value = line.decode("utf-8", "replace").strip().partition(":")
        if name != "data":  # a comment that keeps the line open, or a field that says nothing here
            continue
        if value.strip() == "[DONE]":
            return
        yield load_json(value)
    raise EOFError("the events end before their end")


def _check(url: str, size: int) -> None:
    if size > MAX_BYTES:
        raise RequestFailed(f"{url} sent more than {MAX_BYTES} bytes, which is no reply to a question", 200)


def as_object(url: str, found: Any) -> dict[str, Any]:
    """`found` where it is a JSON object. Raises RequestFailed."""
    if not isinstance(found, dict):
        raise RequestFailed(f"{url} sent a JSON {type(found).__name__}, expected an object", 200)
    return found
