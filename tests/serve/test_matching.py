"""A scene and texts in: scores of the whole and its tiles, what is unsure, heat maps and valid GeoJSON out."""

import json

import numpy as np
import pytest
import shapely
from affine import Affine
from PIL import Image
from typer.testing import CliRunner

import rsvlm
from fake.chat_model import Speaker
from fake.matchers import Colours, Plain
from fake.rasters import UTM, geotiff
from rsvlm import cli
from rsvlm.errors import BadInput
from rsvlm.geo.raster import open_scene
from rsvlm.geo.vector import feature_to_pixels
from rsvlm.serve import match_commands
from rsvlm.serve.assistant import Assistant
from rsvlm.systems.model_limits import ModelLimits

TEXTS = ["a red roof", "a green field", "blue water"]
FINE = Affine(0.5, 0, UTM.c, 0, -0.5, UTM.f)  # metres


def quarters(path, **profile):
    """A scene of 256 pixels: red and green above, blue and green below."""
    data = np.full((3, 256, 256), 5, np.uint8)
    data[0, :128, :128] = data[1, :128, 128:] = data[2, 128:, :128] = data[1, 128:, 128:] = 250
    return geotiff(path, data, **{"transform": FINE, **profile})


@pytest.fixture
def scene(tmp_path):
    return quarters(tmp_path / "scene.tif")


@pytest.fixture
def colours(monkeypatch):
    """`rsvlm match` loads this model; names that are loaded are kept."""
    loads = []
    model = Colours()
    monkeypatch.setattr(match_commands, "load", lambda name: loads.append(name) or Assistant(model))
    model.loads = loads
    return model


def run(*words):
    return CliRunner().invoke(cli.app, ["match", *map(str, words)])


def test_the_scene_and_its_tiles_get_scores_and_labels(scene):
    model = Colours(scale=20)
    done = []
    found = Assistant(model).match_scene(scene, TEXTS, tile=64, batch=5, advance=lambda at, all: done.append((at, all)))
    assert isinstance(found, rsvlm.SceneMatch) and len(found.tiles) == 16 and found.measure == "probability"
    table = np.array([view.scores for view in found.tiles]).reshape(4, 4, 3)
    assert table[0, 0].argmax() == 0 and table[0, 3].argmax() == 1 and table[3, 0].argmax() == 2
    assert found.shares == pytest.approx({TEXTS[0]: 0.25, TEXTS[1]: 0.5, TEXTS[2]: 0.25, "unsure": 0})
    assert found.means == pytest.approx(dict(zip(TEXTS, table.mean((0, 1)), strict=True)))
    assert found.scores[TEXTS[1]] == max(found.scores.values()) and sum(found.scores.values()) == pytest.approx(1)
    assert found.best(TEXTS[2]).window[1] >= 128 and max(model.seen) == 5 and done[-1] == (17, 17)
    alone = [model.match([tile], TEXTS)[0] for tile in _tiles(scene, found)]
    assert [list(view.scores) for view in found.tiles] == [pytest.approx(row.tolist()) for row in alone]


def _tiles(path, found):
    with open_scene(path) as scene:
        return [scene.read_rgb(view.window) for view in found.tiles]


def test_geojson_covers_the_scene_where_it_lies(scene):
    found = Assistant(Colours()).match_scene(scene, TEXTS, tile=64)
    with open_scene(scene) as opened:
        pixels = [feature_to_pixels(region, opened.place) for region in found.regions]
        west, east = opened.pixel_to_lonlat([(0, 0), (256, 256)])
    for view, shape, region in zip(found.tiles, pixels, found.regions, strict=True):
        column, row, width, height = view.window
        assert shape.symmetric_difference(shapely.box(column, row, column + width, row + height)).area < 0.1
        kept = region["properties"]
        assert kept["label"] == found.label(view) and kept["score"] == max(view.scores)
        assert [kept[f"score {text}"] for text in TEXTS] == list(view.scores)
        outline = shapely.geometry.shape(region["geometry"])
        assert outline.is_valid and west[0] - 1e-6 <= outline.centroid.x <= east[0] + 1e-6


def test_a_small_picture_is_seen_whole_and_stays_in_pixels(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(np.full((40, 60, 3), (5, 250, 5), np.uint8)).save(path)
    found = Assistant(Plain()).match_scene(path, TEXTS)
    assert not found.tiles and found.scores[TEXTS[1]] > 0.99 and found.label(found.whole) == TEXTS[1]
    (region,) = found.regions
    assert region["properties"]["crs"] is None and region["properties"]["area_px"] == 2400
    assert np.allclose(Assistant(Plain()).match([path, str(path)], TEXTS), [list(found.whole.scores)] * 2)


def test_where_no_text_is_likely_a_tile_is_unsure(tmp_path):
    grey = geotiff(tmp_path / "grey.tif", np.full((3, 256, 256), 99, np.uint8), transform=FINE)
    found = Assistant(Colours()).match_scene(grey, TEXTS, tile=64)
    assert found.shares["unsure"] == 1 and found.label(found.whole) == "unsure"
    assert all(region["properties"]["unsure"] and region["properties"]["label"] == "unsure" for region in found.regions)


def test_what_a_model_was_not_trained_for_is_not_believed(scene):
    model = Colours(scale=20)
    model.limits = ModelLimits(gsd_m={"any": (10, 20)})
    found = Assistant(model).match_scene(scene, TEXTS, tile=64)
    assert found.notes[0] == "colours was trained on 10 to 20 m per pixel, this scene has 0.5 m: unsure."
    assert found.shares["unsure"] == 1
    model.limits = ModelLimits(unsure_below={"match": 0.99999999999})
    assert Assistant(model).match_scene(scene, TEXTS, tile=64).shares["unsure"] == 1


def test_tiles_unlike_training_are_not_believed_and_most_of_them_doubt_all(scene):
    model = Colours(scale=20)

    def unsure(*exemplars):
        rows = np.eye(3, dtype=np.float32)[[*exemplars] * 3]
        model.limits = ModelLimits(mean=np.zeros(3, np.float32), exemplars=rows, least_similarity=0.9)
        found = Assistant(model).match_scene(scene, TEXTS, tile=64)
        said = [note for note in found.notes if "unlike those that the model was trained on: unsure" in note]
        return found.shares["unsure"], found.label(found.whole) == "unsure", len(said)

    assert unsure(0, 1, 2)[0] == 0
    assert unsure(0, 1) == (pytest.approx(0.25), True, 1)  # blue is strange, and so is the mixture of the whole
    assert unsure(0) == (1, True, 1)


def test_what_a_pixel_cannot_show_is_said(tmp_path):
    coarse = quarters(tmp_path / "coarse.tif", transform=Affine(300, 0, UTM.c, 0, -300, UTM.f))
    found = Assistant(Colours(scale=20)).match_scene(coarse, ["red boats", "a green field", "blue water"], tile=64)
    assert any("per pixel boats cannot be seen" in note for note in found.notes)
    assert found.shares["red boats"] == 0 and found.shares["unsure"] == pytest.approx(0.25)


def test_one_text_gets_cosines_or_its_own_probability(scene):
    found = Assistant(Colours()).match_scene(scene, ["blue water"], tile=64)
    assert found.measure == "cosine similarity" and any("among one text it is always 1" in note for note in found.notes)
    assert found.limits[0] < 0.1 and found.limits[1] > 0.99 and found.shares["unsure"] == 0
    own = Assistant(Colours(scale=10, bias=-5)).match_scene(scene, ["blue water"], tile=64)
    assert own.measure == "probability" and not own.shared
    assert own.shares == pytest.approx({"blue water": 0.25, "unsure": 0.75})


def test_notes_of_the_file_come_along(tmp_path):
    path = quarters(tmp_path / "plain.tif", descriptions=("a", "b", "c"))
    with open_scene(path) as scene:
        assert scene.notes
        found = Assistant(Colours()).match_scene(scene, TEXTS)
    assert set(scene.notes) <= set(found.notes) and found.trace["notes"] == list(scene.notes)
    assert found.trace["logit_scale"] == 10 and found.trace["weights"] == "0123" and found.trace["templates"] == ["{}"]


def test_tiles_without_data_are_left_out(tmp_path):
    data = np.full((3, 256, 256), 250, np.uint8)
    data[:, :, 128:] = 0
    path = geotiff(tmp_path / "half.tif", data, nodata=0, transform=FINE)
    found = Assistant(Colours()).match_scene(path, TEXTS, tile=64)
    assert len(found.tiles) == 8 and found.trace["tiles_without_data"] == 8


def test_the_command_prints_and_writes(scene, colours, tmp_path):
    ran = run(scene, *TEXTS, "--tile", "64", "--out", tmp_path / "out", "--template", "seen: {}", "--template", "{}")
    assert ran.exit_code == 0, ran.output
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("scene.tif (256 x 256 pixels, 0.5 m per pixel)")
    assert " ".join(lines[1].split()) == "probability scene mean of tiles likeliest in best tile"
    assert lines[2].split()[:3] == ["a", "green", "field"] and "50%" in lines[2] and " N, " in lines[2]
    assert "Probabilities are shared" in ran.stdout
    files = {path.name for path in (tmp_path / "out").iterdir()}
    maps = {"heat_1_a_red_roof.png", "heat_2_a_green_field.png", "heat_3_blue_water.png"}
    assert files == {"match.json", "match.geojson", *maps}
    kept = json.loads((tmp_path / "out" / "match.json").read_text())
    assert list(kept["scores"]) == TEXTS and len(kept["tiles"]) == 16 and set(kept["heat_maps"].values()) == maps
    assert kept["trace"]["templates"] == ["seen: {}", "{}"]
    assert len(json.loads((tmp_path / "out" / "match.geojson").read_text())["features"]) == 16
    red = np.asarray(Image.open(tmp_path / "out" / "heat_1_a_red_roof.png")).astype(int)
    assert red[20, 20].sum() > red[20, 400].sum() + 100  # bright where the scene is red


def test_the_command_prints_json(scene, colours):
    ran = run(scene, *TEXTS, "--json")
    assert ran.exit_code == 0 and json.loads(ran.stdout)["scene"] == "scene.tif"


def test_a_scene_that_fails_loses_nothing_of_the_others(scene, colours, tmp_path):
    (tmp_path / "a_broken.tif").write_bytes(b"II*\0")
    ran = run(tmp_path, *TEXTS, "--out", tmp_path / "out")
    assert isinstance(ran.exception, BadInput)
    assert str(ran.exception) == "1 of 2 scenes could not be matched: a_broken.tif."
    assert (tmp_path / "out" / "scene" / "match.json").is_file() and "blue water" in ran.stdout
    assert colours.loads == ["mini"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["red", "RED"], "The text 'red' is given 2 times"),
        (["red", ""], "A text is empty"),
        (["red", "blue " * 20], "longer than colours reads.*--cut"),
        (["red", "blue", "--template", "a photo"], r"has no one \{\}"),
        ([], "No text was found after"),
    ],
)
def test_mistakes_are_one_sentence(scene, colours, words, says):
    ran = run(scene, *words)
    assert isinstance(ran.exception, BadInput)
    with pytest.raises(BadInput, match=says):
        raise ran.exception
    if "blue " * 20 in words:
        assert run(scene, *words, "--cut").exit_code == 0


def test_a_mistake_is_told_before_a_model_is_loaded(colours, tmp_path):
    for words in (["gone.tif", "red", "blue"], [tmp_path, "red", "red"]):
        assert isinstance(run(*words).exception, BadInput)
    assert colours.loads == []


def test_who_cannot_match_says_who_can(scene, monkeypatch):
    monkeypatch.setattr(match_commands, "load", lambda name: Assistant(Speaker()))
    with pytest.raises(BadInput, match="cannot match pictures and texts"):
        raise run(scene, *TEXTS).exception
