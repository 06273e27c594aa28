"""A deadline on the sockets of a request: the timeout of urllib is for each packet, which slow servers never meet."""

import contextlib
import http.client
import socket
import threading
import urllib.request
from functools import partial
from typing import Any


class Deadline:
    """Shuts the sockets of one attempt after some seconds, or when `end` is called; whoever reads them then stops."""

    def __init__(self, seconds: float) -> None:
        self.passed, self._sockets, self._lock = False, list[socket.socket](), threading.Lock()
        self._timer = threading.Timer(max(seconds, 0.0), self.end)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def add(self, connected: socket.socket) -> None:
        """A socket that the deadline is for; shut at once where it has passed."""
        with self._lock:
            self._sockets.append(connected)
            passed = self.passed
        if passed:
            _shut(connected)

    def end(self) -> None:
        """The deadline has come."""
        with self._lock:
            self.passed, sockets = True, [*self._sockets]
        for one in sockets:
            _shut(one)

    def handlers(self, context: Any) -> list[urllib.request.BaseHandler]:
        """Handlers of urllib whose connections are under this deadline; `context` is for TLS."""
        return [_Http(self), _Https(self, context)]


def _shut(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed already
        connected.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    def __init__(self, deadline: Deadline, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.deadline = deadline

    def connect(self) -> None:
        super().connect()
        self.deadline.add(self.sock)


class _TlsConnection(http.client.HTTPSConnection):
    def __init__(self, deadline: Deadline, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.deadline = deadline

    def connect(self) -> None:
        super().connect()
        self.deadline.add(self.sock)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self.deadline = deadline

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_Connection, self.deadline), req)  # pyright: ignore[reportArgumentType]


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, deadline: Deadline, context: Any) -> None:
        super().__init__(context=context)
        self.deadline, self.context = deadline, context

    def https_open(self, req: urllib.request.Request) -> Any:
        connection: Any = partial(_TlsConnection, self.deadline)
        return self.do_open(connection, req, context=self.context)
