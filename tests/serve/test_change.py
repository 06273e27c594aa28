"""`rsvlm compare`: facts of known changes, questions, files, models in words, bad input."""

import json

import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image
from typer.testing import CliRunner

from fake.rasters import UTM, geotiff
from rsvlm import cli
from rsvlm.errors import BadInput
from rsvlm.sample import Reply
from rsvlm.serve import change_commands
from rsvlm.serve.assistant import Assistant
from rsvlm.serve.change_questions import kind_of
from rsvlm.systems.model_limits import ModelLimits
from rsvlm.systems.runtime.change_maps import change_strips

SIZE = 96


class Differences:
    """Marks what became brighter as built and what became darker as damaged, pixel by pixel."""

    name, trace, change_classes = "differences", {"model": "differences"}, ("built", "damaged", "other")

    def __init__(self, part=32):
        self.part = part

    def change_strips(self, read, width, height):
        def compare(before, after):
            off = [(late.astype(np.float32) - early).mean(-1) / 100 for early, late in zip(before, after, strict=True)]
            return np.stack([np.stack([one.clip(0, 1), (-one).clip(0, 1), 0 * one]) for one in off])

        return change_strips(read, width, height, compare, size=self.part, part=self.part, classes=3)


class Words:
    """Answers in words alone."""

    name, trace = "words", {"model": "words"}

    def __init__(self, text="A house was built.", error=""):
        self.text, self.error, self.seen = text, error, []

    def compare(self, before, after, questions, *, max_new_tokens=64):
        self.seen += [(one.shape, other.shape) for one, other in zip(before, after, strict=True)]
        return [Reply(text=self.text, confidence=0.4, error=self.error)] * len(questions)


def ground():
    """(H, W, 3): blocks of nearly one grey."""
    rng = np.random.default_rng(0)
    return np.kron(rng.integers(90, 110, (SIZE // 4, SIZE // 4, 3)), np.ones((4, 4, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A bright block of 12 x 10 pixels with a hole of 2 x 2, a dark one of 6 x 6, and a speck, at 5 m."""
    folder = tmp_path_factory.mktemp("pair")
    early, late = ground(), ground()
    late[6:18, 4:14] = 230
    late[10:12, 8:10] = early[10:12, 8:10]
    late[80:86, 70:76] = 5
    late[50:52, 50:52] = 230
    return written(folder / "early.tif", early), written(folder / "late.tif", late)


def written(path, pixels, **profile):
    return geotiff(path, pixels.transpose(2, 0, 1), **profile)


def test_facts_are_those_of_the_pixels(pair):
    report = Assistant(Differences()).compare(*pair, normalise=False)
    built, damaged = report.regions
    assert [one["properties"]["label"] for one in report.regions] == ["built", "damaged"]
    assert built["properties"]["pixels"] == 116 and len(built["geometry"]["coordinates"]) == 2, "the hole stays"
    metres = built["properties"]["area_m2"] / 116
    assert report.facts["compared_m2"] == pytest.approx(SIZE**2 * metres, rel=1e-4)
    assert report.facts["any"] == {
        "class": "any", "count": 2, "pixels": 152, "area_m2": pytest.approx(152 * metres, rel=1e-6),
        "share": pytest.approx(152 / SIZE**2), "cells": ["top-left", "bottom-right"],
    }  # fmt: skip
    assert damaged["properties"]["from"] == "building" and damaged["properties"]["to"] == "damaged building"
    assert report.caption.answer.startswith("1 newly built or rebuilt place, ") and report.answer is report.caption
    assert shapely.from_geojson(json.dumps(built["geometry"])).is_valid


@pytest.mark.parametrize(
    ("question", "kind", "answer"),
    [
        ("Has anything changed?", "presence", "Yes: 2 changed places, "),
        ("How many buildings were destroyed?", "count", "1 place with damaged buildings (connected"),
        ("Where were houses built?", "where", "1 newly built or rebuilt place: top-left."),
        ("What share of the area has changed?", "area", "(1.6 % of what both dates show)"),
        ("Describe the changes.", "caption", "In all "),
        ("Please briefly describe the changes in these two images.", "caption", "In all "),
        ("Please judge whether these two images have changed. Please answer yes or no.", "presence", "Yes: 2 "),
        ("Has the forest been cut?", "presence", "Unsure: nothing is known about forest, cut. The model tells"),
        ("Combien de maisons ont été construites ?", "unknown", "Unsure: the question is in French."),
    ],
)
def test_questions_are_answered_from_the_facts(pair, question, kind, answer):
    found = Assistant(Differences()).compare(*pair, question, normalise=False).answer
    assert answer in found.answer and found.trace["kind"] == kind
    if answer.startswith("Unsure"):
        assert not found.regions and found.confidence == 0


def test_nothing_is_claimed_where_nothing_changed(pair, tmp_path):
    same = Assistant(Differences()).compare(pair[0], pair[0], ["Has anything changed?", "How many houses are new?"])
    assert same.caption.answer == "Both files show the same pixels: no change." and not same.regions
    assert [one.answer for one in same.answers] == [
        "No: both files show the same pixels.", "0: both files show the same pixels.",
    ]  # fmt: skip
    assert same.facts["identical"] and same.answer.confidence == 1
    words = Words("A road was built.")
    report = Assistant(words).compare(pair[0], pair[0])
    assert "no change" in report.caption.answer and not words.seen, "a model in words is not even asked"
    faint = ground()
    faint[6:18, 4:14] += 20
    close = Assistant(Differences()).compare(
        pair[0], written(tmp_path / "b.tif", faint), "Any change?", normalise=False
    )
    assert close.answer.answer == "No: no change was found." and close.answer.confidence == pytest.approx(0.8, abs=0.1)


def test_a_model_in_words_is_shown_both_dates_and_marked_as_such(pair):
    model = Words()
    report = Assistant(model).compare(*pair, "Was a house built?")
    assert model.seen == [((SIZE, SIZE, 3),) * 2] * 2 and report.answer.answer == "A house was built."
    assert report.answer.trace["rule"] == "the model's own words" and not report.facts
    assert (
        report.notes[-1]
        == "words answers in words and marks no pixels: nothing of what it says was counted or measured"
    )
    with pytest.raises(BadInput, match="got no reply: server down; ask again"):
        Assistant(Words(error="server down")).compare(*pair)


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr(change_commands, "load", lambda name: Assistant(Differences() if name == "mini" else Words()))
    return lambda *words: CliRunner().invoke(cli.app, ["compare", *map(str, words)])


def test_the_files_agree_with_one_another(pair, tmp_path, command):
    done = command(*pair, "How much has changed?", "--out", tmp_path / "out", "--no-normalise", "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said["answers"][0]["regions"] == [0, 1] and said == json.loads((tmp_path / "out/change.json").read_text())
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "after.png", "before.png", "change.geojson", "change.html", "change.json", "change.tif", "overlay.png",
    }  # fmt: skip
    with rasterio.open(tmp_path / "out/change.tif") as mask, rasterio.open(pair[0]) as scene:
        classes, percent = mask.read()
        assert mask.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and mask.crs == scene.crs
        assert mask.transform.almost_equals(scene.transform)
    assert np.bincount(classes.ravel()).tolist() == [SIZE**2 - 152, 116, 36], "the speck is in neither"
    assert percent[classes == 1].min() >= 50
    with Image.open(tmp_path / "out/before.png") as picture:
        assert np.array_equal(np.asarray(picture), ground())
    page = (tmp_path / "out/change.html").read_text()
    assert page.count("<title>") == 3 and "<script>" in page and "http" not in page.replace("http-equiv", "")


def test_what_the_command_says(pair, tmp_path, command):
    said = command(*pair, "Where was something built?", "--no-normalise").stdout
    assert "  1 newly built or rebuilt place: top-left.\n" in said and "Note: " in said
    assert "marks no pixels" in command(*pair, "--model", "words").stdout
    for words, sentence in (
        ((pair[0], tmp_path), "is a folder; give two scenes"),
        ((pair[0], tmp_path / "no.tif"), "is not there; give two scenes"),
        ((*pair, " "), "A question is empty"),
        (
            (pair[0], written(tmp_path / "far.tif", ground(), transform=UTM @ UTM.translation(9000, 0))),
            "show no common part of the Earth",
        ),
    ):
        ran = command(*words, "--out", tmp_path / "none")
        assert isinstance(ran.exception, BadInput) and sentence in str(ran.exception), words
        assert not (tmp_path / "none").exists()


def test_a_pair_by_tiles_has_the_map_of_the_whole(tmp_path):
    """Through windows of the whole and of 32 pixels: the same mask, seams included (intersection over union)."""
    early, late = ground(), ground()
    late[6:60, 20:50] = 160
    paths = written(tmp_path / "a.tif", early), written(tmp_path / "b.tif", late)

    masks = [
        shapely.union_all([
            shapely.from_geojson(json.dumps(one["geometry"]))
            for one in Assistant(model).compare(*paths, normalise=False).regions
        ])
        for model in (Differences(SIZE), Differences())
    ]  # fmt: skip
    assert shapely.intersection(*masks).area / shapely.union(*masks).area > 0.99


def test_questions_have_a_kind():
    assert kind_of("How many roads and buildings have changed?") == "count"
    assert kind_of("Combien de maisons ?") == "" and kind_of("!") == ""


def test_covers_are_computed_from_bands_of_both_dates(tmp_path):
    """Water (green over near infrared) that moves by eight columns: what came, what went, and what is asked of it."""
    early, late = np.full((2, 4, SIZE, SIZE), 60, np.uint8)
    paths = []
    for name, values, left in (("early", early, 8), ("late", late, 16)):
        values[3] = 180  # near infrared of plants
        values[1, :, left : left + 40], values[3, :, left : left + 40] = 120, 10
        roles = ("red", "green", "blue", "nir")
        paths.append(geotiff(tmp_path / f"{name}.tif", values, descriptions=roles))
    report = Assistant(Differences()).compare(
        *paths, ["Has the water grown?", "Any houses built by the water?"], max_shift=0
    )
    water = report.facts["covers"][0]
    assert water["cover"] == "water" and water["shares"] == pytest.approx([40 / SIZE] * 2)
    area = 8 * SIZE * 25
    assert (water["gained_m2"], water["lost_m2"]) == pytest.approx((area, area), rel=0.01)
    assert "Water covered 42 % at the first date and 42 % at the second" in report.answer.answer
    assert [one["properties"]["to"] for one in report.answer.regions] == ["water", "no water"]
    assert report.answer.trace["rule"] == "computed from bands" and "Water" not in report.answers[1].answer
    assert "came" in Assistant(Words()).compare(*paths, "Has the water grown?", max_shift=0).answer.answer


def test_a_model_is_believed_within_its_limits_alone(pair):
    model = Differences()
    model.limits = ModelLimits(gsd_m={"any": (0.05, 3.0), "change:damaged": (0.3, 1.0), "change:other": (0.8, 3.0)})
    ask = Assistant(model).compare
    questions = ["Has anything changed?", "Has the forest been cut?"]
    far = ask(*pair, questions, normalise=False)
    why = "differences marks damaged at 0.3 to 1 m per pixel; other at 0.8 to 3 m per pixel; this pair has 5 m"
    assert far.caption.answer == far.answer.answer == f"Unsure: {why}." and far.notes[0] == why
    assert (
        not far.regions
        and far.answer.confidence == far.caption.confidence == 0
        and far.facts["compared_pixels"] == SIZE**2
    )
    near = ask(*pair, questions, normalise=False, gsd=0.5)
    assert {one["properties"]["label"] for one in near.regions} == {"damaged"}, "built is in no limit"
    assert near.answer.answer.startswith("Yes: 1 ") and near.notes[0] != why
    asked = ["How many buildings are damaged?", "How many buildings are new?"]
    damaged, new = ask(*pair, asked, normalise=False, gsd=0.5).answers
    assert damaged.answer.startswith("1 place with") and "nothing is known about buildings" in new.answer
    assert ask(pair[0], pair[0]).caption.answer.startswith("Both files show the same")


def test_a_pair_of_no_known_resolution_is_unsure(tmp_path):
    early, late = ground(), ground()
    late[80:90, 70:80] = 5
    for name, pixels in (("a.png", early), ("b.png", late)):
        Image.fromarray(pixels).save(tmp_path / name)
    model = Differences()
    model.limits = ModelLimits(gsd_m={"change:damaged": (0.3, 1.0)})
    report = Assistant(model).compare(tmp_path / "a.png", tmp_path / "b.png", normalise=False)
    assert report.caption.answer.startswith("Unsure: 1 place with damaged buildings, 100 px")
    assert report.caption.confidence == 0.5
    assert report.notes[0] == "the resolution is not known (--gsd); differences marks damaged at 0.3 to 1 m per pixel"
