"""The mask codec against recorded pycocotools values, and what no file may do to it."""

import hashlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fake.golden import golden
from rsvlm.data.masks import (
    GRID_CELLS,
    MAX_PIXELS,
    component_areas,
    decode_rle,
    decode_runs,
    encode_rle,
    grid_cells,
    polygon_mask,
)
from rsvlm.errors import BadInput, MissingPart

GOLDEN = golden("segmentation.json")


def sha(mask):
    return hashlib.sha256(np.ascontiguousarray(mask, np.uint8).tobytes()).hexdigest()[:16]


def test_run_lengths_as_recorded():
    assert GOLDEN["rle"]
    for case in GOLDEN["rle"]:
        mask = decode_rle(case)
        assert mask.shape == tuple(case["size"]) and mask.dtype == bool
        assert (int(mask.sum()), sha(mask)) == (case["area"], case["sha"])
        assert decode_runs(case["counts"]).tolist() == case["runs"]
        assert np.array_equal(decode_rle({"size": case["size"], "counts": case["runs"]}), mask)
        assert np.array_equal(decode_rle({"size": case["size"], "counts": case["counts"].encode()}), mask)
        assert encode_rle(mask) == {"size": case["size"], "counts": case["counts"]}


def test_referring_masks_as_recorded():
    for item in GOLDEN["referring"]["items"]:
        for side in ("gt", "pred"):
            mask = decode_rle(item[side])
            assert (int(mask.sum()), sha(mask)) == (item[f"area_{side}"], item[f"sha_{side}"])


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_round_trip(mask):
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


def test_long_runs_and_no_pixels():
    tall = np.zeros((70_000, 3), bool)
    tall[65_000:, 1] = True
    assert np.array_equal(decode_rle(encode_rle(tall)), tall)
    assert decode_rle({"size": [0, 5], "counts": []}).shape == (0, 5)
    assert decode_rle({"size": [0, 0], "counts": ""}).shape == (0, 0)


@pytest.mark.parametrize(
    "rle",
    [
        {},
        {"size": [10, 10]},
        {"size": [10, 10], "counts": None},
        {"size": [10, 10], "counts": "0"},
        {"size": [10, 10], "counts": ""},
        {"size": [10, 10], "counts": "PP4PP4"},
        {"size": [10, 10], "counts": "o"},
        {"size": [10, 10], "counts": "\xff\n"},
        {"size": [10, 10], "counts": "\ud800"},
        {"size": [10, 10], "counts": "oooooooooooooo0"},
        {"size": [10, 10], "counts": "OO"},
        {"size": [10, 10], "counts": [50]},
        {"size": [10, 10], "counts": [-1, 101]},
        {"size": [10, 10], "counts": [50.0, 50]},
        {"size": [10, 10], "counts": [10**30]},
        {"size": [10, 10], "counts": ["100"]},
        {"size": [-1, -100], "counts": [100]},
        {"size": [10], "counts": [10]},
        {"size": "10", "counts": [10]},
        {"size": [10.0, 10], "counts": [100]},
        {"size": [MAX_PIXELS, MAX_PIXELS], "counts": [MAX_PIXELS]},
    ],
)
def test_what_is_not_a_mask_is_named(rle):
    with pytest.raises(BadInput) as err:
        decode_rle(rle)
    assert str(err.value).endswith(".")


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=30))
def test_no_text_breaks_the_decoder(counts):
    try:
        mask = decode_rle({"size": [7, 5], "counts": counts})
    except BadInput:
        return
    assert mask.shape == (7, 5)


def test_polygons_as_recorded():
    assert GOLDEN["polygons"]
    for case in GOLDEN["polygons"]:
        mask = polygon_mask([case["polygon"]], tuple(case["size"]))
        assert np.array_equal(mask, decode_rle(case))
        assert int(mask.sum()) == case["area"]


def test_polygons_unite_and_bad_ones_are_named():
    square = [1, 1, 4, 1, 4, 4, 1, 4]
    both = polygon_mask([square, [n + 5 for n in square]], (12, 12))
    assert both.sum() == 2 * polygon_mask([square], (12, 12)).sum()
    assert not polygon_mask([], (3, 4)).any()
    assert polygon_mask([[-9, -9, 900, -9, 900, 900, -9, 900]], (6, 6)).all()
    for bad in ([0, 0, 1, 1], [0, 0, 1, 1, 2, 2, 3], [0, 0, 1, 1, float("nan"), 2], [0, 0, 1, 1, 1e9, 2]):
        with pytest.raises(BadInput, match="expected x, y"):
            polygon_mask([bad], (6, 6))


def test_grid_as_recorded():
    for case in GOLDEN["grid"]:
        mask = decode_rle(case["mask"])
        assert list(grid_cells(mask)) == case["any"]
        assert list(grid_cells(mask, share=0.01)) == case["at_least_1_percent"]
    assert list(GRID_CELLS) == [
        GOLDEN["localisation"]["labels"][GOLDEN["localisation"]["labels"].index(c)] for c in GRID_CELLS
    ]


def test_grid_of_a_tiny_mask():
    assert grid_cells(np.ones((1, 1), bool)) == ("bottom-right",), "the other cells have no pixels"
    assert grid_cells(np.zeros((9, 9), bool)) == ()


def test_one_per_cent_is_enough_for_a_cell():
    mask = np.zeros((99, 99), bool)
    mask[0, :7] = mask[33:54, 33:66] = True  # 7 of 700 pixels in the first cell
    assert mask.sum() == 700
    assert grid_cells(mask, share=0.01) == ("top-left", "center-center")
    assert grid_cells(mask, share=0.0101) == ("center-center",)


def test_components_as_recorded():
    for case in GOLDEN["counts"]["items"]:
        mask = decode_rle(case["mask"])
        for n in (4, 8):
            assert len(component_areas(mask, connectivity=n)) == case[f"n{n}"]
            assert len(component_areas(mask, connectivity=n, min_pixels=10)) == case[f"n{n}_min10"]
        areas = sorted(component_areas(mask).tolist())
        recorded = case["areas8_sorted"]
        assert areas[: len(recorded)] == recorded or areas[-len(recorded) :] == recorded


def test_a_missing_package_is_named(monkeypatch):
    for package in ("pycocotools", "pycocotools.mask", "scipy", "scipy.ndimage"):
        monkeypatch.setitem(sys.modules, package, None)
    mask = decode_rle({"size": [1, 2], "counts": [1, 1]})
    for act in (
        lambda: encode_rle(mask),
        lambda: component_areas(mask),
        lambda: polygon_mask([[0, 0, 1, 0, 1, 1]], (2, 2)),
    ):
        with pytest.raises(MissingPart, match=r"rsvlm\[evaluate\]"):
            act()
