"""How long a server is waited for: the tries of one request, and when a server that nobody answers at is given up."""

import email.utils
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a request is tried: `timeout` seconds for one try, `tries` tries, `total` seconds over all of them.

    Between two tries it waits what the server asks for in Retry-After, else a random part of `pause` * 2^n seconds, at
    most `longest`: random, so that the requests which failed together do not come back together.

    After `give_up` requests in a row that got no HTTP answer in all their tries (refused, broken off, timed out), the
    others fail at once. When `rest` seconds have passed, one is sent again: if it is answered, all is well, else the
    server rests anew.
    """

    timeout: float = 120.0
    tries: int = 6
    total: float = 600.0
    pause: float = 1.0
    longest: float = 30.0
    give_up: int = 3
    rest: float = 30.0


class Breaker:
    """Counts the requests in a row that nobody answered, for several threads; see `Patience`."""

    def __init__(self, patience: Patience) -> None:
        self.patience, self._lock = patience, threading.Lock()
        self._lost, self._why, self._until = 0, "", 0.0

    def gone(self) -> str:
        """Why a request need not be sent now, in words; "" where it should be."""
        with self._lock:
            if self._lost < self.patience.give_up:
                return ""
            if time.monotonic() >= self._until:
                self._rest()  # this one tries, the others wait for what it finds
                return ""
            return f"{self._why}; so did {self.patience.give_up} requests in a row, so this one was not sent"

    def answered(self) -> None:
        """The server is there."""
        with self._lock:
            self._lost = 0

    def lost(self, why: str) -> bool:
        """Nobody answered a request; True where the server is now given up."""
        with self._lock:
            self._lost, self._why = self._lost + 1, why
            if given_up := self._lost >= self.patience.give_up:
                self._rest()
            return given_up

    def _rest(self) -> None:
        self._until = time.monotonic() + self.patience.rest


def seconds_asked(retry_after: str | None) -> float | None:
    """The wait that a Retry-After header asks for, which is seconds or a date; None where it says neither."""
    try:
        if (retry_after or "").strip().isdecimal():
            return float(str(retry_after))
        return max(email.utils.parsedate_to_datetime(str(retry_after)).timestamp() - time.time(), 0.0)
    except (ValueError, OverflowError):
        return None
