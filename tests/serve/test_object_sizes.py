"""Sizes of things, and what can be seen at a scene's metres a pixel."""

import math

import pytest

from rsvlm.serve.nouns import find_noun, plural, singulars
from rsvlm.serve.object_sizes import find_size, metres, visibility
from rsvlm.serve.size_table import SIZES


def test_the_table_holds_together():
    words = [word for size in SIZES for word in (size.name, *size.synonyms)]
    assert len(words) == len(set(words)) and len(SIZES) >= 60
    for size in SIZES:
        low, typical, high = size.metres
        assert 0 < low <= typical <= high and size.source and size.dimension in ("long", "wide", "across"), size.name
        assert size.other is None or 0 < size.other[0] <= size.other[1], size.name
        assert size.line == (size.dimension == "wide")
        for word in (size.name, *size.synonyms):
            assert find_size(word) is size and find_size(f"the {plural(word)}") is size, word


@pytest.mark.parametrize(
    ("phrase", "name"),
    [
        ("cars", "car"), ("Two white boats in the harbour", "boat"), ("a group of people", "person"),
        ("rows of parked cars", "car"), ("parking lots of the airport", "parking lot"), ("car park", "parking lot"),
        ("airplanes", "aircraft"), ("aircraft", "aircraft"), ("buses", "bus"), ("houses", "house"),
        ("churches", "church"), ("boats visible", "boat"), ("docked boats", "boat"),
        ("ferries", "ship"), ("wharves", "pier"), ("storage-tanks", "storage tank"), ("man", "person"),
        ("children", "person"), ("tennis courts next to the road", "tennis court"),
        ("cars parked on the street", "car"),
        ("unicorns", ""), ("bus stop", ""), ("river bank", ""), ("plants", ""), ("", ""), ("of", ""),
        ("of cars", ""), ("?!", ""), ("river bank in the city", ""), ("parked", ""),
        ("grass", ""), ("s", ""), ("x" * 10_000, ""), ("x parked " * 10_000, ""),
    ],
)  # fmt: skip
def test_things_are_found_by_their_noun(phrase, name):
    found = find_size(phrase)
    assert (found.name if found else "") == name


def test_plurals():
    assert [plural(word) for word in ("boat", "bus", "city", "bridge", "gas station", "person", "beach", "quay")] == [
        "boats", "buses", "cities", "bridges", "gas stations", "people", "beaches", "quays"
    ]  # fmt: skip
    assert "bus" in singulars("buses") and singulars("people")[0] == "person" and singulars("grass") == ("grass",)
    assert find_noun("big red houses", {"house"}) == "house"


@pytest.mark.parametrize(
    ("thing", "gsd", "verdict", "sentence"),
    [
        ("boats", 300, "too small",
         "At 300 m per pixel boats cannot be seen: they are 5 to 50 m long, and 3 pixels are 900 m."),
        ("boats", 10, "marginal",
         "At 10 m per pixel only the largest boats can be made out: they are 5 to 50 m long, and 3 pixels are 30 m."),
        ("cars", 0.5, "visible",
         "At 0.5 m per pixel cars can be seen: they are 3.5 to 5.8 m long, and 3 pixels are 1.5 m."),
        ("ship", 10, "visible",
         "At 10 m per pixel ships can be seen: they are 50 to 400 m long, and 3 pixels are 30 m."),
        ("road", 30, "marginal",
         "At 30 m per pixel only the largest roads can be made out: they are 3.5 to 30 m wide, and a pixel is 30 m."),
        ("roads", 300, "too small",
         "At 300 m per pixel roads cannot be seen: they are 3.5 to 30 m wide, and a pixel is 300 m."),
        ("hospitals", 78_000, "too small",
         "At 78 km per pixel hospitals cannot be seen: they are 40 to 1,000 m across, and 3 pixels are 234 km."),
    ],
)  # fmt: skip
def test_what_can_be_seen(thing, gsd, verdict, sentence):
    seen = visibility(thing, gsd)
    assert (seen.verdict, seen.sentence) == (verdict, sentence)
    assert seen.size and seen.pixels_largest == pytest.approx(seen.size[2] / gsd) and seen.source


def test_three_pixels_are_the_border():
    largest, typical = find_size("car").metres[2], find_size("car").metres[1]
    assert (
        visibility("car", largest / 3).verdict == "marginal"
        and visibility("car", largest / 2.999).verdict == "too small"
    )
    assert (
        visibility("car", typical / 3).verdict == "visible" and visibility("car", typical / 2.999).verdict == "marginal"
    )


@pytest.mark.parametrize("gsd", [None, 0, -1, math.nan, math.inf, -math.inf, 2e5, 1e-4])
def test_pixels_of_unknown_size_decide_nothing(gsd):
    seen = visibility("cars", gsd)
    assert (seen.name, seen.verdict, seen.pixels_largest, seen.hint) == ("car", "unknown", None, "")
    assert "whether cars can be seen is not known" in seen.sentence


def test_unknown_things_decide_nothing():
    seen = visibility("unicorns", 1000.0)
    assert (seen.name, seen.verdict, seen.size) == ("", "unknown", None) and "unicorn" not in seen.sentence


def test_what_is_larger_than_the_scene_is_not_absent():
    seen = visibility("airport", 0.3, 60)
    assert seen.verdict == "visible" and seen.hint == (
        "The scene shows 60 m of ground, and airports are 800 m to 10 km across: a part of one may fill it, so that "
        "none can be said to be absent."
    )
    assert (
        visibility("airport", 0.3, 2000).hint
        == visibility("road", 0.3, 1).hint
        == visibility("airport", 0.3).hint
        == ""
    )


def test_lengths_in_words():
    assert [metres(x) for x in (0.05, 0.5, 2.5, 9.96, 12.4, 900, 9999, 12_000)] == [
        "0.05 m", "0.5 m", "2.5 m", "10 m", "12 m", "900 m", "9,999 m", "12 km"
    ]  # fmt: skip
