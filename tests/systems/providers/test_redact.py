"""A key that a server quotes, wherever it says it and however it writes it, is in nothing that a user gets or keeps."""

import html
import json
import traceback
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from fake.chat_model import coast
from fake.commands import ask as ask_command
from fake.endpoint import FAULTS, FakeEndpoint, ask, events, reply
from fake.rasters import geotiff
from rsvlm.errors import BadInput
from rsvlm.systems.providers.http_body import RequestFailed
from rsvlm.systems.providers.http_client import HttpClient
from rsvlm.systems.providers.openai import OpenAIModel
from rsvlm.systems.providers.redact import Redactor
from rsvlm.systems.providers.retry import RetryPolicy

KEY = 'sk-Secret~~~+/?&"0123456789='
ONCE = RetryPolicy(timeout=2.0, max_attempts=1, total_timeout=2.0)


def hexed(form):
    """The key with every letter as an escape of the given form."""
    return "".join(form % ord(letter) for letter in KEY)


def base64(text, coded=b64encode):
    return coded(text.encode()).decode()


WRITTEN = {
    "plain": KEY, "a header": f"bearer {KEY}", "lower case": KEY.lower(), "upper case": KEY.upper(),
    "a URL": f"?key={quote(KEY, safe='')}", "a path": quote(KEY), "every letter in a URL": hexed("%%%02x"),
    "a page": html.escape(KEY), "numbers in a page": hexed("&#%d;"), "hex in a page": hexed("&#x%X;"),
    "JSON": json.dumps(KEY), "every letter in JSON": hexed("\\u%04x"), "repr": hexed("\\x%02x"),
    "JSON in JSON": json.dumps(hexed("\\u%04X")), "JSON in a page in a URL": quote(html.escape(json.dumps(KEY))),
    "Base64": base64(KEY), "Base64 of user:key": base64(f"user:{KEY}"), "Base64 of a header": base64(f"Bearer {KEY}"),
    "Base64 in the middle": base64(f"key={KEY}xyz"), "Base64 of a URL": base64(KEY, urlsafe_b64encode),
    "Base64 in a URL": quote(base64(f"u:{KEY}"), safe=""), "half": KEY[:15], "half of Base64": base64(KEY)[:24],
}  # fmt: skip


@pytest.fixture(autouse=True)
def keyed(monkeypatch):
    monkeypatch.setenv("RSVLM_API_KEY", KEY)


def secret(text, written=KEY):
    """Whether twelve letters of the key, or of how it is written, are in a text."""
    return any(one[at : at + 12].lower() in text.lower() for one in (KEY, written) for at in range(len(one) - 11))


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_an_answer_an_error_and_a_trace_hold_no_key(written):
    models = ({"id": "tiny", "root": f"r {written}", "owned_by": written}, {"id": written})
    script = [reply(f"It is {written}."), {"error": {"message": written}}, {"choices": [], written: [[written]]}]
    with FakeEndpoint(script, models=models) as server:
        model = OpenAIModel(server.name, retry=ONCE, concurrency=1)
        replies = model.answer([None] * 3, ["a", "b", "c"])
        assert replies[0].text.startswith("It is ") and "***" in replies[0].text and replies[1].error
        for said in (*(one.text + one.error for one in replies), json.dumps(model.trace), model._known):
            assert not secret(said, written), said


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("size", [1, 7])
def test_a_stream_holds_no_key(written, size):
    text = f"It is {written}. And so on {KEY[:15]}"
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    with FakeEndpoint([events(*pieces)]) as server:
        shown, whole = streamed(server)
    assert (
        shown == whole and shown.startswith("It is ") and shown.endswith(". And so on ***") and shown.count("***") > 1
    )
    assert not secret(shown, written), shown


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_no_error_holds_a_key(written, monkeypatch):
    monkeypatch.setitem(FAULTS, "raw", lambda h, _: h.send(f"wrong: {written} ".encode(), status=400))
    with FakeEndpoint(["raw", reply("Yes"), {"error": {"message": written}}]) as server:
        model = OpenAIModel(server.name, retry=ONCE, concurrency=1)
        said = [one.error for one in model.answer([None] * 3, ["a", "b", "c"])]
    assert said[0] and said[2] and not any(secret(one, written) for one in said), said


@pytest.mark.parametrize(
    "written", [WRITTEN[kind] for kind in ("plain", "every letter in a URL", "Base64 of a header")]
)
def test_no_file_of_an_answer_and_nothing_printed_holds_a_key(written, tmp_path, capsys):
    scene = geotiff(tmp_path / "scene.tif", coast(height=64, width=128))
    with FakeEndpoint(says=lambda _: f"Yes {written}", models=({"id": "tiny", "owned_by": written},)) as server:
        ask_command(
            [scene], ["Is there water?", "Describe this image."], model=server.name, tile=64, out=tmp_path / "a"
        )
        server.models = 401
        with pytest.raises(BadInput) as refused:
            ask_command([scene], ["Is there water?"], model=server.name)
    kept = [file.read_text() for file in (tmp_path / "a").iterdir() if file.suffix in (".json", ".geojson")]
    assert len(kept) == 2 and all("***" in one for one in kept)  # answer.json and answer.geojson
    for said in (*kept, *capsys.readouterr(), str(refused.value)):
        assert not secret(said, written)


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


@pytest.mark.parametrize("before", [b" ", "\u00a0".encode()])
def test_no_part_of_a_key_stays_where_a_message_is_cut(before, monkeypatch):
    for size in range(1970, 2001):
        said = (before * size)[-size:] + KEY.encode() + b" wrong key"
        monkeypatch.setitem(
            FAULTS,
            "raw",
            lambda h, _, said=said: h.send(said, status=400),
        )
        with FakeEndpoint(["raw"]) as server, pytest.raises(RequestFailed) as failed:
            HttpClient(server.url, key=KEY, retry=ONCE).request("/chat/completions", {})
        assert "sk-" not in str(failed.value), size


def streamed(server):
    """What a stream shows, all pieces together, and the text of its reply."""
    stream, shown = OpenAIModel(server.name, retry=ONCE).stream(None, "?"), []
    with pytest.raises(StopIteration) as end:
        while True:
            shown.append(next(stream))
    return "".join(shown), end.value.value.text


@pytest.mark.parametrize("size", [1, 2, 5, 23])
def test_a_key_in_pieces_is_shown_in_none(size):
    text = f"My key is {KEY} and sk-Secret is its start. sk-S"
    with FakeEndpoint([events(*[text[at : at + size] for at in range(0, len(text), size)])]) as server:
        shown, whole = streamed(server)
    assert shown == whole == "My key is *** and sk-Secret is its start. sk-S"


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
        ("long-key-1", "long-key-2 long-key long-ke", "***2 *** long-ke"),  # half of it, and 8 letters at least
        ("abc12", "%61%62%63%31%32 x%61bc12 YWJjMTI=", "*** x%61bc12 YWJjMTI="), ("a b c d e", "a+b+c+d+e", "***"),
        ("ab%41cd\\u0041", "ab%41cd\\u0041 abAcdA", "*** abAcdA"),  # a key that looks like an escape
        ("long-key-1", "100 % &c. \\ &amp; %7", "100 % &c. \\ &amp; %7"), ("abc12", "%25abc12", "%25***"),
        ("long-key-1", "long-key-1 &amp; long-key-1", "*** &amp; ***"),
    ],
)  # fmt: skip
def test_what_counts_as_the_key(key, text, found):
    redact = Redactor(key)
    assert redact.text(text) == redact.line(text) == found
    assert redact.value({text: [text, {"x": text}, 3, None]}) == {found: [found, {"x": found}, 3, None]}
    for size in range(1, len(text)):
        shown, rest = redact.growing(text[:size])
        assert found.startswith(shown) and shown + redact.text(rest + text[size:]) == found


@pytest.mark.parametrize("kind", [kind for kind in WRITTEN if "half" not in kind])
def test_of_an_event_a_whole_key_is_found_and_half_of_one_left(kind):
    redact = Redactor(KEY)
    assert "***" in redact.value([WRITTEN[kind]], part=False)[0]
    assert redact.value({KEY: KEY[:15]}, part=False) == {"***": KEY[:15]}


def test_a_key_on_two_lines_is_found_once_they_are_one():
    assert Redactor("long key 1").line("long\nkey\t 1 is wrong") == "*** is wrong"
