"""Replies of a server while they come."""

import math

import pytest

from fake.endpoint import PICTURE, QUICK, FakeEndpoint, events, reply
from rsvlm.errors import BadInput
from rsvlm.systems.abilities import Streams
from rsvlm.systems.providers.openai import OpenAIModel


def streamed(server, question="Where?", **more):
    stream = OpenAIModel(server.name, retry=QUICK).stream(PICTURE, question, **more)
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_the_pieces_of_a_stream_are_the_answer():
    with FakeEndpoint([events(" A po", "rt \ud83d", "\ude00", " ", "there. ")]) as server:
        assert isinstance(OpenAIModel(server.name), Streams)
        pieces, end = streamed(server, max_new_tokens=7)
        assert pieces == ["A po", "rt", " \U0001f600", " there."] and "".join(pieces) == end.text
        assert end.confidence == pytest.approx(math.exp(-0.2))
        assert server.seen[-1]["stream"] is True and server.seen[-1]["max_tokens"] == 7


def test_a_server_that_knows_no_events_is_understood():
    with FakeEndpoint([reply("A port.")]) as server:
        assert streamed(server)[0] == ["A port."]


def test_a_stop_string_ends_a_reply_in_pieces_or_whole():
    with FakeEndpoint([events("one, t", "wo, th", "ree"), reply("one, two, three")]) as server:
        stop = ["never", "said", "here", "four", "two"]
        assert "".join(streamed(server, stop=stop)[0]) == "one,"
        model = OpenAIModel(server.name, retry=QUICK)
        assert model.answer([PICTURE], ["Where?"], stop=stop)[0].text == "one,"
        assert [body["stop"] for body in server.seen] == [stop[:4]] * 2


def test_the_first_event_is_waited_for_patiently():
    with FakeEndpoint(["503", "no logprobs", events("Here.")]) as server:
        assert streamed(server)[0] == ["Here."]
        assert ["logprobs" in body for body in server.seen] == [True, True, False]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (events("A port", end=None), "ended a reply without saying that it is whole"),
        (events("A port", end="cut"), "broke off"),
        (events("A port") | {"raw": b"data: {broken\n\n"}, "not whole JSON"),
        (events("A port") | {"raw": b"data: [1]\n\n"}, "expected an object"),
        (events("A port") | {"raw": b'data: {"error": {"message": "no memory"}}\n\n'}, "no memory"),
        (events("A port") | {"raw": b": still here\n\n" * (1 << 19)}, "sent more than"),
        (events("A port") | {"pause": 2.0}, "took too long"),
    ],
    ids=["no end", "cut", "no JSON", "no object", "error", "endless", "slow"],
)
def test_a_stream_that_breaks_off_is_one_sentence(sent, says):
    with FakeEndpoint([sent]) as server:
        model = OpenAIModel(server.name, retry=QUICK)
        stream = model.stream(PICTURE, "Where?")
        assert next(stream) == "A port"
        with pytest.raises(BadInput, match=rf"{says}.*; the reply is not whole: ask again\.$"):
            list(stream)
        assert len(server.seen) == 1  # what was told cannot be taken back
