"""The files of a search: GeoJSON, STAC, contact sheet and page; and the command that writes them."""

import io
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pystac
import pytest
import shapely
from PIL import Image
from typer.testing import CliRunner

import rsvlm
from fake.matchers import Colours
from fake.searched import TILES, archive, picture
from rsvlm import cli
from rsvlm.errors import BadInput
from rsvlm.serve import archive_search
from rsvlm.serve.archive_map import svg_map
from rsvlm.serve.archive_page import page
from rsvlm.serve.archive_sheet import contact_sheet
from rsvlm.serve.assistant import Assistant

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive") / "colours"
    archive(folder)
    return folder


@pytest.fixture(scope="module")
def found(path):
    return rsvlm.open_archive(path, model=Assistant(Colours())).search("red", without="green", captions=False)


def by_scene(found):
    return {one.tile.scene: one for one in found.hits}


def test_geojson_has_footprints_scores_and_windows(found, tmp_path):
    archive_search.SearchableArchive.save(found, tmp_path / "hits.geojson")
    kept = json.loads((tmp_path / "hits.geojson").read_text())
    assert kept["type"] == "FeatureCollection" and [one["properties"]["rank"] for one in kept["features"]] == [
        *range(1, 6)
    ]
    rows = {one["properties"]["scene"]: one for one in kept["features"]}
    assert shapely.geometry.shape(rows["red.tif"]["geometry"]).bounds == pytest.approx((10, 50, 10.1, 50.1))
    assert rows["white.tif"]["geometry"] is None and "bbox" not in rows["white.tif"]
    cut = shapely.geometry.shape(rows["blue.tif"]["geometry"])
    assert rows["blue.tif"]["bbox"][0] > rows["blue.tif"]["bbox"][2] and cut.bounds == (-180, -1, 180, 0)
    known = rows["red.tif"]["properties"]
    assert known["window"] == [0, 0, 48, 48] and known["date"].startswith("2020-01-05") and known["gsd_m"] == 0.5
    assert known["score"] == by_scene(found)["red.tif"].score and known["against"] is not None and not known["unsure"]
    assert kept["search"]["text"] == "red" and kept["search"]["not"] == ["green"]
    assert kept["search"]["trace"]["model"] == "colours"


def test_stac_items_are_read_by_pystac(found, tmp_path):
    archive_search.SearchableArchive.save(found, tmp_path / "hits.json")
    items = {one.assets["data"].href: one for one in pystac.ItemCollection.from_file(str(tmp_path / "hits.json"))}
    red, white = items["red.tif"], items["white.tif"]
    assert (
        red.datetime.year == 2020 and red.properties["gsd"] == 0.5 and red.bbox == pytest.approx([10, 50, 10.1, 50.1])
    )
    assert red.properties["rsvlm:score"] == by_scene(found)["red.tif"].score
    assert red.properties["rsvlm:window"] == [0, 0, 48, 48] and red.properties["description"].startswith("a red roof")
    assert red.assets["data"].media_type == "image/tiff; application=geotiff"
    assert red.assets["thumbnail"].href.startswith("data:image/jpeg;base64,")
    assert white.geometry is None and white.bbox is None and white.datetime is None
    assert white.properties["rsvlm:date_known"] is False and white.properties["start_datetime"].startswith("1900")
    assert all(one.to_dict()["stac_version"].startswith("1.") for one in items.values())


def test_the_contact_sheet_shows_the_tiles_in_their_order(found):
    sheet = np.asarray(contact_sheet(found)).astype(int)
    assert sheet.shape[1] == 5 * 236 + 16
    middle = sheet.shape[0] // 3
    for at, hit in enumerate(found.hits):
        shade = np.asarray(picture(TILES[hit.tile.scene][0]))[30, 30].astype(int)
        assert np.abs(sheet[middle, 16 + at * 236 + 110] - shade).max() < 30, hit.tile.scene


def test_a_tile_without_a_thumbnail_is_grey(found):
    bare = replace(found, hits=tuple(replace(one, tile=replace(one.tile, thumbnail=b"")) for one in found.hits))
    assert tuple(np.asarray(contact_sheet(bare))[150, 150]) == (225, 225, 225)
    assert "<img" not in page(bare) and 'class="none"' in page(bare)


def svg(hits):
    return ET.fromstring(svg_map(hits).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_the_map_puts_footprints_where_they_lie(found):
    rows = by_scene(found)
    root = svg([rows["red.tif"], rows["green.tif"]])
    facts = {key: float(root.get(f"data-{key}")) for key in ("west", "north", "x", "y")}
    for name in ("red.tif", "green.tif"):
        mark = next(one for one in root.iter(f"{SVG}a") if one.get("href") == f"#c{rows[name].rank}")
        points = re.findall(r"([\d.e-]+),([\d.e-]+)", mark.find(f"{SVG}path").get("d"))
        lonlat = [(facts["west"] + float(x) / facts["x"], facts["north"] - float(y) / facts["y"]) for x, y in points]
        assert shapely.Polygon(lonlat).symmetric_difference(rows[name].shape).area < 1e-8
    assert "50.05° N" in [*root.itertext()] and "10.10° E" in [*root.itertext()]
    assert svg_map([rows["white.tif"]]) == ""


def test_places_on_both_sides_of_the_antimeridian_lie_together(found):
    root = svg([by_scene(found)["blue.tif"]])
    width = float(root.get("viewBox").split()[2])
    assert width / float(root.get("data-x")) < 360 and width / float(root.get("data-x")) < 2  # degrees
    image = root.find(f".//{SVG}image")
    assert float(image.get("width")) / float(root.get("data-x")) == pytest.approx(0.2)
    names = {*root.itertext()}
    assert names.issuperset(["179.8° E", "180.0° W", "179.8° W"])


def test_the_page_loads_nothing_and_escapes_words(found):
    first = replace(found.hits[0], tile=replace(found.hits[0].tile, caption="<script>alert(1)</script>"))
    text = page(replace(found, hits=(first, *found.hits[1:])))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert (
        policy.startswith("default-src 'none'; img-src data:") and "sha256-" in policy and "<script>alert" not in text
    )
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert text.count('<article class="card') == 5 and text.count("<img ") == 5
    assert "Not on the map, without a place on Earth: 1." in text
    nowhere = page(replace(found, hits=tuple(one for one in found.hits if one.tile.footprint is None)))
    assert "<svg" not in nowhere and "<script" not in nowhere and "None of the tiles has a place" in nowhere


@pytest.fixture
def loaded(monkeypatch):
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: False)
    monkeypatch.setattr(archive_search, "load", lambda name: Assistant(Colours()))


def run(*words):
    return CliRunner().invoke(cli.app, ["search", *map(str, words)])


def test_the_command_prints_and_writes(path, loaded, tmp_path):
    picture("red").save(tmp_path / "like.png")
    outs = [tmp_path / f"hits.{suffix}" for suffix in ("geojson", "png", "json", "html")]
    options = [word for out in outs for word in ("--out", out)]
    ran = run(path, "red", "--like", tmp_path / "like.png", "--not", "blue", "--bbox", "-20,40,20,60", "--gsd", ",1",
              "--from", "2020", "--to", "2021", "-k", 1, *options)  # fmt: skip
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    assert (
        lines[0] == '"red", like like.png not "blue", the box -20,40,20,60, dates from 2020 to 2021, 0 to 1 m per pixel'
    )
    assert lines[1].split() == [
        "score",
        "unwanted",
        "text",
        "scene",
        "and",
        "window",
        "date",
        "pixel",
        "place",
        "caption",
    ]
    assert "red.tif 0,0,48,48" in lines[2] and "2020-01-05" in lines[2] and "50.0500 N, 10.0500 E" in lines[2]
    assert len(json.loads(outs[0].read_text())["features"]) == 1 and Image.open(io.BytesIO(outs[1].read_bytes())).width
    assert len(json.loads(outs[2].read_text())["features"]) == 1 and outs[3].read_text().startswith("<!doctype html>")


def test_json_alone_on_stdout(path, loaded):
    ran = run(path, "red", "--json", "--sensor", "S2", "--no-captions")
    assert ran.exit_code == 0 and len(json.loads(ran.stdout)["features"]) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "hits.txt", "red"], "hits.txt names no kind of file for a search; expected .geojson"),
        ([], "The search is for nothing"),
        (["red", "--bbox", "50,100,51,101"], "seems to have latitude first; expected 100,50,101,51"),
        (["red", "--polygon", "gone.geojson"], "gone.geojson cannot be read"),
        (["red", "--from", "soon"], "'soon' is no date"),
    ],
)
def test_mistakes(path, words, says, monkeypatch):
    monkeypatch.setattr(archive_search, "load", lambda name: pytest.fail("loaded"))
    ran = run(path, *words)
    assert isinstance(ran.exception, BadInput) and says in str(ran.exception)


def test_what_is_no_archive(tmp_path):
    assert "is no archive; make one" in str(run(tmp_path, "red").exception)


def test_a_folder_is_no_file_and_nothing_is_half_written(found, tmp_path):
    (tmp_path / "hits.html").mkdir()
    with pytest.raises(BadInput, match="is a folder"):
        archive_search.SearchableArchive.save(found, tmp_path / "hits.geojson", tmp_path / "hits.html")
    assert not (tmp_path / "hits.geojson").exists()
