"""The time that a text takes grows as its length, whatever is repeated in it: doubled texts are compared."""

import os
import time
from collections.abc import Callable

import pytest

from fuzz.targets import text_targets
from rsvlm.data.formats.record import _without_tags
from rsvlm.data.reply import stream_text
from rsvlm.evaluate.protocols.cdvqa import _RANGE
from rsvlm.geo.bands import band_names, choose_bands
from rsvlm.metrics.grounding import lhrs_scores
from rsvlm.metrics.text.tokenizer import _scan_chunk, ptb
from rsvlm.parts.language.instruction_router import parse_tagged
from rsvlm.systems.providers.chat_completions import accumulate

# Clocks are compared, which a busy machine can spoil: `make fuzz` runs these.
pytestmark = pytest.mark.skipif("RSVLM_FUZZ" not in os.environ, reason="compares times: make fuzz runs it")

PUMPS = (
    "a", "1", " ", "\n", "-", "(", "((1", "<", "< ", "<a ", "</", "&#1", "1;", "a,", "1.a.", "-.", "a@", "1@.",
    "www.-.", "xn", "a_", "a-", "a.", "<image>", " <image>", "<think>", "</think>", "<answer>",
    "</answer><answer>", "<think></thin", "{", "{<", "{<1>", "[", "[1,", "(1,", "(1,2),", "<box>", "<quad>",
    "<bbox>", '"bbox_2d": [', "'", "roads [", "road :", "buildings  ", "no ", "2 new ", "choice ", "option is ",
    "answer: ", "or (", "A*", "the ", "the what does the ", " in the ", "are there ", "is it ", "first a ",
    "a-a ", "twenty ", "1,", "1 to ", "% ", "\u0661", "e.g. ", ". A", "<theme>", "\ud800", "&amp;", "\x1b[",
    "e\u0301", "\u0301", "1\u0301", "a\u2011", "1\u2044", "#", "#\u0915\u093e", "\u2162", "\u207b\u00b3",
)  # fmt: skip
AROUND = (("", ""), ("</answer> roads a", "\x00<"))
LONGEST, ENOUGH, MOST = 1 << 14, 0.01, 3.2  # letters; seconds worth comparing; times as long for twice the letters

CALLS: dict[str, Callable[[str], object]] = {
    **{name: (lambda text, run=run: run(text, None)) for name, (_, run) in text_targets().items()},
    "ptb": lambda text: (_scan_chunk.cache_clear(), ptb(text)),
    "tags": _without_tags,
    "cdvqa": lambda text: _RANGE.sub("", text),
    "lhrs_scores": lambda text: lhrs_scores([text], ["[1]"]),
    "parse_tagged": lambda text: parse_tagged(text, ("theme", "object")),
}


def seconds(call: Callable[[], object]) -> float:
    """The least processor time of three runs, of one where that is long."""
    least = float("inf")
    for _ in range(3):
        began = time.process_time()
        call()
        least = min(least, time.process_time() - began)
        if least < ENOUGH / 4 or least > 1:
            break
    return least


def growth(call: Callable[[int], object]) -> float:
    """How many times as long twice the size takes, once it takes `ENOUGH`; 0 where it stays below."""
    size, last = 64, seconds(lambda: call(64))
    while size < LONGEST:
        size *= 2
        now = seconds(lambda: call(size))  # noqa: B023 (called at once)
        if now > ENOUGH:
            times = now / max(last, 1e-9)
            if times < MOST:
                return times
            return min(times, seconds(lambda: call(size)) / max(seconds(lambda: call(size // 2)), 1e-9))  # noqa: B023
        last = now
    return 0.0


@pytest.mark.parametrize("name", CALLS)
def test_twice_the_text_takes_twice_the_time(name):
    for pump in PUMPS:
        for before, after in AROUND:
            times = growth(lambda size: CALLS[name](before + pump * (size // len(pump)) + after))  # noqa: B023
            assert times < MOST, (
                f"{name} takes {times:.1f} times as long for twice as many {pump!r} ({before!r}, {after!r})"
            )


def test_bands_take_time_in_proportion_to_their_number():
    def named(size):
        names = band_names([f"x{n}" for n in range(size)] + ["red"] * size, ["gray"] * 2 * size)
        return choose_bands(None, [*names, *["red"] * size], "a")

    assert growth(named) < MOST


def test_a_stream_takes_time_in_proportion_to_its_events():
    event = {"choices": [{"delta": {"content": "a b \u00e9"}, "logprobs": {"content": [{"logprob": -0.5}]}}]}
    last = {"choices": [{"delta": {}, "finish_reason": "stop"}]}

    def streamed(size):
        return "".join(stream_text(accumulate([*[event] * size, last]), ("</s>",)))

    assert streamed(3000) == ("a b \u00e9" * 3000)
    assert growth(streamed) < MOST


def test_what_is_looked_for_is_found():
    import re

    squared = re.compile(r"(?:\s*<image>\s*)+$")
    assert growth(lambda size: squared.search(" " * size + "x")) > MOST
