"""Caption, scene and question metrics against the reference implementations (tests/golden/metrics)."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from fake.golden import golden
from rsvlm.evaluate.baselines import most_frequent
from rsvlm.evaluate.items import Item
from rsvlm.metrics import accuracy
from rsvlm.metrics.accuracy import (
    MATCHERS,
    confusion,
    hits,
    lhrs_class,
    rsvqa_bucket,
    scene_scores,
    vqa_scores,
)
from rsvlm.metrics.score import intervals, lower_is_better, mean_score
from rsvlm.metrics.text.captions import caption_scores
from rsvlm.metrics.text.tokenizer import ptb, whitespace

CAPTIONS = golden("captions.json")
VQA = golden("vqa.json")
PROTOCOLS = {"coco_ptb": ptb, "whitespace": whitespace}
NAMES = {
    "bleu_1": "BLEU-1", "bleu_2": "BLEU-2", "bleu_3": "BLEU-3", "bleu_4": "BLEU-4", "rouge_l": "ROUGE-L",
    "cider_d": "CIDEr-D",
}  # fmt: skip
EXACT = {"rel": 0, "abs": 1e-9}


def score(items, protocol):
    return caption_scores([i["cand"] for i in items], [i["refs"] for i in items], tokenizer=PROTOCOLS[protocol])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("part", ["images", "ragged"])
def test_captions_equal_pycocoevalcap_as_a_set_and_each(protocol, part):
    items = CAPTIONS["images"] if part == "images" else CAPTIONS["ragged"]["items"]
    expected = CAPTIONS["protocols"][protocol] if part == "images" else CAPTIONS["ragged"][protocol]
    scores = score(items, protocol)
    assert set(scores) == set(NAMES)
    for name, theirs in NAMES.items():
        assert scores[name].value == pytest.approx(expected["corpus"][theirs], **EXACT), name
        assert scores[name].per_item == pytest.approx(np.array(expected["per_image"][theirs]), **EXACT), name
        assert scores[name].n == len(items)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("subset", sorted(CAPTIONS["subsets"]))
def test_the_idf_is_that_of_the_very_set(protocol, subset):
    chosen = CAPTIONS["subsets"][subset]
    scores = score([CAPTIONS["images"][i] for i in chosen["index"]], protocol)
    for name, theirs in NAMES.items():
        assert scores[name].value == pytest.approx(chosen[protocol][theirs], **EXACT), name


def test_captions_need_as_many_references():
    with pytest.raises(ValueError, match="references"):
        caption_scores(["a"], [])
    with pytest.raises(ValueError, match="references"):
        caption_scores(["a"], [[]])


def test_empty_captions_score_nothing_and_do_not_fail():
    scores = caption_scores(["", "a b c d"], [["a road"], ["a b c d"]])
    assert scores["cider_d"].per_item[0] == 0
    assert all(0 <= s.value < math.inf for s in scores.values())


def test_the_work_grows_with_the_set_and_not_faster():
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(400)])
    captions = [" ".join(words[rng.zipf(1.6, 11) % 400]) for _ in range(2000)]

    def seconds(count):
        references = [[captions[(i + k) % count] for k in range(5)] for i in range(count)]
        began = time.process_time()
        caption_scores(captions[:count], references, tokenizer=whitespace)
        return time.process_time() - began

    seconds(200)
    assert seconds(2000) < 30 * seconds(200)  # 10 x as many; a quadratic step would make it 100


@pytest.mark.parametrize("name", ["evalai", "vqa_v2", "squad"])
def test_normalised_strings_equal_the_originals(name):
    normalise = getattr(accuracy, name)
    assert [(c["raw"], normalise(c["raw"])) for c in VQA["normalise"]] == [
        (c["raw"], c[name]) for c in VQA["normalise"]
    ]


@pytest.mark.parametrize("rule", sorted(VQA["expect"]))
def test_matching_rules_equal_the_originals(rule):
    records, expected = VQA["records"], VQA["expect"][rule]
    said, truth = [r["pred"] for r in records], [[r["gt"]] for r in records]
    assert "".join(str(int(hit)) for hit in hits(said, truth, MATCHERS[rule])) == expected["item_hits"]
    scores = vqa_scores(said, truth, [r["type"] for r in records], MATCHERS[rule])
    assert scores["overall"].value == pytest.approx(expected["overall"], **EXACT)
    assert scores["average"].value == pytest.approx(expected["average"], **EXACT)
    for kind, value in expected["per_type"].items():
        assert scores[f"accuracy_{kind}"].value == pytest.approx(value, **EXACT)
        assert scores[f"accuracy_{kind}"].n == expected["hits"][kind][1]


@pytest.mark.parametrize(("prediction", "reference", "right"), [
    ("airplane", "plane", True), ("Two aircraft are parked", "planes", True), ("the upper left", "top-left", True),
    ("Yes, there are.", "Yes", True), ("yes and no", "yes", False), ("not sure", "no", False), ("12", "1", False),
    ("There are 12 ships", "12", True), ("three", "3", True), ("not a harbor", "harbor", False), ("", "harbor", False),
    ("car", "truck", False), ("grey", "gray", True), ("a large soccer field", "football field", True),
])  # fmt: skip
def test_the_local_judge_knows_whole_words_and_synonyms(prediction, reference, right):
    assert MATCHERS["vrsbench_local"](prediction, reference) == right


def test_counts_fall_in_the_buckets_of_rsvqa():
    counts = ["0", "1", "10", "11", "100", "101", "1000", "1001"]
    buckets = [rsvqa_bucket(count) for count in counts]
    assert len(set(buckets)) == 5 and buckets[1] == buckets[2] != buckets[3] == buckets[4] != buckets[5] == buckets[6]
    assert MATCHERS["rsvqa_buckets"]("5", "7") and not MATCHERS["rsvqa_buckets"]("5", "17")
    assert MATCHERS["rsvqa_buckets"]("Yes", "yes") and not MATCHERS["evalai"]("5", "7")


def test_the_constant_baseline_equals_the_recording():
    recorded, records = VQA["constant_baseline"], VQA["records"]
    items = [Item(id=str(i), question=r["q"], references=(r["gt"],), kind=r["type"]) for i, r in enumerate(records)]
    kinds = [item.kind for item in items]
    scores = vqa_scores(most_frequent(items, items), [i.references for i in items], kinds, MATCHERS["exact"])
    assert scores["average"].value == pytest.approx(recorded["average"], **EXACT)
    assert scores["overall"].value == pytest.approx(recorded["overall_per_type_constant"], **EXACT)
    for kind, one in recorded["per_type"].items():
        assert scores[f"accuracy_{kind}"].value == pytest.approx(one["accuracy"], **EXACT)
        assert scores[f"accuracy_{kind}"].n == one["n"]
    alone = [replace(item, kind="") for item in items]
    single = hits(most_frequent(alone, alone), [i.references for i in items], MATCHERS["exact"])
    assert single.mean() == pytest.approx(recorded["single_constant"]["accuracy"], **EXACT)


def test_scene_scores_equal_scikit_learn():
    golden = VQA["classification"]
    names = golden["classes"]
    said, truth = [names[i] for i in golden["pred_lhrs"]], [names[i] for i in golden["gt"]]
    scores = scene_scores(said, [[name] for name in truth])
    for name in ("accuracy", "balanced_accuracy", "macro_precision", "macro_f1", "kappa"):
        assert scores[name].value == pytest.approx(golden[name], **EXACT), name
    for i, value in golden["per_class_recall"].items():
        if names[int(i)] in truth:
            assert scores[f"recall_{names[int(i)]}"].value == pytest.approx(value, **EXACT), names[int(i)]
    table = confusion(said, truth, names)
    assert table[:, :-1].tolist() == golden["confusion"] and not table[:, -1].any()
    majority = max(map(truth.count, names)) / len(truth)
    assert majority == pytest.approx(golden["majority_class_accuracy"], **EXACT)
    for score in scores.values():
        assert float(score.finish(score.sums.sum(axis=0))) == pytest.approx(score.value, abs=1e-12)


def test_scene_replies_are_matched_as_recorded():
    golden = VQA["classification"]
    names, truth = golden["classes"], [[golden["classes"][i]] for i in golden["gt"]]
    matched = [names.index(lhrs_class(text, names)) for text in golden["pred_text"]]
    assert matched == golden["pred_lhrs"]
    for key in ("exact_lower_hits", "geochat_scene_hits"):
        assert "".join(str(int(hit)) for hit in hits(golden["pred_text"], truth)) == golden[key]


def test_a_scene_that_was_not_read_is_wrong_and_in_no_class():
    scores = scene_scores([None, "Beach", "sea"], [["beach"], ["beach"], ["river"]])
    assert scores["accuracy"].value == pytest.approx(1 / 3) and scores["recall_beach"].value == 0.5
    assert scores["macro_precision"].value == pytest.approx(1 / 3)  # beach 1, river 0, sea 0
    assert scores["macro_f1"].value == pytest.approx(2 / 9)
    assert confusion([None, "Beach", "sea"], ["beach", "beach", "river"], ["beach", "river"]).tolist() == [
        [1, 0, 1], [0, 0, 1]
    ]  # fmt: skip
    with pytest.raises(ValueError, match="none of the 1 classes"):
        confusion(["a"], ["b"], ["a"])


def test_cdvqa_is_overall_and_average_accuracy():
    scores = vqa_scores(["No", "0", "10-20"], [["no"], ["10-20"], ["10-20"]], ["change", "ratio", "ratio"],
                        MATCHERS["exact"])  # fmt: skip
    assert scores["overall"].value == pytest.approx(2 / 3) and scores["average"].value == 0.75


def test_what_was_not_parsed_is_never_right():
    assert hits([None, ""], [["yes"], ["yes"]], MATCHERS["evalai"]).tolist() == [0, 0]
    assert hits([None, ""], [["yes"], ["yes"]], MATCHERS["lhrs_v1"]).tolist() == [0, 1]  # the released rule's fault
    scores = vqa_scores([None, "no"], [["no"], ["no"]], ["presence", "presence"])
    assert scores["overall"].value == scores["yes_no"].value == 0.5


def test_the_bootstrap_of_a_mean_is_the_closed_form():
    values = np.random.default_rng(1).normal(3, 2, 400)
    closed = values.std(ddof=0) / math.sqrt(len(values))
    error = intervals({"m": mean_score("m", values)}, draws=4000)["m"].stderr
    assert error == pytest.approx(closed, rel=0.05)


def test_the_bootstrap_of_a_share_is_the_binomial():
    right = np.array([1.0] * 70 + [0.0] * 30)
    error = intervals({"a": mean_score("a", right)}, draws=4000)["a"].stderr
    assert error == pytest.approx(math.sqrt(0.7 * 0.3 / 100), rel=0.05)


def test_grouped_items_are_resampled_together():
    values = np.repeat(np.random.default_rng(2).normal(0, 1, 100), 5)  # five equal values a picture
    groups = np.repeat(np.arange(100), 5).tolist()
    scores = {"m": mean_score("m", values)}
    alone, together = intervals(scores)["m"].stderr, intervals(scores, groups=groups)["m"].stderr
    assert together == pytest.approx(alone * math.sqrt(5), rel=0.15)


def test_a_score_is_the_finish_of_its_sums():
    scores = score(CAPTIONS["images"], "coco_ptb")
    for one in scores.values():
        assert float(one.finish(one.sums.sum(axis=0))) == pytest.approx(one.value, abs=1e-12)


def test_the_bootstrap_is_fixed_by_its_seed_and_refuses_mixed_sets():
    scores = score(CAPTIONS["images"], "coco_ptb")
    assert intervals(scores) == intervals(scores)
    assert intervals(scores) != intervals(scores, seed=1)
    with pytest.raises(ValueError, match="together"):
        intervals({"a": mean_score("a", [1.0]), "b": mean_score("b", [1.0, 0.0])})


FALLING = (
    "mae", "rmse_road", "mae_area", "hamming_building", "turn2_mae_road", "ras", "ece", "adaptive_ece", "brier", "aurc",
    "parse_failures", "parse_failures_unique", "parse_failure_rate",
)  # fmt: skip
RISING = (
    "accuracy", "bleu_4", "cider_d", "miou", "rda", "rsu", "rmi", "map", "f1@0.5", "macro_f1", "refusal_rate", "pr@0.5",
    "recall_ras", "accuracy_mae", "balanced_accuracy", "mean_recall", "vc8", "rouge_l", "meteor", "precision",
)  # fmt: skip


def test_a_score_and_its_name_agree_on_which_way_is_better():
    for names, lower in ((FALLING, True), (RISING, False)):
        for name in names:
            assert mean_score(name, [1.0]).lower_is_better is lower_is_better(name) is lower, name
