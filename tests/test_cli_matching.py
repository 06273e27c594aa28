"""`rsvlm match` and `rsvlm embed`: what is passed on, and whose advice is given."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from rsvlm import cli
from rsvlm.serve import embedding, match_commands


def run(*words):
    return CliRunner().invoke(cli.app, list(words))


@pytest.fixture
def calls(monkeypatch):
    """What the commands were called with; nothing is done."""
    made = []
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: False)
    for module, result in ((match_commands, None), (embedding, (3, 5))):
        monkeypatch.setattr(module, "run", lambda *args, result=result, **kw: made.append((args, kw)) or result)
    return made


def test_match_and_embed_pass_everything_on(calls):
    options = "--json --out out --bands 4,3,2 --tile 256 --batch 2 --model own --cut --template"
    assert run("match", "a.tif", "a lake", "a sea", *options.split(), "a photo of {}.").exit_code == 0
    (args, kwargs) = calls.pop()
    assert args == ([Path("a.tif")], ["a lake", "a sea"]) and kwargs.pop("stream") is not None
    assert (kwargs["model"], kwargs["out"], kwargs["json"]) == ("own", Path("out"), True)
    kept = kwargs["settings"]
    assert (kept.bands, kept.tile, kept.batch, kept.cut, kept.templates) == (
        "4,3,2", 256, 2, True, ("a photo of {}.",)
    )  # fmt: skip
    options = "--out v.parquet --model own --bands 1,2,3 --tile 64 --batch 9"
    assert run("embed", "folder", "b.png", *options.split()).stdout == "v.parquet: 5 rows, 3 pictures new\n"
    (args, kwargs) = calls.pop()
    assert args == ([Path("folder"), Path("b.png")],) and kwargs["out"] == Path("v.parquet")
    kept = kwargs["settings"]
    assert (kept.bands, kept.tile, kept.tiles, kept.batch, kwargs["model"]) == ("1,2,3", 64, True, 9, "own")
    assert run("embed", "folder", "--out", "v.npz").exit_code == 0 and calls[-1][1]["settings"].tiles is False


def test_advice_about_scenes_and_texts_is_that_of_the_command(tmp_path):
    for words, says in (
        (["match", "a lake"], "'a lake' is not a scene; scenes come first: rsvlm match scene.tif \"a harbour\""),
        (["match", "a.tif"], "No text was found after a.tif; add one: rsvlm match a.tif"),
        (["match", "a.tif", "a lake", "b.tif"], "'b.tif' stands behind a text but names a file"),
    ):
        assert str(run(*words).exception).startswith(says)
