"""A server that nobody answers at is given up, and found again when it is back."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from fake.endpoint import FakeEndpoint, reply
from rsvlm.systems.providers.http_body import RequestFailed
from rsvlm.systems.providers.http_client import HttpClient
from rsvlm.systems.providers.openai import OpenAIModel
from rsvlm.systems.providers.retry import RetryPolicy

GONE = RetryPolicy(
    timeout=0.4, max_attempts=2, total_timeout=5.0, backoff=0.001, max_backoff=0.002, failure_threshold=3, cooldown=0.3
)


def test_after_some_failures_in_a_row_the_rest_are_not_sent():
    assert RetryPolicy().failure_threshold == 3
    with FakeEndpoint(["hang up"] * 99) as server:
        server.script.insert(0, reply("fine"))
        model = OpenAIModel(server.name, retry=GONE, concurrency=1)
        replies = model.answer([None] * 9, ["a"] * 9)
        assert replies[0].text == "fine" and all(one.error for one in replies[1:])
        assert len(server.seen) == 1 + 3 * 2
        assert "(tries: 2)" in replies[3].error and "in a row" not in replies[3].error
        assert {one.error.partition(" (tries: 2); ")[2] for one in replies[4:]} == {
            "so did 3 requests in a row, so this one was not sent"
        }
        assert model.answer([None], ["b"])[0].error == replies[-1].error and len(server.seen) == 7


def test_a_server_that_comes_back_is_found_after_a_pause():
    with FakeEndpoint([reply("fine"), *["hang up"] * 8]) as server:
        model = OpenAIModel(server.name, retry=GONE, concurrency=1)
        model.answer([None] * 5, ["a"] * 5)
        assert len(server.seen) == 7
        time.sleep(0.35)
        still = model.answer([None] * 3, ["b"] * 3)  # one asks, finds nobody, and the others wait again
        assert [len(server.seen), *(bool(one.error) for one in still)] == [9, True, True, True]
        time.sleep(0.35)
        assert [one.text for one in model.answer([None] * 3, ["c"] * 3)] == ["c"] * 3


@pytest.mark.parametrize("fault", ["500", "half", "400"])
def test_a_server_that_answers_badly_is_not_given_up(fault):
    with FakeEndpoint([reply("fine"), *[fault] * 99]) as server:
        model = OpenAIModel(server.name, retry=GONE, concurrency=1)
        failed = model.answer([None] * 8, ["a"] * 8)[1:]
        assert all("in a row" not in one.error for one in failed)
        assert len(server.seen) == 1 + 7 * (1 if fault == "400" else 2)


def test_an_answer_in_between_starts_the_count_anew():
    lost = ["hang up"] * 2
    with FakeEndpoint([reply("fine"), *lost, *lost, reply("fine"), *lost, *lost, reply("fine")]) as server:
        model = OpenAIModel(server.name, retry=GONE, concurrency=1)
        said = [one.text for one in model.answer([None] * 8, ["a"] * 8)]
        assert said == ["fine", "", "", "fine", "", "", "fine", "a"]


def test_requests_that_wait_are_given_up_too(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    waits = RetryPolicy(
        timeout=0.4, max_attempts=2, total_timeout=100.0, backoff=50.0, max_backoff=50.0, failure_threshold=1
    )
    with FakeEndpoint(["hang up"] * 2) as server:
        client = HttpClient(server.url, key="", retry=waits)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(client.request, "/chat/completions", {})
            while not server.seen:
                time.sleep(0.01)
            time.sleep(0.1)
            client.retry = replace(waits, max_attempts=1)
            began = time.monotonic()
            with pytest.raises(RequestFailed):
                client.request("/chat/completions", {})
            assert isinstance(waiting.exception(timeout=10), RequestFailed) and time.monotonic() - began < 5
