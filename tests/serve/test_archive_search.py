"""Words, pictures and conditions in: the tiles of an archive that fit, and what should not be believed."""

import numpy as np
import pytest
import shapely

import rsvlm
from fake.matchers import Colours, Plain
from fake.searched import TILES, archive, picture
from rsvlm.errors import BadInput
from rsvlm.serve import archive_search
from rsvlm.serve.archive_filters import Where
from rsvlm.serve.assistant import Assistant
from rsvlm.systems.model_limits import ModelLimits


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive") / "colours"
    archive(folder)
    return folder


def opened(path, model=None):
    return rsvlm.open_archive(path, model=Assistant(model or Colours()))


def names(found):
    return [one.tile.scene for one in found.hits]


def test_tiles_come_best_first_with_their_cosines(path):
    found = opened(path).search("red", k=3, captions=False)
    assert names(found)[0] == "red.tif" and len(found.hits) == 3 and [one.rank for one in found.hits] == [1, 2, 3]
    pixels = [np.asarray(picture(TILES[one.tile.scene][0])) for one in found.hits]
    model = Colours()
    cosines = model.embed_images(pixels) @ model.embed_texts(["red"])[0]
    assert [one.score for one in found.hits] == pytest.approx(cosines.tolist(), abs=2e-3)
    assert found.hits[0].tile.thumbnail[:2] == b"\xff\xd8" and found.trace["model"] == "colours"
    assert found.hits[0].against is None and found.trace["rows"] == 5 and str(found.query) == '"red"'


def test_what_is_not_wanted_goes_down(path):
    search = opened(path).search
    plain = search("green blue", captions=False)
    less = search("green blue", without="green", captions=False)
    assert names(plain)[0] == "pole.tif" and names(less)[:2] == ["blue.tif", "pole.tif"]
    assert names(plain).index("green.tif") < names(less).index("green.tif")
    scores = {one.tile.scene: one for one in less.hits}
    before = {one.tile.scene: one.score for one in plain.hits}
    assert {name: one.score for name, one in scores.items()} == pytest.approx(before)  # the order alone changes
    rank = [one.score - archive_search.AGAINST * one.against for one in less.hits]
    assert rank == sorted(rank, reverse=True)
    assert scores["green.tif"].doubt == "the unwanted 'green' is likelier"
    both = search("white", without=["green", "red"], captions=False)
    against = {one.tile.scene: one.against for one in both.hits}  # the larger of two
    assert names(both)[0] == "blue.tif" and against["white.tif"] == pytest.approx(1 / 3**0.5, abs=1e-2)
    assert against["green.tif"] == pytest.approx(1, abs=1e-2) == against["red.tif"]


def test_an_example_alone_and_with_words(path, tmp_path):
    picture("green").save(tmp_path / "a.png")
    found = opened(path).search(like=tmp_path / "a.png", k=1)
    assert names(found) == ["green.tif"] and found.hits[0].score == pytest.approx(1, abs=1e-3)
    assert str(found.query) == "like a.png" and not found.hits[0].doubt
    both = opened(path).search("blue", like=[tmp_path / "a.png"], k=1, captions=False)
    assert names(both) == ["pole.tif"] and both.query.like == (str(tmp_path / "a.png"),)
    array = opened(path).search(like=np.asarray(picture("red")), k=1)
    assert names(array) == ["red.tif"] and array.query.like == ("an array",)


def test_words_are_sought_in_captions_too(path):
    found = opened(path).search("lake", k=2)
    assert names(found)[0] == "red.tif" and found.hits[0].text_score > 0
    assert all(one.text_score is None for one in opened(path).search("lake", captions=False).hits)


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ({"bbox": "9,49,10.15,51"}, {"red.tif"}),
        ({"bbox": (179.95, -2, -179.95, 1)}, {"blue.tif"}),
        ({"bbox": (-180, 89.5, 180, 90)}, {"pole.tif"}),
        ({"bbox": (150, 80, -100, 90)}, {"pole.tif"}),
        ({"start": "2021", "end": "2022-01-01"}, {"green.tif", "blue.tif"}),
        ({"gsd": ",1"}, {"red.tif", "green.tif"}),
        ({"gsd": "10,"}, {"blue.tif", "pole.tif"}),
        ({"sensors": ["S2"]}, {"blue.tif", "pole.tif"}),
        ({"scenes": ["white.tif", "red.tif"]}, {"white.tif", "red.tif"}),
        ({"bbox": "9,49,11,51", "end": "2020"}, {"red.tif"}),
        ({"polygon": shapely.geometry.mapping(shapely.box(10.15, 50, 11, 51))}, {"green.tif"}),
    ],
)
def test_conditions(path, where, left):
    found = opened(path).search("red", where=Where(**where))
    assert {*names(found)} == left and len(found.conditions) == len(where) - ("end" in where and "start" in where)
    assert any("hold" in note and note.startswith(f"Only {len(left)} tile") for note in found.notes)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ({"bbox": "1,2,3,4", "gsd": ",1"}, r"Of the 5 tiles of .*, none holds to the box 1,2,3,4; give another"),
        ({"bbox": "50,10,50.1,10.1"}, r"latitude and longitude exchanged, some do: 10,50,10.1,50.1"),
        (
            {"gsd": ",1", "start": "1999", "end": "2000"},
            r"none holds to dates from 1999 to 2000 \(tiles of unknown date never do\);",
        ),
        ({"gsd": ",1", "sensors": ["S2"]}, "none holds to 0 to 1 m per pixel and to the sensor S2 at once"),
        ({"gsd": ",1", "sensors": ["S1"], "end": "2019"}, r"none holds to dates to 2019 \(tiles"),
    ],
)
def test_which_condition_leaves_nothing(path, where, says):
    with pytest.raises(BadInput, match=says):
        opened(path).search("red", where=Where(**where))


def test_nothing_likely_is_said(path):
    found = opened(path, Colours(scale=20)).search("red", where=Where(scenes=["blue.tif"]), captions=False)
    note, only = found.notes
    assert note.startswith("None of the 1 tiles is likely to show 'red': ") and "10 times as likely" in note
    assert found.hits[0].doubt and only == "Only 1 tile holds to the conditions."
    own = opened(path, Colours(scale=10, bias=-5)).search("red", k=5, captions=False)
    assert not own.hits[0].doubt and own.hits[-1].doubt == "its probability is under 0.5"


def test_what_a_pixel_cannot_show_and_what_was_not_learned(path):
    found = opened(path).search("green boats", where=Where(scenes=["pole.tif", "green.tif"]), captions=False)
    doubt = {one.tile.scene: one.doubt for one in found.hits}
    assert not doubt["green.tif"] and "boats cannot be seen" in doubt["pole.tif"]
    model = Colours()
    model.limits = ModelLimits(gsd_m={"any": (0.1, 5)})
    found = opened(path, model).search("blue", captions=False)
    said = {one.tile.scene: one.doubt for one in found.hits}
    assert said["blue.tif"] == "colours was trained on 0.1 to 5 m per pixel, this has 10 m"
    model.limits = ModelLimits(mean=np.zeros(3, np.float32), exemplars=np.eye(3, dtype=np.float32)[[0] * 3],
                               least_similarity=0.9)  # fmt: skip
    found = opened(path, model).search(like=np.asarray(picture("green")))
    assert "1 of 1 example pictures are unlike those that colours was trained on: unsure." in found.notes


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"text": " "}, "The search is for nothing; say what to look for, or give a picture"),
        ({"text": "red", "without": [" "]}, "A text to match is empty"),
        ({"text": "red", "without": "RED"}, "The text 'red' is given 2 times"),
        ({"text": "blue " * 20}, "longer than colours reads"),
        ({"text": "red", "k": 0}, "expected 1 to"),
        ({"text": "red", "templates": "a photo"}, r"has no one \{\}"),
        ({"like": "gone.png"}, "gone.png"),
    ],
)
def test_mistakes_are_one_sentence(path, asked, says):
    with pytest.raises(BadInput, match=says):
        opened(path).search(**asked)


def test_a_file_that_is_no_picture_is_said_before_a_model_is_loaded(path, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_search, "load", lambda name: pytest.fail("loaded"))
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(BadInput, match=r"a\.png"):
        rsvlm.open_archive(path).search(like=tmp_path / "a.png")


def test_another_model_is_refused_with_both_names(path, monkeypatch):
    monkeypatch.setattr(archive_search, "load", lambda name: Assistant(Colours(weights="9999")))
    with pytest.raises(BadInput, match=r"weights 0123.*colours.*weights 9999"):
        rsvlm.open_archive(path).search("red")

    class Wide(Colours):
        def embed_texts(self, texts):
            return np.pad(super().embed_texts(texts), ((0, 0), (0, 1)))

        def embed_images(self, images):
            return np.pad(super().embed_images(images), ((0, 0), (0, 1)))

    for asked in ({"text": "red"}, {"like": np.asarray(picture("red"))}):
        with pytest.raises(BadInput, match=r"3 numbers.*4 numbers"):
            opened(path, Wide()).search(**asked)
    with pytest.raises(BadInput, match="do not compare"):
        opened(path, Plain()).search("red")


def test_the_model_of_the_archive_is_the_default_and_is_loaded_once(path, monkeypatch):
    loads = []
    monkeypatch.setattr(archive_search, "load", lambda name: loads.append(name) or Assistant(Colours()))
    searched = rsvlm.open_archive(path)
    searched.search("red")
    searched.search("blue")
    assert loads == ["colours"]

    def gone(name):
        raise BadInput("No model here.")

    monkeypatch.setattr(archive_search, "load", gone)
    with pytest.raises(BadInput, match=r"was made with the model colours, which cannot be loaded.*--model. No model"):
        rsvlm.open_archive(path).search("red")
    with pytest.raises(BadInput, match=r"^No model here\.$"):
        rsvlm.open_archive(path, model="other").search("red")


def test_an_empty_archive_says_how_to_fill_it(tmp_path):
    archive(tmp_path / "empty", tiles={})
    with pytest.raises(BadInput, match=r"empty holds no tiles yet; add some: rsvlm index FOLDER --out .*empty"):
        opened(tmp_path / "empty").search("red")
