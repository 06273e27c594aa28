"""Change captions and ChangeChat's tasks against recorded values of the released code (tests/golden/metrics)."""

import json

import numpy as np
import pytest

from fake.golden import golden
from rsvlm.data.sources.change_captions import NO_CHANGE, says_change
from rsvlm.errors import BadInput
from rsvlm.metrics.change import (
    GRID_CELLS,
    binary_scores,
    change_caption_scores,
    change_count_scores,
    change_location_scores,
    count_scores,
    dialogue_scores,
    location_scores,
    read_counts,
    read_locations,
)
from rsvlm.metrics.score import Score, mean_score, resample
from rsvlm.metrics.text.captions import caption_scores
from rsvlm.metrics.text.meteor import meteor
from rsvlm.metrics.text.tokenizer import ptb, read_word_map, vocabulary_ids, whitespace, word_map

CAPTIONS = golden("change_captions.json")
MASKS = golden("segmentation.json")
NAMES = {
    "bleu_1": "BLEU-1", "bleu_2": "BLEU-2", "bleu_3": "BLEU-3", "bleu_4": "BLEU-4", "rouge_l": "ROUGE-L",
    "cider_d": "CIDEr-D",
}  # fmt: skip
WITH_METEOR = {"meteor": "METEOR", "s_m": "S*m"}
EXACT = {"rel": 0, "abs": 1e-9}
IDS = vocabulary_ids(CAPTIONS["word_map"])
TOKENS = {"vocab_id": IDS, "word": whitespace, "coco_ptb": ptb}


def chosen(indices):
    items = [CAPTIONS["items"][i] for i in indices]
    return [i["cand"] for i in items], [i["refs"] for i in items], [bool(i["changed"]) for i in items]


def known_meteor(values):
    """A METEOR of `values` a set of that size: what is tested with it is S*m alone."""

    return lambda said, _: mean_score("meteor", np.full(len(said), values[len(said)]))


def test_words_become_the_ids_of_the_recording():
    for item in CAPTIONS["items"]:
        assert IDS(item["cand"]) == " ".join(map(str, item["cand_ids"]))


@pytest.mark.parametrize("tokens", TOKENS)
def test_all_changed_and_unchanged_equal_the_released_scorers(tokens):
    said, truth, changed = chosen(CAPTIONS["sets"]["all"])
    recorded = {suffix: CAPTIONS["scores"][part][tokens] for suffix, part in (("", "all"), ("_changed", "changed"),
                ("_unchanged", "unchanged"))}  # fmt: skip
    sizes = {len(CAPTIONS["sets"][part]): CAPTIONS["scores"][part][tokens]["METEOR"]
             for part in ("all", "changed", "unchanged")}  # fmt: skip
    scores = change_caption_scores(said, truth, changed, tokenizer=TOKENS[tokens], meteor=known_meteor(sizes))
    assert set(scores) == {name + suffix for name in NAMES | WITH_METEOR for suffix in recorded}
    for suffix, expected in recorded.items():
        for name, theirs in (NAMES | WITH_METEOR).items():
            assert scores[name + suffix].value == pytest.approx(expected[theirs], **EXACT), name + suffix
    sums = [score.sums for score in scores.values()]
    assert {len(rows) for rows in sums} == {len(said)}
    for score in scores.values():
        assert float(score.finish(score.sums.sum(0))) == pytest.approx(score.value, abs=1e-12)
    assert set(resample(scores, draws=5)) == set(scores)


def test_each_pair_equals_the_released_scorers():
    said, truth, _ = chosen(CAPTIONS["sets"]["all"])
    scores = caption_scores(said, truth, tokenizer=IDS)
    for name, theirs in NAMES.items():
        expected = np.array(CAPTIONS["per_image_vocab_id"][theirs])
        assert scores[name].per_item == pytest.approx(expected, **EXACT), name


@pytest.mark.parametrize(("key", "tokens", "lone"), [
    ("vocab_id", IDS, "ref_len_1"), ("vocab_id_pycocoevalcap", IDS, "zero"), ("word", whitespace, "zero"),
    ("coco_ptb", ptb, "zero"),
])  # fmt: skip
def test_one_pair_has_the_two_answers_of_the_field(key, tokens, lone):
    said, truth, changed = chosen(CAPTIONS["sets"]["one_pair"])
    expected = CAPTIONS["scores"]["one_pair"][key]
    known = known_meteor({1: expected["METEOR"]})
    scores = change_caption_scores(said, truth, changed, tokenizer=tokens, lone=lone, meteor=known)
    for name, theirs in (NAMES | WITH_METEOR).items():
        assert scores[name].value == pytest.approx(expected[theirs], **EXACT), name


def test_lone_changes_nothing_where_there_are_two():
    both = [caption_scores(["a b c d", "e f"], [["a b c"], ["e g"]], lone=lone)["cider_d"].value
            for lone in ("zero", "ref_len_1")]  # fmt: skip
    assert both[0] == both[1] > 0


@pytest.mark.parametrize("tokens", TOKENS)
def test_meteor_and_s_m_equal_the_released_scorers(tokens):
    pytest.importorskip("pycocoevalcap", reason="METEOR's data lie in pycocoevalcap")
    said, truth, changed = chosen(CAPTIONS["sets"]["all"])
    scores = change_caption_scores(said, truth, changed, tokenizer=TOKENS[tokens], meteor=meteor)
    for suffix, part in (("", "all"), ("_changed", "changed"), ("_unchanged", "unchanged")):
        for name, theirs in WITH_METEOR.items():
            expected = CAPTIONS["scores"][part][tokens][theirs]
            assert scores[name + suffix].value == pytest.approx(expected, rel=0, abs=1e-6)
    assert scores["s_m"].note == scores["meteor"].note != ""
    alone = change_caption_scores(*chosen(CAPTIONS["sets"]["one_pair"]), tokenizer=TOKENS[tokens], meteor=meteor)
    assert alone["meteor"].value == pytest.approx(CAPTIONS["scores"]["one_pair"][tokens]["METEOR"], rel=0, abs=1e-6)
    if tokens == "vocab_id":
        each = np.array(CAPTIONS["per_image_vocab_id"]["METEOR"])
        assert scores["meteor"].per_item == pytest.approx(each, rel=0, abs=1e-6)


def test_without_meteor_there_is_no_s_m_and_an_empty_part_is_left_out():
    scores = change_caption_scores(["a road"], [["a road"]], [True])
    assert "s_m" not in scores and "meteor" not in scores and "cider_d_unchanged" not in scores
    assert scores["bleu_1_changed"].value == pytest.approx(1)


def test_the_five_sentences_tell_change():
    expected = CAPTIONS["binary"]
    said, _, changed = chosen(CAPTIONS["sets"]["all"])
    scores = binary_scores([says_change(caption, CAPTIONS["no_change_sentences"]) for caption in said], changed)
    ours = {"change_acc": "change_accuracy", "nochange_acc": "no_change_accuracy"}
    for name, value in expected.items():
        assert scores[ours.get(name, name)].value == pytest.approx(value, **EXACT), name
    assert len(NO_CHANGE) == 7 and set(CAPTIONS["no_change_sentences"]) < set(NO_CHANGE)
    assert not any(map(says_change, NO_CHANGE))
    assert not says_change("There is no difference.") and says_change("") and says_change("a road")


def test_an_answer_that_could_not_be_read_is_never_right():
    scores = binary_scores([None, None, True], [True, False, True])
    assert scores["accuracy"].value == pytest.approx(1 / 3)
    assert scores["recall"].value == 0.5 and scores["precision"].value == 1 and scores["no_change_accuracy"].value == 0
    counts = count_scores([None, None, 2], [0, 5, 2])
    assert counts["mae"].value == 2 and counts["rmse"].value == pytest.approx((26 / 3) ** 0.5)
    cells = location_scores([None, []], [[], []])
    assert cells["jaccard"].value == cells["subset_accuracy"].value == cells["hamming"].value == 0.5


def test_counts_equal_the_released_mae_and_rmse():
    golden_counts = MASKS["counts"]["mae_rmse"]
    scores = count_scores(golden_counts["y_pred"], golden_counts["y_true"])
    assert scores["mae"].value == pytest.approx(golden_counts["mae"], **EXACT)
    assert scores["rmse"].value == pytest.approx(golden_counts["rmse"], **EXACT)


@pytest.mark.parametrize("case", MASKS["count_answers"], ids=lambda case: case["text"][:30])
def test_count_answers_are_read_as_by_the_released_parser(case):
    assert read_counts(case["text"], "released") == case["counts"]


@pytest.mark.parametrize(("text", "road", "building"), [
    ("2 new roads and 13 new buildings", 2, 13), ("3 roads and 4 buildings", 3, 4), ("No roads or buildings.", 0, 0),
    ("There is no change", 0, 0), ("there are no changes in roads or buildings", 0, 0),
    ("No roads has changed, and no buildings has changed.", 0, 0), ("One road and no new buildings", 1, 0),
    ("north of it 1 road and 2 buildings", 1, 2), ("a new road and twelve", None, None), ("no new roads", None, None),
    ("", None, None), ("2 roads, or 3 roads, and 1 building", None, None), ("road 2 building 3", None, None),
])  # fmt: skip
def test_plain_reading_of_counts(text, road, building):
    expected = None if road is None else {"road": road, "building": building}
    assert read_counts(text) == expected


def test_locations_equal_the_released_scores():
    recorded = MASKS["localisation"]
    assert tuple(recorded["labels"]) == GRID_CELLS
    ours = {"precision_micro": "precision", "recall_micro": "recall", "f1_micro": "f1", "hamming": "hamming",
            "jaccard_samples": "jaccard_released", "jaccard_samples_empty1": "jaccard",
            "subset_accuracy": "subset_accuracy"}  # fmt: skip
    scores = location_scores(recorded["y_pred"], recorded["y_true"])
    assert {ours[name] for name in recorded["expect"]} == set(scores)
    for name, value in recorded["expect"].items():
        assert scores[ours[name]].value == pytest.approx(value, **EXACT), name
    empty = recorded["empty_cases"]
    few = location_scores(empty["y_pred"], empty["y_true"])
    for name in set(ours) & set(empty):
        assert few[ours[name]].value == pytest.approx(empty[name], **EXACT), name


def test_locations_equal_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    said, truth = rng.random((200, 9)) < 0.3, rng.random((200, 9)) < 0.3
    scores = location_scores(*[[[cell for cell, on in zip(GRID_CELLS, row, strict=True) if on] for row in side]
                               for side in (said, truth)])  # fmt: skip
    for name, of in (("precision", metrics.precision_score), ("recall", metrics.recall_score),
                     ("f1", metrics.f1_score)):  # fmt: skip
        assert scores[name].value == pytest.approx(of(truth, said, average="micro"), **EXACT)
    assert scores["hamming"].value == pytest.approx(metrics.hamming_loss(truth, said), **EXACT)
    assert scores["subset_accuracy"].value == pytest.approx(metrics.accuracy_score(truth, said), **EXACT)


@pytest.mark.parametrize(("text", "plain", "released"), [
    ("roads: ['top-left'] buildings: []", (["top-left"], []), None),
    ("roads ['top-left', 'top-center'] buildings ['center-right']", (["top-left", "top-center"], ["center-right"]),
     (["top-left", "top-center"], ["center-right"])),
    ("roads [] buildings []", ([], []), ([], [])),
    ('Roads: ["Top Left"] Buildings: [bottom-centre]', (["top-left"], ["bottom-center"]), None),
    ("roads ['top-left'", None, None), ("", None, None), ("roads [somewhere] buildings []", None, None),
    ("roads ['x'] buildings []", None, (["x"], [])), ("buildings ['top-left']", None, None),
])  # fmt: skip
def test_locations_are_read(text, plain, released):
    for reading, expected in (("plain", plain), ("released", released)):
        cells = None if expected is None else {"road": expected[0], "building": expected[1]}
        assert read_locations(text, reading) == cells, reading


def test_each_class_and_each_turn_has_its_scores():
    counts = change_count_scores([{"road": 1, "building": 0}, None], [{"road": 1, "building": 2}] * 2)
    assert {name: score.value for name, score in counts.items()} == {
        "mae_road": 0.5, "rmse_road": pytest.approx(0.5**0.5), "mae_building": 2, "rmse_building": 2
    }  # fmt: skip
    cells = change_location_scores([{"road": ["top-left"], "building": []}], [{"road": ["top-left"], "building": []}])
    assert cells["f1_road"].value == 1 and cells["f1_building"].value == 0 and cells["jaccard_building"].value == 1
    turns = dialogue_scores([binary_scores([True], [True]), counts])
    assert turns["turn1_accuracy"].value == 1 and turns["turn2_mae_building"].name == "turn2_mae_building"
    assert all(isinstance(score, Score) for score in turns.values())


def test_the_vocabulary_of_the_papers(tmp_path):
    captions = ["b a"] * 6 + ["c b"] * 5
    words = word_map(captions)
    assert words == {"b": 1, "a": 2, "<unk>": 3, "<start>": 4, "<end>": 5, "<pad>": 0}
    assert vocabulary_ids(words)("a c  b zebra") == "2 3 1 3"
    path = tmp_path / "WORDMAP.json"
    path.write_text(json.dumps(words), encoding="utf-8")
    assert read_word_map(path) == words
    for text in ("[1]", "{", '{"a": 1}', '{"<unk>": "1"}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(BadInput, match="word map"):
            read_word_map(path)
    with pytest.raises(BadInput, match="word map"):
        read_word_map(tmp_path / "none.json")
