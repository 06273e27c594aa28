"""A model that changes its form between stages: dense MLPs become experts, killed or not, in one process or several."""

import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fake import runs
from rsvlm.errors import BadInput
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import byte_tokenizer
from rsvlm.systems.load import load
from rsvlm.train.log import Log
from rsvlm.train.objectives import language
from rsvlm.train.run import train

NOVA = runs.tiny("lhrs_bot_nova")


def recipe(path, system="lhrs_bot_nova", **changes):
    return runs.written(path, read_recipe(runs.tiny(system)).model_dump(mode="json") | changes)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(data, run folder) of the tiny recipe from its first stage to its last."""
    root = tmp_path_factory.mktemp("whole")
    data = runs.data(root / "data")
    train(NOVA, data, root / "out")
    return data, root / "out"


def test_the_finished_model_has_experts_and_answers(whole):
    _, out = whole
    state = load_file(out / "model" / "model.safetensors")
    assert "bridge.layers.1.mlp.experts.3.2.weight" in state and "bridge.layers.1.mlp.router.noise.weight" in state
    assert not any(".mlp.0." in name for name in state if name.startswith("bridge."))
    pixels = [np.random.default_rng(5).integers(0, 255, (40, 30, 3), np.uint8)]
    assert load(str(out / "model")).answer(pixels, ["What is it?"], max_new_tokens=8)[0].text


def test_experts_start_as_the_mlps_of_the_stage_before(whole, tmp_path):
    data, _ = whole
    still = [
        {**stage, "steps": 1, "lr": 0.0 if index else stage["lr"]}
        for index, stage in enumerate(read_recipe(NOVA).model_dump(mode="json")["stages"][:2])
    ]
    path = recipe(tmp_path / "still.yaml", stages=still)
    train(path, data, tmp_path / "one", only_stage="align")
    dense = load_file(tmp_path / "one" / "model" / "model.safetensors")
    state = load_file(train(path, data, tmp_path / "two") / "model.safetensors")
    assert torch.equal(state["bridge.query"], dense["bridge.query"])
    for layer in range(2):
        at = f"bridge.layers.{layer}.mlp."
        for leaf in ("0.weight", "0.bias", "2.weight", "2.bias"):
            assert all(torch.equal(state[f"{at}experts.{e}.{leaf}"], dense[at + leaf]) for e in range(4))


def test_a_checkpoint_has_what_is_new_in_the_form_even_where_it_stays_still(whole, tmp_path):
    data, _ = whole
    stages = read_recipe(NOVA).model_dump(mode="json")["stages"][:2]
    stages[1] |= {"trainable": ["language.lora"]}
    train(recipe(tmp_path / "tiny.yaml", stages=stages), data, tmp_path / "out", max_steps=1)
    kept = load_file(tmp_path / "out" / "checkpoint" / "weights.safetensors")
    assert "bridge.layers.0.mlp.router.gate.0.weight" in kept and "bridge.layers.0.mlp.experts.2.0.bias" in kept


def test_a_stage_alone_leaves_a_model_of_its_form(whole, tmp_path):
    data, _ = whole
    folder = train(NOVA, data, tmp_path / "out", only_stage="align", max_steps=1)
    said = read_recipe(folder / "recipe.yaml")
    assert said.model["bridge"]["experts"] == 0 and said.model["frame"] == "plain"
    pixels = [np.zeros((8, 8, 3), np.uint8)]
    assert load(str(folder)).answer(pixels, ["What is it?"], max_new_tokens=4)[0].confidence > 0


def test_killed_at_the_change_a_run_goes_on_to_the_same_losses(whole, tmp_path):
    data, out = whole
    kills = [runs.KILL.format(place=place) for place in (("align", 3), ("multi_task", 0), ("multi_task", 2))]
    codes, said = runs.processes(*kills, "pass", recipe=NOVA, data=data, out=tmp_path / "out")
    assert codes == [[-9], [-9], [-9], [0]], said[-3000:]
    found, wanted = runs.losses(tmp_path / "out"), runs.losses(out)
    runs.same(found, wanted)


@pytest.mark.parametrize("sharded", [False, True], ids=["copies", "FSDP2"])
def test_two_processes_change_the_form_too(whole, tmp_path, sharded):
    data, out = whole
    path = recipe(tmp_path / "tiny.yaml", fsdp=sharded)
    codes, said = runs.processes("pass", recipe=path, data=data, out=tmp_path / "out", world=2)
    assert codes == [[0, 0]], said[-3000:]
    found, wanted = runs.losses(tmp_path / "out"), runs.losses(out)
    assert [line[:2] for line in found] == [line[:2] for line in wanted]
    dense = [line for line in wanted if line[0] == "align"]  # from then on each process draws noise of its own
    assert [line[2] for line in found[: len(dense)]] == pytest.approx([line[2] for line in dense], abs=1e-5)
    state = load_file(tmp_path / "out" / "model" / "model.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in state.values())
    assert set(state) == set(load_file(out / "model" / "model.safetensors"))


def test_a_form_that_weights_cannot_take_is_refused(whole, tmp_path):
    data, _ = whole
    stages = read_recipe(NOVA).model_dump(mode="json")["stages"]
    stages[1]["model"] = {"bridge": {"depth": 1}}
    with pytest.raises(BadInput, match=r"bridge\.layers\.1\.\S+ has no place in it"):
        train(recipe(tmp_path / "tiny.yaml", stages=stages), data, tmp_path / "out", max_steps=1)


# A run that begins with a finished model (`start`), and changes the form of it.

LITTLE = {"lhrs_bot_nova": "vision", "rs_moe": "bridge.query"}  # moves before the change, and does not become experts


@pytest.fixture(scope="module", params=LITTLE)
def begun(request, tmp_path_factory, whole):
    """(system, its recipe as JSON, data, the model of its first stage alone): dense, or of one speaker."""
    values = read_recipe(runs.tiny(request.param)).model_dump(mode="json")
    root, stage = tmp_path_factory.mktemp("begun"), values["stages"][0]["name"]
    folder = train(runs.tiny(request.param), whole[0], root / "first", only_stage=stage, max_steps=2)
    return request.param, values, whole[0], folder


@pytest.mark.parametrize("when", ["at once", "after a stage"])
def test_experts_start_as_what_the_model_had_that_the_run_began_with(begun, tmp_path, when):
    system, values, data, first = begun
    stages = [stage | {"steps": 1} for stage in values["stages"][:2]]
    stages[0] |= {"trainable": [LITTLE[system]], "lr": 0.001}
    stages[1] |= {"lr": 0.0}
    path = recipe(tmp_path / "tiny.yaml", system, start=str(first), stages=stages[when == "at once" :])
    folder = train(path, data, tmp_path / "out")
    dense, state = load_file(first / "model.safetensors"), load_file(folder / "model.safetensors")
    sources = {name: re.sub(r"\.experts\.\w+\.", ".", name) for name in state}
    kept = {name: s for name, s in sources.items() if s in dense and not name.startswith(LITTLE[system])}
    assert all(torch.equal(state[name], dense[source]) for name, source in kept.items())
    assert sum(name != source for name, source in kept.items()) > 8
    moved = [name for name in state if name.startswith(LITTLE[system]) and not torch.equal(state[name], dense[name])]
    assert bool(moved) is (when == "after a stage")


def test_the_history_says_which_form_each_stage_had(begun, tmp_path):
    system, values, data, first = begun
    path = recipe(tmp_path / "tiny.yaml", system, start=str(first), stages=values["stages"][1:])
    said = read_recipe(train(path, data, tmp_path / "out", max_steps=1) / "recipe.yaml")
    assert [stage.name for stage in said.stages[-len(values["stages"]) + 1 :]] == [
        s["name"] for s in values["stages"][1:]
    ]
    assert said.in_stage(0).model == read_recipe(first / "recipe.yaml").model and said.model == values["model"]


def test_stopped_behind_the_change_a_run_that_began_with_a_model_goes_on(begun, tmp_path, monkeypatch):
    system, values, data, first = begun
    stages = values["stages"][:2]
    stages[0] = stages[0] | {"trainable": [LITTLE[system]], "lr": 0.001}
    path = recipe(tmp_path / "tiny.yaml", system, start=str(first), stages=stages)
    wanted = load_file(train(path, data, tmp_path / "whole") / "model.safetensors")
    with monkeypatch.context() as patch, pytest.raises(runs.Killed):
        patch.setattr(Log, "step", runs.dying(Log.step, (stages[1]["name"], 2)))
        train(path, data, tmp_path / "cut")
    found = load_file(train(path, data, tmp_path / "cut") / "model.safetensors")
    assert runs.losses(tmp_path / "cut") == runs.losses(tmp_path / "whole")
    assert set(found) == set(wanted) and all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_a_model_of_another_system_is_not_begun_with(begun, tmp_path):
    _, _, data, first = begun
    path = runs.recipe(tmp_path / "tiny.yaml", start=str(first))
    with pytest.raises(BadInput, match=r"model\.safetensors cannot go on in a model of this form"):
        train(path, data, tmp_path / "out")


# The frame is a stage's own, too.


def test_a_first_stage_may_be_plain(whole, tmp_path, monkeypatch):
    """LHRS-Bot: pictures and captions alone in stage 1, conversations in stage 2."""
    texts = {}
    tokenizer = byte_tokenizer()
    encode = language.conversation_encoder

    def spied(*args, **numbers):
        one = encode(*args, **numbers)

        def kept(sample, visit):
            row = one(sample, visit)
            texts.setdefault(args[1].name, []).append(tokenizer.decode([i for i in row.prompt if i >= 0] + row.reply))
            return row

        return kept

    monkeypatch.setattr(language, "conversation_encoder", spied)
    values = read_recipe(runs.tiny("lhrs_bot")).model_dump(mode="json")
    values["model"]["frame"] = "llava_llama_2"
    values["stages"] = [values["stages"][1] | {"model": {"frame": "plain"}}, values["stages"][2]]
    folder = train(recipe(tmp_path / "tiny.yaml", **values), whole[0], tmp_path / "out")
    assert set(texts) == {"plain", "llava_llama_2"}
    assert not any("INST" in text or "?" in text for text in texts["plain"])
    assert all("[INST] <<SYS>>" in text and "[/INST]" in text for text in texts["llava_llama_2"])
    assert [line[:2] for line in runs.losses(tmp_path / "out")] == [
        (s, n) for s in ("align", "understand") for n in range(6)
    ]
    chat = load(str(folder))
    assert (
        chat.frame.name == "llava_llama_2" and read_recipe(folder / "recipe.yaml").in_stage(0).model["frame"] == "plain"
    )
    assert chat.answer([np.zeros((8, 8, 3), np.uint8)], ["What is it?"], max_new_tokens=4)[0].text
