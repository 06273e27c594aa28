"""RS-RAG's sentence metrics against recorded values of nltk, rouge_score and pycocoevalcap, and the libraries."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from fake.golden import golden
from rsvlm.errors import BadInput, MissingPart
from rsvlm.metrics.accuracy import scene_scores
from rsvlm.metrics.score import resample
from rsvlm.metrics.text.porter import stem
from rsvlm.metrics.text.sentences import WEIGHTS, meteor, rouge_l, sentence_bleu, sentence_scores, truncated
from rsvlm.metrics.text.wordnet import PLACES, WordNet, find_wordnet

RECORDED = golden("rsrag.json")
EXACT = {"rel": 0, "abs": 1e-9}
NAMES = {**{f"BLEU-{n}": f"sentence_bleu_{n}" for n in WEIGHTS}, "METEOR": "sentence_meteor",
         "ROUGE-L": "sentence_rouge_l"}  # fmt: skip
VOCABULARY = (
    "the river flows past a parking lot near caresses ponies ties cats feed agreed plastered motoring sing conflated "
    "troubled sizing hopping falling hissing fizzed failing filing happy sky skies relational conditional valenci "
    "digitizer radically differently vileli analogously vietnamization operator feudalism hopefulness triplicate "
    "formative electrical goodness revival allowance airliner gyroscopic adjustable irritant replacement adoption "
    "probate rate cease controll roll dying news innings proceed spied dies hopefully analogies geologically yyy "
    "enjoyment tried buildings 3.6m/s CO2 NDVI is be"
)
WORDS = VOCABULARY.split()
ENDINGS = "s ies ied ing ed eed y alli fulli logi ation ll e ion yy ational bli sses er ement"


def wordnet_or_skip():
    try:
        return find_wordnet()
    except MissingPart as missing:
        pytest.skip(str(missing))


def test_every_row_and_mean_equals_the_recording():
    said, truth = [p for _, p in RECORDED["rows"]], [[r] for r, _ in RECORDED["rows"]]
    scores = sentence_scores(said, truth)
    table = np.array(RECORDED["per_row"], dtype=float)
    for column, name in enumerate(RECORDED["columns"]):
        if name != "METEOR":
            score = scores[NAMES[name]]
            assert score.per_item == pytest.approx(table[:, column], **EXACT), name
            assert score.value == pytest.approx(RECORDED["mean"][name], **EXACT), name
    assert scores["cider_d"].per_item == pytest.approx(np.array(RECORDED["cider_per_row"]), **EXACT)
    assert scores["cider_d"].value == pytest.approx(RECORDED["mean"]["CIDEr"], **EXACT)
    assert "sentence_meteor" not in scores and set(resample(scores, draws=5)) == set(scores)


def test_meteor_equals_the_recording():
    wordnet = wordnet_or_skip()
    column = RECORDED["columns"].index("METEOR")
    said, truth = [p for _, p in RECORDED["rows"]], [[r] for r, _ in RECORDED["rows"]]
    score = sentence_scores(said, truth, wordnet=wordnet)["sentence_meteor"]
    assert score.per_item == pytest.approx(np.array(RECORDED["per_row"], dtype=float)[:, column], **EXACT)
    assert score.value == pytest.approx(RECORDED["mean"]["METEOR"], **EXACT)


def test_values_are_cut_off_as_in_the_published_tables():
    for cell in RECORDED["cells"].values():
        assert {name: truncated(value) for name, value in cell["values"].items()} == cell["published_truncated"]
    assert truncated(0.99999) == "0.9999" and truncated(2.0) == "2.0000" and truncated(0.5, 0) == "0."


def test_classification_equals_the_recording():
    recorded = RECORDED["classification"]
    scores = scene_scores([p for _, p in recorded["rows"]], [[r] for r, _ in recorded["rows"]])
    assert scores["accuracy"].value == pytest.approx(recorded["expect"]["accuracy"], **EXACT)
    assert truncated(scores["accuracy"].value) == recorded["expect"]["accuracy_truncated"]
    shares = {name[7:]: truncated(s.value) for name, s in scores.items() if name.startswith("recall_")}
    assert shares == recorded["expect"]["per_class_truncated"]
    whole = recorded["full_file"]
    assert truncated(whole["accuracy"]) == whole["accuracy_truncated"]


def test_empty_rows_score_nothing_or_are_left_out():
    said, truth = ["", None, "a river", "a road"], [["a"], ["b"], ["a river"], [""]]
    zero, skip = sentence_scores(said, truth), sentence_scores(said, truth, empty="skip")
    assert zero["sentence_bleu_1"].value == 0.25 and zero["sentence_rouge_l"].value == 0.25
    assert skip["sentence_bleu_1"].value == 1 and skip["cider_d"].n == 1
    assert {len(score.sums) for score in (*zero.values(), *skip.values())} == {4}
    with pytest.raises(ValueError, match="zip"):
        sentence_scores(["a"], [])


def sentences(count, seed):
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 14))) for _ in range(count)]


def test_bleu_and_rouge_equal_the_libraries():
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    rouge = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=True)
    smoothing = bleu.SmoothingFunction().method1
    for said, truth, other in zip(sentences(200, 1), sentences(200, 2), sentences(200, 3), strict=True):
        assert rouge_l(said, truth) == pytest.approx(rouge.score(truth, said)["rougeL"].fmeasure, **EXACT)
        for weights in WEIGHTS.values():
            refs = [truth.split(), other.split()]
            theirs = bleu.sentence_bleu(refs, said.split(), weights=weights, smoothing_function=smoothing)
            assert sentence_bleu(said.split(), refs, weights) == pytest.approx(theirs, **EXACT)


def test_stems_equal_nltk():
    porter = pytest.importorskip("nltk.stem.porter").PorterStemmer()
    rng = random.Random(0)
    endings = ENDINGS.split()
    made = [word[: rng.randint(1, 8)] + rng.choice(endings) for word in rng.choices(WORDS, k=5000)]
    assert [(word, stem(word)) for word in WORDS + made] == [(word, porter.stem(word)) for word in WORDS + made]


def make_wordnet(folder: Path) -> Path:
    """A WordNet of three synsets: {car, auto, motor_car}, {big, large(a)}, {run, hunt}."""
    folder.mkdir()
    synsets = {"noun": ["n 03 car 0 auto 0 motor_car 0"], "adj": ["a 02 big 0 large(a) 0"], "adv": [],
               "verb": ["v 02 run 0 hunt 0"]}  # fmt: skip
    exceptions = {"noun": "", "adj": "", "verb": "ran run\n", "adv": ""}
    for kind, lines in synsets.items():
        licence = "  1 This is a licence  \n"
        data, index = licence, licence
        for line in lines:
            offset = len(data)
            data += f"{offset:08d} 00 {line} 000 | gloss  \n"
            words = [word.replace("(a)", "") for word in line.split()[2::2]]
            index += "".join(f"{word} {kind[0]} 1 0 1 0 {offset:08d}  \n" for word in words)
        (folder / f"data.{kind}").write_text(data, encoding="utf-8")
        (folder / f"index.{kind}").write_text(index, encoding="utf-8")
        (folder / f"{kind}.exc").write_text(exceptions[kind], encoding="utf-8")
    return folder


def test_synonyms_of_a_small_wordnet(tmp_path):
    wordnet = find_wordnet(make_wordnet(tmp_path / "wn"))
    assert wordnet.synonyms("cars") == {"cars", "car", "auto"}
    assert wordnet.synonyms("Big") == {"big", "large"} and wordnet.synonyms("bigger") == {"bigger"}
    assert wordnet.synonyms("ran") == {"ran", "run", "hunt"} and wordnet.synonyms("zebra") == {"zebra"}


def test_meteor_by_hand(tmp_path):
    wordnet = WordNet(make_wordnet(tmp_path / "wn"))

    def score(said, truth):
        return meteor(said.split(), truth.split(), wordnet)

    # four of four words, in one chunk: exact, exact, stem, synonym
    assert score("Two big cars run", "two big car hunt") == pytest.approx(1 - 0.5 / 4**3)
    # in two chunks; precision 1, recall 2/3
    fmean = (2 / 3) / (0.9 + 0.1 * 2 / 3)
    assert score("auto hunt", "run old car") == pytest.approx(fmean * 0.5)
    assert score("x", "y") == 0 == score("", "y")


def test_meteor_equals_nltk(tmp_path):
    theirs = pytest.importorskip("nltk.translate.meteor_score")
    ours = WordNet(make_wordnet(tmp_path / "wn"))

    class Lemma:
        def __init__(self, name):
            self.name = lambda: name

    class Synset:
        def __init__(self, names):
            self.lemmas = lambda: [Lemma(name) for name in names]

    class Theirs:
        @staticmethod
        def synsets(word):
            return [Synset(ours.synonyms(word))]

    rng = random.Random(5)
    vocabulary = ["car", "auto", "cars", "big", "large", "run", "ran", "hunt", "hunting", "the", "a", "The", "roads"]
    for _ in range(300):
        said, truth = (rng.choices(vocabulary, k=rng.randint(0, 12)) for _ in range(2))
        expected = theirs.single_meteor_score(truth, said, wordnet=Theirs())
        assert meteor(said, truth, ours) == pytest.approx(expected, **EXACT)


def test_a_wordnet_that_is_not_there_is_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(MissingPart, match=r"has no index.noun"):
        find_wordnet(tmp_path)
    monkeypatch.delenv("WNSEARCHDIR", raising=False)
    monkeypatch.setattr("rsvlm.metrics.text.wordnet.PLACES", (str(tmp_path),))
    with pytest.raises(MissingPart, match="There is no WordNet in"):
        find_wordnet()
    monkeypatch.setenv("WNSEARCHDIR", str(make_wordnet(tmp_path / "wn")))
    assert "car" in find_wordnet().synonyms("auto")
    assert PLACES and os.environ["WNSEARCHDIR"]


def test_files_of_two_wordnets_are_refused(tmp_path):
    folder = make_wordnet(tmp_path / "wn")
    (folder / "data.noun").write_text("  1 another licence, so other offsets\n", encoding="utf-8")
    with pytest.raises(BadInput, match="not of one WordNet"):
        WordNet(folder).synonyms("car")
    (folder / "index.noun").write_text("car n\n", encoding="utf-8")
    with pytest.raises(BadInput, match="not an index of WordNet"):
        WordNet(folder).synonyms("car")
