"""Vectors of many pictures into one file: what a row holds, going on after a kill, and what is refused."""

import json
import shutil

import numpy as np
import pyarrow.parquet
import pytest
import shapely
from PIL import Image
from typer.testing import CliRunner

from fake.chat_model import Speaker
from fake.matchers import Colours, Plain
from fake.model import ColourModel, Killed
from fake.rasters import geotiff
from rsvlm import cli
from rsvlm.errors import BadInput, MissingPart
from rsvlm.serve import embedding, vector_table

SUFFIXES = (".parquet", ".npz")
every_format = pytest.mark.parametrize("suffix", SUFFIXES)


@pytest.fixture
def folder(tmp_path):
    """Six pictures, two of them a folder deeper, one with a place."""
    root = tmp_path / "pictures"
    (root / "deeper").mkdir(parents=True)
    for number in range(5):
        path = root / ("deeper" if number > 2 else ".") / f"{number}.png"
        pixels = np.random.default_rng(number).integers(0, 255, (20, 30, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    geotiff(root / "placed.tif")
    (root / "notes.txt").write_text("no picture")
    (root / ".hidden.png").write_bytes(b"")
    return root


@pytest.fixture
def model(monkeypatch):
    found = Colours()
    monkeypatch.setattr(embedding, "load", lambda name: found)
    return found


def run(*words):
    return CliRunner().invoke(cli.app, ["embed", *map(str, words)])


def rows(path):
    """(about, columns of all rows)."""
    about, parts = vector_table.read_vectors(path)
    found = [*parts]
    return about, {
        name: np.concatenate([getattr(part, name) for part in found])
        for name in ("paths", "windows", "valid", "lonlat", "footprints", "vectors")
    }


@every_format
def test_a_row_a_picture_with_its_place(folder, model, tmp_path, suffix):
    out = tmp_path / f"vectors{suffix}"
    ran = run(folder, "--out", out, "--batch", "4")
    assert ran.exit_code == 0 and ran.stdout == f"{out}: 6 rows, 6 pictures new\n"
    about, found = rows(out)
    names = ["0.png", "1.png", "2.png", "deeper/3.png", "deeper/4.png", "placed.tif"]
    assert found["paths"].tolist() == [str(folder / name) for name in names]
    assert found["windows"].tolist() == [[0, 0, 30, 20]] * 5 + [[0, 0, 80, 64]] and (found["valid"] == 1).all()
    pictures = [np.asarray(Image.open(path)) for path in found["paths"][:5]]
    assert np.allclose(found["vectors"][:5], model.embed_images(pictures), atol=1e-6)
    assert np.isnan(found["lonlat"][:5]).all() and found["footprints"][:5].tolist() == [""] * 5
    outline = shapely.from_wkt(str(found["footprints"][5]))
    assert outline.is_valid and outline.contains(shapely.Point(found["lonlat"][5])) and -100 < outline.centroid.x < -99
    assert about["trace"] == model.trace and about["width"] == 3 and about["tiles"] is False
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_any_tool_reads_the_parquet_file(folder, model, tmp_path):
    run(folder, "--out", tmp_path / "v.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "v.parquet")
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert kinds["vector"] == "fixed_size_list<element: float>[3]" and kinds["window"].endswith("int32>[4]")
    assert table["lon"].null_count == table["footprint"].null_count == 5
    assert json.loads(table.schema.metadata[b"rsvlm"])["model"] == "colours"


@every_format
def test_a_row_a_tile(model, tmp_path, suffix):
    data = np.zeros((3, 256, 256), np.uint8)
    data[0, :, :128], data[2, :, 128:] = 250, 250
    scene, out = geotiff(tmp_path / "scene.tif", data), tmp_path / f"v{suffix}"
    assert run(scene, "--tiles", "--tile", "128", "--out", out).exit_code == 0
    _, found = rows(out)
    assert found["windows"].tolist() == [[0, 0, 128, 128], [128, 0, 128, 128], [0, 128, 128, 128], [128, 128, 128, 128]]
    assert found["vectors"].argmax(1).tolist() == [0, 2, 0, 2] and len({*found["footprints"]}) == 4


@every_format
def test_a_killed_run_goes_on_where_it_was(folder, monkeypatch, tmp_path, suffix):
    out, calls = tmp_path / f"v{suffix}", []
    monkeypatch.setattr(embedding, "_ROWS", 2)

    class Mortal(Colours):
        def embed_images(self, images):
            calls.append(len(images))
            if sum(calls) > 4:
                raise Killed
            return super().embed_images(images)

    monkeypatch.setattr(embedding, "load", lambda name: Mortal())
    with pytest.raises(Killed):
        embedding.run([folder], out=out, model="m", settings=embedding.EmbedSettings(batch=1))
    assert not out.exists() and (tmp_path / f".{out.name}.parts").is_dir()
    whole = Colours()
    monkeypatch.setattr(embedding, "load", lambda name: whole)
    new, count = embedding.run([folder], out=out, model="m", settings=embedding.EmbedSettings(batch=1))
    assert (new, count) == (2, 6) and sum(whole.seen) == 2 and not (tmp_path / f".{out.name}.parts").exists()
    other = tmp_path / f"other{suffix}"
    embedding.run([folder], out=other, model="m", settings=embedding.EmbedSettings())
    for one, again in zip(rows(out)[1].values(), rows(other)[1].values(), strict=True):
        assert (one == again).all() or np.array_equal(one, again, equal_nan=True)


def test_parts_that_are_in_the_file_already_are_not_added_again(folder, model, monkeypatch, tmp_path):
    out, parts = tmp_path / "v.npz", tmp_path / ".v.npz.parts"
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # killed before that
        run(folder, "--out", out)
    assert [path.name for path in parts.iterdir()] == ["000000.npz"]
    (folder / "6.png").write_bytes((folder / "0.png").read_bytes())
    assert run(folder, "--out", out).stdout == f"{out}: 7 rows, 1 pictures new\n" and not parts.exists()


@every_format
def test_more_pictures_are_added_to_a_file(folder, model, tmp_path, suffix):
    out = tmp_path / f"v{suffix}"
    assert run(folder / "0.png", "--out", out).exit_code == 0
    assert run(folder, "--out", out).stdout == f"{out}: 6 rows, 5 pictures new\n"
    assert sorted(rows(out)[1]["paths"]) == sorted(
        str(p) for p in folder.rglob("*.*") if p.suffix in (".png", ".tif") and p.name[0] != "."
    )
    before = out.read_bytes()
    assert run(folder, "--out", out).stdout == f"{out}: nothing is new\n" and out.read_bytes() == before


@every_format
def test_vectors_of_another_model_setting_or_width_are_refused(folder, model, monkeypatch, tmp_path, suffix):
    out = tmp_path / f"v{suffix}"
    run(folder / "0.png", "--out", out)
    before = out.read_bytes()
    with pytest.raises(BadInput, match=r"tiles: False.*tiles: True.*give another --out"):
        raise run(folder, "--out", out, "--tiles").exception
    monkeypatch.setattr(embedding, "load", lambda name: Colours(weights="9999"))
    with pytest.raises(
        BadInput, match=r"holds vectors of colours \(weights: 0123\), these are of colours \(weights: 9999\)"
    ):
        raise run(folder, "--out", out).exception

    class Narrow(Colours):
        def embed_images(self, images):
            return super().embed_images(images)[:, :2]

    monkeypatch.setattr(embedding, "load", lambda name: Narrow())
    with pytest.raises(BadInput, match="holds vectors of 3 numbers, these have 2"):
        raise run(folder, "--out", out).exception
    assert out.read_bytes() == before


def test_versions_and_names_do_not_matter(folder, monkeypatch, tmp_path):
    for version in ("1", "2"):
        model = Colours()
        model.name = f"name {version}"
        model.trace = {"model": model.name, "weights": "ab", "torch": version, "transformers": version}
        monkeypatch.setattr(embedding, "load", lambda name, model=model: model)
        assert run(folder / f"{version}.png", "--out", tmp_path / "v.npz").exit_code == 0
    assert len(rows(tmp_path / "v.npz")[1]["paths"]) == 2


def test_a_picture_that_cannot_be_read_is_named_and_skipped(folder, model, tmp_path):
    (folder / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    out = tmp_path / "v.parquet"
    ran = run(folder, "--out", out)
    assert isinstance(ran.exception, BadInput) and "1.png" in ran.stderr
    assert str(ran.exception).startswith(
        f"1 of 6 pictures could not be read: 1.png; the vectors of the other 5 are in {out}"
    )
    assert len(rows(out)[1]["paths"]) == 5
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "1.png")
    assert run(folder, "--out", out).stdout == f"{out}: 6 rows, 1 pictures new\n"  # it is tried again


def test_nan_vectors_end_it_and_write_nothing(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(embedding, "load", lambda name: Plain(lambda rows: rows * np.nan))
    with pytest.raises(BadInput, match="plain gave vectors that hold NaN or infinity for 6 of 6 pictures"):
        raise run(folder, "--out", tmp_path / "v.npz").exception
    assert {path.name for path in tmp_path.iterdir()} == {"pictures"}


def test_a_model_that_only_embeds_pictures_will_do_and_another_will_not(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(embedding, "load", lambda name: ColourModel())
    assert run(folder, "--out", tmp_path / "v.npz").exit_code == 0
    monkeypatch.setattr(embedding, "load", lambda name: Speaker())
    with pytest.raises(BadInput, match="cannot turn pictures into vectors"):
        raise run(folder, "--out", tmp_path / "w.npz").exception


def test_bad_files_are_one_sentence(folder, model, monkeypatch, tmp_path):
    for name, says in (("v.csv", r"expected \.parquet or \.npz"), ("v", r"expected \.parquet or \.npz")):
        with pytest.raises(BadInput, match=says):
            raise run(folder, "--out", tmp_path / name).exception
    for name in ("v.npz", "v.parquet"):
        (tmp_path / name).write_bytes(b"something else")
        with pytest.raises(BadInput, match="holds no vectors of rsvlm embed"):
            raise run(folder, "--out", tmp_path / name).exception
        assert (tmp_path / name).read_bytes() == b"something else"
    np.savez(tmp_path / "v.npz", vectors=np.array([object()], dtype=object))  # a pickle, which is not opened
    with pytest.raises(BadInput, match="holds no vectors of rsvlm embed"):
        raise run(folder, "--out", tmp_path / "v.npz").exception
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), tmp_path / "v.parquet")
    with pytest.raises(BadInput, match="holds no vectors of rsvlm embed"):
        raise run(folder, "--out", tmp_path / "v.parquet").exception
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no picture"):
        raise run(tmp_path / "empty", "--out", tmp_path / "w.npz").exception
    with pytest.raises(BadInput, match="cannot be written"):
        raise run(folder, "--out", folder / "0.png" / "w.npz").exception


def test_parquet_without_its_package_says_what_to_install(folder, model, monkeypatch, tmp_path):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPart, match=r"pip install 'rsvlm\[train\]'"):
        raise run(folder, "--out", tmp_path / "v.parquet").exception
    assert run(folder, "--out", tmp_path / "v.npz").exit_code == 0
