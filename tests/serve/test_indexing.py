"""`rsvlm index` and `rsvlm archive`: what a row holds, what is made again, going on after a kill, S3, bad input."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image
from typer.testing import CliRunner

from fake.matchers import Colours
from fake.model import Answerer
from fake.rasters import geotiff, pixels
from fake.sentences import Words
from rsvlm import cli
from rsvlm.errors import BadInput
from rsvlm.geo.raster import open_scene
from rsvlm.index.archive import Archive
from rsvlm.index.filters import Filters
from rsvlm.serve import archive_documents, archive_model, footprints, indexing


@pytest.fixture
def model(monkeypatch):
    found = Colours()
    monkeypatch.setattr(archive_model, "load", lambda name: found)
    monkeypatch.setattr(archive_documents.try_documents, "__defaults__", (Words,))
    return found


@pytest.fixture
def folder(tmp_path):
    """Three scenes with places (80 x 64 pixels of 5 m), one dated, a picture without a place, and two other files."""
    root = tmp_path / "scenes"
    (root / "deeper").mkdir(parents=True)
    for number in range(3):
        tags = {"TIFFTAG_DATETIME": "2016:07:01 00:00:00"} if number == 1 else None
        geotiff(root / f"{number}.tif", pixels(seed=number), tags=tags)
    Image.fromarray(np.full((40, 40, 3), 200, np.uint8)).save(root / "deeper" / "plain.png")
    (root / "notes.txt").write_text("no picture")
    (root / "table.csv").write_text("")
    return root


def run(*words):
    return CliRunner().invoke(cli.app, [*map(str, words)])


def rows(out):
    """{(name, window): row} of an archive, the vector and scores of a search for everything among them."""
    archive = Archive.open(out)
    hits = archive.search(np.ones(archive.width), k=1000, exact=True, thumbnails=True)
    return {(Path(hit.tile.scene).name, hit.tile.window): hit for hit in hits}


def test_a_row_a_tile_with_all_that_is_known_of_it(folder, model, tmp_path):
    out = tmp_path / "a"
    (tmp_path / "texts.json").write_text(json.dumps({"1.tif": "fields", str(folder / "2.tif"): "a wood"}))
    ran = run("index", folder, "--out", out, "--tile-metres", 200, "--sensor", "naip",
              "--captions", tmp_path / "texts.json", "--batch", 4)  # fmt: skip
    assert ran.exit_code == 0, ran.stderr or ran.exception
    assert ran.stdout == (
        f"{out}: 13 rows; 4 scenes new or changed, 0 as they were\n"
        "  1 without a place on Earth, found by their content only: plain.png\n"
        "  1 documents of 1 passages, 1 new or changed\n"
        "  1 no rasters, left out: table.csv\n"
    )
    found = rows(out)
    windows = [(x, y, 40, 32) for y in (0, 32) for x in (0, 40)]  # 200 m are 40 pixels
    assert set(found) == {(f"{at}.tif", window) for at in range(3) for window in windows} | {
        ("plain.png", (0, 0, 40, 40))
    }
    tile = found["1.tif", (40, 0, 40, 32)].tile
    assert tile.date == datetime(2016, 7, 1, tzinfo=UTC) and tile.gsd == pytest.approx(5, rel=1e-3)
    assert (tile.sensor, tile.caption, found["2.tif", windows[0]].tile.caption) == ("naip", "fields", "a wood")
    with open_scene(folder / "1.tif") as scene:
        corner = shapely.Point(scene.place.to_lonlat([(79, 1)])[0])
        outside = shapely.Point(scene.place.to_lonlat([(39, 1)])[0])
        picture = scene.read_rgb((40, 0, 40, 32))
    outline = shapely.from_wkb(tile.footprint)
    assert outline.contains(corner) and not outline.contains(outside) and outline.bounds == tile.bounds
    expected = model.embed_images([picture])[0]
    assert np.allclose(Archive.open(out).vectors_of([tile.id]), expected, atol=1e-6)
    assert Image.open(io.BytesIO(tile.thumbnail)).size == (40, 32)
    plain = found["plain.png", (0, 0, 40, 40)].tile
    assert (plain.bounds, plain.footprint, plain.date, plain.gsd) == (None, None, None, None)
    assert len(Archive.open(out).search(expected, filters=Filters(boxes=(tile.bounds,)))) >= 9, "all three lie there"


def test_only_what_changed_is_made_again(folder, model, tmp_path):
    out = tmp_path / "a"
    assert run("index", folder, "--out", out).exit_code == 0
    first, seen = rows(out), len(model.seen)
    geotiff(folder / "0.tif", np.full((3, 64, 80), 9, np.uint8))
    os.utime(folder / "1.tif", (1, 1))
    shutil.copy(folder / "2.tif", folder / "3.tif")
    assert "5 rows; 2 scenes new or changed, 3 as they were" in run("index", folder, "--out", out).stdout
    second = rows(out)
    assert sum(model.seen[seen:]) == 2 + 1  # and the grey picture that tells the width
    whole = (0, 0, 80, 64)
    assert {name for name, window in first if first[name, window].score != second[name, window].score} == {"0.tif"}
    assert second["3.tif", whole].score == second["2.tif", whole].score
    seen = len(model.seen)
    assert "0 scenes new or changed, 5 as they were" in run("index", folder, "--out", out).stdout
    assert model.seen[seen:] == [1]
    assert "17 rows; 5 scenes new" in run("index", folder, "--out", out, "--tile-metres", 200).stdout, "other tiles"
    (folder / "2.tif").unlink()
    (folder / "0.tif").touch()
    ran = run("archive", "check", out)
    assert ran.exit_code == 0 and "1 sources are gone" in ran.stdout and "1 sources have changed" in ran.stdout
    assert json.loads(run("archive", "check", out, "--json").stdout)["missing"] == [str(folder / "2.tif")]
    assert run("archive", "delete", out, "--scene", folder / "2.tif").stdout == f"{out}: 4 rows deleted, 13 left\n"
    assert str(run("archive", "delete", out, "--scene", "x.tif").exception).startswith(f"{out} holds no scene ")
    assert "12 rows deleted, 1 left" in run("archive", "delete", out, "--bbox", "-180,-90,0,90").stdout
    assert int(run("archive", "versions", out).stdout.splitlines()[-1].split()[-2]) == 1
    assert run("archive", "compact", out, "--keep", 0).stdout.startswith(f"{out}: 1 rows, ")


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from fake.matchers import Colours
from rsvlm.index.writing import Writer
from rsvlm.serve import archive_documents, archive_model, archive_tiles, indexing

archive_tiles.ROWS = 1
folder, out = sys.argv[1:]
kept = Writer.record


def record(self, scenes):
    if len(self.fingerprints) == 2:  # the rows of a third scene are committed
        os.kill(os.getpid(), signal.SIGKILL)
    kept(self, scenes)


Writer.record, archive_model.load = record, lambda name: Colours()
indexing.run([folder], out=out, settings=archive_tiles.IndexSettings(tile=32, tile_metres=160.0, batch=2))
"""


def test_a_killed_run_goes_on_without_losses_or_duplicates(folder, model, tmp_path):
    out, whole = tmp_path / "a", tmp_path / "whole"
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, folder, out], env={**os.environ, "PYTHONPATH": path}, capture_output=True
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert 0 < len(rows(out)) < 13
    words = ("--tile", 32, "--tile-metres", 160)
    ran = run("index", folder, "--out", out, *words)
    assert ran.exit_code == 0 and " 0 scenes new" not in ran.stdout and " 0 as they were" not in ran.stdout
    assert run("index", folder, "--out", whole, *words).exit_code == 0
    made, expected = ({name: (hit.tile, round(hit.score, 5)) for name, hit in rows(of).items()} for of in (out, whole))
    assert made == expected and len(Archive.open(out).column("id")) == len(rows(whole))
    assert run("archive", "check", out).exit_code == 0


def test_the_same_on_an_s3_compatible_store(folder, model, tmp_path, monkeypatch):
    boto3, server = pytest.importorskip("boto3"), pytest.importorskip("moto.server")
    started = server.ThreadedMotoServer(port=0, verbose=False)
    started.start()
    try:
        host, port = started.get_host_and_port()
        for name, value in (("ENDPOINT_URL", f"http://{host}:{port}"), ("ACCESS_KEY_ID", "k"), ("REGION", "us-east-1"),
                            ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "us-east-1")):  # fmt: skip
            monkeypatch.setenv(f"AWS_{name}", value)
        boto3.client("s3").create_bucket(Bucket="bucket")
        out = "s3://bucket/archives/a"
        assert run("index", folder, "--out", out).stdout.startswith(f"{out}: 4 rows; 4 scenes new")
        assert "0 scenes new or changed, 4 as they were" in run("index", folder, "--out", out).stdout
        run("index", folder, "--out", tmp_path / "local")
        assert {k: (h.tile, h.score) for k, h in rows(out).items()} == {
            k: (h.tile, h.score) for k, h in rows(tmp_path / "local").items()
        }
        one, other = Archive.open(out), Archive.open(out)
        assert len(one.fingerprints) == len(other.fingerprints) == 4
        one.replace_scene("x", "f", [], np.zeros((0, 3)))
        one.delete(Filters(sensors=("",), scenes=(str(folder / "0.tif"),)))
        with pytest.raises(BadInput, match="Another process writes to s3://bucket/archives/a; wait until it has ended"):
            other.delete(Filters(scenes=(str(folder / "1.tif"),)))
        assert str(run("index", folder, "--out", "s3://nowhere/a").exception).startswith("The archive s3://nowhere/a")
        assert str(run("archive", "check", "s3://bucket/none").exception).startswith("s3://bucket/none is no archive")
    finally:
        started.stop()


def item(path, href, **properties):
    path.write_text(json.dumps({
        "type": "Feature", "stac_version": "1.0.0", "id": path.stem, "geometry": None, "links": [],
        "properties": {"datetime": "2019-05-04T10:30:00Z", "platform": "sentinel-2a", **properties},
        "assets": {"meta": {"href": "m.xml", "type": "application/xml"},
                   "B04": {"href": "red.tif", "type": "image/tiff; application=geotiff"},
                   "tci": {"href": href, "roles": ["visual"], "type": "image/tiff; application=geotiff"}},
    }))  # fmt: skip
    return path


def test_stac_says_where_a_picture_is_and_when_it_was_taken(folder, model, tmp_path):
    out = tmp_path / "a"
    good = item(folder / "good.json", "./0.tif")
    gone = item(folder / "gone.json", "lost.tif")
    away = item(folder / "away.json", "https://example.invalid/scene.tif")
    ran = run("index", good, gone, away, "--out", out)
    assert ran.exit_code == 0 and ran.stdout.startswith(f"{out}: 1 rows; 1 scenes new")
    assert f"'gone' names {folder / 'lost.tif'}, which is not there" in ran.stderr
    assert (
        "'away' has its picture at https://example.invalid/scene.tif, which is not fetched unless asked" in ran.stderr
    )
    (hit,) = rows(out).values()
    assert hit.tile.date == datetime(2019, 5, 4, 10, 30, tzinfo=UTC) and hit.tile.sensor == "sentinel-2a"
    whole = {"type": "FeatureCollection", "features": [json.loads(one.read_text()) for one in (good, gone)]}
    (folder / "all.json").write_text(json.dumps(whole))
    assert "0 scenes new or changed, 1 as they were" in run("index", folder / "all.json", "--out", out).stdout
    item(good, "./0.tif", platform="sentinel-2b")
    assert "1 scenes new or changed" in run("index", good, "--out", out).stdout
    (folder / "other.json").write_text('{"a": 1}')
    says = f"{folder / 'other.json'} is no STAC item, collection or catalogue"
    assert str(run("index", folder / "other.json", "--out", out).exception).startswith(says)
    assert "hold no scene; the STAC item 'gone' names" in str(run("index", gone, away, "--out", out).exception)


def test_a_catalogue_is_followed_on_this_machine_and_no_further(folder, model, tmp_path):
    for number in range(2):
        item(folder / f"item{number}.json", f"./{number}.tif")
    links = [{"rel": "item", "href": f"./item{number}.json"} for number in range(2)]
    catalogue = {"type": "Catalog", "id": "c", "stac_version": "1.0.0", "description": "-", "links": links}
    (folder / "catalog.json").write_text(json.dumps(catalogue))
    ran = run("index", folder / "catalog.json", "--out", tmp_path / "a")
    assert ran.stdout.startswith(f"{tmp_path / 'a'}: 2 rows; 2 scenes new"), ran.exception
    links.append({"rel": "item", "href": "https://example.invalid/item.json"})
    (folder / "catalog.json").write_text(json.dumps(catalogue))
    says = f"{folder / 'catalog.json'} links to https://example.invalid/item.json, which is not on this machine"
    assert str(run("index", folder / "catalog.json", "--out", tmp_path / "a").exception).startswith(says)


def test_a_picture_behind_a_url_is_fetched_when_asked(folder, model, tmp_path, monkeypatch):
    (folder / "away.json").write_text("")
    away = item(folder / "away.json", "http://server/0.tif")
    from rsvlm.serve import archive_sources

    monkeypatch.setattr(archive_sources.urllib.request, "urlopen", lambda url, timeout: (folder / "0.tif").open("rb"))
    assert "1 rows; 1 scenes new" in run("index", away, "--fetch", "--out", tmp_path / "a").stdout
    assert "1 as they were" in run("index", away, "--fetch", "--out", tmp_path / "a").stdout
    ((name, _),) = rows(tmp_path / "a")
    assert name == "0.tif" and Archive.open(tmp_path / "a").column("scene") == ["http://server/0.tif"]


def test_what_cannot_be_indexed_is_said_in_a_sentence(folder, model, tmp_path, monkeypatch):
    out, empty = tmp_path / "a", tmp_path / "empty"
    empty.mkdir()
    (folder / "broken.tif").write_bytes(b"II*\0nothing")
    ran = run("index", f"{folder}/*.tif", "--out", out)
    assert str(ran.exception) == "1 scenes could not be read: broken.tif; all others are in."
    assert "3 rows; 3 scenes new" in ran.stdout and "broken.tif cannot be read: " in ran.stderr
    for words, says in (
        ((empty,), f"{empty} holds no scene; expected files named .j2k,"),
        ((tmp_path / "none",), f"There is no file or folder {tmp_path / 'none'}; give a folder,"),
        ((folder, "--captions", tmp_path / "no.json"), f"The captions {tmp_path / 'no.json'} cannot be read"),
        ((folder, "--tile-metres", 0), "A tile of 0 metres cannot be"),
    ):
        assert str(run("index", *words, "--out", out).exception).startswith(says), words
    monkeypatch.setattr(archive_model, "load", lambda name: Colours(weights="89ab"))
    says = f"{out} holds vectors of colours (3 numbers, weights 0123), these are of colours (3 numbers, weights 89ab)"
    assert str(run("index", folder, "--out", out).exception).startswith(says)
    monkeypatch.setattr(archive_model, "load", lambda name: Answerer())
    assert "colour" in str(run("index", folder, "--out", out).exception)
    monkeypatch.setattr(archive_model, "load", lambda name: Colours())
    says = f"{folder} holds something else already; give the path of a new archive."
    assert str(run("index", folder / "0.tif", "--out", folder).exception) == says


def test_a_model_describes_the_tiles(folder, model, tmp_path, monkeypatch):
    monkeypatch.setattr(indexing, "load", lambda name: Answerer(otherwise="a grey field"))
    assert run("index", folder / "0.tif", "--out", tmp_path / "a", "--captions", "mini").exit_code == 0
    hits = Archive.open(tmp_path / "a").search(np.ones(3), text="fields")
    assert [hit.tile.caption for hit in hits] == ["a grey field"] and hits[0].text_score > 0


def test_bounds_across_180_degrees_have_their_west_in_the_east():
    both = shapely.MultiPolygon([shapely.box(179.5, 1, 180, 2), shapely.box(-180, 1, -179, 2)])
    assert footprints.bounds(both) == (179.5, 1, -179, 2)
    assert footprints.bounds(shapely.box(-180, 1, 180, 2)) == (-180, 1, 180, 2)
