"""An ability is the same everywhere: Protocol, solver, key of a row, answer files, benchmarks, listing, cards."""

import base64
import importlib.util
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from rsvlm import cli
from rsvlm.evaluate.answer_entries import readable, value_of
from rsvlm.evaluate.baselines import constants
from rsvlm.evaluate.benchmarks import BENCHMARKS
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.solvers import SOLVERS, read_map, read_vector
from rsvlm.sample import Image
from rsvlm.systems.abilities import ABILITIES
from rsvlm.systems.cards import CARDS

ROOT = Path(__file__).parents[1]
ITEM = Item(id="1", question="?", images=(Image(path="none.png", width=3, height=2),))
PROTOCOLS = [BENCHMARKS[name] for name in BENCHMARKS.names()]


def png() -> str:
    with io.BytesIO() as file:
        PIL.Image.fromarray(np.full((2, 3), 7, np.uint8)).save(file, "PNG")
        return base64.b64encode(file.getvalue()).decode()


# key of a row -> (what a user's file holds, whether the row kept it)
ANSWERS = {
    "answer": ("yes", lambda kept: kept == "yes"),
    "boxes": ([0, 0, 2, 1], lambda kept: kept == [[0, 0, 2, 1]]),
    "mask": ([[1, 0, 0], [0, 0, 1]], lambda kept: kept["size"] == [2, 3]),
    "vector": ([3, 4], lambda kept: read_vector(kept).tolist() == [3, 4]),
    "map": (png(), lambda kept: (read_map(kept) == 7).all()),
}


def test_a_benchmark_can_ask_for_every_ability_and_only_for_these():
    needed = {ability for solver in SOLVERS.values() for ability in solver.needs}
    assert needed == set(ABILITIES)


def test_every_solver_has_protocols_and_every_protocol_a_solver():
    assert {protocol.ability for protocol in PROTOCOLS} == set(SOLVERS)


@pytest.mark.parametrize("ability", SOLVERS)
def test_a_file_of_answers_holds_what_the_solver_keeps(ability, tmp_path):
    key = SOLVERS[ability].key
    value, kept_whole = ANSWERS[key]
    found, wrong = readable(key, value_of(key, {"id": "1", key: value}), ITEM, tmp_path)
    assert wrong == "" and kept_whole(found)


def test_a_key_that_no_solver_has_is_not_read_as_another(tmp_path):
    assert set(ANSWERS) == {solver.key for solver in SOLVERS.values()}
    with pytest.raises(ValueError, match="'cloud'"):
        readable("cloud", png(), ITEM, tmp_path)


@pytest.mark.parametrize("ability", SOLVERS)
def test_its_constant_baselines_are_rows_of_that_key(ability, tmp_path):
    protocol = next(protocol for protocol in PROTOCOLS if protocol.ability == ability)
    train = [Item(id="0", question="?", images=ITEM.images, references=("no",))]
    (tmp_path / "a.png").write_bytes(base64.b64decode(png()))
    pair = replace(ITEM, images=(Image(path=str(tmp_path / "a.png")),) * 2)
    found = constants(protocol, train, [pair if ability == "segments_change" else ITEM])
    assert found and all(SOLVERS[ability].key in row for rows in found.values() for row in rows)


def test_the_listing_and_the_page_have_a_section_for_each():
    ran = CliRunner().invoke(cli.app, ["list", "benchmarks"])
    assert ran.exit_code == 0
    heads = [f"{ability} (a file of answers holds: {solver.key})" for ability, solver in SOLVERS.items()]
    assert [line for line in ran.stdout.splitlines() if "a file of answers holds" in line] == heads
    spec = importlib.util.spec_from_file_location("tables", ROOT / "tools" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert list(tables.GIVES) == list(SOLVERS)


@pytest.mark.parametrize("name", CARDS)
def test_a_card_names_abilities_that_can_be_measured(name):
    assert CARDS[name].abilities and set(CARDS[name].abilities) <= set(SOLVERS)
