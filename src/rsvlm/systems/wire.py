"""JSON over HTTP with a server that may be slow, busy, broken or hostile: limits on everything, and patient retries."""

import email.utils
import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit

from rsvlm.errors import RsvlmError

_MOST_BYTES = 4 << 20  # of a response; a thousand tokens with their probabilities are far below
LOCAL = ("localhost", "127.0.0.1", "::1")  # this machine
_MENDED = {408, 409, 425, 429}  # codes that another try may mend, besides every 5xx


class NoReply(RsvlmError):
    """A request that got no usable response, in one sentence; `status` is the server's code, 0 where none came."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class _Again(NoReply):
    """As NoReply, but another try may help, after `wait` seconds where the server says so."""

    wait: float | None = None


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a request is tried: `timeout` seconds for one try, `tries` tries, `total` seconds over all of them.

    Between two tries it waits what the server asks for in Retry-After, else a random part of `pause` * 2^n seconds, at
    most `longest`: random, so that the requests which failed together do not come back together.
    """

    timeout: float = 120.0
    tries: int = 6
    total: float = 600.0
    pause: float = 1.0
    longest: float = 30.0


class Wire:
    """Requests to one server with the base URL `url`; safe to use from several threads.

    `key` goes along as a bearer token and is kept out of every error. Redirects are refused: a picture and a key go to
    the host that was named. Proxies of the environment are used, but not for this machine.
    """

    def __init__(self, url: str, *, key: str, patience: Patience) -> None:
        self.url, self.patience, self._key, self._stop = url, patience, key, threading.Event()
        proxies = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOCAL else []
        self._opener = urllib.request.build_opener(_Stay, *proxies)

    def hurry(self) -> None:
        """Requests that wait for their next try fail now; later ones are as patient as ever."""
        stop, self._stop = self._stop, threading.Event()
        stop.set()

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that the server gives for a GET, or for a POST of `body`. Raises NoReply."""
        stop, own, deadline = self._stop, self.patience, time.monotonic() + self.patience.total
        for tried in range(1, own.tries + 1):
            try:
                return self._once(path, body, min(time.monotonic() + own.timeout, deadline))
            except _Again as error:
                longest = min(own.longest, own.pause * 2 ** (tried - 1))
                wait = random.uniform(0, longest) if error.wait is None else error.wait
                if tried == own.tries or time.monotonic() + wait > deadline or stop.wait(wait):
                    raise NoReply(f"{error} (tries: {tried})", error.status) from error
        raise ValueError(f"{own.tries} tries")

    def _once(self, path: str, body: Mapping[str, Any] | None, deadline: float) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "rsvlm"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode() if body is not None else None, headers
        )
        try:
            with self._opener.open(request, timeout=max(deadline - time.monotonic(), 0.01)) as response:
                found = json.loads(_read(response, deadline))
        except urllib.error.HTTPError as error:
            self._refused(error)
        except (OSError, http.client.HTTPException) as error:  # URLError is an OSError, and so is a timeout
            reason = getattr(error, "reason", error)
            said = "took too long" if isinstance(reason, TimeoutError) else f"broke off or cannot be reached ({reason})"
            raise _Again(self.plain(f"{self.url} {said}")) from error
        except (ValueError, RecursionError) as error:
            raise _Again(f"{self.url} sent something that is not whole JSON") from error
        if not isinstance(found, dict):
            raise NoReply(f"{self.url} sent a JSON {type(found).__name__}, expected an object")
        return found

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        """A code above 299: another try where that may help, else the server's own words."""
        with error:
            text = f"{self.url} answered {error.code} {error.reason}"
            if error.code in _MENDED or error.code >= 500:
                again = _Again(self.plain(text), error.code)
                again.wait = _seconds(error.headers.get("Retry-After"))
                raise again from error
            try:
                text = f"{text}: {error.read(1000).decode('utf-8', 'replace')}"
            except (OSError, http.client.HTTPException):
                text = f"{text}, and broke off"
        raise NoReply(self.plain(text)[:400], error.code) from error

    def plain(self, text: str) -> str:
        """Somebody else's words on one line, without the key: servers like to quote it."""
        text = text.replace(self._key, "***") if self._key else text
        return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the code itself becomes the error."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read(response: Any, deadline: float) -> bytes:
    """The body. The socket's timeout is per packet, so a server that drips is held to the deadline here."""
    found = bytearray()
    while piece := response.read1(1 << 16):
        found += piece
        if len(found) > _MOST_BYTES:
            raise NoReply(f"{response.url} sent more than {_MOST_BYTES} bytes, which is no reply to a question")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(found)


def _seconds(retry_after: str | None) -> float | None:
    """The wait that a Retry-After header asks for, which is seconds or a date; None where it says neither."""
    try:
        if (retry_after or "").strip().isdecimal():
            return float(str(retry_after))
        return max(email.utils.parsedate_to_datetime(str(retry_after)).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
