"""CLIP's tokenizer over a small list of merges: the ids of the original's algorithm, written out, and refusals."""

import html
import random
import re
import sys
from itertools import pairwise

import pytest

from rsvlm import assets
from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.text import clip_tokenizer as module
from rsvlm.parts.text.clip_tokenizer import (
    clean,
    clip_tokenizer,
    read_tokenizer,
    tokenizer_from_merges,
    write_tokenizer,
)

MERGES = [
    "t h", "i n", "th e</w>", "a n", "o r", "p or", "por t</w>", "r i", "ri v", "riv e", "rive r</w>", "! !", "1 2",
    "Ã ©", "a l", "l y</w>", "an d</w>", "r e</w>", "l l</w>", "in g</w>", ". .", ".. .</w>",
]  # fmt: skip
TEXTS = [
    "the port and the river", "THE Port", "  many   blanks\tand\nlines ", "12 rivers, 1234567", "don't they'll we're",
    "I'm", "!!!???...", "a_b-c (d) [e] {f}", "really", "", " ", "!", "<start_of_text> port <end_of_text>",
    "port.river!the", "x" * 40,
]  # fmt: skip


def original(text, merges):
    """`SimpleTokenizer.encode`, statement by statement over plain ASCII."""
    letters = [*map(chr, [*range(33, 127), *range(161, 173), *range(174, 256)]), *(chr(256 + n) for n in range(68))]
    pairs = [tuple(merge.split(" ")) for merge in merges]
    words = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, pairs)]
    ids = {word: n for n, word in enumerate([*words, "<start_of_text>", "<end_of_text>"])}
    ranks = {pair: n for n, pair in enumerate(pairs)}
    out = []
    pattern = r"<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[a-zA-Z]+|[0-9]|[^\sa-zA-Z0-9]+"
    for token in re.findall(pattern, " ".join(text.split()).lower()):
        if token in ids:  # only the two special ones
            word = [token] if token.startswith("<") and len(token) > 3 else [*token[:-1], f"{token[-1]}</w>"]
        else:
            word = [*token[:-1], f"{token[-1]}</w>"]
        while len(word) > 1:
            known = [pair for pair in pairwise(word) if pair in ranks]
            if not known:
                break
            best, joined, at = min(known, key=ranks.__getitem__), [], 0
            while at < len(word):
                both = tuple(word[at : at + 2]) == best
                joined.append("".join(best) if both else word[at])
                at += 2 if both else 1
            word = joined
        out += [ids[part] for part in word]
    return out


@pytest.fixture(scope="module")
def tokenizer():
    return tokenizer_from_merges(MERGES)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_the_original(tokenizer, text):
    assert tokenizer(text, add_special_tokens=False)["input_ids"] == original(text, MERGES)
    assert tokenizer_from_merges([])(text, add_special_tokens=False)["input_ids"] == original(text, [])


def test_ids_are_those_of_the_original_for_any_text(tokenizer):
    rng, alphabet = random.Random(0), "abcdefghilnoprtvwxyPORT012 .!?'-_<>&\t\n"
    for _ in range(300):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 30)))
        if module._ENTITY.search(text) or text != html.unescape(text):
            continue
        assert tokenizer(text, add_special_tokens=False)["input_ids"] == original(text, MERGES), text


def test_a_text_has_a_start_and_an_end_that_is_never_cut(tokenizer):
    start, end = len(tokenizer) - 2, len(tokenizer) - 1
    whole = tokenizer("the port and the river")["input_ids"]
    assert whole[0] == start and whole[-1] == end == max(whole) and tokenizer("")["input_ids"] == [start, end]
    assert tokenizer("the port and the river", truncation=True, max_length=4)["input_ids"] == [*whole[:3], end]
    assert tokenizer.pad_token_id == 0 and tokenizer(["the", "port"])["input_ids"][1] == tokenizer("port")["input_ids"]


def test_bytes_make_up_every_word():
    tokenizer = tokenizer_from_merges([])
    ids = tokenizer("port", add_special_tokens=False)["input_ids"]
    assert len(tokenizer) == module.FEWEST == 514 and len(ids) == 4 and ids[-1] >= 256 > max(ids[:-1])


def test_a_written_one_reads_the_same(tokenizer, tmp_path):
    write_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    again = read_tokenizer(tmp_path / "tokenizer.json")
    assert [again(text)["input_ids"] for text in TEXTS] == [tokenizer(text)["input_ids"] for text in TEXTS]
    assert len(again) == len(tokenizer) and again.pad_token_id == 0
    for text, match in (("{", "is no tokenizer"), ('{"version": "1.0"}', "is no tokenizer")):
        (tmp_path / "tokenizer.json").write_text(text)
        with pytest.raises(BadInput, match=match):
            read_tokenizer(tmp_path / "tokenizer.json")
    from rsvlm.systems.build import byte_tokenizer

    byte_tokenizer().backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(BadInput, match="no tokenizer of CLIP"):
        read_tokenizer(tmp_path / "tokenizer.json")


def test_the_models_own_tokenizer_goes_before_the_cache(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "clip_merges", lambda: MERGES)
    few = 3
    assert (
        clip_tokenizer(module.FEWEST + few)("the")["input_ids"]
        == tokenizer_from_merges(MERGES[:few])("the")["input_ids"]
    )
    write_tokenizer(tokenizer, tmp_path / module.FILE)
    monkeypatch.setattr(assets, "clip_merges", lambda: pytest.fail("the cache was asked"))
    assert len(clip_tokenizer(module.FEWEST + len(MERGES), tmp_path)) == len(tokenizer)
    assert len(clip_tokenizer(module.FEWEST)) == module.FEWEST
    with pytest.raises(BadInput, match=r"has 536 ids, model\.text\.vocabulary is 600; expected 514 to 49,408"):
        clip_tokenizer(600, tmp_path)
    with pytest.raises(BadInput, match=r"has 514 ids, model\.text\.vocabulary is 100"):
        clip_tokenizer(100)


# Cleaning.


def test_plain_text_needs_no_ftfy(monkeypatch):
    monkeypatch.setitem(sys.modules, "ftfy", None)
    assert clean("  A Port,\r\n AT&T & Co &lt  ") == "a port, at&t & co <"
    for text in ("caf\u00e9", "&amp; more", "a\x00b", "\u201cquoted\u201d"):
        with pytest.raises(MissingPart, match=r"'ftfy' is not installed; run: pip install 'rsvlm\[model\]'"):
            clean(text)


def test_what_ftfy_would_change_nothing_of_is_read_the_same_with_it():
    ftfy = pytest.importorskip("ftfy")
    rng, alphabet = random.Random(1), [*sorted(module._PLAIN), *["&", "lt", "amp;", "#39;"] * 8]
    for _ in range(3000):
        text = "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 14)))
        wanted = " ".join(html.unescape(html.unescape(ftfy.fix_text(text))).split()).lower()
        assert clean(text) == wanted, text


def test_entities_and_broken_letters_are_mended():
    pytest.importorskip("ftfy")
    assert clean("double &amp;amp; escaped") == "double & escaped"
    assert clean("broken caf\u00c3\u00a9 \u201cQuoted\u201d") == 'broken caf\u00e9 "quoted"'


def test_the_long_s_ends_a_word_as_the_short_one_does():
    """The original's pattern ignores the case, and a long s is an s."""
    pytest.importorskip("ftfy")
    tokenizer, letters = tokenizer_from_merges([]), module._letters()
    ids = tokenizer("'\u017fa", add_special_tokens=False)["input_ids"]
    assert ids == [letters.index("'"), letters.index("\u00c5"), 256 + letters.index("\u00bf"), 256 + letters.index("a")]
