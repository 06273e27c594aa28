"""A key that a server quotes, wherever it says it and however it writes it, is in nothing that a user gets or keeps."""

import html
import json
import traceback
from urllib.parse import quote

import pytest

from fake.endpoint import FAULTS, FakeEndpoint, ask, events, reply
from rsvlm.errors import BadInput
from rsvlm.systems.providers.http_body import RequestFailed
from rsvlm.systems.providers.http_client import HttpClient
from rsvlm.systems.providers.openai import OpenAIModel
from rsvlm.systems.providers.redact import Redactor
from rsvlm.systems.providers.retry import RetryPolicy

KEY = 'sk-Secret+/&"0123456789='
ONCE = RetryPolicy(timeout=2.0, max_attempts=1, total_timeout=2.0)
WRITTEN = {
    "plain": KEY, "a header": f"authorization: bearer {KEY}", "lower case": KEY.lower(), "upper case": KEY.upper(),
    "a URL": f"?key={quote(KEY, safe='')}", "a path": quote(KEY), "a page": html.escape(KEY), "JSON": json.dumps(KEY),
}  # fmt: skip


@pytest.fixture(autouse=True)
def keyed(monkeypatch):
    monkeypatch.setenv("RSVLM_API_KEY", KEY)


def secret(text):
    """Whether the telling part of the key is in a text."""
    return "secret" in text.lower() or "0123456789" in text


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_an_answer_an_error_and_a_trace_hold_no_key(written):
    models = ({"id": "tiny", "root": f"r {written}", "owned_by": written}, {"id": written})
    script = [reply(f"It is {written}."), {"error": {"message": written}}, {"choices": [], written: [[written]]}]
    with FakeEndpoint(script, models=models) as server:
        model = OpenAIModel(server.name, retry=ONCE, concurrency=1)
        replies = model.answer([None] * 3, ["a", "b", "c"])
        assert replies[0].text.startswith("It is ") and "***" in replies[0].text and replies[1].error
        for said in (*(one.text + one.error for one in replies), json.dumps(model.trace), model._known):
            assert not secret(said), said


@pytest.mark.parametrize(
    "head", ["HTTP/1.1 400 {}", "HTTP/1.1 503 {}", "HTTP/{} 200 OK", "{}", "HTTP/1.1 200 OK\r\nContent-Length: {}"]
)
def test_no_exception_holds_a_key_nor_its_cause(head, monkeypatch):
    sent = head.format(KEY).encode() + b"\r\n\r\n" + KEY.encode()
    monkeypatch.setitem(FAULTS, "raw", lambda h, _: h.wfile.write(sent))
    with FakeEndpoint(["raw", "raw"]) as server:
        client = HttpClient(server.url, key=KEY, retry=ONCE)
        for act in (client.request, lambda *asked: list(client.stream(*asked))):
            with pytest.raises(RequestFailed) as failed:
                act("/chat/completions", {})
            assert not secret("".join(traceback.format_exception(failed.value))), traceback.print_exception(
                failed.value
            )


def test_no_half_of_a_key_stays_where_a_message_is_cut(monkeypatch):
    for size in range(1970, 2001):
        said = b" " * size + KEY.encode() + b" wrong key"
        monkeypatch.setitem(
            FAULTS,
            "raw",
            lambda h, _, said=said: h.send(said, status=400),
        )
        with FakeEndpoint(["raw"]) as server, pytest.raises(RequestFailed) as failed:
            HttpClient(server.url, key=KEY, retry=ONCE).request("/chat/completions", {})
        assert "sk-" not in str(failed.value), size


@pytest.mark.parametrize("size", [1, 2, 5, 23])
def test_a_key_in_pieces_is_shown_in_none(size):
    text = f"My key is {KEY} and sk-Secret is its start. sk-S"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    with FakeEndpoint([events(*pieces)]) as server:
        stream = OpenAIModel(server.name, retry=ONCE).stream(None, "?")
        shown = []
        with pytest.raises(StopIteration) as end:
            while True:
                shown.append(next(stream))
    assert "".join(shown) == end.value.value.text == "My key is *** and sk-Secret is its start. sk-S"


def test_values_nested_deeper_than_python_calls_are_read():
    deep = reply("Yes") | {"x": json.loads("[" * 900 + f'"{KEY.replace(chr(34), "")}"' + "]" * 900)}
    with FakeEndpoint([deep]) as server:
        assert ask(server, retry=ONCE)[0].text == "Yes"


def test_a_model_list_that_is_refused_says_no_key():
    with FakeEndpoint(models=401) as server, pytest.raises(BadInput, match="set RSVLM_API_KEY") as refused:
        OpenAIModel(server.name, retry=ONCE)
    assert not secret(str(refused.value))


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [
        ("", "as it is", "as it is"),
        ("EMPTY", "EMPTY", "EMPTY"), ("none", "none of them", "none of them"),  # what servers without a key are given
        ("abc12", "abc12 xabc12 abc123 ABC12", "*** xabc12 abc123 ABC12"),  # short: only where it stands alone
        ("long-key-1", "xlong-key-1x LONG-KEY-1", "x***x ***"),
        ("a.b*c(d)[e", "a.b*c(d)[e axb", "*** axb"),
    ],
)  # fmt: skip
def test_what_counts_as_the_key(key, text, found):
    redact = Redactor(key)
    assert redact.text(text) == redact.line(text) == found
    assert redact.value({text: [text, {"x": text}, 3, None]}) == {found: [found, {"x": found}, 3, None]}
    assert all(found.startswith(redact.growing(text[:size])) for size in range(len(text)))
