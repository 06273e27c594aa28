"""Replies as text: the pieces of a growing text are, joined, the whole, and none is told that may still change."""

import pytest

from fake import runs
from rsvlm.data.reply import cut_at_stop, decode_reply, stream_text
from rsvlm.errors import BadInput
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build_tokenizer


def told(texts, stop=()):
    stream, pieces = stream_text([(text, 0.5) for text in texts], stop), []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_bytes_of_a_letter_wait_for_the_last():
    tokenizer = build_tokenizer(read_recipe(runs.tiny("lhrs_bot")))
    ids = tokenizer(" Häfen 港口 ", add_special_tokens=False)["input_ids"]
    pieces, reply = told(decode_reply(tokenizer, ids[:n]) for n in range(1, len(ids) + 1))
    assert pieces == ["H", "ä", "f", "e", "n", " 港", "口"] and reply.text == "Häfen 港口"
    cut = decode_reply(tokenizer, ids[:-2])  # it may also end in the middle of a letter
    assert "".join(told([cut])[0]) == cut_at_stop(cut) == "Häfen 港\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("stop", ["\n\n", "END", " E", "aab"])
def test_no_beginning_of_a_stop_string_is_told(stop):
    text = f"aaab is no port.\nE, EN. {stop}not told END"
    for step in (1, 2, 5, len(text)):
        texts = [text[:n] for n in range(step, len(text) + step, step)]
        pieces, reply = told(texts, ["never", stop])
        assert "".join(pieces) == reply.text == text[: text.index(stop)].strip()
    assert "".join(told(["ab E", "ab EN"], ["END"])[0]) == "ab EN"  # what did not become one is text


def test_nothing_said_is_no_piece():
    assert told([]) == ([], told([])[1]) and told([" ", " \n"])[0] == [] and told([" "])[1].text == ""


def test_an_empty_stop_string_is_refused():
    from rsvlm.data.reply import stop_strings

    assert stop_strings("END") == ("END",)
    with pytest.raises(BadInput, match="A stop string is empty"):
        stop_strings(["a", ""])
