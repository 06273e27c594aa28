"""Retries with exponential backoff, and a circuit breaker for a server that does not respond."""

import email.utils
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long a request is tried, and when a server counts as down.

    One attempt takes at most `timeout` seconds, a request `max_attempts` attempts and `total_timeout` seconds. Between
    two attempts it waits what the server asks for in Retry-After, else a random part of `backoff` * 2^n seconds, at
    most `max_backoff` (random, so that requests which failed together do not come back together).

    After `failure_threshold` requests in a row without any HTTP response (refused, broken off, timed out) the circuit
    breaker opens: the others fail at once. After `cooldown` seconds one is sent again; its response closes the breaker,
    its failure opens it for another `cooldown`.
    """

    timeout: float = 120.0
    max_attempts: int = 6
    total_timeout: float = 600.0
    backoff: float = 1.0
    max_backoff: float = 30.0
    failure_threshold: int = 3
    cooldown: float = 30.0


class CircuitBreaker:
    """Counts requests in a row without a response, across threads; open from `failure_threshold` of them on."""

    def __init__(self, retry: RetryPolicy) -> None:
        self.retry, self._lock = retry, threading.Lock()
        self._failures, self._why, self._open_until = 0, "", 0.0

    def refusal(self) -> str:
        """Why a request is not sent now (the breaker is open), in words; "" where it is to be sent."""
        with self._lock:
            if self._failures < self.retry.failure_threshold:
                return ""
            if time.monotonic() >= self._open_until:
                self._open()  # this one tries, the others wait for what it finds
                return ""
            return f"{self._why}; so did {self.retry.failure_threshold} requests in a row, so this one was not sent"

    def record_success(self) -> None:
        """The server responded: the count starts anew."""
        with self._lock:
            self._failures = 0

    def record_failure(self, why: str) -> bool:
        """A request got no response; True where the breaker is now open."""
        with self._lock:
            self._failures, self._why = self._failures + 1, why
            if opened := self._failures >= self.retry.failure_threshold:
                self._open()
            return opened

    def _open(self) -> None:
        self._open_until = time.monotonic() + self.retry.cooldown


def retry_after_seconds(retry_after: str | None) -> float | None:
    """Seconds to wait by a Retry-After header, which holds seconds or an HTTP date; None where it holds neither."""
    try:
        if (retry_after or "").strip().isdecimal():
            return float(str(retry_after))
        return max(email.utils.parsedate_to_datetime(str(retry_after)).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
