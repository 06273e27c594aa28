"""Caption, scene and question metrics against the reference implementations (tests/golden/metrics)."""

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from rsvlm.evaluate.metrics import accuracy
from rsvlm.evaluate.metrics.accuracy import MATCHERS, hits, scene_scores, vqa_scores
from rsvlm.evaluate.metrics.captions import caption_scores
from rsvlm.evaluate.metrics.score import mean_score, standard_errors
from rsvlm.evaluate.metrics.tokenizer import ptb, whitespace

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"
CAPTIONS = json.loads((GOLDEN / "captions.json").read_text(encoding="utf-8"))
VQA = json.loads((GOLDEN / "vqa.json").read_text(encoding="utf-8"))
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
    assert len(VQA["normalise"]) == 302
    assert [(c["raw"], normalise(c["raw"])) for c in VQA["normalise"]] == [
        (c["raw"], c[name]) for c in VQA["normalise"]
    ]


@pytest.mark.parametrize("rule", sorted(VQA["expect"]))
def test_matching_rules_equal_the_originals(rule):
    records, expected = VQA["records"], VQA["expect"][rule]
    said, told = [r["pred"] for r in records], [[r["gt"]] for r in records]
    assert "".join(str(int(hit)) for hit in hits(said, told, MATCHERS[rule])) == expected["item_hits"]
    scores = vqa_scores(said, told, [r["type"] for r in records], MATCHERS[rule])
    assert scores["overall"].value == pytest.approx(expected["overall"], **EXACT)
    assert scores["average"].value == pytest.approx(expected["average"], **EXACT)
    for kind, value in expected["per_type"].items():
        assert scores[f"accuracy_{kind}"].value == pytest.approx(value, **EXACT)
        assert scores[f"accuracy_{kind}"].n == expected["hits"][kind][1]


def test_scene_accuracies_equal_scikit_learn():
    golden = VQA["classification"]
    names = golden["classes"]
    scores = scene_scores([names[i] for i in golden["pred_lhrs"]], [[names[i]] for i in golden["gt"]])
    assert scores["accuracy"].value == pytest.approx(golden["accuracy"], **EXACT)
    assert scores["balanced_accuracy"].value == pytest.approx(golden["balanced_accuracy"], **EXACT)


def test_what_was_not_parsed_is_never_right():
    assert hits([None, ""], [["yes"], ["yes"]], MATCHERS["evalai"]).tolist() == [0, 0]
    assert hits([None, ""], [["yes"], ["yes"]], MATCHERS["lhrs_v1"]).tolist() == [0, 1]  # the released rule's fault
    scores = vqa_scores([None, "no"], [["no"], ["no"]], ["presence", "presence"])
    assert scores["overall"].value == scores["yes_no"].value == 0.5


def test_the_bootstrap_of_a_mean_is_the_closed_form():
    values = np.random.default_rng(1).normal(3, 2, 400)
    closed = values.std(ddof=0) / math.sqrt(len(values))
    error = standard_errors({"m": mean_score("m", values)}, draws=4000)["m"]
    assert error == pytest.approx(closed, rel=0.05)


def test_the_bootstrap_of_a_share_is_the_binomial():
    right = np.array([1.0] * 70 + [0.0] * 30)
    error = standard_errors({"a": mean_score("a", right)}, draws=4000)["a"]
    assert error == pytest.approx(math.sqrt(0.7 * 0.3 / 100), rel=0.05)


def test_grouped_items_are_resampled_together():
    values = np.repeat(np.random.default_rng(2).normal(0, 1, 100), 5)  # five equal values a picture
    groups = np.repeat(np.arange(100), 5).tolist()
    scores = {"m": mean_score("m", values)}
    alone, together = standard_errors(scores)["m"], standard_errors(scores, groups=groups)["m"]
    assert together == pytest.approx(alone * math.sqrt(5), rel=0.15)


def test_a_score_is_the_finish_of_its_sums():
    scores = score(CAPTIONS["images"], "coco_ptb")
    for one in scores.values():
        assert float(one.finish(one.sums.sum(axis=0))) == pytest.approx(one.value, abs=1e-12)


def test_the_bootstrap_is_fixed_by_its_seed_and_refuses_mixed_sets():
    scores = score(CAPTIONS["images"], "coco_ptb")
    assert standard_errors(scores) == standard_errors(scores)
    assert standard_errors(scores) != standard_errors(scores, seed=1)
    with pytest.raises(ValueError, match="together"):
        standard_errors({"a": mean_score("a", [1.0]), "b": mean_score("b", [1.0, 0.0])})
