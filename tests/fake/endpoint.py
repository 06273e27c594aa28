"""An OpenAI-compatible server in a thread that does what the tests tell it to, faults included."""

import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from rsvlm.systems.providers.openai import OpenAIModel
from rsvlm.systems.providers.retry import RetryPolicy

KEY = "sk-secret-0123456789"
QUICK = RetryPolicy(timeout=0.4, max_attempts=4, total_timeout=5.0, backoff=0.001, max_backoff=0.002)
PICTURE = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)


def ask(server, questions=("Where?",), **more):
    """What a model behind a server answers to questions about `PICTURE`, with short timeouts and few retries."""
    model = OpenAIModel(server.name, **{"retry": QUICK, **more})
    return model.answer([PICTURE] * len(questions), list(questions))


def reply(text, logprobs=(-0.1, -0.3)):
    """A chat completion with one choice; `logprobs` None leaves the probabilities out."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if logprobs is not None:
        choice["logprobs"] = {"content": [{"token": "x", "logprob": one} for one in logprobs]}
    return {"object": "chat.completion", "choices": [choice]}


def events(*pieces, end="stop"):
    """A reply as server-sent events. `end` None leaves out its end, "cut" closes the line in the middle.

    `raw` bytes may be added, which then come before the end, and a `pause` of seconds.
    """
    return {"events": pieces, "end": end}


class FakeEndpoint:
    """`script` holds what the next chat requests meet, in order; then every one is answered.

    A step is a name of `FAULTS` or the JSON to send. `says` makes the text of an answer from the request. `seen` lists
    the requests (their bodies), `headers` their headers, `most` is how many were under way at once, `hold` how long
    each takes. `models` is what /models says: entries, or a status code.
    """

    def __init__(self, script=(), *, says=None, models=({"id": "tiny", "owned_by": "test"},), hold=0.0):
        self.script, self.models, self.hold = list(script), models, hold
        self.says = says or (lambda body: body["messages"][0]["content"][-1]["text"])
        self.seen, self.headers, self.most, self._now = [], [], 0, 0
        self._lock = threading.Lock()

    def __enter__(self):
        fake = self

        class Handler(_Handler):
            owner = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self.name = f"openai:{self.url}#tiny"
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """No longer there: connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def enter(self, body, headers):
        with self._lock:
            self.seen.append(body)
            self.headers.append(dict(headers))
            self._now += 1
            self.most = max(self.most, self._now)
            return self.script.pop(0) if self.script else reply(self.says(body))

    def leave(self):
        with self._lock:
            self._now -= 1


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        models = self.owner.models
        if isinstance(models, int):
            self.send(b"no", status=models)
        else:
            self.send(json.dumps({"object": "list", "data": list(models)}).encode())

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        step = self.owner.enter(body, self.headers)
        try:
            time.sleep(self.owner.hold)
            self.owner.leave()  # before the reply: whoever gets it may ask again at once
            if isinstance(step, dict) and "events" in step:
                self.send_events(**step)
            elif isinstance(step, dict):
                self.send(json.dumps(step).encode())
            else:
                FAULTS[step](self, body)
        except (BrokenPipeError, ConnectionResetError):  # whoever asked has gone
            pass

    def send(self, data, *, status=200, kind="application/json", length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length != -1:  # which ends where the line does
            self.send_header("Content-Length", str(len(data) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def send_events(self, events, end, raw=b"", pause=0.0):
        self.send(b": comment\n\n", kind="text/event-stream; charset=utf-8", length=1 << 30 if end == "cut" else -1)
        for piece in events:
            logprobs = {"content": [{"token": "x", "logprob": one} for one in (-0.1, -0.3)]}
            self.event({"choices": [{"delta": {"content": piece}, "logprobs": logprobs, "finish_reason": None}]})
        time.sleep(pause)
        self.wfile.write(raw)
        if end == "stop":
            self.event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        if end != "cut":
            self.wfile.write(b"data: [DONE]\n\n")

    def event(self, found):
        self.wfile.write(f"data: {json.dumps(found)}\n\n".encode())
        self.wfile.flush()

    def error(self, status, text, **headers):
        self.send(json.dumps({"error": {"message": text}}).encode(), status=status, **headers)

    def drip(self, _):
        """A byte now and then, for ever."""
        self.trickle(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", b" ")

    def trickle(self, start, piece, pause=0.02):
        """`start` at once, then `piece` now and then, for ever."""
        self.wfile.write(start)
        while True:
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(pause)

    def without(self, body, setting):
        """Refuses a setting that it does not know, as newer servers do."""
        if setting in body:
            self.error(400, f"Unsupported parameter: '{setting}' is not supported with this model.")
        else:
            self.send(json.dumps(reply(self.owner.says(body), None)).encode())


_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
_WHOLE = json.dumps(reply("never whole")).encode()
# Servers that never come to an end, each in another place of a response: what comes at once, and again and again.
ENDLESS = {
    "status line": (b"HTTP/1.1 200 O", b"K"),
    "header": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"y"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue with headers": (b"HTTP/1.1 100 Continue\r\n", b"X-Y: z\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n", b" "),
    "body without a length": (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "chunk size": (_CHUNKED, b"0"),
    "chunk extension": (_CHUNKED + b"2;", b"x"),
    "chunks": (_CHUNKED, b"1\r\n \r\n"),
    "trailer": (_CHUNKED + b"%x\r\n%s\r\n0\r\nX-Long: " % (len(_WHOLE), _WHOLE), b"y"),
    "trailers": (_CHUNKED + b"%x\r\n%s\r\n0\r\n" % (len(_WHOLE), _WHOLE), b"X-Y: z\r\n"),
    "body of a 400": (b"HTTP/1.1 400 Bad\r\nContent-Length: 900\r\n\r\n", b"y"),
    "headers of a 500": (b"HTTP/1.1 500 Bad\r\n", b"X-Y: z\r\n"),
    "event": (_EVENTS + b"data: ", b"y"),
    "comments": (_EVENTS, b": wait\n\n"),
    "blank lines": (_EVENTS, b"\n"),
    "empty events": (_EVENTS, b'data: {"choices": []}\n\n'),
}
FAULTS = {
    "500": lambda self, _: self.error(500, "broken"),
    "503": lambda self, _: self.error(503, "busy"),
    "429": lambda self, _: self.error(429, "slow down", Retry_After="0"),
    "429 for a second": lambda self, _: self.error(429, "slow down", Retry_After="1"),
    "429 until a date": lambda self, _: self.error(429, "slow down", Retry_After=formatdate(time.time(), usegmt=True)),
    "429 for an hour": lambda self, _: self.error(429, "slow down", Retry_After="3600"),
    "400": lambda self, _: self.error(400, "the picture is too large"),
    "401": lambda self, _: self.error(401, f"Incorrect API key provided: {KEY}"),
    "404": lambda self, _: self.error(404, "no such model"),
    "no logprobs": lambda self, body: self.without(body, "logprobs"),
    "no max_tokens": lambda self, body: self.without(body, "max_tokens"),
    "half": lambda self, _: self.send(_WHOLE[: len(_WHOLE) // 2]),
    "cut": lambda self, _: self.send(_WHOLE[: len(_WHOLE) // 2], length=len(_WHOLE)),
    "html": lambda self, _: self.send(b"<html>Bad gateway</html>", kind="text/html"),
    "nested": lambda self, _: self.send(b"[" * 200_000),
    "list": lambda self, _: self.send(b"[1]"),
    "hang up": lambda self, _: None,
    "redirect": lambda self, _: self.send(b"", status=302, Location="http://127.0.0.1:9/v1/chat/completions"),
    "slow": lambda self, _: (time.sleep(1.0), self.send(_WHOLE)),
    "drip": _Handler.drip,
    "big": lambda self, _: self.send(b'{"x": "' + b"y" * (5 << 20) + b'"}'),
    "slow for ever": lambda self, _: time.sleep(20),
    **{f"endless {name}": lambda self, _, parts=parts: self.trickle(*parts) for name, parts in ENDLESS.items()},
    **{f"flood of {name}": lambda self, _, parts=parts: self.trickle(parts[0], parts[1] * 999, 0)
       for name, parts in ENDLESS.items()},
}  # fmt: skip
