"""One door: every form of a model's name, who can do what, and a chat system that answers blind."""

import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import save_file

from fake import batches, finders, hub, hub_matching, matchers, runs
from fake.endpoint import FakeEndpoint
from rsvlm.errors import BadInput
from rsvlm.systems import abilities as base
from rsvlm.systems.abilities import MODEL_NAMES, Compares, Embeds, ability_error, who_can
from rsvlm.systems.load import load
from rsvlm.systems.text_boxes import dialect_of

PICTURES = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(2)]


@pytest.fixture
def run_folder(tmp_path):
    path = runs.tiny("lhrs_bot")
    _, model, _ = batches.tiny(path)
    (tmp_path / "recipe.yaml").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    save_file({n: t.clone() for n, t in model.state_dict().items()}, tmp_path / "model.safetensors")
    return tmp_path


def test_the_table_of_abilities_is_what_the_classes_can(run_folder, tmp_path_factory):
    folder = hub.save("qwen2_vl", tmp_path_factory.mktemp("hub"))
    with FakeEndpoint() as server:
        chat, own, served = load(str(run_folder)), load(f"hf:{folder}"), load(server.name)
    finds = load(str(finders.folder(tmp_path_factory.mktemp("finder"))))
    dual = load(str(matchers.dual_folder(tmp_path_factory.mktemp("dual"))))
    clip = load(f"hf:{hub_matching.save('clip', tmp_path_factory.mktemp('clip'))}")
    # test_onnx.py, test_cmid.py, test_rs_capret.py, test_change_head.py, test_rs_rag.py, test_change_captioners.py
    others = ("mini", "CMID", "RS-CapRet", "change", "knowledge", "RSICCformer", "MModalCC")
    elsewhere = [form for form in MODEL_NAMES if any(name in form for name in others)]
    forms = [form for form in MODEL_NAMES if form not in elsewhere]
    assert len(elsewhere) == 8
    for model, form in zip((chat, finds, dual, own, clip, served), forms, strict=True):
        assert tuple(ability for ability in base.ABILITIES if isinstance(model, ability)) == MODEL_NAMES[form], form
        assert model.trace["model"] == model.name and all(type(value) is str for value in model.trace.values())
    assert chat.box_dialect == "lhrs"


def test_a_model_that_lacks_an_ability_says_who_has_it():
    assert (
        who_can(Embeds)[:3] == ("mini", "torch:mini", "<a run's model folder>")
        and who_can(base.Matches)[3:] == ("<a dual encoder's model folder>", "hf:<a CLIP or SigLIP folder or id>")
        and who_can(base.Segments) == ()
    )
    assert str(ability_error("mini", base.Segments)) == "mini cannot segment; models that can: none yet."
    said = str(ability_error("mini", Compares))
    assert (
        said.startswith("mini cannot compare two dates of a place; models that can: <the model folder")
        and "hf:<" in said
        and "openai:" in said
    )
    assert all(str(ability_error("m", ability)) for ability in base.ABILITIES)


def test_a_hugging_face_folder_needs_no_prefix(tmp_path):
    model = load(str(hub.save("idefics3", tmp_path)))
    assert model.trace["system"] == "hub" and model.name == str(tmp_path)


def test_an_unknown_name_lists_the_forms(tmp_path):
    with pytest.raises(BadInput, match=r"No model is named 'maxi'.*mini, .*folder.*, hf:.*, openai:"):
        load("maxi")
    with pytest.raises(BadInput, match=r"holds no model\.safetensors"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "dialect"),
    [
        ("Qwen/Qwen2-VL-7B-Instruct", "qwen2vl"), ("qwen2.5vl:7b", "qwen25vl"), ("qwen3_vl_moe", "qwen3vl"),
        ("OpenGVLab/InternVL3-8B-hf", "internvl"), ("internvl", "internvl"), ("gpt-4o", ""), ("Qwen2.5-7B", ""),
    ],
)  # fmt: skip
def test_the_dialect_goes_by_the_name(name, dialect):
    assert dialect_of(name) == dialect


def test_an_endpoint_needs_no_pytorch():
    code = (
        "import sys; sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from rsvlm.systems.load import load\n"
        "from rsvlm.errors import MissingPart\n"
        "model = load(sys.argv[1]); print(model.answer([None], ['Any?'])[0].text)\n"
        "try: load('hf:x')\n"
        "except MissingPart as error: print(error)\n"
    )
    with FakeEndpoint() as server:
        done = subprocess.run([sys.executable, "-c", code, server.name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "Any?" and "pip install 'rsvlm[model]'" in done.stdout


def test_a_chat_system_answers_blind(run_folder):
    model = load(str(run_folder))
    questions = ["What is it?", "Is there water?", "What?", "What is it?"]
    mixed = model.answer([PICTURES[0], None, PICTURES[1], None], questions, max_new_tokens=6)
    sighted = model.answer(PICTURES, ["What is it?", "What?"], max_new_tokens=6)
    blind = model.answer([None, None], ["Is there water?", "What is it?"], max_new_tokens=6)
    for one, other in zip(mixed, (sighted[0], blind[0], sighted[1], blind[1]), strict=True):
        assert one.text == other.text and one.confidence == pytest.approx(other.confidence, rel=1e-4)
    (alone,) = model.answer([None], ["What is it?"], max_new_tokens=6)
    assert alone.text == blind[1].text and alone.confidence != pytest.approx(sighted[0].confidence, rel=1e-6)
    assert model.answer([], []) == []


def test_blind_prompts_hold_no_visual_token(run_folder, monkeypatch):
    from rsvlm.sample import IMAGE_TOKEN

    model, shown = load(str(run_folder)), []
    answer = model.model.answer
    monkeypatch.setattr(model.model, "answer", lambda batch, **more: shown.append(batch) or answer(batch, **more))
    model.answer([None], ["What?"], max_new_tokens=1)
    assert set(shown[0]) == {"prompt", "prompt_mask"} and not (shown[0]["prompt"] == IMAGE_TOKEN).any()
