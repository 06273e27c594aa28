"""A builder streams, keeps the order, counts what it drops, and names the step and the sample that fail."""

import json
from dataclasses import replace

import pytest

from rsvlm.data.build.base import Builder, Step, StepError, keep_if
from rsvlm.sample import Sample


def samples(count, read=None):
    for n in range(count):
        if read is not None:
            read.append(n)
        yield Sample(id=str(n), images=(), meta={"n": n})


def doubled(found, drop):
    for sample in found:
        yield replace(sample, id=f"{sample.id}a")
        yield replace(sample, id=f"{sample.id}b")


EVEN = Step("even", keep_if(lambda sample: sample.meta["n"] % 2 == 0, "odd number"))
SMALL = Step("small", keep_if(lambda sample: sample.meta["n"] < 6, "too large"))


def test_order_and_counts():
    builder = Builder([EVEN, Step("double", doubled), SMALL])
    assert [sample.id for sample in builder.run(samples(10))] == ["0a", "0b", "2a", "2b", "4a", "4b"]
    assert json.loads(json.dumps([step.to_json() for step in builder.report])) == [
        {"step": "even", "read": 10, "kept": 5, "dropped": {"odd number": 5}},
        {"step": "double", "read": 5, "kept": 10, "dropped": {}},
        {"step": "small", "read": 10, "kept": 6, "dropped": {"too large": 4}},
    ]
    assert len([*builder.run(samples(2))]) == 2 and builder.report[0].read == 2  # each run counts anew


def test_samples_stream():
    read = []
    stream = Builder([EVEN, SMALL]).run(samples(1000, read))
    assert next(stream).id == "0" and read == [0]
    assert next(stream).id == "2" and read == [0, 1, 2]


def test_a_step_that_fails_is_named_with_its_sample():
    def broken(found, drop):
        for sample in found:
            yield replace(sample, id=str(1 / (4 - sample.meta["n"])))

    builder = Builder([EVEN, Step("inverse", broken), SMALL])
    with pytest.raises(StepError, match="Step 'inverse' failed at sample 4: ZeroDivisionError: division by zero"):
        list(builder.run(samples(10)))
    assert [step.kept for step in builder.report] == [3, 2, 2]
