"""docs/measuring.md, read as a newcomer would: every command and program in it runs, in order, on a miniature."""

import importlib
import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake import annotations
from fake.model import ColourModel
from rsvlm import cli
from rsvlm.evaluate.benchmarks import BENCHMARKS

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE, re.M | re.S)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder in which `path/to/data` holds what the page speaks of, and every model is one of colours."""
    data = tmp_path / "path" / "to" / "data"
    for name in ("dior_rsvg", "rsvqa_lr"):
        annotations.make(name, data)
    names = {f"{n}.tif": "train" if n < 12 else "val" for n in range(1, 18)}
    annotations.karpathy(data / "UCM_captions", "imgs", "dataset.json", names)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: False)
    load = importlib.import_module("rsvlm.systems.load")
    monkeypatch.setattr(load, "load", lambda name: ColourModel(otherwise="caption 1 of a picture", name=name))
    return tmp_path


def test_the_page_runs_from_top_to_bottom(place):
    done: list[str] = []
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, "measuring.md", "exec"), {})
            continue
        for line in block.splitlines():
            if "boxes.jsonl --dialect" in line:  # the newcomer fills them in
                rows = [json.loads(row) for row in Path("boxes.jsonl").read_text().splitlines()]
                text = "".join(json.dumps(row | {"answer": "{<10><10><60><80>}"}) + "\n" for row in rows)
                Path("boxes.jsonl").write_text(text)
            ran = CliRunner().invoke(cli.app, shlex.split(line)[1:])
            assert ran.exit_code == 0, (line, ran.output, ran.exception)
            done.append(ran.stdout)
    assert len(done) > 10 and {path.name for path in Path("results").iterdir()} == {"mini", "mine", "compared"}
    assert json.loads(Path("results/mine/result.json").read_text())["problems"] == {}
    for name in ("result.json", "answers.jsonl", "report.md", "report.html"):
        assert (Path("results/mine") / name).is_file()


def test_every_kind_of_problem_is_explained():
    source = "".join(
        (ROOT / "src/rsvlm/evaluate" / name).read_text() for name in ("answer_entries.py", "score_file.py")
    )
    kinds = set(re.findall(r'problems\.add\("(\w+)"|_refuse\(\w+, \w+, "(\w+)"', source))
    table = PAGE.partition("| problem |")[2].partition("\n\n")[0]
    explained = {kind.strip() for line in table.splitlines()[2:] for kind in line.split("|")[1].split(",")}
    assert len(kinds) > 8 and {(a or b).replace("_", " ") for a, b in kinds} <= explained


def test_the_table_holds_every_protocol_and_is_the_one_that_is_generated():
    spec = importlib.util.spec_from_file_location("tables", ROOT / "tools" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert tables.filled(PAGE, "protocols", tables.protocols()) == PAGE, "run: python tools/tables.py"
    assert set(re.findall(r"^\| `([\w./@-]+@\d+)` \|", PAGE, re.M)) == set(BENCHMARKS)
