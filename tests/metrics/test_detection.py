"""Detection metrics against pycocotools' own COCOeval on random data, and by hand."""

import contextlib
import io
import sys
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rsvlm.errors import MissingPart
from rsvlm.metrics.coco import coco_scores
from rsvlm.metrics.detection import ap_score, detection_scores, f1_scores
from rsvlm.metrics.regions import region_ious
from rsvlm.metrics.score import intervals
from rsvlm.sample import Region

STATS = ("map", "ap50", "ap75", "map_small", "map_medium", "map_large", "ar@1", "ar@10", "ar@100", "ar_small",
         "ar_medium", "ar_large")  # fmt: skip
EXACT = {"rel": 0, "abs": 1e-12}


def ship(x1, y1, x2, y2, score=None, label="ship", **more):
    return Region(label=label, box=(x1, y1, x2, y2), score=score, **more)


def random_images(seed, images=12, most=9):
    """Targets of all sizes, and detections: near ones, far ones, some of another label, some twice."""
    rng = np.random.default_rng(seed)
    said, truth = [], []
    for _ in range(images):
        targets, found = [], []
        for _ in range(rng.integers(0, most)):
            side = rng.choice([12, 50, 160]) * rng.uniform(0.6, 1.5, 2)
            corner = rng.uniform(0, 600, 2)
            label = str(rng.choice(["ship", "plane", "tank"]))
            targets.append(ship(*corner, *(corner + side), label=label))
            for _ in range(rng.integers(0, 3)):
                off = rng.normal(0, 0.12, 4) * np.tile(side, 2)
                x1, y1, x2, y2 = np.concatenate([corner, corner + side]) + off
                guess = label if rng.random() < 0.8 else "plane"
                found.append(ship(x1, y1, max(x1, x2), max(y1, y2), score=float(rng.random()), label=guess))
        found.append(ship(1, 1, 30, 30, score=float(rng.random()), label="tank"))
        said.append(found)
        truth.append(targets)
    return said, truth


def reference_stats(said, truth):
    labels = sorted({region.label for regions in truth for region in regions})

    def rows(images):
        return [
            {"image_id": i, "category_id": labels.index(r.label), "score": r.score, "iscrowd": 0,
             "bbox": [r.box[0], r.box[1], r.box[2] - r.box[0], r.box[3] - r.box[1]],
             "area": (r.box[2] - r.box[0]) * (r.box[3] - r.box[1])}
            for i, regions in enumerate(images) for r in regions if r.label in labels
        ]  # fmt: skip

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": i} for i in range(len(truth))],
            "categories": [{"id": k} for k in range(len(labels))],
            "annotations": [{**row, "id": n} for n, row in enumerate(rows(truth), start=1)],
        }
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(rows(said)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", range(4))
def test_equals_cocoeval_on_random_images(seed, capsys):
    said, truth = random_images(seed, images=6 if seed else 12)
    scores = coco_scores(said, truth)
    for name, theirs in zip(STATS, reference_stats(said, truth), strict=True):
        if theirs < 0:
            assert name not in scores
        else:
            assert scores[name].value == pytest.approx(theirs, **EXACT), name
    assert capsys.readouterr().out == ""


def test_one_image_is_its_own_set():
    said, truth = random_images(7)
    scores = coco_scores(said, truth)
    with_targets = [i for i, targets in enumerate(truth) if targets]
    for name in STATS:
        alone = [coco_scores([said[i]], [truth[i]]) for i in with_targets]
        assert scores[name].per_item == pytest.approx([s[name].value for s in alone if name in s], **EXACT), name
        assert len(scores[name].sums) == len(truth)
        assert float(scores[name].finish(scores[name].sums.sum(axis=0))) == pytest.approx(scores[name].value, **EXACT)
    assert all(spread.stderr >= 0 for spread in intervals(scores, draws=20).values())


def test_the_limit_of_detections():
    said, truth = random_images(3, images=3, most=30)
    assert coco_scores(said, truth, max_detections=2)["ar@2"].value < coco_scores(said, truth)["ar@100"].value


def test_by_hand():
    truth = [[ship(0, 0, 10, 10), ship(20, 0, 30, 10)], [ship(0, 0, 10, 10)]]
    said = [[ship(0, 0, 10, 10, 0.9), ship(40, 0, 50, 10, 0.8)], [ship(0, 0, 10, 10, 0.7)]]
    # curve: (recall 1/3, precision 1), (1/3, 1/2), (2/3, 2/3)
    assert ap_score(said, truth).value == pytest.approx(1 / 3 + 2 / 9)
    assert ap_score(said, truth, curve="voc11").value == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    assert ap_score(said, truth, curve="coco101").value == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert coco_scores(said, truth)["ap50"].value == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert ap_score(said, truth).per_item.tolist() == [0.5, 1]


@pytest.mark.parametrize("seed", range(3))
def test_own_average_precision_equals_cocoeval_where_targets_lie_apart(seed):
    said, truth = random_images(seed, images=30, most=2)  # one target a label: VOC's and COCO's matching agree
    theirs = coco_scores(said, truth)
    assert ap_score(said, truth, curve="coco101").value == pytest.approx(theirs["ap50"].value, **EXACT)
    assert ap_score(said, truth, curve="coco101", threshold=0.75).value == pytest.approx(theirs["ap75"].value, **EXACT)


def test_voc_does_not_fall_back_on_the_second_best_target():
    truth = [[ship(0, 0, 10, 10), ship(2, 0, 12, 10)]]
    said = [[ship(0, 0, 10, 10, 0.9), ship(0.5, 0, 10.5, 10, 0.8)]]
    assert ap_score(said, truth).value == 0.5
    assert coco_scores(said, truth)["ap50"].value == pytest.approx(1)


def test_turned_boxes_through_both():
    upright, turned = ship(0, 0, 40, 10), ship(0, 0, 40, 10, angle=90)
    assert region_ious([upright], [turned])[0, 0] == pytest.approx(100 / 700)
    ring = ship(0, 0, 40, 10, polygon=((0, 0), (40, 0), (40, 10), (0, 10)))
    assert region_ious([ring], [upright])[0, 0] == 1
    truth = [[turned, ship(100, 100, 140, 110)]]
    said = [[ship(0, 0, 40, 10, 0.9, angle=-90), ship(100, 100, 140, 110, 0.8, angle=2)]]
    flat = [[ship(0, 0, 40, 10, 0.9), ship(100, 100, 140, 110, 0.8)]]
    assert ap_score(said, truth).value == coco_scores(said, truth)["ap50"].value == pytest.approx(1)
    assert ap_score(flat, truth).value == pytest.approx(0.25)
    assert coco_scores(said, truth)["map_small"].value == coco_scores(said, truth)["map"].value
    crossing = ship(0, 0, 4, 4, polygon=((0, 0), (4, 4), (4, 0), (0, 4)))
    assert region_ious([crossing], [crossing])[0, 0] == 0


def test_without_confidence_the_order_does_not_matter():
    truth = [[ship(0, 0, 10, 10), ship(20, 0, 30, 10)]]
    right, wrong = ship(0, 0, 10, 10), ship(50, 50, 60, 60)
    for said in ([right, wrong], [wrong, right]):
        scores = detection_scores([said], truth)
        assert scores["map_nc"].value == 0.25, "precision 1/2 at recall 1/2"
        assert ap_score([said], truth, curve="voc11").value == pytest.approx(6 / 11 / 2)
        assert "map" not in scores
    assert ap_score([[right, wrong]], truth, ties="listed").value == 0.5
    assert ap_score([[wrong, right]], truth, ties="listed").value == 0.25


def test_a_score_here_and_there_is_no_confidence():
    truth = [[ship(0, 0, 10, 10), ship(20, 0, 30, 10)]]
    scores = detection_scores([[ship(0, 0, 10, 10, 0.9), ship(50, 50, 60, 60)]], truth)
    assert scores["map_nc"].value == 0.25
    assert "map" not in scores


def test_f1_is_matched_one_to_one_within_a_label():
    truth = [[ship(0, 0, 10, 10), ship(4, 0, 14, 10), ship(0, 0, 10, 10, label="plane")], []]
    said = [[ship(3, 0, 13, 10), ship(0, 0, 10, 10), ship(0, 0, 10, 10)], [ship(1, 1, 2, 2)]]
    scores = f1_scores(said, truth)
    assert scores["f1@0.5"].sums.tolist() == [[2, 3, 3], [0, 1, 0]]
    assert scores["precision@0.5"].value == 2 / 4
    assert scores["recall@0.5"].value == 2 / 3
    assert scores["f1@0.5"].value == pytest.approx(4 / 7)


def test_unread_answers_count_and_are_never_right():
    truth = [[ship(0, 0, 10, 10)], [ship(0, 0, 10, 10)], []]
    scores = detection_scores([[ship(0, 0, 10, 10, 0.5)], None, None], truth)
    assert scores["recall@0.5"].value == 0.5
    assert scores["mae"].per_item.tolist() == [0, 1, 1]
    assert scores["parse_failures"].value == pytest.approx(2 / 3)
    assert scores["map"].value == pytest.approx(51 / 101)
    assert len({len(score.sums) for score in scores.values()}) == 1
    assert all(spread.stderr >= 0 for spread in intervals(scores, draws=20).values())


def test_nothing_and_nonsense():
    assert detection_scores([None], [[ship(0, 0, 1, 1)]])["map_nc"].value == 0
    assert detection_scores([], [])["f1@0.5"].value == 0
    assert coco_scores([[ship(0, 0, 1, 1, 0.5)]], [[]]) == {}
    assert ap_score([[ship(0, 0, 1, 1, 0.5)]], [[]]).value == 0
    with pytest.raises(ValueError, match="score for every region"):
        coco_scores([[ship(0, 0, 1, 1)]], [[ship(0, 0, 1, 1)]])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    monkeypatch.setitem(sys.modules, "shapely", None)
    with pytest.raises(MissingPart, match="pycocotools"):
        coco_scores([[ship(0, 0, 1, 1, 0.5)]], [[ship(0, 0, 1, 1)]])
    with pytest.raises(MissingPart, match="shapely"):
        region_ious([ship(0, 0, 1, 1, angle=3)], [ship(0, 0, 1, 1)])


# ---- neither right nor wrong ----


def test_a_box_on_a_crowd_is_neither_right_nor_wrong():
    car = Region(label="car", box=(10, 10, 50, 40), score=0.9)
    crowd = Region(label="", box=(90, 50, 150, 110))
    inside = Region(label="car", box=(95, 60, 120, 100), score=0.8)
    beside = Region(label="car", box=(60, 60, 85, 90), score=0.7)
    scores = detection_scores([[car, inside]], [[car]], ignored=[[crowd]])
    assert scores["f1@0.5"].value == pytest.approx(1) == scores["ap50"].value and scores["mae"].value == 0
    assert detection_scores([[car, inside]], [[car]])["precision@0.5"].value == 0.5
    assert detection_scores([[car, inside, beside]], [[car]], ignored=[[crowd]])["precision@0.5"].value == 0.5


def test_an_ignored_region_of_another_label_forgives_nothing_and_a_target_on_it_still_counts():
    car = Region(label="car", box=(10, 10, 50, 40))
    person = Region(label="person", box=(0, 0, 60, 60))
    other = Region(label="car", box=(20, 20, 40, 40))
    assert detection_scores([[car, other]], [[car]], ignored=[[person]])["precision@0.5"].value == 0.5
    assert detection_scores([[car]], [[car]], ignored=[[replace(person, label="")]])["f1@0.5"].value == 1
    assert detection_scores([None], [[car]], ignored=[[person]])["parse_failures"].value == 1
