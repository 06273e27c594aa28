"""Names that no file can have, links that run in a circle, and text that would steer a terminal."""

import errno
import json
import os
from pathlib import Path

import pytest

from rsvlm import cli
from rsvlm.cli.show import print_json
from rsvlm.data import formats
from rsvlm.errors import BadInput, MissingPart
from rsvlm.evaluate.report.text import read_result
from rsvlm.parts.checkpoints import published
from rsvlm.printable import printable, printable_json, say
from rsvlm.recipe import read_recipe
from rsvlm.systems.convert.verify import verify
from rsvlm.systems.model_dir import model_folder
from rsvlm.systems.providers.hf_files import local_folder

NAMES = ("x" * 5000, "x" * 5000 + ".json", "a\0b", "loop", "loop/a.json")
READERS = {
    "model_folder": model_folder,
    "local_folder": local_folder,
    "located": lambda name: published.located(Path(name)),
    "verify": lambda name: verify(Path(name)),
    "formats.read": lambda name: list(formats.read(name)),
    "read_recipe": read_recipe,
    "read_result": lambda name: read_result(Path(name)),
}


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("reader", READERS)
def test_a_name_that_no_file_has_is_a_mistake_of_the_user(tmp_path, monkeypatch, reader, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((BadInput, MissingPart)):
        READERS[reader](name)


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ELOOP])
def test_the_program_says_which_name_it_was(monkeypatch, capsys, number):
    def fail():
        raise OSError(number, os.strerror(number), "x\x1b" * 3000)

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1 and len(said) < 300 and "\x1b" not in said


def test_another_error_of_the_system_keeps_its_traceback(monkeypatch):
    def fail():
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(OSError, match="No space"):
        cli.main()


def test_what_is_printed_cannot_steer_a_terminal(capsys):
    hostile = "a\x1b[31m\x9b2J\u202e\ud800\r\x07é 港\nb"
    say(hostile)
    print_json({"text": hostile})
    plain, line = capsys.readouterr().out.split("\nb\n")
    for one in "\x1b\x9b\u202e\ud800\r\x07":
        assert one not in plain and one not in line
    assert "é 港" in plain and "é 港" in line
    assert json.loads(line)["text"] == hostile, "JSON loses nothing"
    assert printable_json("[1]") == "[1]" and printable("\ud800") == "\\ud800"


def test_commands_print_through_one_place():
    """Whatever a command prints passes `printable`: no module of cli calls print or typer.echo with raw text."""
    for path in Path(cli.__file__).parent.glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert "typer.echo" not in line, f"{path.name}: {line.strip()}"
            assert (
                "print(" not in line.replace("console.print(", "")
                or "printable" in line
                or "print_" in line
                or ("_print(" in line)
            ), f"{path.name}: {line.strip()}"
