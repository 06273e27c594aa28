"""Semantic localisation against the original's numbers, and the map builder against its definition."""

import numpy as np
import PIL.Image
import pytest
from scipy import ndimage

from fake.golden import golden, golden_path
from rsvlm.errors import BadInput
from rsvlm.metrics import selo
from rsvlm.metrics.score import resample
from rsvlm.metrics.selo import (
    attention_centres,
    centre_and_radius,
    measures,
    region_mask,
    selo_map,
    selo_scores,
    windows,
)

GOLDEN = golden("selo.json")
CASES = GOLDEN["cases"]
NAMES = {"rsu": "Rsu", "rda": "Rda", "ras": "Ras", "rmi": "Rmi"}


def read(case):
    return np.asarray(PIL.Image.open(golden_path(case["map"])))


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_every_step_is_the_original(case):
    heat = read(case)
    assert region_mask(heat.shape, case["regions"]).sum() == case["mask_area"]
    assert [list(centre_and_radius(region)) for region in case["regions"]] == case["centre_radius"]
    assert [list(centre) for centre in attention_centres(heat)] == case["centres"]
    wanted = [case[name] for name in NAMES.values()]
    assert measures(heat, case["regions"]) == pytest.approx(wanted, rel=0, abs=GOLDEN["meta"]["tolerance"])


def test_the_set_is_the_mean_of_its_texts():
    scores = selo_scores([read(case) for case in CASES], [case["regions"] for case in CASES])
    for ours, theirs in NAMES.items():
        assert scores[ours].value == pytest.approx(GOLDEN["mean"][theirs], rel=0, abs=GOLDEN["meta"]["tolerance"])
        assert scores[ours].n == len(CASES) == len(scores[ours].per_item)
    assert set(resample(scores, draws=5)) == set(NAMES)


def test_a_missing_map_and_one_of_another_size_are_worst():
    case = CASES[0]
    heat = read(case)
    height, width = heat.shape
    scores = selo_scores(
        [None, heat[:-1], heat], [case["regions"]] * 3, sizes=[(height, width), (height, width), (height, width)]
    )
    for name, worst in (("rsu", 0), ("rda", 0), ("ras", 1), ("rmi", 0)):
        assert scores[name].per_item[:2].tolist() == [worst, worst]
        assert scores[name].per_item[2] == pytest.approx(case[NAMES[name]])


def test_a_map_that_is_none_is_named():
    with pytest.raises(BadInput, match="float64"):
        measures(np.zeros((9, 9)), [[[1, 1], [5, 1], [5, 5]]])
    with pytest.raises(BadInput, match="No region of 1"):
        measures(np.zeros((9, 9), np.uint8), [[[20, 20], [25, 20], [25, 25]]])


def test_two_centres_score_below_one_and_a_tiny_region_divides_nothing_by_zero():
    circle = (50, 50, 30)
    assert selo._gathered(circle, []) == 0 and selo._gathered(circle, [(50, 50)]) == 1
    assert 0 < selo._gathered(circle, [(50, 50), (52, 50)]) < 1
    heat = np.zeros((60, 60), np.uint8)
    heat[20:30, 20:30] = 255
    assert np.isfinite(measures(heat, [[[25, 25], [25, 25], [25, 25]]])).all()


def test_polygons_hold_their_border_and_cancel_where_they_overlap():
    square = region_mask((20, 20), [[[2.9, 3.9], [8, 3], [8, 9], [2, 9]]])
    wanted = np.zeros((20, 20), bool)
    wanted[3:10, 2:9] = True
    assert np.array_equal(square, wanted)  # 2.9 and 3.9 are cut to 2 and 3
    both = region_mask((20, 20), [[[1, 1], [10, 1], [10, 10], [1, 10]], [[5, 5], [15, 5], [15, 15], [5, 15]]])
    assert not both[7, 7] and both[3, 3] and both[12, 12] and both[5, 7] and both[10, 7]
    outside = region_mask((20, 20), [[[-50, -50], [70, -50], [70, 70], [-50, 70]]])
    assert outside.all()
    assert region_mask((5, 5), [[[1, 2], [3, 2]]]).sum() == 3


def test_a_line_is_eight_connected_and_the_same_both_ways():
    rng = np.random.default_rng(0)
    for start, end in rng.integers(-9, 9, (200, 2, 2)):
        line = selo._line(start, end)
        assert {tuple(line[:, 0]), tuple(line[:, -1])} == {tuple(start), tuple(end)}
        assert np.abs(np.diff(line, axis=1)).max(initial=0) <= 1
        assert np.array_equal(line if start[0] < end[0] else selo._line(end, start), selo._line(start, end)) or (
            start[0] == end[0]
        )
        assert line.shape[1] == np.abs(end - start).max() + 1


def test_the_blur_is_a_mirrored_mean():
    gray = np.random.default_rng(0).integers(0, 256, (80, 70), dtype=np.uint8)
    slow = ndimage.correlate(gray.astype(float), np.ones((50, 50)), mode="mirror") / 2500
    assert np.array_equal(selo._box_blur(gray), np.rint(slow))


def test_windows_are_the_original_s():
    assert windows((512, 256), [256]) == [(0, 0, 256, 256), (256, 0, 256, 256), (128, 0, 256, 256)]
    assert windows((100, 80), [256]) == [(0, 0, 100, 80)]
    for size in ((768, 768), (1000, 1300), (3000, 2000)):
        theirs = set()
        for step in selo.STEPS:
            for gap in (step, step // 2):
                for h in range(step - gap, size[0], step):
                    h0 = size[0] - step if h + step >= size[0] else h
                    for w in range(step - gap, size[1], step):
                        w0 = size[1] - step if w + step >= size[1] else w
                        theirs.add((h0, w0, step, step))
        found = windows(size)
        assert len(found) == len(set(found)) and set(found) == theirs


@pytest.mark.parametrize("size", [(61, 47), (40, 90), (7, 5)])
def test_the_map_is_its_definition(size):
    rng = np.random.default_rng(0)
    steps, median = (16, 24), 11
    found = windows(size, steps)
    values = rng.random(len(found))
    total, covered = np.zeros(size[::-1]), np.zeros(size[::-1])
    for (column, row, wide, high), value in zip(found, values, strict=True):
        total[row : row + high, column : column + wide] += value
        covered[row : row + high, column : column + wide] += 1
    mean = total / covered
    above = mean - mean.min()
    sharp = np.uint8(255 * (above / (above.max() or 1)))
    wanted = ndimage.median_filter(sharp, size=median, mode="nearest")
    made = selo_map(size, lambda _: values, steps=steps, median=median)
    assert made.dtype == np.uint8 and np.array_equal(made, wanted)


def test_a_map_without_a_difference_is_zero_and_a_bad_similarity_is_named():
    assert not selo_map((300, 300), lambda found: np.ones(len(found))).any()
    with pytest.raises(BadInput, match="one finite similarity"):
        selo_map((300, 300), lambda found: np.ones(len(found) + 1))
    with pytest.raises(BadInput, match="one finite similarity"):
        selo_map((300, 300), lambda found: np.full(len(found), np.nan))


def test_a_map_finds_what_its_windows_find():
    """Similarity high where a window meets the region: the map must score far above a map of noise."""
    region = [[100, 100], [400, 100], [400, 400], [100, 400]]

    def near(found):
        return [-abs(c + w / 2 - 250) - abs(r + h / 2 - 250) for c, r, w, h in found]

    rng = np.random.default_rng(0)
    good = measures(selo_map((1400, 1200), near), [region])
    noise = measures(selo_map((1400, 1200), lambda found: rng.random(len(found))), [region])
    assert good[3] > noise[3] + 0.1


def test_a_picture_is_cut_into_its_windows(monkeypatch):
    monkeypatch.setattr(selo, "_BATCH", 3)
    picture = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    sizes = []

    def bright(cut):
        sizes.append(len(cut))
        return [part.mean() for part in cut]

    made = selo.similarity_map(picture, bright, steps=(32,), median=5)
    wanted = selo_map(
        (90, 70), lambda found: [picture[r : r + h, c : c + w].mean() for c, r, w, h in found], steps=(32,), median=5
    )
    assert np.array_equal(made, wanted) and made.shape == (70, 90)
    assert max(sizes) == 3 and sum(sizes) == len(windows((90, 70), (32,)))
