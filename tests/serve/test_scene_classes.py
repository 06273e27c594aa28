"""Scene classes by metres a pixel, and a user's own."""

import math

import pytest

from rsvlm.data.catalogue import DATASETS
from rsvlm.errors import BadInput
from rsvlm.serve.scene_classes import COVERS, SYNONYMS, check_classes, vocabulary

UCM, AID, EUROSAT = (set(DATASETS[name].classes) for name in ("ucm_scenes", "aid", "eurosat"))


def test_classes_are_those_of_the_sets():
    assert (len(UCM), len(AID), len(EUROSAT)) == (21, 30, 10)
    assert set(SYNONYMS) <= UCM | AID | EUROSAT and set(SYNONYMS.values()) <= UCM | AID
    assert not set(SYNONYMS) & set(SYNONYMS.values())


@pytest.mark.parametrize("gsd", [0.1, 0.3, 1, 3])
def test_fine_pictures_have_the_classes_of_ucm_and_aid_once(gsd):
    classes, name, ground = vocabulary(gsd)
    merged = {SYNONYMS.get(word, word) for word in UCM | AID}
    assert set(classes) == merged and len(classes) == len(merged) == 39 and ground == 300
    assert "UC Merced and AID" in name and {"harbor", "parking lot", "airplane", "airport"} <= set(classes)
    assert not {"port", "parking", "viaduct", "agricultural"} & set(classes)


@pytest.mark.parametrize("gsd", [3.01, 5, 10, 30, 60])
def test_pictures_of_some_metres_have_those_of_eurosat(gsd):
    classes, name, ground = vocabulary(gsd)
    assert set(classes) == EUROSAT and ground == 640 and "EuroSAT" in name


@pytest.mark.parametrize(("gsd", "size"), [(61, "61 m"), (300, "300 m"), (78_000, "78 km")])
def test_coarse_pictures_show_covers(gsd, size):
    classes, name, ground = vocabulary(gsd)
    assert classes == COVERS and ground == 64 * gsd and f"a pixel of {size} shows no scene" in name


@pytest.mark.parametrize("gsd", [None, 0, -3, math.nan, math.inf, 1e6])
def test_pictures_of_unknown_size_have_all(gsd):
    classes, name, ground = vocabulary(gsd)
    assert ground is None and "not known" in name and len(classes) == len(set(classes))
    assert {SYNONYMS.get(word, word) for word in UCM | AID | EUROSAT} - set(classes) == {"residential"}


def test_finer_than_the_sets_is_said():
    assert "at 0.05 m a picture may show things and no scene" in vocabulary(0.05).name
    assert "things" not in vocabulary(0.1).name


def test_a_users_own_classes():
    assert check_classes([" Forest ", "sea  ice", "river"]) == ("Forest", "sea ice", "river")
    for bad, says in (
        ([], "is empty"),
        (["a", "  "], "Class 2 of 2 has no name"),
        (["Forest", "river", " forest"], "classes 1 and 3 are both 'forest'"),
    ):
        with pytest.raises(BadInput, match=says):
            check_classes(bad)
