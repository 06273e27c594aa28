"""Grounding metrics against the recorded protocols, by hand, and as functions of sums."""

import numpy as np
import pytest

from fake.golden import golden
from fake.scores import check_sums
from rsvlm.data.box_codecs import decode
from rsvlm.metrics.boxes import ious
from rsvlm.metrics.grounding import grounding_scores, lhrs_scores, minigpt_scores, size_groups, vrsbench_scores

GOLDEN = golden("grounding.json")
EXACT = {"rel": 0, "abs": 1e-9}
NAMES = {"acc@0.5": "acc@0.5", "acc@0.7": "acc@0.7", "miou": "meanIoU", "cum_iou": "cumIoU"}
VRSBENCH = GOLDEN["vrsbench"]["items"]
UNIQUE = np.array([bool(item["is_unique"]) for item in VRSBENCH])


def boxes(texts, dialect):
    return [decode(text, dialect).boxes for text in texts]


@pytest.fixture(scope="module")
def plain():
    answers, targets = (boxes([i[key] for i in VRSBENCH], "vrsbench") for key in ("answer", "ground_truth"))
    return grounding_scores(answers, targets, groups={"unique": UNIQUE, "non_unique": ~UNIQUE})


@pytest.mark.parametrize("part", ["all", "unique", "non_unique"])
def test_vrsbench_items_by_the_plain_rule(plain, part):
    expected = GOLDEN["vrsbench"]["expect"][part]["plain"]
    tail = "" if part == "all" else f"_{part}"
    for ours, theirs in NAMES.items():
        assert plain[ours + tail].value * 100 == pytest.approx(expected[theirs], **EXACT), ours
    failures = plain[f"parse_failures{tail}"]
    assert (failures.per_item.sum(), failures.n) == (expected["parse_failures"], expected["total"])
    assert plain[f"cum_iou{tail}"].n == expected["total"] - expected["parse_failures"]
    assert plain[f"cum_iou_all{tail}"].value <= plain[f"cum_iou{tail}"].value


def test_each_item_and_the_sums(plain):
    expected = np.array([n or 0.0 for n in GOLDEN["vrsbench"]["expect"]["all"]["iou_plain"]])
    assert plain["miou"].per_item == pytest.approx(expected, **EXACT)
    check_sums(plain)


@pytest.mark.parametrize("part", ["all", "unique", "non_unique"])
def test_vrsbench_notebook(part):
    chosen = {"all": UNIQUE | True, "unique": UNIQUE, "non_unique": ~UNIQUE}[part]
    items = [item for item, take in zip(VRSBENCH, chosen, strict=True) if take]
    scores = vrsbench_scores([i["answer"] for i in items], [i["ground_truth"] for i in items])
    expected = GOLDEN["vrsbench"]["expect"][part]["vrsbench_official"]
    for ours, theirs in NAMES.items():
        assert scores[ours].value * 100 == pytest.approx(expected[theirs], **EXACT), ours
    assert scores["parse_failures"].n - scores["parse_failures"].per_item.sum() == expected["valid"]
    check_sums(scores)
    if part == "all":
        iou = np.array([n or 0.0 for n in GOLDEN["vrsbench"]["expect"]["all"]["iou_official"]])
        assert scores["miou"].per_item == pytest.approx(iou, **EXACT)


def test_vrsbench_notebook_reads_any_number_as_a_corner():
    trap = vrsbench_scores(["there are 2 ships {<6><14><22><77>}"], ["{<6><14><22><77>}"])
    assert trap["acc@0.5"].value == 0
    assert vrsbench_scores(["", "9" * 5000 + " 1 2 3"], ["{<0><0><9><9>}"] * 2)["parse_failures"].value == 1


def test_lhrs_main_vg_and_what_plain_iou_says_of_the_same_answers():
    items, expected = GOLDEN["lhrs"]["items"], GOLDEN["lhrs"]["expect"]
    answers, targets = [i["pred"] for i in items], [i["target"] for i in items]
    scores = lhrs_scores(answers, targets)
    assert scores["accuracy"].value * 100 == pytest.approx(expected["accuracy"], **EXACT)
    assert scores["accuracy_with_fail"].value * 100 == pytest.approx(expected["accuracy_with_fail"], **EXACT)
    assert scores["parse_failures"].sums[:, 0].sum() == expected["fail"]
    assert scores["accuracy"].sums[:, 1].sum() == expected["parsed"]
    check_sums(scores)
    ours = grounding_scores(boxes(answers, "lhrs"), boxes(targets, "lhrs"))
    for name in ("acc@0.5", "acc@0.7", "miou"):
        assert ours[name].value * 100 == pytest.approx(expected["plain"][NAMES[name]], **EXACT)
    assert ours["parse_failures"].per_item.sum() == expected["plain"]["parse_failures"]
    assert ours["acc@0.5"].value < scores["accuracy"].value, "+1 on 0-1 boxes flatters"


def test_lhrs_fails_as_main_vg_fails():
    target = "[0.1, 0.1, 0.4, 0.4] and [0.5, 0.5, 0.9, 0.9]"
    answers = ["no", "[0.1, .]", "[0.1, 0.1, 0.4]", "[0.1, 0.1, 0.4, 0.4, 7] [0.5, 0.5, 0.9, 0.9]", ""]
    scores = lhrs_scores(answers, [target] * 5)
    assert scores["parse_failures"].sums[:, 0].tolist() == [1, 1, 1, 0, 1]
    assert (scores["accuracy"].value, scores["accuracy_with_fail"].value) == (1, 2 / 6)


def test_minigpt_eval_ref():
    items = GOLDEN["minigpt_ref"]["items"]
    targets = [(x, y, x + w, y + h) for x, y, w, h in (i["bbox_xywh"] for i in items)]
    scores = minigpt_scores([i["answer"] for i in items], targets, [(i["width"], i["height"]) for i in items])
    assert scores["acc@0.5"].per_item.tolist() == [i["hit"] for i in items]
    assert scores["acc@0.5"].value * 100 == pytest.approx(GOLDEN["minigpt_ref"]["accuracy"], **EXACT)
    check_sums(scores)


def test_corners_read_as_width_and_height_flatter():
    trap = GOLDEN["xywh_trap"]
    p, t = np.split(np.array(trap["pairs"], dtype=float), 2, axis=1)
    right = ious(p, t)
    for rows in (p, t):
        rows[:, 2:] += rows[:, :2]
    assert (right >= 0.5).mean() == pytest.approx(trap["acc@0.5_correct"])
    assert (ious(p, t) >= 0.5).mean() == pytest.approx(trap["acc@0.5_if_corners_are_read_as_xywh"])


def test_threshold_rule():
    half = [[(0, 0, 1, 2)]], [[(0, 0, 1, 1)]]
    assert grounding_scores(*half)["acc@0.5"].value == 1
    assert grounding_scores(*half, strict=True)["acc@0.5"].value == 0


def test_an_unread_answer_counts_and_is_never_right():
    scores = grounding_scores([None, (), [(0, 0, 1, 1)]], [[(0, 0, 1, 1)]] * 3)
    assert scores["acc@0.5"].value == scores["miou"].value == pytest.approx(1 / 3)
    assert scores["parse_failures"].value == pytest.approx(2 / 3)
    assert (scores["cum_iou"].value, scores["cum_iou_all"].value) == (1, pytest.approx(1 / 3))


def test_one_target_takes_the_first_box_only():
    scores = grounding_scores([[(5, 5, 6, 6), (0, 0, 1, 1)]], [[(0, 0, 1, 1)]])
    assert scores["acc@0.5"].value == 0
    assert scores["cum_iou"].sums.tolist() == [[0, 2]]


def test_several_targets_are_paired_one_to_one():
    targets = [(0, 0, 2, 2), (4, 4, 6, 6)]
    exact, half = [(4, 4, 6, 6), (0, 0, 2, 2)], [(0, 0, 2, 1)]
    many = [*targets, (8, 8, 9, 9), (8, 8, 9, 9)]
    scores = grounding_scores([exact, half, many, None], [targets] * 4)
    assert scores["miou"].per_item.tolist() == [1, 0.25, 0.5, 0]
    assert scores["acc@0.5"].per_item.tolist() == [1, 0.5, 0.5, 0]
    assert scores["acc@0.7"].per_item.tolist() == [1, 0, 0.5, 0]
    assert scores["cum_iou"].sums.tolist() == [[8, 8], [2, 8], [8, 10], [0, 0]]
    assert scores["cum_iou_all"].sums.tolist()[3] == [0, 8]


def test_turned_boxes_and_quads_in_one_set():
    answers = [[(0, 0, 4, 2, 90)], [(0, 0, 4, 0, 4, 2, 0, 2)]]
    targets = [[(0, 0, 4, 2)], [(0, 0, 4, 2)]]
    assert grounding_scores(answers, targets, mode="rotated")["miou"].per_item == pytest.approx([1 / 3, 1])
    assert grounding_scores(answers, targets)["miou"].per_item.tolist() == [1, 1]


def test_groups_by_size():
    groups = size_groups([0, 1023, 1024, 9215, 9216, 1e6])
    assert {name: marks.tolist() for name, marks in groups.items()} == {
        "small": [True, True, False, False, False, False],
        "medium": [False, False, True, True, False, False],
        "large": [False, False, False, False, True, True],
    }
    box = [(0, 0, 1, 1)]
    scores = grounding_scores([box, None], [box, box], groups=size_groups([5, 5000]))
    assert [scores[f"acc@0.5_{size}"].value for size in groups] == [1, 0, 0]
    assert scores["acc@0.5_large"].n == 0
    check_sums(scores)


def test_nothing_and_nonsense():
    assert grounding_scores([], [])["miou"].n == 0
    assert vrsbench_scores([], [])["cum_iou"].value == 0
    assert lhrs_scores([], [])["accuracy"].value == 0
    assert minigpt_scores([], [], [])["acc@0.5"].n == 0
    with pytest.raises(ValueError, match="lists of boxes"):
        grounding_scores([None], [[]])
    with pytest.raises(ValueError, match="lists of boxes"):
        grounding_scores([None], [])
