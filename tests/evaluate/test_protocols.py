"""Every protocol on a miniature of its data set: who knows the answers is right, who knows nothing is not."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fake import annotations
from rsvlm.data import box_codecs as boxes
from rsvlm.data.catalogue import DATASETS, load
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import BENCHMARKS, find
from rsvlm.evaluate.protocols import cdvqa, change_captions, changechat, knowledge, masks, matching, objects, referring
from rsvlm.evaluate.solvers import SOLVERS

MEASURED = [name for name in BENCHMARKS if BENCHMARKS[name].dataset in annotations.LAYOUTS]
_GROUPS = (cdvqa, change_captions, changechat, knowledge, masks, matching, objects, referring)
ELSEWHERE = {one.name for group in _GROUPS for one in group.PROTOCOLS}
SEEN = [
    name
    for name in MEASURED
    if BENCHMARKS[name].ability in ("answers", "compares", "grounds")
    and name not in ELSEWHERE
    and BENCHMARKS[name].requires is None
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One data root with every miniature that a protocol here needs."""
    folder = annotations.make_all(tmp_path_factory.mktemp("data"), {BENCHMARKS[name].dataset for name in MEASURED})
    hr = folder / DATASETS["rsvqa_hr"].folder
    first = json.loads((hr / "USGS_split_test_phili_questions.json").read_text())["questions"][1]["id"]
    (hr / "hrben_47k.jsonl").write_text(json.dumps({"question_id": first}) + "\n")
    return folder


def asked(protocol, root):
    """The items of a protocol's split; of another one where the miniature's hash leaves that empty."""
    for split in (protocol.split, "all"):
        try:
            items = protocol.ask(load(protocol.dataset, root, split))
        except BadInput:
            if split == "all":
                raise
            continue
        if items:
            return items
    raise AssertionError(f"{protocol.name} asks nothing")


def right_row(protocol, item):
    """The row of a model that knows: boxes in pixels, or the words that the protocol's reader takes."""
    if protocol.ability == "grounds":
        found = [[n for point in r.polygon for n in point] if len(r.polygon) == 4 else [*r.box] for r in item.regions]
        return {"boxes": found if "rotated" in protocol.dialect else [[*r.box] for r in item.regions]}
    text = item.references[0]
    if protocol.name.endswith("vrsbench-notebook@1"):
        text = item.meta["ground_truth"]
    elif item.regions and protocol.name.endswith(("lhrs-legacy@1", "minigpt-legacy@1")):
        width, height = item.image.width, item.image.height
        box = item.regions[0].box
        text = (
            boxes.encode([box], "minigpt", size=(width, height))
            if "minigpt" in protocol.name
            else str([n / (width, height)[k % 2] for k, n in enumerate(box)])
        )
    return {"answer": text, "confidence": 1.0}


def scored(protocol, items, rows):
    read = protocol.reader(items)
    said = [read(item, row) for item, row in zip(items, rows, strict=True)]
    json.dumps(said)
    return protocol.measure(items, said), said


@pytest.mark.parametrize("name", SEEN)
def test_who_knows_the_answers_is_right_and_who_knows_nothing_is_not(name, root):
    protocol = BENCHMARKS[name]
    items = asked(protocol, root)
    assert len({item.id for item in items}) == len(items)
    scores, said = scored(protocol, items, [right_row(protocol, item) for item in items])
    assert None not in said
    assert set(protocol.headline) & set(scores) and protocol.per_item in scores
    assert {len(score.sums) for score in scores.values()} == {len(items)}
    assert len(scores[protocol.per_item].per_item) == len(items)
    unbounded = ("cider_d", "bleu_4", "meteor")  # CIDEr-D reaches 10, BLEU-4 and METEOR of a short caption not 1
    best = [score for key, score in scores.items() if key in protocol.headline and key not in unbounded and score.n]
    if protocol.name.endswith("minigpt-legacy@1"):  # hundredths of a picture of 16 x 12 pixels: not every box survives
        assert scores["acc@0.5"].value > 0.5
    elif protocol.headline[0] != "refusal_rate":
        assert best and all(score.value == pytest.approx(1.0, abs=1e-6) for score in best), {
            s.name: s.value for s in best
        }

    nothing = {"boxes": None} if protocol.ability == "grounds" else {"answer": "", "confidence": 0.0}
    scores, said = scored(protocol, items, [nothing] * len(items))
    if not protocol.legacy:
        assert said == [None] * len(items)  # counted as not read by whoever runs it
        assert all(scores[key].value == pytest.approx(0, abs=1e-3) for key in protocol.headline if key in scores)
    failed = {"answer": "", "confidence": 0.0, "boxes": None, "error": "timed out"}
    assert scored(protocol, items, [failed] * len(items))[1] == [None] * len(
        items
    )  # an endpoint's failure is no answer


@pytest.mark.parametrize("name", MEASURED)
def test_entries_are_complete(name):
    protocol = BENCHMARKS[name]
    assert protocol.name == name and name.count("/") == 1 and name.rpartition("@")[2].isdigit()
    assert protocol.title and protocol.dataset in DATASETS and protocol.ability in SOLVERS and protocol.wording
    assert protocol.split in ("train", "val", "test", "all") and set(protocol.counts) <= {"train", "val", "test"}
    assert bool(protocol.legacy) == any(
        mark in name for mark in ("legacy", "notebook", "47k", "vocab-ids", "rsrag-released", "true-maps")
    )
    assert find(protocol.benchmark).benchmark == protocol.benchmark


def test_wordings_are_frozen():
    """A changed question is another protocol: raise its version and pin the new hash here."""
    found = {name: BENCHMARKS[name].prompt_hash for name in PINNED}
    assert found == PINNED


def test_rsvqa_variants_ask_what_they_say(root):
    kinds = {
        name: Counter(item.kind for item in asked(BENCHMARKS[f"rsvqa_hr/{name}@1"], root))
        for name in ("test1-presence-comp", "test1-all", "phili-geochat-62554", "phili-geochat-47k", "phili-all")
    }
    assert kinds["test1-presence-comp"] == kinds["phili-geochat-62554"] == {"presence": 2}
    assert kinds["test1-all"] == kinds["phili-all"] == {"presence": 2, "count": 2}
    assert kinds["phili-geochat-47k"] == {"presence": 1}  # the one that the list names
    ids = {item.id for item in asked(BENCHMARKS["rsvqa_hr/test1-all@1"], root)}
    assert not ids & {item.id for item in asked(BENCHMARKS["rsvqa_hr/phili-all@1"], root)}
    (item, *_) = [i for i in asked(BENCHMARKS["rsvqa_lr/all-buckets@1"], root) if i.kind == "count"]
    assert item.references == ("3",)
    for name, right in (("rsvqa_lr/all-buckets@1", 1.0), ("rsvqa_lr/all@1", 0.0)):
        scores, _ = scored(BENCHMARKS[name], [item], [{"answer": "about 7"}])
        assert scores["overall"].value == right  # 3 and 7 are in the range 1 to 10


def test_the_47k_questions_must_be_listed(tmp_path):
    folder = annotations.make("rsvqa_hr", tmp_path)
    with pytest.raises(BadInput, match="never published which 47k"):
        BENCHMARKS["rsvqa_hr/phili-geochat-47k@1"].ask(load("rsvqa_hr", folder, "test"))
    assert BENCHMARKS["rsvqa_hr/phili-geochat-47k@1"].ask(load("rsvqa_hr", folder, "train"))


def test_vrsbench_leak_free_needs_dior_rsvg(tmp_path):
    protocol = BENCHMARKS["vrsbench_referring/leak-free@1"]
    folder = annotations.make("vrsbench", tmp_path)
    with pytest.raises(BadInput, match="put its folder DIOR_RSVG"):
        protocol.ask(load("vrsbench", folder, "val"))
    annotations.make("dior_rsvg", tmp_path)
    assert [Path(i.image.path).name for i in protocol.ask(load("vrsbench", folder, "val"))] == ["P0003_0002.png"]
    assert protocol.ask(load("vrsbench", folder, "train"))


def test_released_faults_stay_behind_their_names(root):
    """The same replies under the right protocol and under the released one."""

    def value(name, answer, metric):
        protocol = BENCHMARKS[name]
        items = asked(protocol, root)
        return scored(protocol, items, [answer(item) for item in items])[0][metric].value

    def no_box(item):  # beside the target, touching nothing of it
        return {"answer": "[0.57, 0.17, 0.90, 0.83]", "boxes": [[0.57 * 16, 0.17 * 12, 0.9 * 16, 0.83 * 12]]}

    assert value("rsvg/plain-iou@1", no_box, "acc@0.5") == 0
    assert value("rsvg/lhrs-legacy@1", no_box, "accuracy") > 0
    assert value("rsvqa_lr/presence-comp-ru@1", lambda _: {"answer": ""}, "overall") == 0
    assert value("rsvqa_lr/lhrs-legacy@1", lambda _: {"answer": ""}, "overall") == 1
    assert value("vrsbench_vqa/local-judge@1", lambda _: {"answer": "not sure about 12"}, "overall") == 0
    assert value("vrsbench_vqa/notebook@1", lambda _: {"answer": "not sure about 12"}, "overall") == 0.5
    assert value("lhrs_bench/letter@1", lambda _: {"answer": "."}, "accuracy") == 0
    assert value("lhrs_bench/lhrs-legacy@1", lambda _: {"answer": "."}, "accuracy") == pytest.approx(1 / 3)
    assert value("siri_whu/free-generation@1", lambda _: {"answer": "pon"}, "accuracy") == 0
    assert value("siri_whu/lhrs-legacy@1", lambda _: {"answer": "pon"}, "accuracy") == 0.5


def test_lhrs_scene_prompt_names_the_folders(root):
    item = asked(BENCHMARKS["nwpu_resisc45/lhrs-legacy@1"], root)[0]
    assert item.question == "[CLS] Choose the best categories describe the image from: ['golf course', 'sea ice']"
    item = asked(BENCHMARKS["aid_scenes/lhrs-legacy@1"], root)[0]
    assert item.choices == ("airport", "bareland")  # as the folder is called, not in words


def test_lhrs_bench_counts_a_question_in_each_of_its_types(root):
    protocol = BENCHMARKS["lhrs_bench/letter@1"]
    items = asked(protocol, root)
    scores, _ = scored(protocol, items, [right_row(protocol, items[0]), {"answer": "B"}, {"answer": "B"}])
    assert (scores["accuracy_identity"].value, scores["accuracy_reasoning"].value) == (1.0, 1.0)
    assert (scores["accuracy_color"].value, scores["accuracy_quantity"].value) == (0.0, 0.0)
    assert scores["accuracy"].value == pytest.approx(1 / 3) and "B. U.S. base" in items[0].question


def test_xlrs_takes_several_letters_only_where_several_may_be_right(root):
    protocol = BENCHMARKS["xlrs_bench_lite/one-image@1"]
    one, several = asked(protocol, root)
    read = protocol.reader([one, several])
    assert read(one, {"answer": "A C"}) is None and read(several, {"answer": "C and A."}) == "AC"
    assert several.references == ("AC",) and "more than one" in several.question and "more than one" not in one.question
    assert [len(item.images) for item in asked(BENCHMARKS["xlrs_bench_lite/two-dates@1"], root)] == [2]


def test_grounding_by_groups(root):
    protocol = BENCHMARKS["vrsbench_referring/plain-iou@1"]
    items = asked(protocol, root)
    rows = [right_row(protocol, items[0]), {"boxes": [[0.0, 0.0, 1.0, 1.0]]}]
    scores, _ = scored(protocol, items, rows)
    assert [scores[f"acc@0.5{tail}"].value for tail in ("", "_unique", "_non_unique", "_large", "_small")] == [
        0.5, 1, 0, 1, 0,
    ]  # fmt: skip
    turned = BENCHMARKS["geochat_bench/referring-rotated@1"]
    items = asked(turned, root)
    scores, _ = scored(
        turned, items, [right_row(turned, items[0]), {"boxes": right_row(turned, items[1])["boxes"][:1]}]
    )
    assert scores["acc@0.5_ref"].value == 1 and scores["acc@0.5_grounding"].value == 0.5  # one of two targets
    rows = [right_row(turned, item) for item in items]
    assert scored(turned, items, rows)[0]["miou"].value == pytest.approx(1.0)  # the polygons, not their bounds
    upright = [{"boxes": [list(region.box) for region in item.regions]} for item in items]
    assert scored(turned, items, upright)[0]["miou"].value < 0.99
    assert scored(BENCHMARKS["geochat_bench/referring-plain@1"], items, upright)[0]["miou"].value == pytest.approx(1.0)


def test_a_missed_question_type_is_not_a_wrong_one(root):
    """Types that occur only in another split have no score here, rather than 0."""
    protocol = find("floodnet_vqa")
    items = asked(protocol, root)
    scores, _ = scored(protocol, items, [right_row(protocol, item) for item in items])
    assert {key.removeprefix("accuracy_") for key in scores if key.startswith("accuracy_")} == {i.kind for i in items}
    assert np.isfinite([score.value for score in scores.values()]).all()


PINNED = {
    "aid_scenes/free-generation@1": "d17e9eb3b2b63483",
    "aid_scenes/lhrs-legacy@1": "3135068d2c82d312",
    "dior_rsvg/lhrs-legacy@1": "b54892a1770c356e",
    "dior_rsvg/minigpt-legacy@1": "03a2b4bcc8aaffba",
    "dior_rsvg/plain-iou@1": "74246cdf3b9e225a",
    "eurosat/free-generation@1": "438cbe78eb6b9a2f",
    "eurosat/lhrs-legacy@1": "04165a4a94660b9d",
    "floodnet_vqa/evalai-numbers@1": "797cd068f69abea2",
    "fmow/free-generation@1": "a2b6981e88b52b18",
    "fmow/lhrs-legacy@1": "e79892286376db7f",
    "geobench_vlm/ref-det@1": "0ed934e3fb3b22e1",
    "geobench_vlm/single@1": "32f03a4f47807573",
    "geobench_vlm/temporal@1": "89e56bafdccfcc00",
    "geochat_bench/referring-plain@1": "72f4c28478e71fac",
    "geochat_bench/referring-rotated@1": "b61ffcb14124a610",
    "geochat_bench/region-caption@1": "554674f0bd42171c",
    "lhrs_bench/letter@1": "2e65bbd02c2a08df",
    "lhrs_bench/lhrs-legacy@1": "4efc7d5fc5188ae3",
    "meter_ml/free-generation@1": "67f41daba92f3b1b",
    "meter_ml/lhrs-legacy@1": "c864a5d987d33058",
    "nwpu_captions/coco-ptb@1": "c1d8d6fa2ce36da3",
    "nwpu_resisc45/free-generation@1": "457f1a661638f01c",
    "nwpu_resisc45/lhrs-legacy@1": "ee711597bec24016",
    "refusals/fifty@1": "c30df360dcd832de",
    "rsicd_captions/coco-ptb@1": "d3602486c1acf4e5",
    "rsivqa/evalai-numbers@1": "d1df0f04b74a8bcc",
    "rsscn7/free-generation@1": "02d3047b9276d126",
    "rsvg/lhrs-legacy@1": "9605ab39749e2157",
    "rsvg/minigpt-legacy@1": "6b3f583703798d3a",
    "rsvg/plain-iou@1": "c500f19781b679d7",
    "rsvqa_hr/lhrs-legacy@1": "2519e504295a83d4",
    "rsvqa_hr/phili-all@1": "1e4d65e92d104136",
    "rsvqa_hr/phili-geochat-47k@1": "f1343d0a2666a328",
    "rsvqa_hr/phili-geochat-62554@1": "4976e22f362f896b",
    "rsvqa_hr/test1-all@1": "266c54576284e0a1",
    "rsvqa_hr/test1-presence-comp@1": "731a9460b30ec68f",
    "rsvqa_lr/all-buckets@1": "7af800a783a9d285",
    "rsvqa_lr/all@1": "97153195a6f8f2cf",
    "rsvqa_lr/lhrs-legacy@1": "08ad880bf54a16c6",
    "rsvqa_lr/presence-comp-ru@1": "4d53c2de741a38c3",
    "siri_whu/free-generation@1": "9b4e29a23702922d",
    "siri_whu/lhrs-legacy@1": "7d45312a6c1323da",
    "sydney_captions/coco-ptb@1": "d6d8f6ffda896bc7",
    "ucm_captions/coco-ptb@1": "9e004b74bd3e41a8",
    "ucm_scenes/free-generation@1": "c0e92ccdd1695185",
    "vrsbench_caption/coco-ptb@1": "b25491ef6e469bdf",
    "vrsbench_referring/leak-free@1": "1f7239a738bd41cf",
    "vrsbench_referring/plain-iou@1": "63439cf310741435",
    "vrsbench_referring/vrsbench-notebook@1": "550922fe3eaecc77",
    "vrsbench_vqa/local-judge@1": "e8150dd576155b8b",
    "vrsbench_vqa/notebook@1": "0caba6ae10e0239c",
    "whu_rs19/free-generation@1": "52eb8cdc0e68a9d0",
    "whu_rs19/lhrs-legacy@1": "22c205a50f4692f4",
    "xlrs_bench_lite/one-image@1": "b093f2ce1d05309b",
    "xlrs_bench_lite/two-dates@1": "0b8451a45efe9786",
}
