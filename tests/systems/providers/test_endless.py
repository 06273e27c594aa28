"""One deadline for a request, whatever a server does with the time, and an end within 2 seconds of Ctrl-C."""

import signal
import socket
import ssl
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from fake.endpoint import ENDLESS, FAULTS, FakeEndpoint, reply
from rsvlm.errors import BadInput
from rsvlm.systems.providers import deadline, http_client
from rsvlm.systems.providers.http_body import RequestFailed
from rsvlm.systems.providers.http_client import HttpClient
from rsvlm.systems.providers.openai import OpenAIModel
from rsvlm.systems.providers.retry import RetryPolicy

ONCE = RetryPolicy(timeout=0.3, max_attempts=1, total_timeout=0.3)
HANGS = 10  # seconds: more than a busy machine takes, less than a request without a deadline
LONG = RetryPolicy(timeout=20.0, max_attempts=3, total_timeout=20.0, backoff=0.001)


@pytest.fixture(scope="module")
def server():
    with FakeEndpoint() as one:
        yield one


def took(act):
    """Seconds that `act` took until it failed, and how."""
    began = time.monotonic()
    with pytest.raises((RequestFailed, BadInput)) as failed:
        act()
    return time.monotonic() - began, str(failed.value)


@pytest.mark.parametrize("fault", [f"{kind} {name}" for name in ENDLESS for kind in ("endless", "flood of")])
def test_a_response_without_end_ends_at_the_deadline(server, fault):
    server.script[:] = [fault, fault]
    client = HttpClient(server.url, key="", retry=ONCE)
    seconds, says = took(lambda: client.request("/chat/completions", {}))
    assert seconds < HANGS, says
    seconds, says = took(lambda: list(client.stream("/chat/completions", {})))
    assert seconds < HANGS and server.url in says


@pytest.mark.parametrize("fault", ["slow for ever", "endless 100 Continue", "endless header"])
def test_all_attempts_share_one_deadline(server, fault):
    server.script[:] = [fault] * 50
    client = HttpClient(server.url, key="", retry=replace(ONCE, max_attempts=50, total_timeout=0.7, backoff=0.001))
    for act in (client.request, lambda *asked: list(client.stream(*asked))):
        seconds, says = took(lambda act=act: act("/chat/completions", {}))
        assert 0.5 < seconds < HANGS and "took too long" in says
    server.script.clear()


def test_a_stream_may_take_longer_than_one_attempt_but_not_than_all(server):
    client = HttpClient(server.url, key="", retry=replace(ONCE, total_timeout=0.8))
    server.script[:] = ["endless empty events"]
    found = client.stream("/chat/completions", {})
    began = time.monotonic()
    with pytest.raises(RequestFailed, match="took too long"):
        list(found)
    assert 0.4 < time.monotonic() - began < HANGS


def test_a_server_that_does_not_read_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        client = HttpClient(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", key="", retry=ONCE)
        seconds, says = took(lambda: client.request("/chat/completions", {"x": "y" * (30 << 20)}))
    assert seconds < HANGS and "took too long" in says


def test_a_server_that_does_not_shake_hands_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as deaf:
        client = HttpClient(f"https://127.0.0.1:{deaf.getsockname()[1]}/v1", key="", retry=ONCE)
        seconds, says = took(lambda: client.request("/models"))
    assert seconds < HANGS and ("took too long" in says or "timed out" in says)


def test_a_name_server_that_is_silent_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(deadline.socket, "getaddrinfo", lambda *_: time.sleep(1.5) or [])
    client = HttpClient("http://nowhere.example/v1", key="", retry=ONCE)
    seconds, says = took(lambda: client.request("/models"))
    assert seconds < HANGS and "took too long" in says


@pytest.mark.parametrize("stream", [False, True])
def test_all_look_ups_of_a_name_lie_within_one_deadline(monkeypatch, stream):
    """By a clock that only the name server moves: it says after a second that it cannot say."""
    now, asked = [100.0], []

    def look_up(*name):
        asked.append(name)
        now[0] += 1.0
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(deadline.socket, "getaddrinfo", look_up)
    for module in (deadline, http_client):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    policy = RetryPolicy(timeout=3.0, max_attempts=100, total_timeout=5.0, backoff=0.0)
    client = HttpClient("http://nowhere.example/v1", key="", retry=policy)
    with pytest.raises(RequestFailed, match=r"Temporary failure|took too long"):
        list(client.stream("/chat/completions", {})) if stream else client.request("/models")
    assert 5 <= len(asked) <= 6 and now[0] <= 106


@pytest.mark.parametrize("stream", [False, True])
def test_silent_name_servers_are_asked_no_longer_than_all_tries_may_take(monkeypatch, stream):
    ends, asked = threading.Event(), []
    monkeypatch.setattr(deadline.socket, "getaddrinfo", lambda *name: asked.append(name) or ends.wait(60) or [])
    policy = replace(ONCE, timeout=0.2, max_attempts=50, total_timeout=0.7, backoff=0.0)
    client = HttpClient("http://nowhere.example/v1", key="", retry=policy)
    act = client.stream if stream else client.request
    seconds, says = took(lambda: list(act("/chat/completions", {})))
    ends.set()
    assert seconds < HANGS and "took too long" in says and len(asked) <= 5


def test_the_sockets_of_tls_are_held_to_the_deadline_too():
    assert issubclass(deadline._tls().sslsocket_class, ssl.SSLSocket)
    exchange = deadline.Exchange(time.monotonic() - 1, idle=9.0, cancelled=threading.Event())
    for kind in (deadline._Socket, deadline._TLSSocket):
        one = kind.__new__(kind)
        one.exchange = exchange
        for act in (lambda one=one: one.recv_into(bytearray(1)), lambda one=one: one.send(b"x"),
                    lambda one=one: one.sendall(b"x"), lambda one=one: one.recv(1)):  # fmt: skip
            with pytest.raises(TimeoutError, match="deadline"):
                act()


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["slow for ever", "endless header", "endless 100 Continue", "flood of trailers",
                                   "endless body of a 400", "endless trailer"])  # fmt: skip
def test_ctrl_c_ends_the_requests_that_are_under_way(fault):
    with FakeEndpoint([reply("fine"), *[fault] * 9]) as server:
        model = OpenAIModel(server.name, retry=LONG, concurrency=3)
        assert model.answer([None], ["a"])[0].text == "fine"

        def interrupt():
            while len(server.seen) < 3:
                time.sleep(0.01)
            time.sleep(0.1)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        threading.Thread(target=interrupt).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            model.answer([None] * 8, ["b"] * 8)
        assert time.monotonic() - began < HANGS
        assert len(server.seen) <= 4, "nothing is sent after Ctrl-C"
        server.script.clear()
        assert model.answer([None], ["c"])[0].text == "c"  # the model goes on to answer


def test_whoever_waits_for_the_next_attempt_or_a_name_is_ended_too(monkeypatch):
    look_up = socket.getaddrinfo
    monkeypatch.setattr(deadline.socket, "getaddrinfo", lambda *asked: time.sleep(3) or look_up(*asked))
    client = HttpClient("http://nowhere.example/v1", key="", retry=LONG)
    threading.Timer(0.2, client.cancel).start()
    seconds, says = took(lambda: client.request("/models"))
    assert seconds < HANGS and "cancelled" in says


def test_every_fault_of_the_list_is_one_of_the_server():
    assert len(ENDLESS) == 18 and all(f"endless {name}" in FAULTS for name in ENDLESS)
