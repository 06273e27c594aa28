"""The cards of the systems: one for each, true to the code, and the pages and tables that are made of them."""

import importlib
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

import rsvlm.systems
from fake import hub
from parity.registry import load_rigs
from rsvlm import cli
from rsvlm.cli import pages
from rsvlm.data.catalogue import DATASETS
from rsvlm.errors import BadInput
from rsvlm.evaluate.benchmarks import BENCHMARKS, find
from rsvlm.evaluate.solvers import SOLVERS
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.systems.build import build
from rsvlm.systems.cards import CARDS, Source, sizes, source_of
from rsvlm.systems.discovery import system_names
from rsvlm.systems.registry import SYSTEMS
from rsvlm.systems.text_boxes import dialect_of

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
OF_TRAINING = {"cmid/adan"}  # recordings of an optimiser, which is of no one system
EVERY = pytest.mark.parametrize("name", CARDS)
OVER = [name for name in CARDS if CARDS[name].over]  # systems without weights of their own
WITH_WEIGHTS = pytest.mark.parametrize("name", [name for name in CARDS if name not in OVER])
LINES = [(name, line) for name in CARDS for line in CARDS[name].commands.values()]


def tool(name):
    """A program of tools/ as a module; it is no part of the package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def recipe(name):
    return read_recipe(RECIPES / f"{name}/paper.yaml")


@pytest.fixture(scope="module")
def papers():
    """name -> the classes in the model of the paper's recipe, and what it counts."""
    counting, found = tool("systems"), {}
    for name in SYSTEMS:
        model = counting.laid_out(recipe(name))
        found[name] = ({type(module) for module in model.modules()}, counting.parameters(model))
    return found


def test_every_system_has_a_card_and_a_page_and_there_are_no_others():
    assert list(SYSTEMS) == list(sizes()) == [name for name in CARDS if not CARDS[name].over]
    assert len(SYSTEMS) == 13 and len(CARDS) == 14 and system_names("pipeline") == OVER == ["rs_rag"]
    written = {path.stem for path in (ROOT / "docs/systems").glob("*.md")}
    assert written == {*CARDS, "index", "any_model"}
    there = {path.parent.name for path in (ROOT / "src/rsvlm/systems").glob("*/card.py")}
    assert there == {*CARDS} and all(CARDS[name].name == name for name in CARDS)


@EVERY
def test_a_card_says_something_of_everything(name):
    card = CARDS[name]
    for texts in (card.published, card.missing, card.ours, card.traps, card.weights, [card.what]):
        assert all(re.fullmatch(r'["A-Z0-9].*\.', text) and "  " not in text for text in texts), texts
    assert min(map(len, (card.published, card.missing, card.ours, card.traps))) > 0
    assert list(card.licences) == ["code", "weights", "data", "language model"] and all(card.licences.values())
    if card.arxiv:
        assert re.fullmatch(r"\d{4}\.\d{5}", card.arxiv) and card.arxiv.startswith(str(card.year)[2:])
    else:
        assert re.fullmatch(r"10\.\d{4,}/\S+", card.doi)
    last = {"answers": ["ask"], "embeds": ["export"], "matches": ["match"], "compares": []}[card.abilities[0]]
    last += ["evaluate_with_maps"] * ("compares_with_maps" in card.abilities)
    commands = ["make" if card.over else "train", "evaluate", *last]
    assert list(card.commands) == (["convert", *commands] if card.weights else commands)


@WITH_WEIGHTS
def test_a_card_is_true_to_the_system(name, papers):
    card, system = CARDS[name], SYSTEMS[name]
    assert " ".join(card.figure.split()) in " ".join((sys.modules[system.__module__].__doc__ or "").split())
    assert (card.arxiv or card.doi) in (sys.modules[system.__module__].__doc__ or "")
    speaker = build(read_recipe(RECIPES / f"{name}/tiny.yaml"))
    answers = ("answers", "grounds") if getattr(speaker, "box_dialect", "") else ("answers",)
    kinds = {"language": answers, "contrastive": ("matches",), "views": ("embeds",),
             "caption_retrieval": ("answers", "matches"),
             "change_caption": ("compares", *["compares_with_maps"] * (name == "mmodal_cc"))}  # fmt: skip
    assert card.abilities == kinds[speaker.objectives[0]]
    assert set(card.abilities) <= set(SOLVERS)
    for module, _, part in (part.rpartition(".") for part in card.parts):
        wanted = getattr(importlib.import_module(f"rsvlm.parts.{module}"), part)
        assert any(issubclass(kind, wanted) for kind in papers[name][0]), part


@pytest.mark.parametrize("name", OVER)
def test_a_card_of_a_system_over_others_is_true_to_it(name):
    card, module = CARDS[name], importlib.import_module(f"rsvlm.systems.{name}.pipeline")
    assert " ".join(card.figure.split()) in " ".join((module.__doc__ or "").split()) and card.arxiv in module.__doc__
    assert callable(module.open_model) and set(card.over) <= set(SOLVERS)
    for part, _, thing in (part.rpartition(".") for part in card.parts):
        assert callable(getattr(importlib.import_module(f"rsvlm.index.{part}"), thing))
    assert not card.parameters and not card.counted and not card.recordings
    text = pages.page(card)
    assert "no weights of its own" in text and "paper.yaml" not in text and "## Parameters" not in text


@WITH_WEIGHTS
def test_a_card_is_true_to_the_papers_recipe(name):
    card, own = CARDS[name], recipe(name)
    assert [(stage.name, stage.moves) for stage in card.stages] == [(s.name, s.trainable) for s in own.stages]
    sets = {part.set for stage in own.stages for part in stage.data}
    assert sets <= set(DATASETS) or not sets & set(DATASETS)
    said = " ".join(pages.page(card).split())
    assert ("The catalogue has its data" in said) == (sets <= set(DATASETS))


@WITH_WEIGHTS
def test_what_is_counted_is_what_the_recipe_builds_today(name, papers):
    counted = sizes()[name]
    assert counted["parameters"] == papers[name][1], "run: python tools/tables.py"
    assert counted["recipe"] == recipe(name).hash
    for group, number in CARDS[name].parameters.items():
        assert group in {*pages.GROUPS, "total"}
        assert number == (counted["parameters"][group] if isinstance(number, int) else number), (
            "published, and not built"
        )


def test_every_recording_that_a_system_answers_for_is_on_a_card_and_passes():
    recorded = {path: file for one in sizes().values() for path, file in one["recordings"].items()}
    there = {path for path in GOLDEN.rglob("*.safetensors") if path.parent.name != "metrics"}
    there -= {GOLDEN / f"{one}.safetensors" for one in OF_TRAINING}
    assert {GOLDEN / path for path in recorded} == there
    assert tool("systems").passed(there) == {GOLDEN / path: file["passed"] for path, file in recorded.items()}
    assert {one for name in CARDS for one in CARDS[name].recordings} == set(load_rigs()) - OF_TRAINING


def test_a_recording_that_fails_is_not_counted(monkeypatch):
    counting = tool("systems")
    monkeypatch.setattr(torch.nn.LayerNorm, "forward", lambda self, x: x)
    path = counting.recordings("lhrs_bot")[0]
    assert counting.passed({path}) == {path: False}


def parsed(line):
    """The command of a line and its parameters as the program reads them; nothing runs. Raises where it takes less."""
    program, *words = shlex.split(line)
    assert program == "rsvlm"
    command = typer.main.get_command(cli.app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    return command.name, command.make_context(command.name, words).params


@pytest.mark.parametrize("name, line", LINES)
def test_a_command_of_a_card_is_one_that_the_program_takes(name, line):
    command, given = parsed(line)
    if command == "evaluate":
        assert find(given["benchmark"]).ability in CARDS[name].abilities
    if command == "convert":
        assert given["system"] == name
    if command == "train":
        assert given["recipe"] == Path(f"{name}/paper") and read_recipe(given["recipe"]).system == name
    if command in ("evaluate", "ask"):
        making = (" convert ", " train ", " knowledge ")
        made = [parsed(line)[1]["out"] for _, line in LINES if any(word in line for word in making)]
        models = [given["model"]] if command == "evaluate" else given["model"]
        for path in map(Path, models):
            assert {path, path.parent} & set(made), "a model that an earlier command makes"


def test_a_command_that_the_program_does_not_take_is_seen():
    for line in ("rsvlm evaluate lhrs_bench --date d", "rsvlm weights convert a b --out c", "rsvlm ask"):
        with pytest.raises(typer.BadParameter.__base__):  # UsageError
            parsed(line)


@EVERY
def test_protocols_and_files_that_a_card_speaks_of_are_there(name):
    page = pages.page(CARDS[name])
    assert set(re.findall(r"`([\w./-]+@\d)`", page)) <= set(BENCHMARKS)
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page):
        assert (ROOT / "docs/systems" / target.partition("#")[0]).is_file()


def test_the_pages_are_the_ones_that_are_generated():
    stale = [str(path) for path, wanted in tool("tables").written() if path.read_text("utf-8") != wanted]
    assert not stale and tool("systems").up_to_date(), "run: python tools/tables.py"


def test_a_changed_recipe_is_seen(monkeypatch):
    counting = tool("systems")
    real = counting.recipe
    monkeypatch.setattr(counting, "recipe", lambda name: real(name).model_copy(update={"seed": 7}))
    assert not counting.up_to_date()


def test_the_page_about_any_model_names_what_is_tried():
    page = (ROOT / "docs/systems/any_model.md").read_text("utf-8")
    tried = dict(re.findall(r"^\| `(\w+)` \| (?:`(\w+)`|none known) \|", page, re.M))
    assert tried == {kind: dialect_of(kind) for kind in hub.KINDS}
    for model, dialect in re.findall(r"^\| ([\w.-]+VL) \| `(\w+)` \|", page, re.M):
        assert dialect_of(f"someone/{model}-7B") == dialect


def run(*words):
    done = CliRunner().invoke(cli.app, ["list", "systems", *words])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_systems_are_listed_in_the_terminal():
    text = run()
    for name in CARDS:
        (line,) = [line for line in text.splitlines() if line.split(" ")[0] == name]
        assert CARDS[name].title in line and ("  published  " in line) == pages.has_weights(CARDS[name])
    assert "hf:" in text and "openai:" in text
    listed = {one["name"]: one for one in json.loads(run("--json"))}
    assert set(listed) == set(CARDS) and listed["lhrs_bot"]["parameters"] == sum(
        sizes()["lhrs_bot"]["parameters"].values()
    )
    assert (
        listed["lhrs_bot"]["weights"] is True and listed["rs_moe"]["weights"] is listed["rs_gpt4v"]["weights"] is False
    )


@EVERY
def test_a_page_is_read_in_the_terminal(name):
    assert run(name) == pages.page(CARDS[name])
    assert json.loads(run(name, "--json"))["counted"] == sizes().get(name)


def test_a_page_of_nothing():
    with pytest.raises(BadInput, match="Did you mean 'skyeyegpt'"):
        run("skyeyegp")
    done = CliRunner().invoke(cli.app, ["list", "datasets", "rsicd"])
    assert isinstance(done.exception, BadInput) and "Only systems have a page" in str(done.exception)


CARD_OF_ANOTHER = """
from dataclasses import replace
from rsvlm.systems.cards import CARDS, Source
CARD = replace(CARDS["rs_moe"], name="another")
SOURCE = Source("example.org/another", base="someone/base")
"""


def test_a_system_from_another_folder_is_seen_with_its_card_or_without(tmp_path, monkeypatch):
    for name in ("another", "bare"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text("")
    (tmp_path / "another" / "card.py").write_text(CARD_OF_ANOTHER)
    (tmp_path / "no_system").mkdir()
    (tmp_path / "no_system" / "card.py").write_text(CARD_OF_ANOTHER)
    before = list(CARDS)
    monkeypatch.setattr(rsvlm.systems, "__path__", [*rsvlm.systems.__path__, str(tmp_path)])
    assert list(CARDS) == CARDS.names() == sorted([*before, "another"]) and len(CARDS) == len(before) + 1
    assert CARDS["another"].name == "another" and "bare" not in CARDS and "bare" in SYSTEMS
    assert source_of("another").base == "someone/base" and source_of("bare") == Source()
    with pytest.raises(BadInput, match="Did you mean 'another'"):
        CARDS["anothr"]


def test_the_cards_need_no_pytorch():
    code = "import sys; from rsvlm.systems.cards import CARDS; [CARDS[n] for n in CARDS]; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
