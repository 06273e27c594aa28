"""A model that changes its form between stages: dense MLPs become experts, killed or not, in one process or several."""

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from fake import runs
from rsvlm.errors import BadInput
from rsvlm.recipe import read_recipe
from rsvlm.systems.load import load
from rsvlm.train.run import train

NOVA = runs.ROOT / "recipes/lhrs_bot_nova/tiny.yaml"
DIE = """
import os, signal
from rsvlm.train.log import Log
plain = Log.step
def step(self, number, numbers):
    plain(self, number, numbers)
    if (self.stage.name, number) == ({stage!r}, {step}):
        self.flush()
        os.kill(os.getpid(), signal.SIGKILL)
Log.step = step
"""


def recipe(path, **changes):
    values = read_recipe(NOVA).model_dump(mode="json") | changes
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


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
    kills = [DIE.format(stage=stage, step=step) for stage, step in (("align", 3), ("multi_task", 0), ("multi_task", 2))]
    codes, said = runs.processes(*kills, "pass", recipe=NOVA, data=data, out=tmp_path / "out")
    assert codes == [[-9], [-9], [-9], [0]], said[-3000:]
    found, wanted = runs.losses(tmp_path / "out"), runs.losses(out)
    assert [line[:2] for line in found] == [line[:2] for line in wanted]
    assert [line[2] for line in found] == pytest.approx([line[2] for line in wanted], abs=1e-6)


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
