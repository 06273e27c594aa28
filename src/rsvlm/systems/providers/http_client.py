"""A JSON client over HTTP with timeouts, size limits, retries and a circuit breaker."""

import http.client
import json
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from rsvlm.systems.providers.deadline import Deadline
from rsvlm.systems.providers.http_body import RequestFailed, as_object, read_events, read_whole
from rsvlm.systems.providers.retry import CircuitBreaker, RetryPolicy, retry_after_seconds

T = TypeVar("T")

LOCAL = ("localhost", "127.0.0.1", "::1")  # this machine
_RETRYABLE = {408, 409, 425, 429}  # statuses that are tried again, besides every 5xx


class _Retryable(RequestFailed):
    """A failure that is tried again, after `wait` seconds where the server sent Retry-After."""

    wait: float | None = None


class HttpClient:
    """Requests to one server with the base URL `url`; safe to use from several threads.

    `key` goes along as a bearer token and is kept out of every error. Redirects are refused: a picture and a key go to
    the host that was named. Proxies of the environment are used, but not for this machine.
    """

    def __init__(self, url: str, *, key: str, retry: RetryPolicy) -> None:
        self.url, self.retry, self._key, self._stop = url, retry, key, threading.Event()
        self._breaker = CircuitBreaker(retry)
        self._proxies = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOCAL else []
        self._context = ssl.create_default_context() if url.startswith("https:") else None
        self._under_way: set[Deadline] = set()

    def cancel_waits(self) -> None:
        """Let requests that wait for their next attempt fail now; later requests are retried as always."""
        stop, self._stop = self._stop, threading.Event()
        stop.set()

    def cancel(self) -> None:
        """As `cancel_waits`, and requests under way fail, too."""
        self.cancel_waits()
        for deadline in [*self._under_way]:
            deadline.end()

    def request(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that the server gives for a GET, or for a POST of `body`. Raises RequestFailed."""

        def send(deadline: float) -> Any:
            with self._open(path, body, deadline) as response:
                return json.loads(read_whole(response, deadline))

        return self._redacted_object(self._with_circuit_breaker(send))

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The JSON objects that the server sends for a POST of `body`, as they come. Raises RequestFailed.

        It is retried like `request` until the first object has come, and not after that: what was yielded stays.
        """

        def events(deadline: float) -> Iterator[Any]:
            with self._open(path, body, deadline) as response:
                yield from read_events(response, deadline)

        def send(deadline: float) -> tuple[Any, Iterator[Any]]:
            found = events(time.monotonic() + self.retry.total_timeout)
            return next(found, {}), found

        first, others = self._with_circuit_breaker(send)
        return (self._redacted_object(event) for event in chain([first], others))

    def _with_circuit_breaker(self, send: Callable[[float], T]) -> T:
        """What `send(deadline)` gives, with retries; RequestFailed at once while the circuit breaker is open."""
        if why := self._breaker.refusal():
            raise RequestFailed(why)
        try:
            found = self._with_retry(send)
        except RequestFailed as error:
            if error.status:
                self._breaker.record_success()
            elif self._breaker.record_failure(str(error)):
                self.cancel_waits()
            raise
        self._breaker.record_success()
        return found

    def _with_retry(self, send: Callable[[float], T]) -> T:
        stop, policy, deadline = self._stop, self.retry, time.monotonic() + self.retry.total_timeout
        for attempt in range(1, policy.max_attempts + 1):
            try:
                return send(min(time.monotonic() + policy.timeout, deadline))
            except _Retryable as error:
                ceiling = min(policy.max_backoff, policy.backoff * 2 ** (attempt - 1))
                wait = random.uniform(0, ceiling) if error.wait is None else error.wait
                if attempt == policy.max_attempts or time.monotonic() + wait > deadline or stop.wait(wait):
                    raise RequestFailed(f"{error} (tries: {attempt})", error.status) from error
        raise ValueError(f"{policy.max_attempts} tries")

    @contextmanager
    def _open(self, path: str, body: Mapping[str, Any] | None, deadline: float) -> Iterator[Any]:
        """The response to one attempt; whatever goes wrong until it is read is a RequestFailed."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "rsvlm"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode() if body is not None else None, headers
        )
        wait = max(deadline - time.monotonic(), 0.01)
        with Deadline(wait) as limit:
            self._under_way.add(limit)
            opener = urllib.request.build_opener(_NoRedirects, *self._proxies, *limit.handlers(self._context))
            try:
                with opener.open(request, timeout=min(wait, self.retry.timeout)) as response:
                    yield response
            except urllib.error.HTTPError as error:
                self._raise_status(error)
            except (OSError, EOFError, http.client.HTTPException) as error:  # URLError is an OSError, as a timeout is
                reason = getattr(error, "reason", error)
                late = limit.passed or isinstance(reason, TimeoutError)
                said = "took too long" if late else f"broke off or cannot be reached ({reason})"
                raise _Retryable(self.redacted(f"{self.url} {said}")) from error
            except (ValueError, RecursionError) as error:
                if limit.passed:
                    raise _Retryable(self.redacted(f"{self.url} took too long")) from error
                raise _Retryable(f"{self.url} sent something that is not whole JSON", 200) from error
            finally:
                self._under_way.discard(limit)

    def _raise_status(self, error: urllib.error.HTTPError) -> NoReturn:
        """Raise the failure of a status above 299: retryable or not, with the start of the server's message."""
        with error:
            text = f"{self.url} answered {error.code} {error.reason}"
            if error.code in _RETRYABLE or error.code >= 500:
                again = _Retryable(self.redacted(text), error.code)
                again.wait = retry_after_seconds(error.headers.get("Retry-After"))
                raise again from error
            try:
                text = f"{text}: {error.read(1000).decode('utf-8', 'replace')}"
            except (OSError, http.client.HTTPException):
                text = f"{text}, and broke off"
        raise RequestFailed(self.redacted(text)[:400], error.code) from error

    def _redacted_object(self, found: Any) -> dict[str, Any]:
        """What a server sent, where it is an object, without the API key in any of its texts."""
        return as_object(self.url, self._without_key(found))

    def _without_key(self, value: Any) -> Any:
        if not self._key:
            return value
        if isinstance(value, str):
            return value.replace(self._key, "***")
        if isinstance(value, dict):
            return {self._without_key(name): self._without_key(inner) for name, inner in value.items()}
        return [self._without_key(inner) for inner in value] if isinstance(value, list) else value

    def whole_texts(self, grown: Iterable[tuple[str, float]]) -> Iterator[tuple[str, float]]:
        """Texts that grow piece by piece, without a key that came in several pieces: what may be its start waits."""
        key, last = self._key, None
        for text, confidence in grown:
            last = text.replace(key, "***") if key else text, confidence
            begun = next((n for n in range(len(key) - 1, 3, -1) if last[0].endswith(key[:n])), 0)
            yield last[0][: len(last[0]) - begun], confidence
        if last is not None:
            yield last

    def redacted(self, text: str) -> str:
        """A server's message on one line, without the API key, which servers like to quote."""
        text = text.replace(self._key, "***") if self._key else text
        return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the code itself becomes the error."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None
