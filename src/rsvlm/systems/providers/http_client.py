"""JSON over HTTP with a server that may be slow, busy, broken or hostile: limits on everything, and patient retries."""

import http.client
import json
import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from rsvlm.systems.providers.http_body import NoReply, as_object, read_events, read_whole
from rsvlm.systems.providers.retry import Breaker, Patience, seconds_asked

T = TypeVar("T")

LOCAL = ("localhost", "127.0.0.1", "::1")  # this machine
_MENDED = {408, 409, 425, 429}  # codes that another try may mend, besides every 5xx


class _Again(NoReply):
    """As NoReply, but another try may help, after `wait` seconds where the server says so."""

    wait: float | None = None


class Wire:
    """Requests to one server with the base URL `url`; safe to use from several threads.

    `key` goes along as a bearer token and is kept out of every error. Redirects are refused: a picture and a key go to
    the host that was named. Proxies of the environment are used, but not for this machine.
    """

    def __init__(self, url: str, *, key: str, patience: Patience) -> None:
        self.url, self.patience, self._key, self._stop = url, patience, key, threading.Event()
        self._breaker = Breaker(patience)
        proxies = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOCAL else []
        self._opener = urllib.request.build_opener(_Stay, *proxies)

    def hurry(self) -> None:
        """Requests that wait for their next try fail now; later ones are as patient as ever."""
        stop, self._stop = self._stop, threading.Event()
        stop.set()

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that the server gives for a GET, or for a POST of `body`. Raises NoReply."""

        def once(deadline: float) -> Any:
            with self._open(path, body, deadline) as response:
                return json.loads(read_whole(response, deadline))

        return as_object(self.url, self._patiently(once))

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The JSON objects that the server sends for a POST of `body`, as they come. Raises NoReply.

        Until the first is there it is tried again like `ask`; what was told cannot be taken back, so not after that.
        """

        def events(deadline: float) -> Iterator[Any]:
            with self._open(path, body, deadline) as response:
                yield from read_events(response, deadline)

        def once(deadline: float) -> tuple[Any, Iterator[Any]]:
            found = events(time.monotonic() + self.patience.total)
            return next(found, {}), found

        first, others = self._patiently(once)
        return (as_object(self.url, event) for event in chain([first], others))

    def _patiently(self, once: Callable[[float], T]) -> T:
        """What `once` gives, tried again where that may help; not sent where nobody was there lately (`Patience`)."""
        if why := self._breaker.gone():
            raise NoReply(why)
        try:
            found = self._tried(once)
        except NoReply as error:
            if error.status:
                self._breaker.answered()
            elif self._breaker.lost(str(error)):
                self.hurry()
            raise
        self._breaker.answered()
        return found

    def _tried(self, once: Callable[[float], T]) -> T:
        stop, own, deadline = self._stop, self.patience, time.monotonic() + self.patience.total
        for tried in range(1, own.tries + 1):
            try:
                return once(min(time.monotonic() + own.timeout, deadline))
            except _Again as error:
                longest = min(own.longest, own.pause * 2 ** (tried - 1))
                wait = random.uniform(0, longest) if error.wait is None else error.wait
                if tried == own.tries or time.monotonic() + wait > deadline or stop.wait(wait):
                    raise NoReply(f"{error} (tries: {tried})", error.status) from error
        raise ValueError(f"{own.tries} tries")

    @contextmanager
    def _open(self, path: str, body: Mapping[str, Any] | None, deadline: float) -> Iterator[Any]:
        """The response to one request; whatever goes wrong until it is read is a NoReply."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "rsvlm"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode() if body is not None else None, headers
        )
        try:
            wait = min(max(deadline - time.monotonic(), 0.01), self.patience.timeout)
            with self._opener.open(request, timeout=wait) as response:
                yield response
        except urllib.error.HTTPError as error:
            self._refused(error)
        except (OSError, EOFError, http.client.HTTPException) as error:  # URLError is an OSError, and so is a timeout
            reason = getattr(error, "reason", error)
            said = "took too long" if isinstance(reason, TimeoutError) else f"broke off or cannot be reached ({reason})"
            raise _Again(self.plain(f"{self.url} {said}")) from error
        except (ValueError, RecursionError) as error:
            raise _Again(f"{self.url} sent something that is not whole JSON", 200) from error

    def _refused(self, error: urllib.error.HTTPError) -> NoReturn:
        """A code above 299: another try where that may help, else the server's own words."""
        with error:
            text = f"{self.url} answered {error.code} {error.reason}"
            if error.code in _MENDED or error.code >= 500:
                again = _Again(self.plain(text), error.code)
                again.wait = seconds_asked(error.headers.get("Retry-After"))
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
