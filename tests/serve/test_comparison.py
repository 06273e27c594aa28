"""One scene answered by several models through one command: files, page, and what remains where one fails."""

import json
import re
from html.parser import HTMLParser

import pytest

import rsvlm
from fake.chat_model import Speaker, coast
from fake.commands import ask as ask_command
from fake.detectors import Detector, Writer
from fake.endpoint import FakeEndpoint
from fake.rasters import geotiff
from rsvlm import cli
from rsvlm.errors import BadInput, MissingPart
from rsvlm.sample import Reply
from rsvlm.serve import comparison as panel
from rsvlm.serve.assistant import Assistant
from rsvlm.systems.load import load

QUESTIONS = ["Is there water?", "Find all boats."]
BOATS = [(10, 8), (50, 10), (40, 100)]
DOWN = "http://host/v1 cannot be reached; start it."


class Contrary(Speaker):
    """Says yes everywhere."""

    def reply(self, image, question):
        return Reply(text="Yes", confidence=0.0)


class Mute(Speaker):
    """Has nothing to say of boats."""

    def reply(self, image, question):
        if "boat" in question:
            return Reply(text="", confidence=0.0, error="it broke off")
        return super().reply(image, question)


MODELS = {
    "finder": Detector, "writer": lambda name: Writer("qwen25vl", name), "contrary": Contrary, "mute": Mute,
}  # fmt: skip


@pytest.fixture
def loads(monkeypatch):
    """The names that were loaded, in order; "down" and "gone" cannot be."""
    seen = []

    def fake(name):
        seen.append(name)
        if name == "down":
            raise BadInput(DOWN)
        if name == "gone":
            raise MissingPart("The base model is not here; fetch it.")
        return Assistant(load(name) if name.startswith("openai:") else MODELS[name](name))

    monkeypatch.setattr(panel, "load", fake)
    return seen


@pytest.fixture
def scene(tmp_path):
    return geotiff(tmp_path / "coast.tif", coast(boats=BOATS))


class Tags(HTMLParser):
    """Every tag with its attributes, and the words."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def test_three_systems_answer_through_one_command(loads, scene, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cli, "keep_freed_memory", lambda: False)
    out = tmp_path / "out"
    with FakeEndpoint(says=lambda body: "No") as server:
        words = ["ask", str(scene), *QUESTIONS, "--tile", "32", "--out", str(out)]
        monkeypatch.setattr(
            "sys.argv", ["rsvlm", *words, "--model", "finder", "--model", "writer", "--model", server.name]
        )
        with pytest.raises(SystemExit) as left:
            cli.main()
    assert not left.value.code
    names = ["finder", "writer", server.name]
    assert loads == names
    assert sorted(file.name for file in out.iterdir()) == ["answer.geojson", "answer.html", "answer.json"]
    told = json.loads((out / "answer.json").read_text())
    assert told["scene"] == "coast.tif" and told["questions"] == QUESTIONS
    assert [one["model"] for one in told["models"]] == names and not any(one["error"] for one in told["models"])
    water = [one["answers"][0] for one in told["models"]]
    boats = [one["answers"][1] for one in told["models"]]
    assert [one["answer"] for one in water] == ["Yes", "Yes", "No"]
    assert [one["answer"] for one in boats] == ["3 found: boats", "3 found: boats", "No"]
    assert all(list(one) == ["question", "answer", "regions", "confidence", "trace"] for one in water + boats)
    shown = [[row["window"] for row in one["trace"]["windows"]] for one in water + boats]
    assert all(one == shown[0] and len(one) == 13 for one in shown)  # the same tiles for all
    assert all(one["seconds"] == one["answers"][0]["trace"]["seconds"] for one in told["models"])
    features = json.loads((out / "answer.geojson").read_text())["features"]
    assert {feature["properties"]["model"] for feature in features} == {"finder", "writer"}
    assert all(feature["properties"].get("area_m2") for feature in features)
    said = capsys.readouterr().out
    assert "Find all boats.\n  finder: 3 found: boats\n    confidence 0.9" in said


def page(scene, tmp_path, *models, questions=QUESTIONS, tile=32):
    rsvlm.ask(scene, questions, model=list(models), out=tmp_path / "page", tile=tile)
    return (tmp_path / "page" / "answer.html").read_text()


def test_the_page_shows_the_scene_once_and_loads_nothing(loads, scene, tmp_path):
    text = page(scene, tmp_path, "finder", "writer", "contrary")
    read = Tags(text)
    kinds = [tag for tag, _ in read.tags]
    assert kinds.count("image") == 1 and "script" not in kinds and "link" not in kinds and "img" not in kinds
    links = [value for _, attrs in read.tags for name, value in attrs.items() if name in ("href", "src")]
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links)
    assert "default-src 'none'" in text and "url(" not in text and "@import" not in text
    ids = [attrs["id"] for _, attrs in read.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) and {"m0", "m1", "m2", "q0", "q1", "q2", "t1", "t12"} <= set(ids)
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    marks = [attrs["class"] for tag, attrs in read.tags if tag == "g"]
    assert [sum(f"m{model} q{at}" in mark for mark in marks) for model in range(3) for at in range(2)] == [
        3, 3, 3, 3, 12, 12,
    ]  # fmt: skip
    assert len({re.search(rf"\.mark\.m{at} \.edge {{ stroke: (#\w+)", text)[1] for at in range(3)}) == 3
    words = " ".join(read.words)
    assert "3 found: boats" in words and "the models differ in 9 of 12" in words
    assert kinds.count("article") == 6 and 'name="viewport"' in text and '<html lang="en">' in text


def test_one_question_about_one_picture(loads, scene, tmp_path):
    text = page(scene, tmp_path, "finder", "contrary", questions="Is there water?", tile=None)
    assert "seen in one piece" in text and "Tile by tile" not in text and 'name="q"' not in text
    assert "in the same words" in text


def test_words_of_models_stay_words(loads, scene, tmp_path, monkeypatch):
    evil = '</p><script>alert("x")</script><img src=x onerror=y>'
    monkeypatch.setattr(Contrary, "reply", lambda *_: Reply(text=evil, confidence=0.5))
    read = Tags(page(scene, tmp_path, "finder", "contrary", questions=["Which season is it? <b>"]))
    assert not {"script", "img", "b"} & {tag for tag, _ in read.tags} and '<script>alert("x")' in "".join(read.words)


# -- a model that fails ------------------------------------------------------------------------------------------------


def test_a_model_that_fails_loses_no_other(loads, scene, tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(BadInput) as failed:
        ask_command([scene], QUESTIONS, models=["finder", "down", "mute", "gone"], out=out, tile=32)
    said = str(failed.value)
    assert said.startswith("3 of 4 models left answers out: down (http://host/v1 cannot be reached; start it); mute (")
    assert "gone (The base model is not here; fetch it)" in said and "\n" not in said
    told = json.loads((out / "answer.json").read_text())["models"]
    assert [bool(one["answers"]) for one in told] == [True, False, True, False]
    assert told[1]["error"] == DOWN and told[2]["error"] == ""
    assert told[2]["answers"][0]["answer"] == "Yes"
    assert told[2]["answers"][1] == {
        "question": QUESTIONS[1], "error": "'Find all boats.' got no reply: it broke off; ask again.",
    }  # fmt: skip
    words = " ".join(Tags((out / "answer.html").read_text()).words)
    assert DOWN in words and "got no reply: it broke off" in words and "3 found: boats" in words
    assert f"  down: no answer\n    {DOWN}" in capsys.readouterr().out


def test_json_is_one_object_a_model_and_question(loads, scene, capsys):
    with pytest.raises(BadInput):
        ask_command([scene], QUESTIONS, models=["finder", "down", "mute"], json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["model"], one["question"], "error" in one) for one in lines] == [
        ("finder", QUESTIONS[0], False), ("finder", QUESTIONS[1], False), ("down", QUESTIONS[0], True),
        ("down", QUESTIONS[1], True), ("mute", QUESTIONS[0], False), ("mute", QUESTIONS[1], True),
    ]  # fmt: skip


def test_all_fail_and_the_page_says_so(loads, scene, tmp_path):
    with pytest.raises(BadInput, match="2 of 2 models"):
        ask_command([scene], QUESTIONS, models=["down", "gone"], out=tmp_path / "out")
    assert DOWN in (tmp_path / "out" / "answer.html").read_text()


def test_a_folder_of_scenes_loads_each_model_once(loads, tmp_path, capsys):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("a.tif", "b.tif"):
        geotiff(folder / name, coast())
    (folder / "text.tif").write_text("hello")
    with pytest.raises(BadInput, match=r"1 of 3 scenes could not be answered: text\.tif; 1 of 3 models") as failed:
        ask_command([folder], QUESTIONS[:1], models=["finder", "down", "contrary"], out=tmp_path / "out")
    assert loads == ["finder", "down", "contrary"] and str(failed.value).endswith(").")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]
    err = capsys.readouterr().err
    assert err.count("is not an image") <= 1 and "9/9" in err


def test_mistakes_of_the_user_are_told_before_a_model_is_loaded(loads, scene, tmp_path):
    for bad in ({"out": scene}, {"bands": "9"}, {"models": ["finder", "finder"]}, {"models": []}):
        with pytest.raises(BadInput):
            ask_command([scene], QUESTIONS, **{"models": ["finder", "contrary"], **bad})
    with pytest.raises(BadInput, match="The model finder is named twice"):
        rsvlm.ask(scene, "Is there water?", model=["finder", "finder"])
    with pytest.raises(BadInput):
        ask_command([tmp_path / "none.tif"], QUESTIONS, models=["finder", "contrary"])
    assert loads == []


# -- in Python ---------------------------------------------------------------------------------------------------------


def test_the_same_in_python(loads, scene, tmp_path):
    finder, down, mute = rsvlm.ask(scene, QUESTIONS, model=["finder", "down", "mute"], tile=32)
    assert [answer.answer for answer in finder.answers] == ["Yes", "3 found: boats"] and finder.problem == ""
    assert finder.seconds > 0 and isinstance(finder, rsvlm.Side)
    assert (down.answers, down.problem, down.seconds) == ((), DOWN, 0.0)
    assert mute.answers[0].answer == "Yes" and mute.answers[1] is None and "broke off" in mute.problem
    (alone,) = rsvlm.ask(str(scene), "Is there water?", model="finder", out=tmp_path / "out")
    assert alone.answers[0].answer == "Yes" and (tmp_path / "out" / "answer.html").is_file()
