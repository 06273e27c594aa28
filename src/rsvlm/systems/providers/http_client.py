"""A JSON client over HTTP with one deadline a request, size limits, retries and a circuit breaker."""

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

from rsvlm.json_text import load_json
from rsvlm.systems.providers.deadline import Exchange, HTTPHandler, HTTPSHandler
from rsvlm.systems.providers.http_body import RequestFailed, as_object, read_events, read_whole
from rsvlm.systems.providers.redact import Redactor
from rsvlm.systems.providers.retry import CircuitBreaker, RetryPolicy, retry_after_seconds

T = TypeVar("T")
Send = Callable[[Exchange, float], T]  # what one attempt gives; the time is the deadline of all attempts together

LOCAL = ("localhost", "127.0.0.1", "::1")  # this machine
_SAID = 2000  # bytes of what comes with an error that are read
_RETRYABLE = {408, 409, 425, 429}  # statuses that are tried again, besides every 5xx


class _Retryable(RequestFailed):
    """A failure that is tried again, after `wait` seconds where the server sent Retry-After."""

    wait: float | None = None


class _Cancelled(RequestFailed):
    """A request that was given up here, which says nothing of the server."""


class HttpClient:
    """Requests to one server with the base URL `url`; safe to use from several threads.

    `key` goes along as a bearer token, and `redact` takes it out of all that the server says. Redirects are refused: a
    picture and a key go to the host that was named. Proxies of the environment are used, but not for this machine.
    """

    def __init__(self, url: str, *, key: str, retry: RetryPolicy) -> None:
        self.url, self.retry, self._key, self.redact = url, retry, key, Redactor(key)
        self._stop, self._cancelled, self._under_way = threading.Event(), threading.Event(), set[Exchange]()
        self._lock, self._breaker = threading.Lock(), CircuitBreaker(retry)
        proxies = [urllib.request.ProxyHandler({})] if urlsplit(url).hostname in LOCAL else []
        self._opener = urllib.request.build_opener(_NoRedirects, HTTPHandler, HTTPSHandler, *proxies)

    def cancel_waits(self) -> None:
        """Let requests that wait for their next attempt fail now; later requests are retried as always."""
        stop, self._stop = self._stop, threading.Event()
        stop.set()

    def cancel(self) -> None:
        """Let all requests fail now, those under way, too; later ones are sent as always."""
        with self._lock:
            cancelled, self._cancelled = self._cancelled, threading.Event()
            cancelled.set()
            for exchange in self._under_way:
                exchange.wake()
        self.cancel_waits()

    def request(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that the server gives for a GET, or for a POST of `body`. Raises RequestFailed."""

        def send(exchange: Exchange, _: float) -> Any:
            with self._open(path, body, exchange) as response:
                return self.redact.value(load_json(read_whole(response)))

        return as_object(self.url, self._with_circuit_breaker(send))

    def stream(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The JSON objects that the server sends for a POST of `body`, as they come. Raises RequestFailed.

        It is retried like `request` until the first object has come, and not after that: what was yielded stays. From
        then on the stream may take what is left of `RetryPolicy.total_timeout`.
        """

        def events(exchange: Exchange) -> Iterator[Any]:
            with self._open(path, body, exchange) as response:
                for event in read_events(response):
                    yield self.redact.value(event, part=False)  # a key may come in pieces

        def send(exchange: Exchange, deadline: float) -> tuple[Any, Iterator[Any]]:
            found = events(exchange)
            first = next(found, {})
            exchange.deadline = deadline
            return first, found

        first, others = self._with_circuit_breaker(send)
        return (as_object(self.url, event) for event in chain([first], others))

    def _with_circuit_breaker(self, send: Send[T]) -> T:
        """What `send` gives, with retries; RequestFailed at once while the circuit breaker is open."""
        if why := self._breaker.refusal():
            raise RequestFailed(why)
        try:
            found = self._with_retry(send)
        except _Cancelled:
            raise
        except RequestFailed as error:
            if error.status:
                self._breaker.record_success()
            elif self._breaker.record_failure(str(error)):
                self.cancel_waits()
            raise
        self._breaker.record_success()
        return found

    def _with_retry(self, send: Send[T]) -> T:
        stop, cancelled, policy = self._stop, self._cancelled, self.retry
        deadline = time.monotonic() + policy.total_timeout
        for attempt in range(1, policy.max_attempts + 1):
            try:
                until = min(time.monotonic() + policy.timeout, deadline)
                return send(Exchange(until, idle=policy.timeout, cancelled=cancelled), deadline)
            except _Retryable as error:
                if cancelled.is_set():
                    raise _Cancelled(f"{self.url}: the request was cancelled") from None
                ceiling = min(policy.max_backoff, policy.backoff * 2 ** (attempt - 1))
                wait = random.uniform(0, ceiling) if error.wait is None else error.wait
                if attempt == policy.max_attempts or time.monotonic() + wait > deadline or stop.wait(wait):
                    raise RequestFailed(f"{error} (tries: {attempt})", error.status) from None
        raise ValueError(f"{policy.max_attempts} tries")

    @contextmanager
    def _open(self, path: str, body: Mapping[str, Any] | None, exchange: Exchange) -> Iterator[Any]:
        """The response to one attempt; whatever goes wrong until it is read is a RequestFailed.

        None of them has a cause: those of http.client quote the server.
        """
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "rsvlm"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = json.dumps(body).encode() if body is not None else None
        request: Any = urllib.request.Request(self.url + path, data, headers)
        request.exchange = exchange
        with self._lock:
            self._under_way.add(exchange)
        try:
            with self._opener.open(request, timeout=exchange.idle) as response:
                yield response
        except urllib.error.HTTPError as error:
            self._raise_status(error)
        except (OSError, EOFError, http.client.HTTPException) as error:  # URLError is an OSError, and so is a timeout
            reason = getattr(error, "reason", error)
            said = "took too long" if isinstance(reason, TimeoutError) else f"broke off or cannot be reached ({reason})"
            raise _Retryable(self.redact.line(f"{self.url} {said}")[:400]) from None
        except (ValueError, RecursionError):
            raise _Retryable(f"{self.url} sent something that is not whole JSON", 200) from None
        finally:
            with self._lock:
                self._under_way.discard(exchange)

    def _raise_status(self, error: urllib.error.HTTPError) -> NoReturn:
        """Raise the failure of a status above 299: retryable or not, with the start of the server's message."""
        with error:
            text = f"{self.url} answered {error.code} {error.reason}"
            if error.code in _RETRYABLE or error.code >= 500:
                again = _Retryable(self.redact.line(text)[:400], error.code)
                again.wait = retry_after_seconds(error.headers.get("Retry-After"))
                raise again from None
            try:
                raw = error.read(_SAID)
                said = raw.decode("utf-8", "replace")
                text = f"{text}: {self.redact.growing(said)[0] if len(raw) == _SAID else said}"
            except (OSError, http.client.HTTPException):
                text = f"{text}, and broke off"
        raise RequestFailed(self.redact.line(text)[:400], error.code) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the code itself becomes the error."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None
