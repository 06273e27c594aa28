"""Copies are never parted: the fixed groups of Ships and HIT-UAV, held against the leak check where the data is."""

import os
import sys
from pathlib import Path

import pytest

from rsvlm.data.catalogue import load
from rsvlm.data.sources import split_groups as together
from rsvlm.data.sources.layout import hashed_split
from rsvlm.evaluate.leakage import find_leaks

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("RSVLM_DATA", ROOT.parent / "shared" / "data"))
SETS = {"ships": (together.SHIPS, together.ships), "hit_uav": (together.HIT_UAV, together.hit_uav)}


@pytest.mark.parametrize("name", SETS)
def test_a_group_is_in_one_split(name):
    groups, rule = SETS[name]
    assert groups and all(stem in group and len(group) > 1 for stem, group in groups.items())
    assert all(groups[other] == group for group in groups.values() for other in group)  # no picture is in two
    for group in groups.values():
        assert len({rule(f"{stem}.jpg") for stem in group}) == 1
    assert {rule(f"{stem}.png") for stem in groups} == {"train", "val"}
    strangers = [f"another_{n}.jpg" for n in range(50)]
    assert [rule(file) for file in strangers] == [hashed_split(file) for file in strangers]


def test_val_of_ships_is_what_it_was_without_the_copies():
    names = [f"boat{n}.jpg" for n in range(700)]
    val = {name for name in names if together.ships(name) == "val"}
    assert val < {name for name in names if hashed_split(name) == "val"}


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real data at {REAL}; set RSVLM_DATA")
@pytest.mark.parametrize("name", SETS)
def test_no_val_picture_has_a_copy_in_train(name, monkeypatch):
    train, val = ([sample.images[0] for sample in load(name, REAL, split)] for split in ("train", "val"))
    assert not find_leaks(train, val).pairs
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    import together as tool

    found = {stem: tuple(group) for group in tool.groups(load(name, REAL, "all")) for stem in group}
    assert found == dict(SETS[name][0])  # the list in the package is what the tool makes
