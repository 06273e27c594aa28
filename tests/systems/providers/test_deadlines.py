"""Servers that never come to an end, keys that are echoed, and requests that are given up by Ctrl-C."""

import contextlib
import json
import socket
import threading
import time

import pytest

from fake.endpoint import KEY, PICTURE, FakeEndpoint, ask, events, reply
from rsvlm.errors import BadInput
from rsvlm.systems.providers.chat_completions import accumulate, confidence
from rsvlm.systems.providers.http_body import RequestFailed
from rsvlm.systems.providers.http_client import HttpClient
from rsvlm.systems.providers.openai import OpenAIModel
from rsvlm.systems.providers.retry import RetryPolicy

SHORT = RetryPolicy(timeout=0.3, max_attempts=1, total_timeout=0.3)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@contextlib.contextmanager
def dripping(start, drop, every=0.02):
    """A server that sends `start` and then `drop` again and again; the base URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=drip, args=(connection,), daemon=True).start()

    def drip(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(start)
            while not ended.wait(every):
                connection.sendall(drop)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    finally:
        ended.set()
        listening.close()


DRIPS = {
    "status line": (b"HTTP/1.1 2", b" "),
    "headers": (HEAD, b"X-A: 1\r\n"),
    "one header": (HEAD + b"X-A: ", b"a"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n", b"X-A: 1\r\n"),
    "error body": (b"HTTP/1.1 404 Not Found\r\nContent-Length: 100000\r\n\r\n", b"n"),
}


@pytest.mark.parametrize("kind", DRIPS)
def test_a_request_ends_at_its_deadline_whatever_drips(kind):
    with dripping(*DRIPS[kind]) as url:
        start = time.monotonic()
        with pytest.raises(RequestFailed, match=r"took too long|broke off|answered 404|expected an object"):
            HttpClient(url, key="", retry=SHORT).request("/models")
        assert time.monotonic() - start < 10, "0.3 s were allowed"


@pytest.mark.parametrize("drop", [b": still here\n", b"data: {", b"x", b"\n"])
def test_a_stream_ends_at_its_deadline(drop):
    with dripping(SSE, drop) as url:
        start = time.monotonic()
        with pytest.raises(RequestFailed, match=r"took too long|not whole JSON"):
            list(HttpClient(url, key="", retry=SHORT).stream("/chat/completions", {}))
        assert time.monotonic() - start < 10


def test_requests_under_way_are_given_up():
    retry = RetryPolicy(timeout=60, max_attempts=3, total_timeout=120)
    with dripping(*DRIPS["body"]) as url:
        client, failed = HttpClient(url, key="", retry=retry), []

        def asks():
            try:
                client.request("/models")
            except RequestFailed as error:
                failed.append(str(error))

        threads = [threading.Thread(target=asks) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        start = time.monotonic()
        client.cancel()
        for thread in threads:
            thread.join(timeout=10)
        assert len(failed) == 3 and time.monotonic() - start < 10


def test_a_deadline_leaves_quick_requests_alone():
    with FakeEndpoint() as server:
        before = threading.active_count()
        assert [one.text for one in ask(server, ["Where?", "How?"])] == ["Where?", "How?"]
        time.sleep(0.1)
        assert threading.active_count() <= before, "no timer stays behind"


# ---- the key ----


@pytest.fixture
def keyed(monkeypatch):
    monkeypatch.setenv("RSVLM_API_KEY", KEY)


def test_a_key_that_a_server_echoes_reaches_no_answer_and_no_trace(keyed):
    with FakeEndpoint(
        says=lambda body: f"Your header is Bearer {KEY}.",
        models=({"id": "tiny", "owned_by": KEY, "root": f"/m/{KEY}"},),
    ) as server:
        model = OpenAIModel(server.name)
        (answer,) = model.answer([PICTURE], ["Where?"])
        assert answer.text == "Your header is Bearer ***." and KEY not in json.dumps(model.trace)
        assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"


def test_a_key_in_several_pieces_of_a_stream_is_not_shown_either(keyed):
    pieces = ["It is ", KEY[:7], KEY[7:11], KEY[11:], " and so on, sk", "ill."]
    with FakeEndpoint([events(*pieces)]) as server:
        streaming = OpenAIModel(server.name).stream(PICTURE, "Where?")
        shown = []
        try:
            while True:
                shown.append(next(streaming))
        except StopIteration as end:
            whole = end.value
    assert "".join(shown) == whole.text == "It is *** and so on, skill." and KEY[:7] not in "".join(shown)


def test_a_key_in_an_error_is_not_shown(keyed):
    wrong = {"error": {"message": f"bad key {KEY}"}}
    with FakeEndpoint([wrong]) as server, pytest.raises(BadInput) as caught:
        ask(server)
    assert KEY not in str(caught.value) and "bad key ***" in str(caught.value)


# ---- confidence of a stream ----


@pytest.mark.parametrize("logs", [[-0.1, None], [-0.1, "x"], [float("nan")], []])
def test_confidence_in_pieces_is_that_of_the_whole(logs):
    found = [{"choices": [{"delta": {"content": "a"}, "logprobs": {"content": [{"logprob": one}]}}]} for one in logs]
    *_, (_, sure) = accumulate([*found, {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]}])
    assert sure == confidence([{"logprob": one} for one in logs]) if logs else sure == 0
    assert reply("x")["choices"][0]["message"]["content"] == "x"
