"""Adan against the paper's update written out, in the loop, and saved with a checkpoint. Recordings: test_golden."""

import pytest
import torch
import yaml
from safetensors.torch import load_file

from fake import runs
from rsvlm.errors import BadInput
from rsvlm.recipe import Ingredient, Stage, read_recipe
from rsvlm.train.optim import Adan
from rsvlm.train.run import train
from rsvlm.train.stages import optimizer

BETAS = (0.98, 0.92, 0.99)


def by_hand(weight, gradients, *, lr, decay, proximal):
    """Algorithm 1 of arXiv:2208.06677 in double precision; its beta is 1 minus ours. Without restarts."""
    b1, b2, b3 = (1 - beta for beta in BETAS)
    weight, before = weight.double(), gradients[0].double()
    m = v = n = torch.zeros_like(weight)
    for k, g in enumerate((g.double() for g in gradients), 1):
        m = (1 - b1) * m + b1 * g
        v = (1 - b2) * v + b2 * (g - before)
        n = (1 - b3) * n + b3 * (g + (1 - b2) * (g - before)) ** 2
        m_, v_, n_ = m / (1 - (1 - b1) ** k), v / (1 - (1 - b2) ** k), n / (1 - (1 - b3) ** k)
        step = lr / (n_.sqrt() + 1e-8) * (m_ + (1 - b2) * v_)
        weight = (weight - step) / (1 + decay * lr) if proximal else weight * (1 - decay * lr) - step
        before = g
    return weight


@pytest.mark.parametrize("proximal", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_steps_are_those_of_the_paper(proximal, decay):
    torch.manual_seed(0)
    start, gradients = torch.randn(4, 3), list(torch.randn(7, 4, 3))
    parameter = torch.nn.Parameter(start.clone())
    moving = Adan([parameter], lr=0.05, betas=BETAS, weight_decay=decay, proximal=proximal)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        moving.step()
    wanted = by_hand(start, gradients, lr=0.05, decay=decay, proximal=proximal)
    assert torch.allclose(parameter.double(), wanted, atol=1e-6)
    assert (parameter - start).abs().min() > 1e-3


def test_each_parameter_counts_its_own_steps():
    one, other = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    moving = Adan([one, other], lr=0.1)
    one.grad = torch.ones(2)
    moving.step()
    assert torch.equal(other, torch.ones(2)) and not moving.state[other]
    other.grad = torch.ones(2)
    moving.step()
    assert moving.state[one]["step"] == 2 and moving.state[other]["step"] == 1
    assert other.tolist() == pytest.approx([0.9, 0.9])


def test_a_stage_names_its_optimizer():
    numbers = {"name": "s", "data": (Ingredient(set="x"),), "trainable": ("a",), "steps": 1, "batch": 1, "lr": 0.1}
    weight = torch.nn.Parameter(torch.ones(2, 2))
    made = optimizer(Stage(**numbers, optimizer="adan", betas=BETAS, eps=1e-6, weight_decay=0.1), {"a": [weight]})
    assert isinstance(made, Adan)
    group = made.param_groups[0]
    assert group["betas"] == BETAS and group["eps"] == 1e-6 and group["weight_decay"] == 0.1 and group["proximal"]
    plain = optimizer(Stage(**numbers), {"a": [weight]})
    assert type(plain) is torch.optim.AdamW and plain.param_groups[0]["eps"] == 1e-8


@pytest.mark.parametrize(("name", "betas"), [("adan", [0.9, 0.95]), ("adamw", [0.98, 0.92, 0.99])])
def test_betas_of_another_optimizer_are_refused(tmp_path, name, betas):
    values = read_recipe(runs.tiny("lhrs_bot")).model_dump(mode="json")
    values["stages"][0] |= {"optimizer": name, "betas": betas}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    with pytest.raises(BadInput, match=rf"stages\.0: Value error, {name} has \d betas, not {len(betas)}"):
        read_recipe(tmp_path / "recipe.yaml")


def test_a_run_with_adan_goes_on_where_it_stopped(tmp_path):
    data = runs.data(tmp_path / "data")
    path = runs.recipe(tmp_path / "tiny.yaml", stages=1, optimizer="adan", betas=list(BETAS), weight_decay=0.02)
    folders = []
    for out, stops in ((tmp_path / "whole", ()), (tmp_path / "cut", (3,))):  # a checkpoint is made of the last step
        for stop in (*stops, None):
            folders.append(train(path, data, out, max_steps=stop))
    assert runs.losses(tmp_path / "cut") == runs.losses(tmp_path / "whole")
    assert runs.losses(tmp_path / "cut")[-1][2] < runs.losses(tmp_path / "cut")[0][2]
    whole, cut = (load_file(folder / "model.safetensors") for folder in (folders[0], folders[-1]))
    assert all(torch.equal(cut[name], tensor) for name, tensor in whole.items())
    kept = load_file(tmp_path / "cut" / "checkpoint" / "optimizer.safetensors")
    assert {name.rpartition(".")[2] for name in kept} == {"mean", "difference", "square", "before", "step"}
