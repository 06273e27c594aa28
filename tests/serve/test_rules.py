"""The rules of a scene, each on a generated one: file, bands, size, limits, classes, doubt, description, compound."""

import numpy as np
import pytest
from affine import Affine

from fake.chat_model import Speaker, coast
from fake.rasters import geotiff
from rsvlm.errors import BadInput
from rsvlm.geo.raster import open_scene
from rsvlm.sample import Reply
from rsvlm.serve.aggregate import ViewReply
from rsvlm.serve.assistant import Assistant
from rsvlm.serve.class_answers import class_answer, presence_answer
from rsvlm.serve.description import contradictions, place_words
from rsvlm.systems.model_limits import ModelLimits

UTM = "EPSG:32631"


class Chooser(Speaker):
    """A speaker that tells likelihoods: of water by the share of blue, of classes likewise; and knows its limits."""

    def __init__(self, limits=None, likes=None, strange=False):
        super().__init__("chooser")
        self.limits, self.likes, self.strange, self.choices = limits or ModelLimits(), likes, strange, []

    def log_likelihoods(self, images, questions, replies):
        self.choices.append(list(replies))
        rows = []
        for image in images:
            blue = float((image[..., 2] > 150).mean())
            odds = {
                "Yes": blue,
                "No": 1 - blue,
                "Sea lake": blue,
                "River": blue,
                "Forest": 1 - blue,
                **(self.likes or {}),
            }
            rows.append([max(odds.get(reply, 0.0), 1e-9) * 0.98 for reply in replies])
        return np.log(np.array(rows))

    def embed_images(self, images):
        return np.tile(np.float32([0, 1] if self.strange else [1, 0]), (len(images), 1))


def scene_of(folder, picture, gsd, **more):
    place = {"transform": Affine(gsd, 0, 4e5, 0, -gsd, 5e6), "crs": UTM, **more}
    return geotiff(folder / "scene.tif", picture, **place)


def ask(model, scene, question, **settings):
    return Assistant(model).ask(scene, question, **settings)


def test_what_the_file_tells_is_asked_of_no_model(tmp_path):
    model, scene = Speaker(), scene_of(tmp_path, coast(), 10)
    where, when, fine = ask(model, scene, ["Where is this?", "When was it taken?", "What is the resolution?"])
    assert "EPSG:32631" in where.answer and "N, 1." in where.answer and "not known" in where.answer
    assert when.answer == "The file does not tell when it was taken."
    assert "128 x 96 pixels, 3 bands" in fine.answer and "10 m on the ground" in fine.answer
    assert model.calls == [] and where.trace["rules"][0].startswith("file")


def test_a_scene_without_a_place_says_so(tmp_path):
    scene = geotiff(tmp_path / "scene.tif", coast(), transform=None, crs=None)
    (where,) = ask(Speaker(), scene, ["Where is this?"])
    assert where.answer.startswith("The file does not tell where it lies: it has no geotransform")


def test_another_language_is_not_answered(tmp_path):
    model = Speaker()
    (answer,) = ask(model, scene_of(tmp_path, coast(), 10), ["Wie viele Boote sind auf dem Bild?"])
    assert "not understood" in answer.answer and "German" in answer.trace["rule"] and model.calls == []


def test_what_is_too_small_is_not_looked_for(tmp_path):
    model, scene = Speaker(), scene_of(tmp_path, coast(boats=[(10, 8)]), 300)
    for question in ("How many boats are there?", "Find all boats.", "Are there boats?"):
        (answer,) = ask(model, scene, [question])
        assert answer.answer.startswith("At 300 m per pixel") and "cannot be seen" in answer.answer
    assert model.calls == []
    assert ask(model, scene, "How many boats are there?", raw=True).answer != answer.answer and model.calls


def lake(nir=True):
    """Red, green, blue (, near infrared) reflectances: a lake on the left quarter, meadows beside it."""
    bands = np.empty((4, 96, 128), np.uint16)
    bands[:] = np.array([900, 1000, 500, 4000], np.uint16)[:, None, None]
    bands[:, :, :32] = np.array([300, 600, 400, 100], np.uint16)[:, None, None]
    noise = np.random.default_rng(0).integers(0, 60, bands.shape).astype(np.uint16)
    return (bands + noise)[: 4 if nir else 3]


def test_water_is_computed_and_the_model_stands_beside_it(tmp_path):
    names = ["red", "green", "blue", "nir"]
    model = Chooser(likes={"Yes": 0.01, "No": 0.99})
    answers = ask(
        model,
        scene_of(tmp_path, lake(), 10, descriptions=names),
        ["Is there water?", "How much water is there?", "Find the water."],
    )
    assert answers[0].answer == "Yes: water covers 25 % of the scene (0.31 km2)."
    assert answers[0].trace["second_opinion"].startswith("no (0.9") and answers[0].confidence > 0.9
    assert answers[1].answer.startswith("Water covers 25 %") and "1 separate patches" in answers[2].answer
    area = sum(region["properties"]["area_m2"] for region in answers[0].regions)
    assert area == pytest.approx(32 * 96 * 100, rel=0.02)
    assert answers[0].trace["rules"][0].startswith("index: Water covers")


def test_bands_that_do_not_tell_leave_it_to_the_model(tmp_path):
    answer = ask(Chooser(), scene_of(tmp_path, coast(), 10), "Is there water?")
    assert answer.answer == "Yes"
    assert not any(rule.startswith("index") for rule in answer.trace["rules"])


LIMITS = ModelLimits(gsd_m={"any": (0.1, 3.0), "scene": (0.1, 12.0)}, composites=("natural colour",))


def test_beyond_its_resolution_a_model_is_unsure_and_says_so_first(tmp_path):
    model = Chooser(LIMITS)
    answer = ask(model, scene_of(tmp_path, coast(lake=128), 10), "Is there water?")
    assert answer.answer.startswith(
        "chooser was trained on 0.1 to 3 m per pixel, this scene has 10 m: unsure; it leans"
    )
    assert answer.confidence <= 0.5
    cover = ask(model, scene_of(tmp_path, coast(lake=128), 10), "What land cover is this?")
    assert cover.answer.startswith(("River", "Sea lake", "Unsure")) and "trained on" not in cover.answer


def test_beyond_its_bands_a_model_is_unsure(tmp_path):
    names = ["swir1", "nir", "red"]
    answer = ask(Chooser(LIMITS), scene_of(tmp_path, coast(), 1, descriptions=names), "Is there a road?", bands="1,2,3")
    assert "this is false colour: SWIR1, NIR, red: unsure" in answer.answer and answer.confidence <= 0.5


def test_classes_follow_the_resolution_or_the_user(tmp_path):
    model = Chooser()
    ask(model, scene_of(tmp_path, coast(), 10), "What land cover is this?")
    assert "Annual crop" in model.choices[-1] and "Stadium" not in model.choices[-1]
    answer = ask(
        model, scene_of(tmp_path, coast(lake=128), 10), "What land cover is this?", classes=["sea lake", "tundra"]
    )
    assert model.choices[-1][:2] == ["Sea lake", "Tundra"] and answer.answer.startswith(
        "Sea lake. Shares: sea lake 100 %"
    )
    with pytest.raises(BadInput, match="classes 1 and 2 are both"):
        ask(model, scene_of(tmp_path, coast(), 10), "What land cover is this?", classes=["a", "A"])


class Namer(Speaker):
    """Tells no likelihoods, and says what it likes."""

    def __init__(self, reply):
        super().__init__("namer")
        self.says, self.asked = reply, []

    def reply(self, image, question):
        self.asked.append(question)
        return Reply(text=self.says, confidence=0.9)


@pytest.mark.parametrize(
    ("says", "answer"),
    [("It is a sea lake, I think.", "Sea lake"), ("Herbivore", "Unsure"), ("Forestry", "Unsure"), ("FOREST", "Forest")],
)
def test_a_model_without_likelihoods_invents_no_class_either(tmp_path, says, answer):
    model = Namer(says)
    found = ask(model, scene_of(tmp_path, coast(60, 60), 10), "What land cover is this?")
    assert found.confidence <= (0.5 if answer == "Unsure" else 0.9)
    assert found.answer.startswith(answer) and "answer with one of: annual crop, forest" in model.asked[0]


def test_a_compound_question_gets_one_answer_of_its_parts(tmp_path):
    names = ["red", "green", "blue", "nir"]
    answer = ask(Speaker(), scene_of(tmp_path, lake(), 10, descriptions=names), "Is there water, and how much?")
    assert answer.trace["kind"] == "presence+area" and answer.answer.startswith("Yes: water covers 25 %")
    assert answer.answer.count("25 %") == 2
    area = sum(region["properties"]["area_m2"] for region in answer.regions)
    assert area == pytest.approx(32 * 96 * 100, rel=0.02)  # not twice: both parts rest on the same lake


def test_a_large_scene_is_described_by_what_was_found(tmp_path):
    names = ["red", "green", "blue", "nir"]
    scene = scene_of(tmp_path, lake(), 10, descriptions=names)
    answer = ask(Chooser(LIMITS), scene, "Describe this image.", tile=32)
    assert answer.answer.startswith("The scene shows 1.28 x 0.96 km at 10 m per pixel, in natural colour.")
    assert "Water covers 25 % of the scene" in answer.answer and "lies in the west" in answer.answer
    assert "says" not in answer.answer and answer.trace["second_opinion"]
    sentences = {region["properties"].get("sentence") for region in answer.regions}
    assert all(sentence is None or sentence in answer.answer for sentence in sentences) and len(sentences) > 2


def test_a_caption_that_cannot_be_true_is_left_out():
    assert contradictions("Many cars and a road.", 30.0, ()) == ["cars cannot be seen at 30 m"]
    assert contradictions("A wide forest.", 30.0, ()) == [] and contradictions("Many cars.", None, ()) == []


def views(probabilities, *, strange=()):
    return [
        ViewReply(
            window=(at, 0, 10, 10), valid=1.0, reply=Reply(text="?", confidence=max(row)),
            logs=tuple(np.log(np.array(row) + 1e-12)), strange=at in strange,
        )
        for at, row in enumerate(probabilities)
    ]  # fmt: skip


def test_a_tile_that_no_class_fits_is_unsure():
    classes = ("forest", "river")
    found = class_answer(views([[0.9, 0.05], [0.1, 0.02], [0.5, 0.48]]), classes, least=0.6)
    assert dict(found.shares) == pytest.approx({"forest": 1 / 3, "unsure": 2 / 3}) and found.answer == "Mostly unsure"
    none = class_answer(views([[0.1, 0.02]]), classes, least=0.6)
    assert none.answer.startswith("Unsure; it leans to forest (0.83)") and none.confidence < 0.2
    own = class_answer(views([[0.1, 0.02]]), classes, least=0.6, taught=False)  # classes that it was never taught
    assert own.answer == "Forest"


def test_temperature_makes_a_choice_less_sure():
    sharp, soft = (class_answer(views([[0.8, 0.1]]), ("a", "b"), temperature=t).confidence for t in (1.0, 3.0))
    assert soft < sharp == pytest.approx(8 / 9)


def test_presence_is_yes_no_or_unsure():
    whole = views([[0.5, 0.5]])[0]
    assert presence_answer("cars", views([[0.95, 0.05], [0.1, 0.9]]), whole, least=0.8).answer == "Yes"
    quiet = views([[0.05, 0.95]])[0]
    assert presence_answer("cars", views([[0.1, 0.9]]), quiet, least=0.8).answer == "No"
    doubt = presence_answer("cars", views([[0.6, 0.4]]), quiet, least=0.8)
    assert doubt.answer == "Unsure; it leans to yes (0.60)." and doubt.evidence == ()


def test_pictures_unlike_training_are_not_believed(tmp_path):
    strange = views([[0.99, 0.01], [0.98, 0.02]], strange=(0, 1))
    found = presence_answer("cars", strange[:1], strange[1], least=0.8)
    assert found.answer.startswith("Unsure; it leans to yes (0.60)") and "unlike" in found.rule
    assert class_answer(strange, ("a", "b")).answer.startswith("Unsure")
    limits = ModelLimits(
        mean=np.zeros(2, np.float32), exemplars=np.float32([[1, 0], [1, 0], [1, 0]]), least_similarity=0.6
    )
    scene = scene_of(tmp_path, coast(lake=128), 1)
    known, unknown = (ask(Chooser(limits, strange=one), scene, "Is there water?") for one in (False, True))
    assert known.answer == "Yes" and unknown.answer.startswith("Unsure; it leans to yes")


@pytest.mark.parametrize(
    ("x", "y", "words"), [(120, 48, "in the east"), (64, 48, "in the middle"), (5, 5, "in the north-west")]
)
def test_where_a_shape_lies(tmp_path, x, y, words):
    from shapely.geometry import Point

    with open_scene(scene_of(tmp_path, coast(), 10)) as scene:
        assert place_words(Point(x, y).buffer(2), scene) == words
