"""The command line: what is passed on, what is refused, in which words and with which exit code."""

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

from rsvlm import cli
from rsvlm.errors import BadInput, MissingPart

COMMANDS = [
    "archive", "ask", "compare", "convert", "embed", "evaluate", "index", "info", "knowledge", "list", "lmms-pack",
    "match", "questions", "report", "score", "search", "setup", "train", "weights",
]  # fmt: skip


def run(*words: str):
    return CliRunner().invoke(cli.app, list(words))


def program(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The installed program, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "rsvlm", *words], capture_output=True, text=True, check=False, env={**os.environ, **env}
    )


@pytest.fixture
def stand_in(monkeypatch):
    """Put a recorder in the place of a function of a module that the command would import."""
    calls: list[tuple[tuple, dict]] = []
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: False)  # not in the process of the tests

    def replace(module: str, name: str, result=None):
        def recorder(*args, **kwargs):
            calls.append((args, kwargs))
            if isinstance(result, BaseException):
                raise result
            return result

        fake = sys.modules.get(module) or ModuleType(module)
        if not hasattr(fake, "__file__"):
            monkeypatch.setitem(sys.modules, module, fake)
        monkeypatch.setattr(fake, name, recorder, raising=False)
        return calls

    return replace


def test_every_command_is_listed_and_explains_itself():
    import typer

    assert sorted(typer.main.get_command(cli.app).commands) == COMMANDS
    for command in COMMANDS:
        shown = run(command, "--help")
        assert shown.exit_code == 0 and "Usage:" in shown.output


def test_the_version():
    import rsvlm

    assert run("--version").output == f"rsvlm {rsvlm.__version__}\n"


@pytest.mark.parametrize("words", [["bogus"], ["ask", "--bogus"], ["train"], ["list", "bogus"], []])
def test_wrong_usage_exits_with_2(words):
    assert run(*words).exit_code == 2


def test_ask_passes_everything_on(stand_in, tmp_path):
    calls = stand_in("rsvlm.serve.commands", "run")
    scene = tmp_path / "scene.tif"
    scene.touch()
    out = tmp_path / "out"
    options = (
        f"--json --out {out} --bands 4,3,2 --tile 256 --batch 2 --max-new-tokens 9 --model own --task scene "
        "--classes grass,field --raw"
    )
    done = run("ask", str(scene), str(tmp_path), "What is this?", "Is there water?", *options.split())
    assert done.exit_code == 0, done.output
    (args, kwargs) = calls[0]
    assert args == ([scene, tmp_path], ["What is this?", "Is there water?"])
    assert kwargs.pop("stream") is not None
    assert kwargs == {
        "models": ["own"], "out": out, "json": True, "bands": "4,3,2", "tile": 256, "max_new_tokens": 9, "batch": 2,
        "task": "scene", "classes": ["grass", "field"], "raw": True,
    }  # fmt: skip


def test_ask_of_several_models_passes_them_on(stand_in):
    calls = stand_in("rsvlm.serve.commands", "run")
    assert run("ask", "a.tif", "What?", "--model", "mini", "--model", "own", "--json").exit_code == 0
    (args, kwargs) = calls[0]
    assert args == ([Path("a.tif")], ["What?"]) and kwargs.pop("models") == ["mini", "own"]
    assert kwargs.pop("stream") is not None
    defaults = {"max_new_tokens": 64, "batch": 8, "task": None, "classes": (), "raw": False}
    assert kwargs == {"out": None, "json": True, "bands": None, "tile": None, **defaults}


def test_scenes_come_first_and_questions_after(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("water").mkdir()
    assert cli.split_arguments(["a.tif", "b/c", "Is it 1/2 full?", "Why?"]) == (
        [Path("a.tif"), Path("b/c")],
        ["Is it 1/2 full?", "Why?"],
    )
    assert cli.split_arguments(["a.tif", "What is in a.tif?"])[1] == ["What is in a.tif?"]
    Path("notes").write_text("")
    with pytest.raises(BadInput, match="'notes' stands behind a question but names a file"):
        cli.split_arguments(["a.tif", "What?", "notes"])
    assert cli.split_arguments(["my scene.TIF", "Describe"]) == ([Path("my scene.TIF")], ["Describe"])
    assert cli.split_arguments(["water", "water?"]) == ([Path("water")], ["water?"])
    assert cli.split_arguments(["water", "long " * 2000])[0] == [Path("water")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["What is this?"], "scenes come first"),
        (["a.tif"], "No question was found after a.tif"),
        (["a.tif", "What is in b.tif"], "'What is in b.tif' ends like the name of a file, which is not there"),
        (["a.tif", ""], "A question is empty"),
        (["a.tif", "What?", "b.tif"], "'b.tif' stands behind a question but names a file; .* rsvlm ask a.tif b.tif"),
        (["a.tif", "What?", "  "], "A question is empty"),
        ([""], "A question is empty"),
    ],
)
def test_ask_without_a_scene_or_a_question(words, sentence):
    with pytest.raises(BadInput, match=sentence):
        cli.split_arguments(words)


def test_quiet_keeps_notices_away_but_not_the_failure(stand_in, monkeypatch, capsys):
    def noisy(*args, **kwargs):
        print("a progress bar", file=sys.stderr)
        raise MissingPart("The model is not here.")

    stand_in("rsvlm.serve.commands", "run")
    monkeypatch.setattr(sys.modules["rsvlm.serve.commands"], "run", noisy)
    monkeypatch.setattr(sys, "argv", ["rsvlm", "ask", "a.tif", "What?", "--quiet"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2
    assert capsys.readouterr().err == "rsvlm: The model is not here.\n"


def test_an_error_is_one_line_and_exits_with_2(stand_in, monkeypatch, capsys):
    stand_in("rsvlm.serve.commands", "run", BadInput("first line\n  second line"))
    monkeypatch.setattr(sys, "argv", ["rsvlm", "ask", "a.tif", "What?"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 2 and capsys.readouterr().err == "rsvlm: first line second line\n"


def test_an_interrupt_exits_with_130(stand_in):
    stand_in("rsvlm.serve.commands", "run", KeyboardInterrupt())
    assert run("ask", "a.tif", "What?").exit_code == 130


def test_a_bug_is_not_dressed_up_as_a_mistake_of_the_user(stand_in):
    stand_in("rsvlm.serve.commands", "run", ZeroDivisionError("a bug"))
    done = run("ask", "a.tif", "What?")
    assert done.exit_code == 1 and isinstance(done.exception, ZeroDivisionError)


def test_train_passes_everything_on(stand_in):
    calls = stand_in("rsvlm.train.run", "train")
    assert run("train", "r.yaml", "--data", "d", "--out", "o").exit_code == 0
    assert (
        run("train", "r.yaml", "--data", "d", "--out", "o", "--no-resume", "--stage", "align", "--steps", "5").exit_code
        == 0
    )
    assert calls == [
        ((Path("r.yaml"), Path("d"), Path("o")), {"resume": True, "only_stage": None, "max_steps": None}),
        ((Path("r.yaml"), Path("d"), Path("o")), {"resume": False, "only_stage": "align", "max_steps": 5}),
    ]


METRIC = {"stderr": 0.1, "low": 2.7, "high": 3.1, "n": 210}
RESULT = {
    "protocol": "ucm_captions/coco-ptb@1",
    "model": "mini [7b]",
    "n": 210,
    "split": "val",
    "metrics": {"cider_d": {"value": 2.9, **METRIC}, "bleu_4": {"value": 0.25, **METRIC, "note": "no [stems]"}},
    "baselines": {"nearest_image": {"cider_d": 2.8}, "blind": {"cider_d": 0.5, "bleu_4": 0.1}},
    "headline": ["cider_d"],
    "legacy": "The script counts in [bold] letters.",
    "failed": 2,
    "parse_failures": 3,
    "refusals": 0,
    "problems": {"conflicting": {"count": 1, "examples": ["line 3, id a: two different answers"]}},
    "leak": {"against": ["rsicd"], "leaked": 4, "test": 210, "train": 99, "share": 0.019},
    "notes": ["meteor is missing"],
}


def test_evaluate_prints_one_object_or_a_table(stand_in):
    stand_in("rsvlm.systems.load", "load", "the model")
    calls = stand_in("rsvlm.evaluate.run", "evaluate", RESULT)
    done = run("evaluate", "ucm_captions", "--data", "d", "--limit", "3", "--json")
    assert json.loads(done.stdout) == RESULT and len(done.stdout.splitlines()) == 1
    assert calls[0] == (("mini",), {})
    assert calls[1][0] == ("ucm_captions", Path("d"), "the model")
    wanted = {"split": "", "out": None, "limit": 3, "batch": 16, "wording": "protocol", "blind": True, "leak": True}
    assert calls[1][1] == wanted
    table = run("evaluate", "ucm_captions", "--data", "d", "--no-blind", "--no-leak", "--split", "test").stdout
    assert calls[3][1] == wanted | {"limit": None, "blind": False, "leak": False, "split": "test"}
    for shown in (
        "mini [7b], n = 210", "cider_d", "2.900", "2.700 to 3.100", "nearest image", "2.800", "blind", "0.500", "0.250",
        "counts in [bold] letters", "1 conflicting", "no [stems]", "meteor is missing", "4 of 210", "2 of 210",
    ):  # fmt: skip
        assert shown in table, shown


def test_an_unknown_protocol_is_said_before_a_model_is_loaded(stand_in):
    calls = stand_in("rsvlm.systems.load", "load", "the model")
    done = run("evaluate", "ucm_caption", "--data", "d")
    assert isinstance(done.exception, BadInput) and "id you mean 'ucm_captions'" in str(done.exception)
    assert calls == []


@pytest.mark.parametrize("command", [["evaluate"], ["score", "answers.jsonl"]])
def test_a_run_without_a_reply_fails_and_one_with_some_does_not(stand_in, command):
    silent = RESULT | {"failed": 210, "problems": {"empty": {"count": 210, "examples": ["line 1, id a: empty"]}}}
    stand_in("rsvlm.systems.load", "load", "the model")
    stand_in("rsvlm.evaluate.run", "evaluate", silent)
    stand_in("rsvlm.evaluate.score_file", "score", silent)
    done = run(command[0], "ucm_captions", *command[1:], "--data", "d", "--json")
    assert isinstance(done.exception, BadInput) and done.stdout == ""
    assert "any of the 210 questions" in str(done.exception) and "210 empty (line 1, id a" in str(done.exception)


def test_score_and_questions_pass_everything_on(stand_in):
    scored = stand_in("rsvlm.evaluate.score_file", "score", RESULT)
    words = "score rsivqa a.jsonl --data d --name mine --dialect geochat --split test --out o --limit 2 --json"
    assert json.loads(run(*words.split()).stdout) == RESULT
    assert scored == [
        (("rsivqa", Path("a.jsonl"), Path("d")),
         {"split": "test", "out": Path("o"), "limit": 2, "dialect": "geochat", "name": "mine"})
    ]  # fmt: skip
    scored.clear()
    stand_in("rsvlm.evaluate.score_file", "questions", 7)
    output = run("questions", "rsivqa", "--data", "d", "--out", "q.jsonl", "--split", "train", "--limit", "7").stdout
    assert scored == [(("rsivqa", Path("d"), Path("q.jsonl")), {"split": "train", "limit": 7})]
    assert "7 questions" in output and "rsvlm score rsivqa q.jsonl --data d --split train --limit 7" in output


def runs(root: Path, **second: object) -> list[str]:
    for name, changes in (("a", {}), ("b", second)):
        (root / name).mkdir()
        (root / name / "result.json").write_text(json.dumps(RESULT | {"data_hash": "0"} | changes))
    return [str(root / "a"), str(root / "b")]


def test_two_runs_about_one_thing_are_compared(stand_in, tmp_path):
    calls = stand_in("rsvlm.evaluate.report.compare", "compare", "side by side")
    folders = runs(tmp_path)
    assert run("report", *folders, "--out", str(tmp_path / "c"), "--data", "d", "--all").stdout == "side by side\n"
    assert calls == [
        (tuple(map(Path, folders)), {"out": tmp_path / "c", "data": Path("d"), "every": True}),
    ]  # fmt: skip
    assert "95 % interval" in run("report", *folders, "--no-compare").stdout
    assert "bleu_4" in run("report", folders[0], "--all").stdout
    assert "bleu_4" not in run("report", folders[0]).stdout
    assert isinstance(run("report", folders[0], "--compare").exception, BadInput)
    assert isinstance(run("report", folders[0], "--out", "c").exception, BadInput)
    assert len(calls) == 1


@pytest.mark.parametrize("change", [{"data_hash": "1"}, {"split": "test"}, {"protocol": "ucm_captions/other@1"}])
def test_two_runs_about_two_things_are_listed(stand_in, tmp_path, change):
    calls = stand_in("rsvlm.evaluate.report.compare", "compare", "side by side")
    folders = runs(tmp_path, **change)
    assert "2.900" in run("report", *folders).stdout and calls == []
    assert run("report", *folders, "--compare").stdout == "side by side\n" and len(calls) == 1


def test_setup_passes_everything_on(stand_in, tmp_path):
    calls = stand_in("rsvlm.assets", "setup")
    assert run("setup").exit_code == 0
    assert run("setup", "--train", "--wheel", "a.whl", "--wheel", "b.whl").exit_code == 0
    assert [(call["train"], call["wheels"]) for _, call in calls] == [
        (False, ()),
        (True, [Path("a.whl"), Path("b.whl")]),
    ]


def test_info_in_words_and_as_json(stand_in, monkeypatch):
    import contextlib

    scene = SimpleNamespace(
        path=Path("a.tif"), driver="GTiff", width=4, height=3, bands=("red", "nir"), shown=(1,), dtype="float32",
        composite="one band: red", band_roles=("red", "nir"),
        nodata=float("nan"), crs="EPSG:32617", transform=(0.1, 0, 5, 0, -0.1, 6), gsd_m=0.1, date=None, unplaced="",
        notes=(),
    )  # fmt: skip
    stand_in("rsvlm.geo.raster", "open_scene", contextlib.nullcontext(scene))
    facts = json.loads(run("info", "a.tif", "--json").stdout)
    assert facts["nodata"] == "nan" and facts["bands"] == ["red", "nir"] and facts["unplaced"] is None
    words = run("info", "a.tif").stdout
    assert "red, nir" in words and "EPSG:32617" in words and "date       -" in words
    assert "From its bands are computed: vegetation." in words and "shown in one band: red" in words


@pytest.mark.parametrize("kind", ["systems", "datasets", "benchmarks"])
def test_list_names_at_least_one(kind):
    done = run("list", kind)
    assert done.exit_code == 0, done.exception
    assert done.stdout.strip()


def test_benchmarks_are_listed_under_what_a_model_must_give():
    listed = run("list", "benchmarks").stdout
    entries = json.loads(run("list", "benchmarks", "--json").stdout)
    assert len(entries) > 20 and all(one["title"] and one["split"] and one["prompt_hash"] for one in entries)
    for one in entries:
        (line,) = [line for line in listed.splitlines() if line.split(" ")[0] == one["name"]]
        assert one["title"] in line and one["split"] in line and ("[legacy]" in line) == bool(one["legacy"])
    heads = [line for line in listed.splitlines() if "a file of answers holds" in line]
    assert len(heads) == len({one["ability"] for one in entries}) and "boxes)" in "".join(heads)
    assert json.loads(run("list", "datasets", "--json").stdout)[0].keys() == {"name", "title"}


def test_convert_a_data_set_and_back(stand_in, tmp_path, monkeypatch):
    from rsvlm.data import catalogue, formats

    monkeypatch.setattr(catalogue, "load", lambda name, root, split, skip_missing: [name, root, split, skip_missing])
    monkeypatch.setattr(formats, "write", lambda samples, path, format, embed_images: len(samples))
    monkeypatch.setattr(formats, "convert", lambda source, target, **kwargs: 7)
    assert run("convert", str(tmp_path), "b.parquet", "--from", "rsicd").stdout == "b.parquet: 4 samples\n"
    assert run("convert", "a.json", "b.parquet", "--from", "llava").stdout == "b.parquet: 7 samples\n"


WIRES = {  # what the commands call, with the arguments they give
    ("rsvlm.serve.commands", "run"): ((1, 2), "stream models out json bands tile max_new_tokens batch"),
    ("rsvlm.train.run", "train"): ((1, 2, 3), "resume only_stage max_steps"),
    ("rsvlm.systems.load", "load"): ((1,), ""),
    ("rsvlm.evaluate.run", "evaluate"): ((1, 2, 3), "split out limit batch blind leak"),
    ("rsvlm.evaluate.benchmarks", "find"): ((1,), ""),
    ("rsvlm.evaluate.score_file", "score"): ((1, 2, 3), "split out limit dialect name"),
    ("rsvlm.evaluate.score_file", "questions"): ((1, 2, 3), "split limit"),
    ("rsvlm.evaluate.report.text", "report"): ((1,), "every"),
    ("rsvlm.evaluate.report.compare", "compare"): ((1, 2), "out data every"),
    ("rsvlm.data.formats", "convert"): ((1, 2), "source_format format embed_images"),
    ("rsvlm.data.formats", "write"): ((1, 2, 3), "embed_images"),
    ("rsvlm.data.catalogue", "load"): ((1, 2, 3), "skip_missing"),
    ("rsvlm.geo.raster", "open_scene"): ((1,), ""),
    ("rsvlm.assets", "setup"): ((), "train wheels say"),
    ("rsvlm.systems.convert.convert", "convert"): ((1, 2), "system recipe language_model vision lora"),
    ("rsvlm.systems.convert.verify", "verify"): ((1,), "system"),
}


@pytest.mark.parametrize("module, name", WIRES)
def test_what_a_command_calls_takes_what_the_command_gives(module, name):
    args, keywords = WIRES[module, name]
    function = getattr(importlib.import_module(module), name)
    inspect.signature(function).bind(*args, **dict.fromkeys(keywords.split()))


def test_the_program_itself_refuses_in_one_sentence():
    done = program("ask", "no_such_scene.tif", " ")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("rsvlm: A question is empty") and done.stderr.count("\n") == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_freed_memory_is_kept_unless_the_user_has_his_own_settings():
    # In a process of its own: what is set can not be unset. Page faults tell whether freed blocks are mapped anew.
    count = """
import resource
from rsvlm.cli import keep_freed_memory
kept = keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    bytearray(2**26)  # above the 32 MiB up to which glibc adapts by itself
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    found = {}
    for own in ({}, {"MALLOC_ARENA_MAX": "8"}):
        env = {key: value for key, value in os.environ.items() if not key.startswith("MALLOC_")} | own
        done = subprocess.run([sys.executable, "-c", count], capture_output=True, text=True, check=True, env=env)
        kept, faults = done.stdout.split()
        found[kept] = int(faults)
    if "True" not in found:
        pytest.skip("this C library has no mallopt")
    assert found["True"] < found["False"] / 5, "ten blocks: the pages of one against the pages of all"
