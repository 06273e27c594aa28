"""Odd texts and files come out as a value or one sentence. RSVLM_FUZZ is how many of each are tried (`make fuzz`)."""

import os

import pytest

from fuzz.model_targets import model_targets
from fuzz.targets import file_targets, fuzz, text_targets

COUNT = int(os.environ.get("RSVLM_FUZZ", "300"))
TARGETS = {**text_targets(), **file_targets(), **model_targets()}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_a_value_or_a_sentence_comes_out(name, tmp_path):
    seeds, run = TARGETS[name]
    failed = fuzz(run, seeds, COUNT, tmp_path, seed=f"{name}/{COUNT}")
    kinds = {(type(error).__name__, str(error)[:80]): text for text, error in failed}
    assert not kinds, f"{len(failed)} of {COUNT}: {list(kinds.items())[:3]!r:.900}"


def test_what_is_looked_for_is_found(tmp_path):
    def breaks(text, _):
        return {"a": 1}[text[:1]]

    assert len(fuzz(breaks, ("b",), 50, tmp_path)) > 20
