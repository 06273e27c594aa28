"""`rsvlm ask` with other people's models: a Hugging Face folder, and a server with its faults."""

import json

import pytest

from fake import hub
from fake.chat_model import coast
from fake.commands import ask as ask_command
from fake.endpoint import FakeEndpoint, reply
from fake.rasters import geotiff
from rsvlm.errors import BadInput
from rsvlm.serve.assistant import Assistant
from rsvlm.systems.providers.openai import OpenAIModel
from rsvlm.systems.providers.retry import RetryPolicy

QUICK = RetryPolicy(timeout=1.0, max_attempts=2, backoff=0.001)
TILES = {"tile": 64}


@pytest.fixture
def scene(tmp_path):
    return geotiff(tmp_path / "scene.tif", coast(height=128, width=256))  # 2 x 4 tiles of 64


def test_a_server_answers_about_tiles_and_the_whole(scene, capsys):
    with FakeEndpoint(says=lambda body: "Forest.") as server:
        ask_command([scene], ["What land cover is this?"], model=server.name, json=True, **TILES)
        assert len(server.seen) == 9
    said = json.loads(capsys.readouterr().out)
    assert said["answer"].startswith("Forest. Shares: Forest 100 %") and len(said["regions"]) == 1
    assert said["trace"]["model"] == server.name and said["trace"]["url"] == server.url


def test_a_hugging_face_model_answers(scene, tmp_path, capsys):
    folder = hub.save("qwen2_vl", tmp_path / "model")
    ask_command([scene], ["Describe this image.", "Is there water?"], model=f"hf:{folder}", json=True, max_new_tokens=3)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(said) == 2 and all(one["trace"]["type"] == "qwen2_vl" for one in said)


def test_a_yes_counts_where_confidence_is_not_told(scene, capsys):
    with FakeEndpoint([reply("No", None)] * 3 + [reply("Yes", None)] + [reply("No", None)] * 5) as server:
        model = OpenAIModel(server.name, retry=QUICK, concurrency=1)
        said = Assistant(model).ask(scene, "Is there water?", **TILES)
        assert (said.answer, said.confidence, len(said.regions)) == ("Yes", 0.0, 1)
        server.script = [reply("Yes", None)]
        ask_command([scene], ["Is there water?"], model=server.name)
    assert "confidence not known" in capsys.readouterr().out


def test_tiles_without_a_reply_are_named_and_left_out(scene):
    with FakeEndpoint([reply("2"), "400", *[reply("1")] * 7]) as server:
        model = OpenAIModel(server.name, retry=QUICK, concurrency=1)
        said = Assistant(model).ask(scene, "How many boats are there?", **TILES)
        assert said.answer == "8" and "1 tiles got no reply and are left out" in said.trace["rule"]
        assert [bool(row.get("error")) for row in said.trace["windows"]] == [False, True, *[False] * 7]


def test_a_scene_without_a_reply_is_one_sentence(scene):
    with FakeEndpoint() as server:
        assistant = Assistant(OpenAIModel(server.name, retry=QUICK, concurrency=1))
        assert '"Describe this image."' in assistant.ask(scene, "Describe this image.").answer
        assert assistant.ask(scene, "Describe this image.", raw=True).answer == "Describe this image."
        server.script = ["500"] * 2
        with pytest.raises(BadInput, match=r"'Describe this image\.' got no reply: .* answered 500 .*; ask again"):
            assistant.ask(scene, "Describe this image.")
