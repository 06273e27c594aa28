"""Protocols of change, masks, matching and knowledge on miniatures: who knows is right, who knows nothing is not."""

import json

import numpy as np
import pytest

from fake import annotations
from fake.oracle import Oracle, correct_rows, data_root, task_of, vectors
from rsvlm.data.masks import decode_rle, encode_rle
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import BENCHMARKS
from rsvlm.evaluate.protocols import cdvqa, change_captions, changechat, knowledge, masks, matching
from rsvlm.evaluate.run import evaluate
from rsvlm.evaluate.solvers import write_map, write_vector
from rsvlm.evaluate.task import prepare
from rsvlm.metrics.zero_shot import TEMPLATES

GROUPS = (change_captions, changechat, cdvqa, masks, matching, knowledge)
PROTOCOLS = [one for group in GROUPS for one in group.PROTOCOLS]
NAMES = [one.name for one in PROTOCOLS]
ZERO_IS_BEST = ("mae", "rmse", "ras")
UNBOUNDED = ("cider_d", "s_m")  # of the words' rarity: no round number is the best


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return data_root(tmp_path_factory.mktemp("data"), PROTOCOLS)


def scored(task, rows):
    said = task.read(rows)
    json.dumps(said)
    return task.protocol.measure(task.items, said), said


def best(name):
    return 0.0 if name.split("turn2_")[-1].split("_")[0] in ZERO_IS_BEST else 1.0


@pytest.mark.parametrize("name", NAMES)
def test_who_knows_is_right_and_who_knows_nothing_is_not(name, root):
    protocol = BENCHMARKS[name]
    task = task_of(protocol, root)
    ids = [item.id for item in task.items]
    assert len(set(ids)) == len(ids) and task.data_hash == task_of(protocol, root).data_hash
    scores, said = scored(task, correct_rows(protocol, task.items))
    assert None not in said and protocol.per_item in scores
    assert {len(score.sums) for score in scores.values()} == {len(task.items)}
    for score in scores.values():
        assert float(score.finish(score.sums.sum(0))) == pytest.approx(score.value, abs=1e-9), score.name
    heads = [key for key in protocol.headline if key in scores]
    assert set(protocol.headline) - set(heads) <= {"meteor", "s_m", "s_m_changed", "sentence_meteor", "acc@5"}
    if protocol.ability != "localises":
        for key in heads:
            if not any(part in key for part in UNBOUNDED):
                assert scores[key].value == pytest.approx(best(key), abs=1e-6), key

    nothing = [{"answer": "", "confidence": 0.0}] * len(task.items)
    worst, said = scored(task, nothing)
    assert said == [None] * len(task.items)
    for key in heads:
        if any(part in key for part in UNBOUNDED):  # may be 0 for all: the words of a miniature are rarely rare
            assert worst[key].value <= 1e-6 and worst[key].value <= scores[key].value, key
        elif best(key):
            assert worst[key].value <= 1e-6 < scores[key].value, key
        else:
            assert worst[key].value > scores[key].value, key
    failed = [{"answer": "yes", "mask": None, "confidence": 0.0, "error": "timed out"}] * len(task.items)
    assert scored(task, failed)[1] == [None] * len(task.items)


@pytest.mark.parametrize("name", [p.name for p in PROTOCOLS if p.ability == "matches"])
def test_vectors_that_are_all_alike_match_nothing(name, root):
    task = task_of(BENCHMARKS[name], root)
    if len({i.meta.get("class") or i.id for i in task.items if not i.images}) == 1:
        pytest.skip("the miniature has one class")
    scores, _ = scored(task, [{"vector": write_vector(np.ones(4))}] * len(task.items))
    assert scores[task.protocol.headline[0]].value < 0.02  # a text that is true of all pictures finds one


def test_a_vector_of_another_length_matches_nothing(root):
    task = task_of(BENCHMARKS["rsitmd_retrieval/grouped-captions@1"], root)
    rows = correct_rows(task.protocol, task.items)
    scores, said = scored(task, [{"vector": [1.0, 2.0]}, *rows[1:]])
    assert None not in said and scores["i2t_recall@1"].per_item.tolist()[:12] == [0.0] + [1.0] * 11


@pytest.mark.parametrize("given", ["no base64 é", write_vector(np.array([1.0, np.nan])), [], "", [1, "a"], 3, {"a": 1}])
def test_a_vector_that_is_none_is_not_read(given):
    assert matching.vector_of([])(None, {"vector": given}) is None


def test_a_plain_list_is_a_vector():
    assert matching.vector_of([])(None, {"vector": [1.0, 2]}) == [1.0, 2]


@pytest.mark.parametrize("given", ["", "AAAA", "no base64 é", 3, {"a": 1}])
def test_a_map_that_is_none_is_not_read(given):
    assert matching.map_of([])(None, {"map": given}) is None


def test_masks_of_a_file_may_be_polygons_and_must_have_the_size(root):
    item = task_of(BENCHMARKS["rrsis_d/miou-oiou@1"], root).items[0]
    read = masks.mask_of([])
    assert decode_rle(read(item, {"mask": [[3, 3, 7, 3, 7, 7, 3, 7]]})).sum() == 16
    assert read(item, {"mask": encode_rle(np.ones((12, 15), bool))}) is None
    assert read(item, {"mask": {"size": [12, 16], "counts": "x"}}) is None and read(item, {"mask": "all"}) is None


def test_nobody_may_know_before_whether_a_pair_has_changed(root):
    """A baseline that answers by kind would be right about every pair."""
    for name in (
        "levir_cc/coco-ptb@1",
        "changechat_class/yes-no@1",
        "changechat_count/plain@1",
        "second_cc/coco-ptb@1",
    ):
        items = task_of(BENCHMARKS[name], root).items
        assert {item.kind for item in items} == {""} and {item.meta["changed"] for item in items} == {True, False}


def test_unchanged_pairs_have_no_cider_but_count(root):
    task = task_of(BENCHMARKS["levir_cc/coco-ptb@1"], root)
    scores, _ = scored(task, correct_rows(task.protocol, task.items))
    assert scores["cider_d_unchanged"].value == 0.0 and scores["bleu_4_unchanged"].value == pytest.approx(1, abs=1e-6)
    assert scores["bleu_4_changed"].n == scores["bleu_4_unchanged"].n == 2


def test_rare_words_match_one_another_only_in_numbers(root):
    """Words that the captions rarely use are all one number: that is what the papers' protocol gives away."""
    plain, ids = (task_of(BENCHMARKS[f"levir_cc/{name}@1"], root) for name in ("coco-ptb", "vocabulary-ids"))
    rows = [{"answer": "zebra " * 7} for _ in plain.items]
    assert scored(plain, rows)[0]["bleu_1"].value < 1e-6 < scored(ids, rows)[0]["bleu_1"].value


def test_a_caption_that_never_came_leaves_the_others_as_they_are(root):
    task = task_of(BENCHMARKS["levir_cc/vocabulary-ids@1"], root)
    rows = correct_rows(task.protocol, task.items)
    whole = scored(task, rows)[0]
    part = scored(task, [{"answer": "", "error": "timed out"}, *rows[1:]])[0]
    assert part["rouge_l"].per_item.tolist() == [0.0, *whole["rouge_l"].per_item[1:]]
    assert part["cider_d"].per_item[1:] == pytest.approx(whole["cider_d"].per_item[1:])


def test_deltavlm_hears_fifty_words_and_no_marks(root):
    task = task_of(BENCHMARKS["changechat_caption/deltavlm-vocab-ids@1"], root)
    rows = correct_rows(task.protocol, task.items)
    shouted = [{"answer": row["answer"].upper() + "!!"} for row in rows]
    assert task.read(shouted) == task.read(rows)
    short, long, *_ = task.read([{"answer": "road " * times} for times in (50, 99, 1, 1)])
    assert short["prediction"] == long["prediction"] and task.protocol.legacy


def test_dialogues_are_asked_with_the_right_answers_before(root):
    items = task_of(BENCHMARKS["changechat_dialogue/turns@1"], root).items
    first, second, third = items[3:6]
    assert first.question.startswith("q: Please judge") and " a: " not in first.question
    assert second.question == f"{first.question} a: Yes  q: If changes have occurred, count the number of road and " \
        "building changes separately."  # fmt: skip
    assert third.question.startswith(second.question + " a: There are 1 new roads") and third.kind == "turn3"


def test_counts_and_places_are_read_out_of_sentences(root):
    task = task_of(BENCHMARKS["changechat_count/plain@1"], root)
    said = task.read([{"answer": "one road and two new buildings"}, {"answer": "several of both"}] * 2)
    assert said == [{"road": 1, "building": 2}, None] * 2
    scores, _ = scored(task, [{"answer": "3 new roads and 2 new buildings"}] * 4)
    assert scores["mae_road"].value == 2.5 and scores["exact"].value == 0.0
    places = task_of(BENCHMARKS["changechat_locate/grid@1"], root)
    scores, said = scored(places, [{"answer": "roads: [] buildings: []"}] * 4)
    assert scores["jaccard_road"].value == 0.5 and scores["jaccard_released_road"].value == 0.0
    assert said[0] == {"road": [], "building": []}


def test_references_that_cannot_be_read_are_told_before_anything_is_asked(tmp_path):
    folder = annotations.make("changechat", tmp_path) / "annotations"
    for name, part in (("count/plain", "count"), ("dialogue/turns", "dialog"), ("locate/grid", "loc")):
        path = folder / f"changechat_105k_test_{part}.json"
        text = path.read_text()
        path.write_text(text.replace("No roads has changed, and no", "Hardly any").replace("roads: []", "nowhere"))
        with pytest.raises(BadInput, match=r"2 of 4 reference answers .* cannot be read, the first is '.*' of"):
            prepare(BENCHMARKS[f"changechat_{name}@1"], tmp_path)


def test_cdvqa_reads_the_answers_of_the_type(root):
    task = task_of(BENCHMARKS["cdvqa/test1-by-type@1"], root)
    read = task.protocol.reader(task.items)
    ground, ratio = task.items[2], task.items[3]
    assert read(ground, {"answer": "The non-vegetated ground surface."}) == "NVG_surface"
    assert read(ratio, {"answer": "about 0-10%"}) == read(ratio, {"answer": "0 % to 10 %"}) == "0_to_10"
    assert read(ratio, {"answer": "yes"}) is None and read(task.items[0], {"answer": "Yes, they did."}) == "yes"
    other = task_of(BENCHMARKS["cdvqa/test2-by-type@1"], root)
    assert not {item.id for item in task.items} & {item.id for item in other.items}


def test_retrieval_counts_equal_sentences_in_two_ways(root):
    """Twelve pictures share a sentence: alone it is wrong for all of them, merged it is right for all."""
    grouped, merged = (
        task_of(BENCHMARKS[f"rsitmd_retrieval/{name}@1"], root) for name in ("grouped-captions", "merged-texts")
    )
    assert (len(grouped.items), len(merged.items)) == (12 + 60, 12 + 49)
    assert merged.items[12].question == "a satellite image. many planes are parked ."
    assert merged.items[-1].question.startswith("a satellite image. ") and len(merged.items[12].meta["images"]) == 12

    def by_text(task):  # the same vector for the same text
        keys = [item.meta.get("images") or [item.meta["image"]] for item in task.items]
        same = [["x"] if item.question.endswith("many planes are parked .") else key
                for item, key in zip(task.items, keys, strict=True)]  # fmt: skip
        return scored(task, vectors(same))[0]

    assert by_text(grouped)["t2i_recall@1"].value == 48 / 60 and by_text(merged)["merged_t2i_recall@1"].value == 1.0
    assert "t2i_recall@1" not in by_text(merged)


def test_zero_shot_prompts(root):
    task = task_of(BENCHMARKS["aid_scenes/zero-shot-georsclip@1"], root)
    texts = [item.question for item in task.items if not item.images]
    assert len(texts) == 2 * 105 and "a remote sensing image of many bareland." in texts  # CamelCase stays one word
    sky = task_of(BENCHMARKS["aid_scenes/zero-shot-skyscript@1"], root)
    assert [i.question for i in sky.items if not i.images][2:] == [
        "a satellite photo of bare land.",
        "a satellite image of bare land",
    ]
    assert task.protocol.wording == TEMPLATES["georsclip"]


def test_prompts_are_averaged_before_or_after(root):
    """A long vector outweighs many short ones only where they are not brought to one length first."""
    results = {}
    for family in ("georsclip", "skyscript"):
        task = task_of(BENCHMARKS[f"rsscn7/zero-shot-{family}@1"], root)
        classes = sorted({i.meta["class"] for i in task.items if not i.images})
        rows = []
        for item in task.items:
            row = np.zeros(3)
            if item.images:
                row[classes.index(item.references[0])] = 1
            else:
                own, first = classes.index(item.meta["class"]), item.id.endswith("?0")
                row[1 - own if first else own] = 1000 if first else 1
                row[2] = 0.5
            rows.append({"vector": row.tolist()})
        results[family] = scored(task, rows)[0]["acc@1"].value
    assert results["georsclip"] == 0.0  # the one long vector points to the other class


def test_attributes_are_asked_in_both_wordings(root):
    for version, name in (("v1", "very bad"), ("v2", "very bad one")):
        task = task_of(BENCHMARKS[f"skyscript_smoothness/label-{version}@1"], root)
        asked = [i.question for i in task.items if not i.images]
        assert f"a satellite photo of road, {name}." in asked and len(asked) == 10


def test_selo_prefers_the_map_of_the_regions(root):
    task = task_of(BENCHMARKS["air_slt/selo@1"], root)
    scores, _ = scored(task, correct_rows(task.protocol, task.items))
    flat, _ = scored(task, [{"map": write_map(np.full((320, 480), 128, np.uint8))}] * 3)
    wrong, _ = scored(task, [{"map": write_map(np.full((9, 9), 128, np.uint8))}] * 3)  # of another size: the worst
    assert scores["rsu"].value > 0.95 > flat["rsu"].value > wrong["rsu"].value == 0.0 and wrong["ras"].value == 1.0
    assert scores["rmi"].value > flat["rmi"].value


def test_dubai_counts_no_unlabelled_pixels(root):
    task = task_of(BENCHMARKS["dubai/per-class@1"], root)
    rows = correct_rows(task.protocol, task.items)
    spilt = [
        {"mask": encode_rle(decode_rle(row["mask"]) | decode_rle(item.meta["ignore_mask"]))}
        for row, item in zip(rows, task.items, strict=True)
    ]
    scores, _ = scored(task, spilt)
    assert scores["miou"].value == 1.0 and scores["mae_area"].value == 0.0
    whole, _ = scored(task, [{"mask": encode_rle(np.ones((12, 16), bool))}] * len(task.items))
    assert 0 < whole["miou"].value < 0.5 and whole["iou_land"].n == len(task.items) // 5


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("changechat_dialogue/turns@1", "turn1_accuracy"), ("levir_cc/vocabulary-ids@1", "bleu_4"),
        ("rrsis_d/miou-oiou@1", "miou"), ("dubai/per-class@1", "miou"),
    ],
)  # fmt: skip
def test_a_run_from_end_to_end(name, metric, root, tmp_path):
    task = task_of(BENCHMARKS[name], root)
    model = Oracle(task.items, correct_rows(task.protocol, task.items))
    result = evaluate(name, root, model, split=task.split, out=tmp_path / "out", leak=False)
    assert result["metrics"][metric]["value"] == pytest.approx(1.0, abs=1e-6) and result["parse_failures"] == 0
    assert result["n"] == len(task.items) and (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize("name", ["rsitmd_retrieval/merged-texts@1", "skyscript_surface/label-v1@1", "air_slt/selo@1"])
def test_a_run_of_vectors_and_maps(name, root, tmp_path):
    result = evaluate(name, root, Oracle([], []), out=tmp_path / "out", leak=False)
    assert result["parse_failures"] == 0 and set(result["baselines"]) & {"chance", "uniform_map"}
    assert set(result["headline"]) <= set(result["metrics"])


def test_wordings_are_frozen():
    """A changed question is another protocol: raise its version and pin the new hash here."""
    assert {protocol.name: protocol.prompt_hash for protocol in PROTOCOLS} == PINNED


PINNED = {
    "levir_cc/coco-ptb@1": "4622d0c7aec424d4",
    "levir_cc/vocabulary-ids@1": "695a2cf19ae11ce0",
    "second_cc/coco-ptb@1": "125ff868f0429ca1",
    "second_cc/vocabulary-ids@1": "770423aa7d812bf4",
    "second_cc/coco-ptb-true-maps@1": "53e40b70959ffd1d",
    "second_cc/vocabulary-ids-true-maps@1": "19e70794be118845",
    "changechat_caption/coco-ptb@1": "1adfa4c58898662e",
    "changechat_caption/deltavlm-vocab-ids@1": "f094e235b5ed7775",
    "changechat_class/yes-no@1": "95658f0fa3a93db2",
    "changechat_count/plain@1": "c03a7d4cab878279",
    "changechat_locate/grid@1": "a4b58591410355d2",
    "changechat_qa/coco-ptb@1": "af995f38ec8a9bd8",
    "changechat_dialogue/turns@1": "186d8ad55f3c7de9",
    "cdvqa/test1-by-type@1": "af7ded85bdba8f0d",
    "cdvqa/test2-by-type@1": "8069aeb630a7c24e",
    "rrsis_d/miou-oiou@1": "4c5125d7e1e1f37b",
    "refsegrs/miou-oiou@1": "8aff46cad973881d",
    "geopix_instruct/miou-oiou@1": "518723f5fd96bb68",
    "dubai/per-class@1": "9cb6b18018c319d5",
    "levir_cd/change-f1@1": "fdeab2c0559302a9",
    "dsifn/change-f1@1": "6b2936fd5431d46f",
    "oscd/change-f1@1": "575bbeb28d5f5b4e",
    "sztaki/change-f1@1": "b25b0f2e2df02d80",
    "xbd/change-f1@1": "53338a9823b59aca",
    "levir_mci/per-class@1": "1e179277973bab27",
    "rsicd_retrieval/grouped-captions@1": "dc43f0fbe6bb61af",
    "rsicd_retrieval/merged-texts@1": "344c944f1b324417",
    "rsitmd_retrieval/grouped-captions@1": "08be35557eafff1f",
    "rsitmd_retrieval/merged-texts@1": "86ad8e0e179e7f50",
    "ucm_retrieval/grouped-captions@1": "7b7c1b95c14cd8ca",
    "ucm_retrieval/merged-texts@1": "14c50bf7a052b264",
    "aid_scenes/zero-shot-georsclip@1": "eeeb21a2574d5455",
    "ucm_scenes/zero-shot-georsclip@1": "e025d73b07838072",
    "nwpu_resisc45/zero-shot-georsclip@1": "8d46ea030e0518e5",
    "eurosat/zero-shot-georsclip@1": "f55a8cdc625e9187",
    "rsscn7/zero-shot-georsclip@1": "0d95bacbb348c50a",
    "whu_rs19/zero-shot-georsclip@1": "29c48956fe24355b",
    "siri_whu/zero-shot-georsclip@1": "cff9f8fa6222e524",
    "aid_scenes/zero-shot-skyscript@1": "f0f7c9ae57880638",
    "ucm_scenes/zero-shot-skyscript@1": "206a7d2ba5d7bef1",
    "nwpu_resisc45/zero-shot-skyscript@1": "eafa8bb50bb3b2b3",
    "eurosat/zero-shot-skyscript@1": "41ebe1de100e2c60",
    "rsscn7/zero-shot-skyscript@1": "a660f97a0b7f3fa0",
    "whu_rs19/zero-shot-skyscript@1": "8aff10e844ae03b1",
    "siri_whu/zero-shot-skyscript@1": "5a4590ca01241cee",
    "fmow/zero-shot-skyscript@1": "1f8216d331b8cc57",
    "skyscript_cls/zero-shot-skyscript@1": "3afba700001289aa",
    "skyscript_roof_shape/label-v1@1": "ce87897c7021f46d",
    "skyscript_roof_shape/label-v2@1": "8f7e7d03c33e0555",
    "skyscript_smoothness/label-v1@1": "4b098d5e2bb719a3",
    "skyscript_smoothness/label-v2@1": "74a8aff1cecb8803",
    "skyscript_surface/label-v1@1": "537ea3fbe4add41b",
    "skyscript_surface/label-v2@1": "8a0e2adeac156104",
    "air_slt/selo@1": "dd6cffd275b809b9",
    "rswk_caption/rsrag-sentences@1": "9e9b0b5a8038c08b",
    "rswk_class/exact@1": "338e6eacc16d51a4",
    "rswk_vqa_c/rsrag-sentences@1": "a3b9e560bbdb0a8a",
    "rswk_vqa_rsk/rsrag-sentences@1": "73bb5e6cffc482b1",
    "rswk_vqa_wk/rsrag-sentences@1": "5377ad80f006fc62",
    "rswk_mini_caption/rsrag-sentences@1": "e3fa94e1bf23c6d0",
    "rswk_mini_class/exact@1": "1d09e43cf6d71d40",
    "rswk_mini_vqa/rsrag-sentences@1": "2f5f9bbd379c39e6",
    "rswk_caption/rsrag-released@1": "3995ef07fa828bbe",
    "rswk_class/sixteen@1": "4cde14ba56bfe807",
    "rswk_vqa_c/rsrag-released@1": "25fc4dd7d916950e",
    "rswk_vqa_rsk/rsrag-released@1": "403f9179e9fd65dd",
    "rswk_vqa_wk/rsrag-released@1": "03ce8aead9a3c844",
    "rswk_vqa_rsk/values@1": "df680b666b497e2c",
    "rswk_mini_caption/rsrag-released@1": "c0efaf02a33c325d",
    "rswk_mini_class/sixteen@1": "568c13db787c2ab8",
    "rswk_mini_vqa/rsrag-released@1": "68153d8c4e1fb961",
    "rswk_mini_vqa/values@1": "286d78d19858099e",
}
