"""HTTP connections of which every wait ends at one deadline, or as soon as the request is cancelled.

A socket's own timeout is counted from packet to packet, so a server that sends a byte now and then is waited for
without end, wherever http.client reads: status line, headers, chunk sizes, trailers, `100 Continue`, bodies of errors.
Here each operation of the socket gets what is left of the request's time.
"""

import http.client
import queue
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any

_POLL = 0.2  # seconds after which a look-up of a name is asked whether it still is wanted


class Exchange:
    """One request and its response: the `deadline` (time.monotonic), and at most `idle` seconds for one wait.

    Once the event `cancelled` is set, nothing is begun; `wake` ends what is under way, from any thread.
    """

    def __init__(self, deadline: float, *, idle: float, cancelled: threading.Event) -> None:
        self.deadline, self.idle, self.cancelled = deadline, idle, cancelled
        self._lock, self._socket = threading.Lock(), None

    def wait(self) -> float:
        """Seconds that the next operation may take. Raises TimeoutError past the deadline, OSError where cancelled."""
        if self.cancelled.is_set():
            raise ConnectionAbortedError("cancelled")
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return min(left, self.idle)

    def wake(self) -> None:
        """Whoever waits for the socket wakes up and finds it closed."""
        with self._lock:
            found = self._socket
        if found is not None:
            with suppress(OSError):
                socket.socket.shutdown(found, socket.SHUT_RDWR)

    def adopt(self, found: Any) -> None:
        """Take `found` as the socket of this exchange."""
        found.exchange = self
        with self._lock:
            self._socket = found
        self.wait()

    def connect(self, address: tuple[str, int], *_: Any) -> socket.socket:
        """As socket.create_connection: the first of a host's addresses that answers, each with its share of time."""
        found, last = self._look_up(*address), OSError("the name has no address")
        for number, (family, kind, protocol, _name, where) in enumerate(found):
            one = _Socket(family, kind, protocol)
            try:
                self.adopt(one)
                one.settimeout(self.wait() / (len(found) - number))
                one.connect(where)
                return one
            except OSError as error:
                last = error
                one.close()
        raise last

    def _look_up(self, host: str, port: int) -> list[Any]:
        """The addresses of a host. A name server that does not answer is left to itself: nothing can interrupt it."""
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
            except (OSError, UnicodeError) as error:
                answers.put(OSError(str(error)))

        threading.Thread(target=ask, name="look-up", daemon=True).start()
        while True:
            with suppress(queue.Empty):
                found = answers.get(timeout=min(self.wait(), _POLL))
                break
        if isinstance(found, OSError):
            raise found
        return found


class _Waits:
    """What a socket does under the eye of its exchange; for all that http.client and ssl ask of one."""

    exchange: Exchange | None = None

    def _arm(self) -> None:
        if self.exchange:
            owner: Any = self
            owner.settimeout(self.exchange.wait())

    def recv_into(self, *args: Any, **more: Any) -> int:
        """Receive into a buffer."""
        self._arm()
        owner: Any = super()
        return owner.recv_into(*args, **more)

    def recv(self, *args: Any, **more: Any) -> bytes:
        """Receive bytes."""
        self._arm()
        owner: Any = super()
        return owner.recv(*args, **more)

    def send(self, *args: Any, **more: Any) -> int:
        """Send some of the bytes."""
        self._arm()
        owner: Any = super()
        return owner.send(*args, **more)

    def sendall(self, *args: Any, **more: Any) -> None:
        """Send all of the bytes, which for a plain socket counts as one wait."""
        self._arm()
        owner: Any = super()
        owner.sendall(*args, **more)

    def do_handshake(self, *args: Any, **more: Any) -> None:
        """Shake hands (TLS)."""
        self._arm()
        owner: Any = super()
        owner.do_handshake(*args, **more)


class _Socket(_Waits, socket.socket):
    pass


class _TLSSocket(_Waits, ssl.SSLSocket):
    pass


@cache
def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = _TLSSocket
    return context


class _HTTP(http.client.HTTPConnection):
    def __init__(self, *args: Any, exchange: Exchange, **more: Any) -> None:
        super().__init__(*args, **more)
        self.exchange, self._create_connection = exchange, exchange.connect


class _HTTPS(http.client.HTTPSConnection):
    def __init__(self, *args: Any, exchange: Exchange, **more: Any) -> None:
        super().__init__(*args, **more, context=_tls())
        self.exchange, self._create_connection = exchange, exchange.connect

    def connect(self) -> None:
        """Connect, through a proxy's tunnel where there is one, and shake hands."""
        http.client.HTTPConnection.connect(self)
        host = getattr(self, "_tunnel_host", None) or self.host
        self.sock: Any = _tls().wrap_socket(self.sock, server_hostname=host, do_handshake_on_connect=False)
        self.exchange.adopt(self.sock)
        self.sock.do_handshake()


class HTTPHandler(urllib.request.HTTPHandler):
    """Opens http: over the connection of the request's `exchange`."""

    def http_open(self, req: Any) -> Any:
        """The response."""
        return self.do_open(_kind(_HTTP, req), req)


class HTTPSHandler(urllib.request.HTTPSHandler):
    """Opens https: over the connection of the request's `exchange`."""

    def https_open(self, req: Any) -> Any:
        """The response."""
        return self.do_open(_kind(_HTTPS, req), req)


def _kind(connection: Callable[..., Any], req: Any) -> Any:
    return partial(connection, exchange=req.exchange)
