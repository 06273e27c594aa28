"""Which classes are offered at which resolution, a user's own, and which of them are what is asked for."""

import pytest

from rsvlm.data.sources.scene_classes import CLASSES
from rsvlm.errors import BadInput
from rsvlm.serve.scene_classes import SYNONYMS, check_classes, covered_by, vocabulary


def test_the_vocabulary_follows_the_resolution():
    fine, medium, coarse, unknown = (vocabulary(gsd) for gsd in (0.3, 10.0, 300.0, None))
    assert "golf course" in fine.classes and "golf course" not in medium.classes + coarse.classes
    assert medium.classes == tuple(CLASSES["eurosat"]) and medium.land_cover and not fine.land_cover
    assert set(fine.classes) | set(medium.classes) == set(unknown.classes) and "not known" in unknown.name
    for one in (fine, medium, coarse, unknown):
        assert len(set(one.classes)) == len(one.classes)
    assert {*SYNONYMS, *SYNONYMS.values()} <= set(fine.classes) and not set(SYNONYMS) & set(SYNONYMS.values())


def test_the_users_own_classes():
    assert check_classes([" grass ", "field  of  rye"]) == ("grass", "field of rye")
    with pytest.raises(BadInput, match="classes 1 and 2 are both 'grass'"):
        check_classes(["Grass", "grass"])
    with pytest.raises(BadInput, match="Class 2 of 2 has no name"):
        check_classes(["grass", " "])
    with pytest.raises(BadInput, match="1 class to choose from"):
        check_classes(["grass"])


def test_which_classes_are_what_is_asked_for():
    eurosat = vocabulary(10).classes
    assert covered_by("water", eurosat) == ("river", "sea lake")
    assert covered_by("forests", eurosat) == ("forest",) and covered_by("cats", eurosat) == ()
    assert covered_by("agricultural land", eurosat) == ("annual crop", "pasture", "permanent crop")
    assert covered_by("lavender", ("lavender", "rape")) == ("lavender",)
