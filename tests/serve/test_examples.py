"""The programs in examples/ that ask: they run, and stay short."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import rsvlm
from fake.chat_model import Speaker, coast
from fake.rasters import geotiff
from rsvlm.serve.assistant import Assistant

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def start(monkeypatch, tmp_path, capsys):
    scene = geotiff(tmp_path / "scene.tif", coast())
    monkeypatch.setattr(rsvlm, "load", lambda name: Assistant(Speaker(name)))

    def run(name: str, *words: object) -> str:
        assert len((EXAMPLES / name).read_text().splitlines()) <= 60
        monkeypatch.setattr(sys, "argv", [name, str(scene), *map(str, words)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_ask_a_scene(start, tmp_path):
    shown = start("ask_a_scene.py", tmp_path / "answer.geojson")
    assert "Is there water? Yes (confidence" in shown
    assert len(json.loads((tmp_path / "answer.geojson").read_text())["features"]) == 3


def test_own_model(start):
    assert start("own_model.py").splitlines()[1:] == ["Vegetation 0.75", "Other 0.25"]
