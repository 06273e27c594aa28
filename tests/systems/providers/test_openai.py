"""A server's model: what is sent and what comes back, and that nothing a server does stops a run or counts as right."""

import base64
import io
import math
import time

import numpy as np
import pytest
from PIL import Image

from fake.endpoint import KEY, PICTURE, QUICK, FakeEndpoint, ask, reply
from rsvlm.errors import BadInput
from rsvlm.systems.abilities import Answers, Compares, Embeds
from rsvlm.systems.load import load
from rsvlm.systems.providers.openai import OpenAIModel, data_uri
from rsvlm.systems.providers.retry import RetryPolicy


def decoded(uri):
    kind, data = uri.removeprefix("data:").split(";base64,")
    return kind, np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


# -- what goes out and what comes back ---------------------------------------------------------------------------------


def test_a_question_with_a_picture_and_one_without():
    with FakeEndpoint(says=lambda body: f" Seen: {len(body['messages'][0]['content'])} ") as server:
        model = load(server.name)
        assert isinstance(model, Answers) and isinstance(model, Compares) and not isinstance(model, Embeds)
        seen, blind = model.answer([PICTURE, None], ["What is it?", "Is it?"], max_new_tokens=7)
        assert (seen.text, blind.text) == ("Seen: 2", "Seen: 1") and not seen.error
        assert seen.confidence == pytest.approx(math.exp(-0.2))
        bodies = {body["messages"][0]["content"][-1]["text"]: body for body in server.seen}
        body = bodies["What is it?"]
        assert (body["model"], body["temperature"], body["max_tokens"]) == ("tiny", 0, 7)
        kind, pixels = decoded(body["messages"][0]["content"][0]["image_url"]["url"])
        assert kind == "image/png" and np.array_equal(pixels, PICTURE)
        assert model.answer([], []) == []
        with pytest.raises(ValueError, match="zip"):
            model.answer([PICTURE], ["a", "b"])


def test_two_dates_go_in_one_message_the_earlier_first():
    later = PICTURE[::-1].copy()
    with FakeEndpoint() as server:
        (said,) = load(server.name).compare([PICTURE], [later], ["What changed?"])
        first, second, text = server.seen[0]["messages"][0]["content"]
        assert said.text == text["text"] == "What changed?"
        assert np.array_equal(decoded(first["image_url"]["url"])[1], PICTURE)
        assert np.array_equal(decoded(second["image_url"]["url"])[1], later)


def test_a_large_picture_is_sent_smaller():
    large = np.full((600, 600, 3), 90, np.uint8)
    kind, pixels = decoded(data_uri(large))
    assert kind == "image/jpeg" and pixels.shape == large.shape and np.abs(pixels.astype(int) - 90).max() <= 2
    assert decoded(data_uri(large[:512, :512]))[0] == "image/png"


def test_replies_keep_their_order_and_the_limit_of_requests_at_once():
    questions = [f"Number {n}?" for n in range(12)]
    with FakeEndpoint(hold=0.1) as server:
        assert [one.text for one in ask(server, questions, concurrency=3)] == questions
        assert 1 < server.most <= 3


@pytest.mark.parametrize("logprobs", [None, (), (-0.1, float("nan")), (-0.1, None), (float("-inf"),)])
def test_a_confidence_that_is_not_told_is_zero(logprobs):
    with FakeEndpoint([reply("Yes", logprobs)]) as server:
        (said,) = ask(server)
        assert (said.text, said.confidence, said.error) == ("Yes", 0.0, "")


@pytest.mark.parametrize("setting", ["logprobs", "max_tokens"])
def test_a_setting_that_the_server_does_not_know_is_left_out(setting):
    with FakeEndpoint([f"no {setting}"] * 3) as server:
        model = OpenAIModel(server.name, retry=QUICK, concurrency=1)
        assert [one.text for one in model.answer([None] * 2, ["a", "b"], max_new_tokens=9)] == ["a", "b"]
        assert [setting in body for body in server.seen] == [True, False, False]
        assert setting == "logprobs" or server.seen[1]["max_completion_tokens"] == 9


def test_the_trace_is_the_same_at_every_load_and_names_the_model():
    models = ({"id": "other"}, {"id": "tiny", "root": "Qwen/Qwen2.5-VL-7B-Instruct", "created": time.time()})
    with FakeEndpoint(models=models) as server:
        first, second = load(server.name), load(server.name)
        assert first.trace == second.trace and first.trace["server"] == "root=Qwen/Qwen2.5-VL-7B-Instruct"
        assert (first.trace["url"], first.trace["id"], first.name) == (server.url, "tiny", server.name)
        assert all(isinstance(value, str) for value in first.trace.values())
        assert first.box_dialect == "qwen25vl" and first.input_size(100, 50) == (112, 56)
    with FakeEndpoint(models=404) as server:
        plain = load(server.name)
        assert plain.trace["server"] == "unlisted" and plain.box_dialect == "" and plain.input_size(9, 5) == (9, 5)


def test_a_reply_can_always_be_written_down():
    with FakeEndpoint([reply("a\ud83d b")]) as server:
        assert ask(server)[0].text == "a\ufffd b"


@pytest.mark.parametrize("models", [(), ("tiny", 3, {"name": "tiny"}, None)])
def test_an_odd_list_of_models_is_no_list(models):
    with FakeEndpoint(models=models) as server:
        assert OpenAIModel(server.name).trace["server"] == "unlisted"


# -- faults that pass --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        ["500", "500", "500"], ["503"], ["429"], ["429 until a date"], ["half"], ["cut"], ["html"], ["nested"],
        ["hang up"], ["slow"], ["drip"], ["500", "half", "slow"],
    ],
    ids=" then ".join,
)  # fmt: skip
def test_a_passing_fault_is_tried_again(script):
    with FakeEndpoint(script) as server:
        (said,) = ask(server)
        assert said.text == "Where?" and not said.error and len(server.seen) == len(script) + 1


def test_the_wait_that_the_server_asks_for_is_kept():
    with FakeEndpoint(["429 for a second"]) as server:
        began = time.monotonic()
        assert ask(server)[0].text == "Where?"
        assert time.monotonic() - began >= 1.0


# -- faults that stay: the reply has failed, the run goes on -----------------------------------------------------------

STAYS = {
    "400": (1, "answered 400 .*the picture is too large"),
    "401": (1, r"answered 401 .*Incorrect API key provided: \*\*\*"),
    "404": (1, "answered 404 .*no such model"),
    "redirect": (1, "answered 302"),
    "big": (1, "sent more than"),
    "list": (1, "a JSON list"),
    "500": (4, r"answered 500 .*\(tries: 4\)"),
    "429": (4, "answered 429"),
    "429 for an hour": (1, "answered 429"),
    "half": (4, "not whole JSON"),
    "html": (4, "not whole JSON"),
    "slow": (4, "took too long"),
    "hang up": (4, "broke off"),
}
ODD = {
    "no choices": ({"choices": []}, "no choices"),
    "nothing at all": ({}, "no choices"),
    "choices of another kind": ({"choices": "none"}, "no choices"),
    "an error with code 200": ({"error": {"message": f"overloaded {KEY}"}}, r"overloaded \*\*\*"),
    "no text": (reply(None), "without text"),
    "blanks": (reply(" \n"), r"without text \(finish_reason 'stop'\)$"),
    "cut off while it thinks": (
        {"choices": [{"message": {"content": None}, "finish_reason": "length"}]},
        "'length'.; let it write more tokens",
    ),
}


@pytest.mark.parametrize(("fault", "tries", "says"), [(name, *rest) for name, rest in STAYS.items()], ids=list(STAYS))
def test_a_fault_that_stays_fails_its_question_only(fault, tries, says, monkeypatch):
    monkeypatch.setenv("RSVLM_API_KEY", KEY)
    failed_replies(["ok"] + [fault] * tries, len(["ok"]) + tries, says)


@pytest.mark.parametrize(("sent", "says"), ODD.values(), ids=list(ODD))
def test_a_reply_without_an_answer_fails_its_question_only(sent, says, monkeypatch):
    monkeypatch.setenv("RSVLM_API_KEY", KEY)
    failed_replies(["ok", sent], 2, says)


def failed_replies(script, requests, says):
    """One good reply, one that failed and one good one again; the failed one is empty and says why."""
    with FakeEndpoint([reply("fine") if step == "ok" else step for step in script]) as server:
        model = OpenAIModel(server.name, retry=QUICK, concurrency=1)
        before, failed, after = model.answer([PICTURE] * 3, ["a", "b", "c"])
        assert (before.text, after.text) == ("fine", "c") and not before.error and not after.error
        assert (failed.text, failed.confidence) == ("", 0.0) and len(server.seen) == requests + 1
        with pytest.raises(AssertionError, match=says):
            raise AssertionError(failed.error)
        assert KEY not in failed.error and failed.error.isprintable() and len(failed.error) < 500


def test_a_server_that_goes_away_fails_the_rest():
    with FakeEndpoint() as server:
        model = OpenAIModel(server.name, retry=QUICK)
        assert model.answer([None], ["a"])[0].text == "a"
        server.stop()
        (failed,) = model.answer([None], ["b"])
        assert failed.text == "" and "cannot be reached" in failed.error
        server.__enter__()


def test_all_tries_together_have_a_limit():
    retry = RetryPolicy(timeout=0.2, max_attempts=1000, total_timeout=1.0, backoff=0.001, max_backoff=0.01)
    with FakeEndpoint(["ok"] + ["slow"] * 1000, says=str) as server:
        server.script[0] = reply("fine")
        model = OpenAIModel(server.name, retry=retry, concurrency=1)
        began = time.monotonic()
        assert model.answer([None] * 2, ["a", "b"])[1].error and time.monotonic() - began < 3.0


def test_whoever_interrupts_does_not_wait_for_the_next_try(monkeypatch):
    with FakeEndpoint(["429 for an hour"] * 9) as server:
        model = OpenAIModel(server.name, retry=RetryPolicy(total_timeout=1e6), concurrency=2)

        def interrupted(body, _):
            if "stop" in str(body):
                while not server.seen:
                    time.sleep(0.01)
                time.sleep(0.1)
                raise KeyboardInterrupt
            return model._client.request("/chat/completions", body)

        monkeypatch.setattr(model, "_request", interrupted)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            model.answer([None] * 2, ["stop", "wait"])
        assert time.monotonic() - began < 5


# -- what the user has to mend -----------------------------------------------------------------------------------------


def test_a_server_that_is_down_is_one_sentence():
    with FakeEndpoint() as server:
        name = server.name
    with pytest.raises(BadInput, match=r"cannot be reached .*expected an OpenAI-compatible server there: start it"):
        OpenAIModel(name, retry=QUICK)


def test_a_server_that_wants_a_key_says_so():
    with FakeEndpoint(models=401) as server, pytest.raises(BadInput, match="set RSVLM_API_KEY"):
        OpenAIModel(server.name, retry=QUICK)


def test_a_key_that_is_refused_later_is_named(monkeypatch):
    monkeypatch.setenv("RSVLM_API_KEY", KEY)
    says = r"answered 401 .*key provided: \*\*\*.*; set RSVLM_API_KEY to its key; it has answered no question"
    with FakeEndpoint(["401"]) as server, pytest.raises(BadInput, match=says):
        ask(server)


def test_a_server_that_never_answered_a_question_ends_the_run():
    says = r"no such model.*it has answered no question yet, and lists a, b"
    with FakeEndpoint(["404"] * 3, models=({"id": "a"}, {"id": "b"})) as server, pytest.raises(BadInput, match=says):
        ask(server, ["1", "2", "3"])
