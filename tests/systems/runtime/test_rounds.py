"""Talks: rounds in step, what cannot share a batch apart, drafts put together, votes counted."""

import pytest

from rsvlm.sample import Reply
from rsvlm.systems.runtime.rounds import Prompt, concat, run_rounds, vote


def said(text, confidence=0.5):
    return Reply(text=text, confidence=confidence)


def once(question):
    return (yield [Prompt(text=question, question=question)])[0]


def twice(question):
    drafts = yield [Prompt(text=f"{question} {n}", question=question, expert=n) for n in range(2)]
    (end,) = yield [Prompt(text="+".join(d.text for d in drafts), question=question, expert=2, image_tokens=3)]
    return end


def nothing(question):
    return said(question)
    yield


def test_rounds_are_asked_together_and_kept_apart():
    calls = []

    def answer(images, asks):
        calls.append((images, [ask.text for ask in asks]))
        return [said(ask.text.upper()) for ask in asks]

    talks = [twice("a"), once("b"), twice("c"), nothing("d"), once("e")]
    replies = run_rounds(talks, ["x", "y", None, "z", "z"], answer)
    assert [reply.text for reply in replies] == ["A 0+A 1", "B", "C 0+C 1", "d", "E"]
    assert calls == [
        (["x", "x"], ["a 0", "a 1"]), (["y", "z"], ["b", "e"]), ([None, None], ["c 0", "c 1"]),
        (["x"], ["A 0+A 1"]), ([None], ["C 0+C 1"]),
    ]  # fmt: skip
    assert run_rounds([], [], answer) == []


def test_drafts_become_one_text():
    drafts = [said("A port. Two ships.", 0.5), said(""), said("Two ships. A crane.", 0.125)]
    whole = concat(drafts)
    assert whole.text == "A port. Two ships. A crane." and whole.confidence == pytest.approx(0.25)
    assert concat([said(""), said("")]) == said("", 0.0)
    assert concat([said("A.", 0.0), said("B.", 0.9)]).confidence == 0


def test_most_voices_win_then_the_surest():
    assert vote([said("Yes", 0.3), said("no.", 0.9), said("yes.", 0.4)]) == said("yes.", 0.4)
    assert vote([said("2", 0.3), said("3", 0.9), said("4", 0.4)]) == said("3", 0.9)
