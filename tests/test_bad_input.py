"""Whatever a user gets wrong: one sentence on stderr, exit code 2, nothing on stdout, nothing half-written."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import pytest

from fake import annotations, runs
from fake.chat_model import Speaker, coast
from fake.rasters import HOSTILE, REFUSED_NAMES, geotiff
from rsvlm import cli
from rsvlm.serve import comparison
from rsvlm.serve.assistant import Assistant

RECIPES = runs.RECIPES / "lhrs_bot"
ASKED = "Is there water?"


@pytest.fixture
def rsvlm(monkeypatch, capsys):
    """Run the program in this process and check what every failure must be; returns the sentence."""
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: False)

    def call(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["rsvlm", *map(str, words)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capsys.readouterr()
        assert left.value.code == 2, err
        assert out == "" and err.startswith("rsvlm: ") and err.count("\n") == 1 and err.endswith("\n"), err
        assert "Traceback" not in err and 20 < len(err) < 600, err
        return err

    return call


@pytest.fixture
def fake_model(monkeypatch):
    monkeypatch.setattr(comparison, "load", lambda name: Assistant(Speaker(name)))


@pytest.fixture
def scene(tmp_path):
    return geotiff(tmp_path / "scene.tif", coast())


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# -- scenes ------------------------------------------------------------------------------------------------------------

SAYS = {
    "vrt named tif": "a GDAL VRT", "vrt with a byte order mark": "a GDAL VRT", "raw vrt named png": "a GDAL VRT",
    "mrf named tif": "a GDAL MRF", "wms named tif": "a GDAL WMS", "tile index": "tile index", "text": "not an image",
    "empty": "empty", "zip": "zip", "only a header": "damaged", "cut uncompressed": "damaged or cut short",
    "cut tiled deflate": "damaged or cut short", "cut lzw": "damaged or cut short", "cut png": "damaged or cut short",
    "cut jpeg in tiff": "damaged or cut short", "cut jpeg": "damaged or cut short", "cut jp2": "damaged or cut short",
    "bomb png": "budget", "bomb strip": "60000 x 60000", "bomb tile": "budget", "bomb sparse": "bomb",
    "nan geotransform": "geotransform", "flat geotransform": "geotransform", "all nodata": "no valid pixel",
    "all nan": "no valid pixel", "complex": "complex", "names its overview": "overview",
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "folder"])
def test_a_file_that_is_no_sound_scene(rsvlm, fake_model, tmp_path, name):
    file, make = HOSTILE[name]
    (tmp_path / "in").mkdir()
    make(tmp_path / "in" / file)
    before = listing(tmp_path)
    sentence = rsvlm("ask", tmp_path / "in" / file, ASKED, "--out", tmp_path / "out", "--json")
    assert SAYS.get(name, file) in sentence
    assert listing(tmp_path) == before


def test_a_folder_named_like_a_scene_holds_none(rsvlm, fake_model, tmp_path):
    (tmp_path / "f.tif").mkdir()
    assert "holds no scene" in rsvlm("ask", tmp_path / "f.tif", ASKED)


@pytest.mark.parametrize("name", [name for name in REFUSED_NAMES if name.endswith(".tif") or "/" in name])
def test_a_file_that_is_not_there_or_not_local(rsvlm, fake_model, name):
    sentence = rsvlm("ask", name, ASKED)
    assert "There is no file" in sentence or "is not a local file" in sentence or "scenes come first" in sentence


def test_of_several_scenes_the_bad_ones_are_named_and_counted(fake_model, scene, tmp_path, monkeypatch, capsys):
    bad = tmp_path / "bad.tif"
    bad.write_text("hello")
    words = ["rsvlm", "ask", scene, bad, tmp_path / "none.tif", ASKED, "--json", "--out", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", list(map(str, words)))
    with pytest.raises(SystemExit) as left:
        cli.main()
    out, err = capsys.readouterr()
    assert left.value.code == 2 and json.loads(out)["answer"] == "Yes"
    lines = [line for line in err.splitlines() if line.startswith("rsvlm: ")]
    assert "not an image" in lines[0] and "There is no file" in lines[1]
    assert lines[2] == "rsvlm: 2 of 3 scenes could not be answered: bad.tif, none.tif."
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["scene"]


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("question", ["", "   "])
def test_an_empty_question(rsvlm, fake_model, scene, question):
    assert "question is empty" in rsvlm("ask", scene, question)
    assert "question is empty" in rsvlm("ask", scene, ASKED, question)


@pytest.mark.parametrize("bands", ["9", "bogus", "1,2", "nir,red,green", "0", ""])
def test_an_unknown_band(rsvlm, fake_model, scene, bands):
    sentence = rsvlm("ask", scene, ASKED, "--bands", bands)
    assert "band" in sentence


@pytest.mark.parametrize("command", ["evaluate", "ask"])
def test_an_unknown_model(rsvlm, scene, tmp_path, command):
    words = ("ask", scene, ASKED) if command == "ask" else ("evaluate", "ucm_captions", "--data", tmp_path)
    assert "'bogus'" in rsvlm(*words, "--model", "bogus")


def test_an_unknown_task(rsvlm, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.import_module("rsvlm.systems.load"), "load", Speaker)
    assert "did you mean 'ucm_captions'" in rsvlm("evaluate", "ucm_caption", "--data", tmp_path)


def test_an_unknown_format(rsvlm, tmp_path):
    annotations.write_json(tmp_path / "a.json", [])
    assert "'bogus'" in rsvlm("convert", tmp_path / "a.json", tmp_path / "b.parquet", "--from", "bogus")
    assert listing(tmp_path) == ["a.json"]


# -- models ------------------------------------------------------------------------------------------------------------


def test_the_model_package_is_not_installed(rsvlm, scene, monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.import_module("rsvlm.systems.model_dir"), "find_spec", lambda name: None)
    sentence = rsvlm("ask", scene, ASKED, "--out", tmp_path / "out")
    assert "pip install" in sentence and "rsvlm-mini" in sentence and not (tmp_path / "out").exists()


def test_the_language_model_is_not_installed(rsvlm, scene, monkeypatch, tmp_path):
    from rsvlm import assets

    monkeypatch.setenv("RSVLM_CACHE", str(tmp_path / "cache"))
    folder = model_folder(tmp_path / "model", "mini")
    assert assets.cache_root() == tmp_path / "cache"
    assert "rsvlm setup" in rsvlm("ask", scene, ASKED, "--model", folder)


def model_folder(folder: Path, size: str, weights: bytes = b"") -> Path:
    folder.mkdir()
    shutil.copy(RECIPES / f"{size}.yaml", folder / "recipe.yaml")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize("weights", [b"", b"hello", b"\x00" * 64, (2**40).to_bytes(8, "little") + b"{}"])
def test_a_corrupt_checkpoint(rsvlm, scene, tmp_path, weights):
    folder = model_folder(tmp_path / "model", "tiny", weights)
    sentence = rsvlm("ask", scene, ASKED, "--model", folder, "--out", tmp_path / "out")
    assert "model.safetensors" in sentence and not (tmp_path / "out").exists()


def test_weights_of_another_recipe(rsvlm, scene, tmp_path):
    import torch
    from safetensors.torch import save

    folder = model_folder(tmp_path / "model", "tiny", save({"other.weight": torch.zeros(2)}))
    assert "tensors" in rsvlm("ask", scene, ASKED, "--model", folder)


def test_a_model_folder_without_a_model(rsvlm, scene, tmp_path):
    (tmp_path / "model").mkdir()
    assert "model.safetensors" in rsvlm("ask", scene, ASKED, "--model", tmp_path / "model")


# -- output and annotations --------------------------------------------------------------------------------------------


def test_an_output_folder_that_cannot_be_written(rsvlm, scene, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(comparison, "load", calls.append)
    before = listing(tmp_path)
    for out in (scene, scene / "sub", "/proc/rsvlm/out"):
        assert "cannot be written" in rsvlm("ask", scene, ASKED, "--out", out)
    assert calls == [] and listing(tmp_path) == before


def test_an_annotation_file_with_missing_images(rsvlm, tmp_path, monkeypatch, capsys):
    root = annotations.ucm_captions(tmp_path / "UCM_captions")
    (root / "imgs" / "100.tif").unlink()
    (root / "imgs" / "300.tif").unlink()
    target = tmp_path / "out.parquet"
    sentence = rsvlm("convert", tmp_path / "UCM_captions", target, "--from", "ucm_captions")
    assert "2" in sentence and "100.tif" in sentence and "--skip-missing" in sentence and not target.exists()
    words = ["convert", str(root), str(target), "--from", "ucm_captions", "--skip-missing"]
    monkeypatch.setattr(sys, "argv", ["rsvlm", *words])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0 and "3 samples" in capsys.readouterr().out and target.exists()
