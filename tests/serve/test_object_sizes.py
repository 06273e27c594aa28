"""What can be seen at which resolution, which classes are offered, and words for things."""

import math

import pytest

from rsvlm.data.sources.scene_classes import CLASSES
from rsvlm.errors import BadInput
from rsvlm.serve.object_sizes import LEAST_PIXELS, SIZES, named_object, visibility
from rsvlm.serve.scene_classes import check_classes, covered_by, vocabulary


@pytest.mark.parametrize(
    ("phrase", "name"),
    [
        ("boats", "boat"), ("the small white boats at the pier", "boat"), ("people", "person"), ("buses", "bus"),
        ("storage tanks", "tank"), ("a swimming pool", "pool"), ("lorries", "truck"), ("happiness", ""), ("", ""),
        ("parking lots", "parkinglot"), ("wolves", ""), ("cars in the parking lot", "car"),
    ],
)  # fmt: skip
def test_a_phrase_names_an_object(phrase, name):
    assert named_object(phrase) == name


@pytest.mark.parametrize(
    ("thing", "gsd", "verdict"),
    [
        ("boats", 300, "too small"), ("cars", 10, "too small"), ("cars", 0.3, "visible"), ("lakes", 300, "visible"),
        ("boats", 10, "marginal"), ("boats", None, "unknown"), ("boats", 0.0, "unknown"), ("boats", 1e9, "unknown"),
        ("boats", math.nan, "unknown"), ("boats", -3, "unknown"), ("unicorns", 300, "unknown"),
    ],
)  # fmt: skip
def test_what_is_too_small_is_said(thing, gsd, verdict):
    found = visibility(thing, gsd)
    assert found.verdict == verdict and bool(found.sentence) == (verdict == "too small")
    if found.sentence:
        assert found.sentence.startswith(f"At {gsd:g} m per pixel {thing} cannot be seen")


def test_the_border_is_three_pixels_of_the_largest():
    _, _, high = SIZES["car"]
    assert visibility("car", high / LEAST_PIXELS * 0.999).verdict != "too small"
    assert visibility("car", high / LEAST_PIXELS * 1.001).verdict == "too small"
    assert all(low < high for _, low, high in SIZES.values()) and len({row[0] for row in SIZES.values()}) >= 60


def test_the_vocabulary_follows_the_resolution():
    fine, medium, coarse, unknown = (vocabulary(gsd) for gsd in (0.3, 10.0, 300.0, None))
    assert "golf course" in fine.classes and "golf course" not in medium.classes + coarse.classes
    assert medium.classes == tuple(CLASSES["eurosat"]) and medium.land_cover and not fine.land_cover
    assert set(fine.classes) | set(medium.classes) == set(unknown.classes) and "not known" in unknown.name
    for one in (fine, medium, coarse, unknown):
        assert len(set(one.classes)) == len(one.classes)
    assert not {"farmland", "agricultural"} <= set(fine.classes)  # two words for one thing


def test_the_users_own_classes():
    assert check_classes([" grass ", "field  of  rye"]) == ("grass", "field of rye")
    with pytest.raises(BadInput, match="'Grass' is given twice"):
        check_classes(["Grass", "grass"])
    with pytest.raises(BadInput, match="A class is empty"):
        check_classes(["grass", " "])
    with pytest.raises(BadInput, match="1 class to choose from"):
        check_classes(["grass"])


def test_which_classes_are_what_is_asked_for():
    eurosat = vocabulary(10).classes
    assert covered_by("water", eurosat) == ("river", "sea lake")
    assert covered_by("forests", eurosat) == ("forest",) and covered_by("cats", eurosat) == ()
    assert covered_by("agricultural land", eurosat) == ("annual crop", "pasture", "permanent crop")
    assert covered_by("lavender", ("lavender", "rape")) == ("lavender",)
