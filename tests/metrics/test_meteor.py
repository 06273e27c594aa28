"""METEOR 1.5 against recorded values of the Java program, and on word lists made here; SPICE without its tools."""

import gzip
import importlib.util
import shutil
import stat
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake.golden import golden
from rsvlm.errors import BadInput, MissingPart
from rsvlm.metrics.text import meteor_align, meteor_beam, meteor_table
from rsvlm.metrics.text.meteor import meteor
from rsvlm.metrics.text.meteor_stem import stem
from rsvlm.metrics.text.meteor_text import words
from rsvlm.metrics.text.spice import spice
from rsvlm.metrics.text.tokenizer import ptb, tokenize, whitespace

PACKAGE = importlib.util.find_spec("pycocoevalcap")
HOME = Path(next(iter(PACKAGE.submodule_search_locations or ["."]))) / "meteor" if PACKAGE else Path("absent")
real = pytest.mark.skipif(
    not (HOME / meteor_table.TABLE).is_file(), reason="pycocoevalcap with METEOR's word lists is not installed"
)
CLOSE = {"rel": 0, "abs": 1e-6}
TOKENIZERS = {"coco_ptb": ptb, "whitespace": whitespace}


def scored(items, tokenizer):
    return meteor(tokenize([i["cand"] for i in items], tokenizer), [tokenize(i["refs"], tokenizer) for i in items])


# --- the Java program's values ---


@real
@pytest.mark.parametrize("protocol", TOKENIZERS)
def test_captions_equal_the_java_program_as_a_set_and_each(protocol):
    recorded = golden("captions.json")
    parts = [
        (recorded["images"], recorded["protocols"][protocol]),
        (recorded["ragged"]["items"], recorded["ragged"][protocol]),
    ]
    for items, expected in parts:
        score = scored(items, TOKENIZERS[protocol])
        assert score.value == pytest.approx(expected["corpus"]["METEOR"], **CLOSE)
        assert score.per_item == pytest.approx(np.array(expected["per_image"]["METEOR"]), **CLOSE)
        assert score.n == len(items) and score.note.endswith("stages: exact, stem, synonym, paraphrase")
    for subset in recorded["subsets"].values():
        score = scored([recorded["images"][i] for i in subset["index"]], TOKENIZERS[protocol])
        assert score.value == pytest.approx(subset[protocol]["METEOR"], **CLOSE)


@real
@pytest.mark.parametrize("protocol", ["vocab_id", "word", "coco_ptb"])
def test_change_captions_equal_the_java_program_on_ids_and_words(protocol):
    recorded = golden("change_captions.json")
    numbers = recorded["word_map"]

    def ids(text):
        return " ".join(str(numbers.get(word, numbers["<unk>"])) for word in text.split())

    tokens = {"vocab_id": ids, "word": whitespace, "coco_ptb": ptb}[protocol]
    for name, index in recorded["sets"].items():
        items = [recorded["items"][i] for i in index]
        said = [" ".join(map(str, i["cand_ids"])) if protocol == "vocab_id" else tokens(i["cand"]) for i in items]
        score = meteor(said, [tokenize(i["refs"], tokens) for i in items])
        assert score.value == pytest.approx(recorded["scores"][name][protocol]["METEOR"], **CLOSE), name


@real
@pytest.mark.skipif(shutil.which("java") is None, reason="java is not installed")
def test_the_java_engine_gives_the_same_numbers():
    items = golden("captions.json")["ragged"]["items"][:20]
    said = [*(item["cand"] for item in items), None, "a ||| bar  and\r\na break", "the 5 p.m. U.S. road, it's–"]
    truth = [
        *(item["refs"] for item in items),
        ["a road"],
        ["a bar and a break"],
        ["", "The US road is ||| it's 5 pm."],
    ]
    native, java = meteor(said, truth), meteor(said, truth, engine="java")
    assert np.array_equal(native.sums, java.sums) and native.value == java.value > 0
    assert "native" in native.note and "java" in java.note


# --- its steps; expected values are the Java program's ---

STEMS = {
    "generously": "generous", "arsenal": "arsenal", "communism": "communism", "skies": "sky", "exceed": "exceed",
    "cries": "cri", "ties": "tie", "gas": "gas", "this": "this", "kiwis": "kiwi", "feed": "feed", "agreed": "agre",
    "hopping": "hop", "hoping": "hope", "falling": "fall", "fizzed": "fizz", "disabled": "disabl", "by": "by",
    "cry": "cri", "say": "say", "enjoy": "enjoy", "youth": "youth", "yellow": "yellow", "vietnamization": "vietnam",
    "rationalization": "ration", "hopefulness": "hope", "sensibilities": "sensibl", "analogy": "analog",
    "geology": "geolog", "tendency": "tendenc", "electricity": "electr", "adjustment": "adjust", "adoption": "adopt",
    "communion": "communion", "controll": "control", "rate": "rate", "cease": "ceas", "dog's": "dog", "'tis": "tis",
    "skis": "ski", "at": "at", "ied": "ie", "buildings": "build", "knackeries": "knackeri", "stadiums": "stadium",
}  # fmt: skip


@pytest.mark.parametrize(("word", "expected"), STEMS.items())
def test_stems_are_those_of_the_jar(word, expected):
    assert stem(word) == expected


TOKENS = {
    "Roads, and U.S.-based well-known houses (3,500 m.) aren't the city's...":
        "roads , and us based well known houses ( 3,500 m . ) aren 't the city 's ...",
    "it is 5 p.m. now. See No. 5 and No. six, e.g. here.": "it is 5 pm now . see no. 5 and no. six , eg here .",
    "1990's “quoted” — it’s ‘fine’ -- \"x\"": "1990 's \" quoted \" — it 's ' fine ' - \" x \"",
    "a ,b c,5 5,c 5,000 ''y''": 'a , b c , 5 5 , c 5,000 " y "',
    "Wait.... what..? 3.5 km.": "wait .... what .. ? 3.5 km .",
    "dr. who. Inc. said": "dr. who . inc. said",
    " A plain  Line .": "a plain line .",
    " \t\xa0": "",
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TOKENS.items())
def test_tokens_are_those_of_the_jar(text, expected):
    assert words(text, {"No": True, "e.g": False, "i.e": False}) == expected.split()


def plain_search(options, length, beam):
    """The search of METEOR for one pair, truth plainly. Options: (at, size, other, other size, gain) as discovered."""
    cover, other_cover = {}, {}
    for at, size, other, other_size, _ in options:
        for word in range(at, at + size):
            cover[word] = cover.get(word, 0) + 1
        for word in range(other, other + other_size):
            other_cover[word] = other_cover.get(word, 0) + 1
    alone = [
        all(cover[w] == 1 for w in range(o[0], o[0] + o[1]))
        and all(other_cover[w] == 1 for w in range(o[2], o[2] + o[3]))
        for o in options
    ]
    fixed = {o[0]: o for o, free_of_rivals in zip(options, alone, strict=True) if free_of_rivals}

    def order(path):
        return (-path["gain"], path["chunks"], path["distance"])

    def lengthened(path, option):
        at, size, other, other_size, gain = option
        broken = path["end"] not in (-1, other)
        return path | {
            "gain": path["gain"] + gain, "chunks": path["chunks"] + broken, "end": other + other_size,
            "next": at + size, "used": path["used"] | set(range(other, other + other_size)),
            "took": [*path["took"], option],
        }  # fmt: skip

    paths = [{"gain": 0, "chunks": 0, "distance": 0, "end": -1, "next": 0, "used": set(), "took": []}]
    for at in range(length):
        following = []
        for path in sorted(paths, key=order)[:beam]:
            if path["next"] > at:
                following.append(path)
            elif at in fixed:
                following.append(lengthened(path, fixed[at]))
            else:
                for option in options:
                    if option[0] == at and not path["used"] & set(range(option[2], option[2] + option[3])):
                        following.append(lengthened(path, option))
                        path = path | {"distance": path["distance"] + abs(at - option[2])}
                following.append(path | {"chunks": path["chunks"] + (path["end"] != -1), "end": -1, "next": at + 1})
        paths = following
    ended = [path | {"chunks": path["chunks"] + (path["end"] != -1)} for path in sorted(paths, key=order)[:beam]]
    return min(ended, key=order)


@st.composite
def pairs_of_texts(draw):
    length, other_length = draw(st.integers(0, 9)), draw(st.integers(1, 70))
    many = st.tuples(
        st.integers(0, max(0, length - 1)), st.integers(1, 3), st.integers(0, other_length - 1), st.integers(1, 3),
        st.integers(0, 3),
    )  # fmt: skip
    drawn = draw(st.lists(many, max_size=14 if length else 0))
    fitting = [
        (at, 1, other, 1, stage) if stage < 3 else (at, size, other, other_size, stage)
        for at, size, other, other_size, stage in drawn
        if at + size <= length and other + other_size <= other_length
    ]
    return length, other_length, sorted(fitting, key=lambda match: match[0])


@settings(deadline=None, max_examples=150)
@given(st.lists(pairs_of_texts(), min_size=1, max_size=4), st.sampled_from([2, 3, 40]), st.booleans())
def test_the_search_of_many_pairs_is_that_of_each(pairs, beam, wide):
    rows = [(k, *match) for k, (_, _, matches) in enumerate(pairs) for match in matches]
    columns = np.array(rows, np.int64).reshape(-1, 6).T
    found = meteor_beam.Matches(*columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meteor_beam, "_BEAM", beam)
        patch.setattr(meteor_beam, "_ROOM", 1 if wide else 2**63)  # both ways of sorting
        lengths = np.array([length for length, _, _ in pairs], np.int64)
        chosen, chunks = meteor_beam.search(found, len(pairs), lengths, 2)
    gain = found.gain()
    for k, (length, _, _) in enumerate(pairs):
        mine = [i for i in range(len(rows)) if rows[i][0] == k]
        best = plain_search([(*rows[i][1:5], int(gain[i])) for i in mine], length, beam)
        assert chunks[k] == best["chunks"]
        assert sorted(rows[i][1:5] for i in chosen if rows[i][0] == k) == sorted(o[:4] for o in best["took"])


# --- made word lists ---


def made_package(root, monkeypatch, *, paraphrases=True, synonyms=True):
    """A pycocoevalcap of a dozen words; none of it is code."""
    home = root / "pycocoevalcap" / "meteor"
    (home / "data").mkdir(parents=True)
    (root / "pycocoevalcap" / "__init__.py").write_text("raise AssertionError('imported')\n", encoding="utf-8")
    with zipfile.ZipFile(home / meteor_table.JAR, "w") as jar:
        jar.writestr("function/english.words", "the\na\nof\nis\n")
        jar.writestr("nonbreaking/english.prefixes", "# comment\n\nMr\nNo #NUMERIC_ONLY#\n")
        if synonyms:
            jar.writestr(
                "synonym/english.synsets", "house\n00000001 00000002\nhome\n00000002\nfoot\n00000003\npaw\n00000003\n"
            )
            jar.writestr("synonym/english.exceptions", "foot\nfeet\n")
    if paraphrases:
        entries = [("a lot of", "many"), ("many", "a lot of"), ("road", "street"), ("next to", "close to the")]
        with gzip.open(home / meteor_table.TABLE, "wt", encoding="utf-8") as file:
            file.writelines(f"0.5\n{phrase}\n{other}\n" for phrase, other in entries)
    monkeypatch.setenv("RSVLM_CACHE", str(root / "cache"))
    monkeypatch.syspath_prepend(str(root))
    monkeypatch.delitem(sys.modules, "pycocoevalcap", raising=False)
    return home


def test_every_stage_counts_by_its_weight(tmp_path, monkeypatch):
    made_package(tmp_path, monkeypatch)
    cases = {  # candidate, reference: weight of the match, words of the match on each side beside "red"
        ("red house", "red house"): (1.0, 1, 1),
        ("red houses", "red house"): (0.6, 1, 1),
        ("red homes", "red house"): (0.8, 1, 1),
        ("red paws", "red feet"): (0.8, 1, 1),
        ("red street", "red road"): (0.6, 1, 1),
        ("red many", "red a lot of"): (0.6, 1, 3),
        ("red lamp", "red house"): (0.0, 1, 1),
    }
    said, truth = zip(*cases, strict=True)
    score = meteor(said, [[text] for text in truth])
    for row, each, (weight, mine, theirs) in zip(score.sums, score.per_item, cases.values(), strict=True):
        # "a" and "of" are function words: 0.25 each, others 0.75.
        content, other = 0.75 * mine, 0.75 * theirs - (1.0 if theirs == 3 else 0.0)
        assert row[:4] == pytest.approx([0.75 + weight * content, 0.75 + weight * other, 0.75 + content, 0.75 + other])
        assert 0 < each <= 1
    assert score.per_item[0] == 1.0 and score.note == "METEOR 1.5 (native), stages: exact, stem, synonym, paraphrase"


def test_a_caption_equal_to_its_reference_matches_word_by_word_only(tmp_path, monkeypatch):
    home = made_package(tmp_path, monkeypatch)
    lists, table = meteor_table.read_lists(home), meteor_table.read_paraphrases(home)
    corpus = meteor_align.Corpus([["home", "house", "houses"], ["house", "home"]], lists, table)
    same, other = (corpus._matches(np.array([0]), np.array([k])) for k in (0, 1))
    assert set(same.stage) == {0} and set(other.stage) == {0, 1, 2}
    assert meteor(["home house houses"], [["home house houses"]]).value == 1.0


def test_the_best_reference_counts_and_the_set_is_not_the_mean(tmp_path, monkeypatch):
    made_package(tmp_path, monkeypatch)
    score = meteor(["a red roof", "tree"], [["nothing", "a red roof", "a roof"], ["a green tree of the park"]])
    assert score.per_item[0] == 1.0 and 0 < score.per_item[1] < 1
    assert score.value == score.finish(score.sums.sum(axis=0)) != pytest.approx(score.per_item.mean())


def test_what_is_empty_or_unread_is_counted_as_nothing(tmp_path, monkeypatch):
    made_package(tmp_path, monkeypatch)
    score = meteor([None, "", "road", "\ud800 road"], [["road"], [""], [""], ["road"]])
    assert score.per_item[:3].tolist() == [0, 0, 0] and 0 < score.per_item[3] < 1 and score.n == 4
    assert meteor([], []).value == 0.0
    with pytest.raises(ValueError, match="references"):
        meteor(["a"], [[]])
    with pytest.raises(BadInput, match="engine"):
        meteor(["a"], [["a"]], engine="perl")  # pyright: ignore[reportArgumentType]


def test_pairs_aligned_a_few_at_a_time_give_the_same(tmp_path, monkeypatch):
    made_package(tmp_path, monkeypatch)
    said = [f"a lot of red houses next to road {i % 3}" for i in range(9)]
    truth = [[f"many red homes close to the street {i % 2}", f"house {i}"] for i in range(9)]
    whole = meteor(said, truth)
    monkeypatch.setattr(meteor_align, "_CELLS", 100)
    assert np.array_equal(meteor(said, truth).sums, whole.sums)


def test_the_compiled_table_is_kept_and_found(tmp_path, monkeypatch):
    home = made_package(tmp_path, monkeypatch)
    first = meteor(["street"], [["road"]]).value
    (kept,) = (tmp_path / "cache").iterdir()
    assert first > 0 and (kept / "targets.npy").is_file()
    meteor_table._paraphrases.cache_clear()
    monkeypatch.setattr(meteor_table, "_compile", None)  # must not run again
    assert meteor(["street"], [["road"]]).value == first
    with gzip.open(home / meteor_table.TABLE, "wt", encoding="utf-8") as file:
        file.write("0.5\nroad\nlane\n")
    with pytest.raises(TypeError):  # another table is another folder
        meteor(["street"], [["road"]])


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch):
    made_package(tmp_path, monkeypatch)
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    assert meteor(["street"], [["road"]]).value > 0


def test_absent_lists_leave_out_their_stage_and_the_score_says_so(tmp_path, monkeypatch):
    made_package(tmp_path / "no table", monkeypatch, paraphrases=False)
    score = meteor(["street", "home"], [["road"], ["house"]])
    assert score.per_item[0] == 0 < score.per_item[1] and score.note.endswith("stages: exact, stem, synonym")
    with pytest.raises(MissingPart, match="paraphrase-en"):
        meteor(["a"], [["a"]], engine="java")
    made_package(tmp_path / "no synsets", monkeypatch, synonyms=False)
    score = meteor(["street", "home"], [["road"], ["house"]])
    assert score.per_item[1] == 0 < score.per_item[0] and score.note.endswith("stages: exact, stem, paraphrase")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    home = made_package(tmp_path, monkeypatch)
    (home / meteor_table.TABLE).write_bytes(b"not gzip at all")
    with pytest.raises(MissingPart, match=r"paraphrase-en\.gz cannot be read"):
        meteor(["a"], [["a"]])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPart, match="'java'"):
        meteor(["a"], [["a"]], engine="java")
    meteor_table.read_lists.cache_clear()
    (home / meteor_table.JAR).write_bytes(b"not a jar")
    with pytest.raises(MissingPart, match="cannot be read"):
        meteor(["a"], [["a"]])
    (home / meteor_table.JAR).unlink()
    with pytest.raises(MissingPart, match="is not in"):
        meteor(["a"], [["a"]])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPart, match=r"pip install 'rsvlm\[meteor\]'"):
        meteor(["a"], [["a"]])


def program(folder, body):
    """A `java` that is a Python script."""
    folder.mkdir(exist_ok=True)
    file = folder / "java"
    file.write_text(f"#!{sys.executable}\nimport json, sys\n{body}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IEXEC)
    return str(folder)


def test_a_java_program_that_fails_is_an_error_not_a_score(tmp_path, monkeypatch):
    made_package(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", program(tmp_path / "bin", "print('1 2 3'); sys.exit('no memory')"))
    with pytest.raises(MissingPart, match=r"1 of 2 captions.*no memory"):
        meteor(["a", "b"], [["a"], ["b"]], engine="java")


def test_spice_without_its_parser_is_absent_not_zero(tmp_path, monkeypatch):
    home = made_package(tmp_path, monkeypatch).parent / "spice"
    (home / "lib").mkdir(parents=True)
    (home / "spice-1.0.jar").touch()
    with pytest.raises(MissingPart, match=r"stanford-corenlp-3\.6\.0\.jar"):
        spice(["a"], [["a"]])
    with pytest.raises(ValueError, match="references"):
        spice(["a"], [[]])


def test_spice_reads_its_program(tmp_path, monkeypatch):
    home = made_package(tmp_path, monkeypatch).parent / "spice"
    (home / "lib").mkdir(parents=True)
    for name in ("spice-1.0.jar", "lib/stanford-corenlp-3.6.0.jar", "lib/stanford-corenlp-3.6.0-models.jar"):
        (home / name).touch()
    answer = """
items = json.load(open(sys.argv[4]))
f = {"a": 0.5, "b": 1.0}
scores = [{"image_id": i["image_id"], "scores": {"All": {"f": f.get(i["test"])}}} for i in reversed(items)]
json.dump(scores, open(sys.argv[6], "w"))"""
    monkeypatch.setenv("PATH", program(tmp_path / "bin", answer))
    score = spice(["a", "b", None], [["a"], ["b"], ["c"]])
    assert score.per_item.tolist() == [0.5, 1.0, 0.0] and score.value == pytest.approx(0.5) and "SPICE" in score.note
    monkeypatch.setenv("PATH", program(tmp_path / "bin", "sys.exit('no memory')"))
    with pytest.raises(MissingPart, match="no memory"):
        spice(["a"], [["a"]])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPart, match="'java'"):
        spice(["a"], [["a"]])
