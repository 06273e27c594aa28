"""Documents in passages, and their table beside an archive's tiles."""

import numpy as np
import pytest

from fake.sentences import Words
from rsvlm.errors import BadInput
from rsvlm.index.archive import Archive
from rsvlm.index.document_text import LONGEST, Section, sections, sentences
from rsvlm.index.documents import Documents, has_documents
from rsvlm.index.store import lock_writer

TEXT = """# Harbour

It was built in 1974. It has
two quays.

Ferries
-------
Two a day.

* sail at nine
* sail at ten
## Fares
Free for dogs.
# Town
Small.
"""


def test_passages_stand_under_their_headings():
    assert list(sections(TEXT)) == [
        Section("Harbour", "It was built in 1974. It has two quays."),
        Section("Harbour > Ferries", "Two a day."),
        Section("Harbour > Ferries", "* sail at nine\n* sail at ten"),
        Section("Harbour > Fares", "Free for dogs."),
        Section("Town", "Small."),
    ]
    assert list(sections("")) == list(sections("\n\n# Only a heading\n")) == []


def test_passages_are_of_bounded_length_and_lose_nothing():
    long = " ".join(f"Sentence {at} is here." for at in range(200)) + " " + "x" * 2 * LONGEST + " end."
    found = [one.text for one in sections(long)]
    assert max(map(len, found)) <= LONGEST and len(found) > 5
    assert "".join(found).replace(" ", "") == long.replace(" ", "")
    assert all(text.startswith("Sentence") and text.endswith(".") for text in found[:4])


def test_letters_that_nobody_sees_are_left_out():
    assert [one.text for one in sections("a\u202eb\u200bc\x1b[31m\U000e0041 d")] == ["abc[31m d"]


def test_sentences():
    assert sentences("It is 1.5 m. He left! (Why?) Nobody knows\nlast") == [
        "It is 1.5 m.", "He left!", "(Why?", "Nobody knows", "last",
    ]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    uri = str(tmp_path / "archive")
    Archive.create(uri, width=3, model="m", weights_hash="w")
    return Documents(uri, encoder="e", width=Words.width)


def put(table, document, *texts, mark="1"):
    passages = [Section("", text) for text in texts]
    table.replace(document, mark, passages, Words()(texts) if texts else np.zeros((0, Words.width)))


def test_a_document_is_replaced_as_a_whole(table):
    assert len(table) == 0 and table.search(np.ones(64)) == [] and not has_documents(table.uri)
    put(table, "a.md", "old quay", "old ferry")
    put(table, "b's.md", "blue forest")
    put(table, "a.md", "new quay", mark="2")
    assert has_documents(table.uri) and len(table) == 2
    again = Documents(table.uri, encoder="e", width=64)
    assert again.fingerprints() == {"a.md": "2", "b's.md": "1"}
    best, other = again.search(Words()(["where is the blue forest"])[0])
    assert (best.document, best.section.text, best.number) == ("b's.md", "blue forest", 0) and best.score > other.score
    put(again, "a.md")
    again.forget(["b's.md", "none"])
    assert len(again) == 0 and again.fingerprints() == {}
    assert Archive.open(table.uri).facts.rows == 0


def test_what_is_refused(table):
    put(table, "a.md", "quay")
    with pytest.raises(BadInput, match="vectors of e, not of other"):
        Documents(table.uri, encoder="other", width=64)
    with pytest.raises(ValueError, match="2 passages"):
        table.replace("a", "1", [Section("", "a"), Section("", "b")], np.ones((1, 64)))
    held = lock_writer(table.uri)
    with pytest.raises(BadInput, match="Another process writes"):
        put(table, "b.md", "quay")
    held.close()
