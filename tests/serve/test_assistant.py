"""The whole path: a file and a question in; an answer with regions, confidence, trace and files out."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import shapely
from affine import Affine
from PIL import Image
from pyproj import Geod
from shapely.geometry import shape

import rsvlm
from fake.chat_model import Speaker, coast
from fake.commands import ask as ask_command
from fake.rasters import geotiff
from rsvlm.data.prompt import REFUSAL
from rsvlm.errors import BadInput, MissingPart
from rsvlm.geo.raster import open_scene
from rsvlm.geo.vector import feature_to_pixels
from rsvlm.sample import Answer
from rsvlm.serve import assistant as ask
from rsvlm.serve import comparison
from rsvlm.serve import inputs as scenes
from rsvlm.serve.assistant import Assistant

QUESTIONS = ["Describe this image.", "What land cover is this?", "Is there water?", "How many boats are there?"]
BOATS = [(10, 8), (50, 10), (80, 20), (40, 100)]


@pytest.fixture
def speaker(monkeypatch):
    """`run` gets the fake model; `loads` of it are counted."""
    model = Speaker()
    loads: list[str] = []
    for module in (ask, comparison):
        monkeypatch.setattr(module, "load", lambda name: loads.append(name) or Assistant(model))
    model.loads = loads
    return model


@pytest.fixture
def scene(tmp_path):
    return geotiff(tmp_path / "coast.tif", coast(boats=BOATS))


def test_one_question_gives_one_answer_and_a_list_a_list(scene):
    assistant = Assistant(Speaker())
    one = assistant.ask(scene, "Is there water?")
    assert isinstance(one, Answer) and (one.question, one.answer) == ("Is there water?", "Yes")
    assert [a.answer for a in assistant.ask(str(scene), ["Is there water?"])] == ["Yes"]
    with open_scene(scene) as opened:
        assert assistant.ask(opened, "Is there water?").answer == "Yes"
        opened.read_rgb()  # still open


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        ({"crs": None, "transform": None}, "geotransform"),
        ({"crs": None}, "coordinate reference system"),
        ({"crs": "EPSG:4326"}, r"lie off the Earth in EPSG:4326"),
        ({}, ""),
    ],
)
def test_why_a_scene_has_no_place_is_said_and_kept(speaker, tmp_path, capsys, profile, why):
    scene = geotiff(tmp_path / "a.tif", coast(boats=BOATS), **profile)
    ask_command([scene], ["Is there water?"], out=tmp_path / "out")
    said = " ".join(capsys.readouterr().out.split())
    kept = json.loads((tmp_path / "out" / "answer.json").read_text())["trace"]["unplaced"]
    assert ("no place on Earth: " in said) == bool(why) and why in (kept or "")
    assert not why or f"no place on Earth: {kept}" in said


def test_a_small_scene_is_seen_once_for_all_questions(scene):
    model = Speaker()
    answers = Assistant(model).ask(scene, QUESTIONS)
    assert model.calls == [4]
    assert [a.answer for a in answers] == ["There is a forest seen from above.", "Forest", "Yes", "4"]
    for answer in answers:
        assert answer.regions[0]["properties"]["window"] == [0, 0, 128, 96]
        assert answer.regions[0]["properties"]["area_m2"] == pytest.approx(128 * 96 * 25, rel=1e-2)


def test_a_large_scene_is_answered_by_tiles_and_as_a_whole(scene):
    model = Speaker()
    caption, cover, water, boats = Assistant(model).ask(scene, QUESTIONS, tile=32, batch=5)
    assert sum(model.calls) == (12 + 1) * 3 + 1 and max(model.calls) == 5  # pairs are batched across tiles
    assert caption.answer == (
        'The scene shows 640 x 480 m at 5 m per pixel, in natural colour. The model says: "There is a forest seen from '
        'above."'
    )
    assert cover.answer == "Forest. Shares: Forest 75 % (0.23 km2), Sea lake 25 % (76,861 m2)."
    assert [r["properties"]["label"] for r in cover.regions] == ["Forest", "Sea lake"]
    assert water.answer == "Yes" and len(water.regions) == 3
    assert boats.answer == "4" and [r["properties"]["count"] for r in boats.regions] == [1, 1, 1, 1]
    assert boats.trace["rule"].startswith("sum")


def test_evidence_lies_where_the_thing_is(scene):
    cover, water = Assistant(Speaker()).ask(scene, QUESTIONS[1:3], tile=32)
    with open_scene(scene) as opened:
        lake = shapely.union_all([feature_to_pixels(region, opened.place) for region in water.regions])
        classes = [feature_to_pixels(region, opened.place) for region in cover.regions]
    assert lake.buffer(-0.01).within(shapely.box(0, 0, 32, 96)) and lake.area == pytest.approx(32 * 96, rel=1e-3)
    assert classes[0].symmetric_difference(shapely.box(32, 0, 128, 96)).area < 1
    for region in (*cover.regions, *water.regions):
        ring = shape(region["geometry"])
        assert ring.is_valid and ring.exterior.is_ccw and -180 <= ring.bounds[0] <= 180
        geodesic = abs(Geod(ellps="WGS84").geometry_area_perimeter(ring)[0])
        assert region["properties"]["area_m2"] == pytest.approx(geodesic, rel=1e-4)


def test_shares_leave_out_what_has_no_data(tmp_path):
    data = coast(64, 128, 64)
    data[:, :, 96:] = 0
    data[:, :32, :64] = 0
    path = geotiff(tmp_path / "a.tif", data, nodata=0)
    answer = Assistant(Speaker()).ask(path, "What land cover is this?", tile=64)
    shares = {r["properties"]["label"]: r["properties"]["share"] for r in answer.regions}
    assert shares == {"Forest": pytest.approx(0.5), "Sea lake": pytest.approx(0.5)}
    assert all(r["properties"]["valid"] == 0.5 for r in answer.regions)
    assert answer.answer.count("50 %") == 2 and answer.answer.count(f"{64 * 32 * 25 / 1e3:.0f}") >= 1


def test_a_picture_without_a_place_is_answered_in_pixels(tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(coast(boats=BOATS).transpose(1, 2, 0)).save(path)
    water, cover = Assistant(Speaker()).ask(path, ["Is there water?", "What land cover is this?"], tile=32)
    assert all(r["properties"]["crs"] is None for r in (*water.regions, *cover.regions))
    assert shape(cover.regions[1]["geometry"]).bounds == (0, 0, 32, 96)
    assert "Sea lake 25 % (3,072 px)" in cover.answer and water.trace["crs"] is None


def test_a_refusal_has_no_regions(scene):
    answer = Assistant(Speaker()).ask(scene, "Who owns this land?", tile=32)
    assert (answer.answer, answer.regions, answer.confidence) == (REFUSAL, (), 0.97)


def test_the_trace_tells_how_the_answer_came_about(scene, monkeypatch):
    clock = SimpleNamespace(perf_counter=iter([100.0, 102.5]).__next__)
    monkeypatch.setattr("rsvlm.serve.assistant.time", clock)
    answer = Assistant(Speaker()).ask(scene, "Is there water?", tile=32)
    trace = answer.trace
    assert json.loads(json.dumps(dict(trace), allow_nan=False)) == trace
    assert trace["model"] == "speaker" and trace["recipe"] == "0123456789ab" and trace["rsvlm"] == rsvlm.__version__
    assert trace["prompt"] == "Is there water?" and trace["kind"] == "presence" and trace["seconds"] == 2.5
    assert trace["crs"] == "EPSG:26914" and trace["gsd_m"] == pytest.approx(5, rel=1e-2)
    assert (trace["tile"], trace["tiles"], trace["tiles_without_data"]) == (32, 12, 0)
    assert len(trace["windows"]) == 13 and trace["windows"][-1]["window"] == [0, 0, 128, 96]
    assert {w["reply"] for w in trace["windows"]} == {"Yes", "No"} and "surest" in trace["confidence"]


def test_tiles_stream(tmp_path, monkeypatch):
    """At most a batch of pictures is alive, whatever the size of the scene."""
    import gc
    import weakref

    from rsvlm.serve import tiling as module

    alive: list[weakref.ref] = []
    most = 0
    read = module._read

    def watched(*args, **kwargs):
        nonlocal most
        view = read(*args, **kwargs)
        alive.append(weakref.ref(view.pixels))
        gc.collect()
        most = max(most, sum(one() is not None for one in alive))
        return view

    monkeypatch.setattr(module, "_read", watched)
    path = geotiff(tmp_path / "a.tif", coast(32, 32 * 60))
    model = Speaker()
    model.shown = None

    def quick(images, questions, *, max_new_tokens):
        from rsvlm.sample import Reply

        return [Reply(text="Yes", confidence=0.9) for _ in images]

    model.answer = quick
    answer = Assistant(model).ask(path, "Is there water?", tile=32, batch=4)
    assert answer.trace["tiles"] == 60 and most <= 6


@pytest.mark.parametrize("questions", ["", "  ", [], ["What?", ""], "x" * 3000])
def test_a_question_must_be_one(scene, questions):
    with pytest.raises(BadInput, match=r"[Qq]uestion"):
        Assistant(Speaker()).ask(scene, questions)


class Alone(Speaker):
    """Notices when it is asked by two threads at once."""

    def __init__(self):
        super().__init__()
        self.inside, self.most = 0, 0

    def answer(self, *args, **settings):
        self.inside += 1
        self.most = max(self.most, self.inside)
        time.sleep(0.05)
        self.inside -= 1
        return super().answer(*args, **settings)


def test_a_model_in_use_is_asked_by_one_thread_at_a_time(scene):
    assistant = Assistant(Alone())
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: assistant.ask(scene, QUESTIONS[0]).answer, range(4)))
    assert assistant.model.most == 1 and len(set(answers)) == 1


# -- the command -------------------------------------------------------------------------------------------------------


def test_json_is_one_object_a_question_and_nothing_else(speaker, scene, capsys):
    def chatty(name):
        print("a library says hello")
        return Assistant(speaker)

    comparison.load = chatty  # undone with the fixture's patch
    ask_command([scene], QUESTIONS, json=True)
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["question"] for line in lines] == QUESTIONS
    for line in lines:
        assert list(line) == ["question", "answer", "regions", "confidence", "trace"]
        assert line["regions"][0]["type"] == "Feature" and 0 <= line["confidence"] <= 1
    assert "hello" in err


def test_plain_words(speaker, scene, capsys):
    ask_command([scene], ["Is there water?"], tile=32)
    out, err = capsys.readouterr()
    assert "coast.tif (128 x 96 pixels, 5 m per pixel)" in out
    assert "Is there water?\n  Yes\n  confidence 0.90; seen: 12 tiles and the whole scene, 3 of them in support" in out
    assert err == ""


def test_files(speaker, scene, tmp_path):
    out = tmp_path / "deep" / "out"
    ask_command([scene], QUESTIONS[2:], out=out, tile=32)
    assert sorted(file.name for file in out.iterdir()) == ["answer.geojson", "answer.json", "overlay.png"]
    water, boats = json.loads((out / "answer.json").read_text())
    assert (water["answer"], boats["answer"]) == ("Yes", "4") and water["trace"]["windows"]
    found = json.loads((out / "answer.geojson").read_text())
    assert found["type"] == "FeatureCollection" and len(found["features"]) == 3 + 4
    assert found["features"][0]["properties"]["question"] == "Is there water?"
    overlay = Image.open(out / "overlay.png").convert("RGB").resize((128, 96))
    change = np.abs(np.asarray(overlay).astype(int) - coast(boats=BOATS).transpose(1, 2, 0)).max(axis=2)
    assert change[:, :34].mean() > 2 * change[:, 66:96].mean()  # outlines lie on the water, not inland
    ask_command([scene], ["Is there water?"], out=out)  # again: each file is replaced
    assert json.loads((out / "answer.json").read_text())["answer"] == "Yes"
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_folder_of_scenes(speaker, tmp_path, capsys):
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("b.tif", "a.tif"):
        geotiff(folder / name, coast())
    Image.fromarray(coast(lake=0).transpose(1, 2, 0)).save(folder / "a.png")
    (folder / "notes.txt").write_text("not a scene")
    (folder / "broken.tif").write_bytes((folder / "a.tif").read_bytes()[:20000])
    (folder / "text.TIF").write_text("hello")
    with pytest.raises(BadInput, match=r"2 of 5 scenes could not be answered: broken\.tif, text\.TIF") as error:
        ask_command([folder], ["Is there water?"], json=True, out=tmp_path / "out")
    out, err = capsys.readouterr()
    assert [json.loads(line)["answer"] for line in out.splitlines()] == ["No", "Yes", "Yes"]
    assert [json.loads(line)["trace"]["scene"] for line in out.splitlines()] == ["a.png", "a.tif", "b.tif"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "a.tif", "b"]
    assert "damaged or cut short" in err and "not an image" in err and "5/5" in err and "\n\n" not in str(error.value)
    assert speaker.loads == ["mini"]


def test_names_of_output_folders_differ(tmp_path):
    paths = [tmp_path / "x" / "a.tif", tmp_path / "y" / "a.tif", tmp_path / "y" / "a.png", tmp_path / "b.tif"]
    folders = [job.folder.name for job in scenes.scene_jobs(paths, tmp_path)]
    assert folders == ["a.tif", "a.tif-2", "a.png", "b"]


def test_a_folder_without_scenes(speaker, tmp_path):
    with pytest.raises(BadInput, match="holds no scene"):
        ask_command([tmp_path], ["Is there water?"])


def test_the_model_is_loaded_after_the_mistakes_of_the_user(speaker, scene, tmp_path):
    for bad in ({"out": scene / "sub"}, {"out": scene}, {"bands": "9"}):
        with pytest.raises(BadInput):
            ask_command([scene], ["Is there water?"], **bad)
    with pytest.raises(BadInput):
        ask_command([tmp_path / "none.tif"], ["Is there water?"])
    assert speaker.loads == []


@pytest.mark.parametrize("problem", [BadInput("no such model"), MissingPart("not installed")])
def test_a_missing_model_ends_a_folder_at_once(tmp_path, monkeypatch, problem):
    calls = []

    def load(name):
        calls.append(name)
        raise problem

    monkeypatch.setattr(comparison, "load", load)
    for name in "ab":
        geotiff(tmp_path / f"{name}.tif", coast())
    with pytest.raises(type(problem), match=str(problem)):
        ask_command([tmp_path], ["Is there water?"], out=tmp_path / "out")
    assert calls == ["mini"] and not (tmp_path / "out").exists()


def test_a_failure_while_writing_leaves_nothing(speaker, scene, tmp_path, monkeypatch):
    from rsvlm.serve import answer_files as write

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "save_overlay", full)
    with pytest.raises(BadInput, match="No space left"):
        ask_command([scene], ["Is there water?"], out=tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coast.tif"]


def test_a_rotated_scene_keeps_its_evidence_in_place(tmp_path):
    turned = Affine(4.33, 2.5, 485900.0, 2.5, -4.33, 5209247.0)  # 5 m, by 30 degrees
    path = geotiff(tmp_path / "turned.tif", coast(), transform=turned)
    water = Assistant(Speaker()).ask(path, "Is there water?", tile=32)
    with open_scene(path) as opened:
        lake = shapely.union_all([feature_to_pixels(region, opened.place) for region in water.regions])
    assert lake.buffer(-0.01).within(shapely.box(0, 0, 32, 96)) and lake.area == pytest.approx(32 * 96, rel=1e-3)


def test_the_public_door_leads_here():
    assert rsvlm.load is ask.load
