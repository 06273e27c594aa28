"""The loop: what it reports, when it stops, how fast it may go; and the log it leaves."""

import json
import math
from itertools import pairwise

import pytest
import torch
from accelerate import Accelerator

from fake import batches, runs
from rsvlm.errors import BadInput
from rsvlm.parts.system import System
from rsvlm.train.log import Log, draw, read_log
from rsvlm.train.loop import NotFinite, fit
from rsvlm.train.run import train
from rsvlm.train.stages import freeze, lr_factor, optimizer


def stage(**numbers):
    return runs.stage(**{"steps": 100, **numbers})


def test_the_learning_rate_warms_up_and_follows_a_cosine_to_the_floor():
    one = stage(warmup=10, floor=0.2)
    factors = [lr_factor(one, step, 0.2) for step in range(101)]
    assert factors[:10] == pytest.approx([n / 10 for n in range(1, 11)])
    assert factors[10] == 1 and factors[55] == pytest.approx(0.6) and factors[100] == pytest.approx(0.2)
    assert all(a >= b for a, b in pairwise(factors[10:]))
    assert lr_factor(one, 50, 1.0) == 1


def test_a_warm_up_from_a_share_and_a_straight_line():
    """LHRS-Bot: lr * (1 - (1 - i / W) * (1 - f)) in the warm-up; LAVIS: down to 0 in a straight line."""
    one = stage(warmup=10, warmup_from=0.1, decay="linear")
    factors = [lr_factor(one, step, 0.0) for step in range(101)]
    assert factors[:11] == pytest.approx([1 - (1 - i / 10) * (1 - 0.1) for i in range(11)])
    assert factors[10:] == pytest.approx([1 - i / 90 for i in range(91)])


def test_a_floor_for_each_group():
    model = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2) for name in ("vision", "bridge")})
    one = stage(trainable=("vision", "bridge"), lr={"vision": 0.1, "bridge": 1.0}, floor={"vision": 1.0, "bridge": 0.1})
    made = optimizer(one, freeze(model, one.trainable))
    last = {group["base_lr"]: group["base_lr"] * lr_factor(one, 100, group["floor"]) for group in made.param_groups}
    assert last == pytest.approx({0.1: 0.1, 1.0: 0.1})
    with pytest.raises(BadInput, match="'vision' is in only one of `trainable` and `floor`"):
        optimizer(one.model_copy(update={"floor": {"bridge": 0.1}}), freeze(model, one.trainable))


def test_vectors_are_not_decayed_and_every_pattern_has_its_rate():
    _, model, _ = batches.tiny(runs.tiny("lhrs_bot"))
    one = stage(lr={"bridge": 0.1, "language.lora": 0.2}, weight_decay=0.5, trainable=("bridge", "language.lora"))
    made = optimizer(one, freeze(model, one.trainable))
    found = {(g["base_lr"], g["weight_decay"]): {p.ndim > 1 for p in g["params"]} for g in made.param_groups}
    assert found == {(0.1, 0.5): {True}, (0.1, 0.0): {False}, (0.2, 0.5): {True}}


class Sick(System):
    """A loss that is (weight * value), so that value, or its square's gradient, can be anything."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, batch):
        return {"language": (self.weight * batch["image"]).sum() + (self.weight - 1).abs().sqrt().sum() * batch["tags"]}


@pytest.mark.parametrize(("value", "root", "what"), [(math.nan, 0.0, "loss is nan"), (1.0, 1.0, "gradient norm is")])
def test_a_loss_or_gradient_that_is_not_finite_stops_before_the_step(value, root, what):
    model, one = Sick(), stage(trainable=("weight",))
    moving = optimizer(one, freeze(model, one.trainable))
    batch = {"image": torch.tensor([value]), "tags": torch.tensor(root)}
    with pytest.raises(NotFinite, match=rf"Stage 's', step 7: the {what}"):
        fit(Accelerator(cpu=True), model, moving, one, [[batch]], start=7, report=lambda *_: pytest.fail("reported"))
    assert model.weight.item() == 1


def test_a_sick_run_keeps_its_last_checkpoint(tmp_path, monkeypatch):
    data = runs.data(tmp_path / "data")
    recipe = runs.recipe(tmp_path / "tiny.yaml", stages=2)
    from rsvlm.parts import vlm

    plain, calls = vlm.losses.next_token, []

    def sick(logits, labels, **more):
        calls.append(1)
        return plain(logits, labels, **more) * (math.nan if len(calls) > 3 else 1)

    monkeypatch.setattr(vlm.losses, "next_token", sick)
    with pytest.raises(NotFinite, match="Stage 'align', step 3: the loss is nan"):
        train(recipe, data, tmp_path / "out")
    lines = runs.losses(tmp_path / "out")
    assert lines[-1][:2] == ("align", 2) and all(math.isfinite(line[2]) for line in lines)
    assert json.loads((tmp_path / "out/checkpoint/position.json").read_text())["step"] == 2
    assert not (tmp_path / "out/model").exists()
    monkeypatch.setattr(vlm.losses, "next_token", plain)
    assert train(recipe, data, tmp_path / "out").is_dir()
    assert [line[:2] for line in runs.losses(tmp_path / "out")] == [("see", n) for n in range(4)] + [
        ("align", n) for n in range(6)
    ]


def test_draws_depend_on_seed_step_and_process_only():
    model, one = Sick(), stage(trainable=("weight",))
    drawn = []

    def run(start, steps, seed):
        moving, seen = optimizer(one, freeze(model, one.trainable)), []
        batch = {"image": torch.ones(1), "tags": torch.tensor(0.0)}
        fit(Accelerator(cpu=True), model, moving, one, [[batch]] * steps, start=start, seed=seed,
            report=lambda *_: seen.append(torch.rand(1).item()))  # fmt: skip
        drawn.append(seen)

    model.weight.data.fill_(3)
    run(0, 4, "7/1")
    torch.rand(5)
    run(2, 2, "7/1")
    run(2, 2, "7/2")
    assert drawn[0][2:] == drawn[1] and len({*drawn[0], *drawn[2]}) == 6


def test_the_log_drops_steps_that_run_again(tmp_path):
    one = stage(name="a")
    with Log(tmp_path, one, 0, 30, main=True) as log:
        for step in range(25):
            log.step(step, {"language": 1.0 / (step + 1), "lr": 0.1, "grad_norm": 1.0})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"stage": "a", "st')
    assert len(read_log(tmp_path / "log.jsonl")) == 25
    with Log(tmp_path, one, 20, 30, main=True) as log:
        log.step(20, {"language": 5.0})
    lines = read_log(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines] == [*range(21)] and lines[-1]["language"] == 5
    assert (tmp_path / "loss.png").read_bytes()[:4] == b"\x89PNG"
    draw(tmp_path / "none.jsonl", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    with Log(tmp_path / "other", one, 0, 3, main=False) as log:  # a process that is not the first writes nothing
        log.step(0, {"language": 1.0})
    assert not (tmp_path / "other").exists()
