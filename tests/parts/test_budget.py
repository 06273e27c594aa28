"""What a recipe asks for is counted before it is allocated: the numbers of every part, not of one."""

import resource
import time

import pytest
import torch

from rsvlm.errors import BadInput
from rsvlm.parts import budget
from rsvlm.parts.budget import TensorBudget, measured, memory
from rsvlm.recipe import read_recipe, shipped
from rsvlm.systems.build import build

HUGE = 2_000_000_000
# system/size, the numbers that are put in at a path of the recipe's model, and what is said.
ASKED = [
    ("lhrs_bot", "bridge.num_queries", [HUGE, 1, 1], "of memory"),
    ("lhrs_bot", "bridge.width", 2_000_000, "of memory"),
    ("lhrs_bot", "bridge.depth", HUGE, "over the budget"),
    ("lhrs_bot", "num_tags", HUGE, "of memory"),
    ("lhrs_bot", "language.lora.r", HUGE, "lora.r is 2000000000; expected the rank"),
    ("lhrs_bot", "language.lora.r", 0, "lora.r is 0; expected the rank"),
    ("lhrs_bot", "language.lora.layer_replication", [[0, 2]] * 9999, "lora has the key 'layer_replication'"),
    ("lhrs_bot", "language.num_hidden_layers", 1_000_000, "over the budget"),
    ("lhrs_bot", "vision.size", HUGE, "model.vision.size is 2000000000; expected at most 4096"),
    ("lhrs_bot", "vision.grids", [HUGE, 1, 1], "model.vision.grids is 2000000000; expected at most 4096"),
    ("rs_moe", "bridge.depth", HUGE, "over the budget"),
    ("rs_moe", "bridge.num_queries", HUGE, "of memory"),
    ("rs_moe", "bridge.lora.eva_config", {"x": 1}, "lora has the key 'eva_config'"),
    ("rs_moe", "router.hidden", HUGE, "of memory"),
    ("rs_gpt4v", "language.lora.experts", HUGE, "over the budget"),
    ("rs_gpt4v", "vision.width", 2_000_000, "of memory"),
    ("rs_gpt4v", "vision.depth", HUGE, "over the budget"),
    ("skyeyegpt", "vision.depth", HUGE, "over the budget"),
    ("skyeyegpt", "vision.width", 4_000_000, "of memory"),
    ("lhrs_bot_nova", "bridge.experts", HUGE, "of memory"),
]


def with_number(system, path, value):
    recipe = read_recipe(shipped(system, "tiny"))
    model = recipe.model_dump()["model"]
    *above, last = path.split(".")
    inner = model
    for name in above:
        inner = inner[name]
    inner[last] = value
    return recipe.model_copy(update={"model": model})


@pytest.mark.parametrize(("system", "path", "value", "says"), ASKED, ids=[f"{one[0]} {one[1]}" for one in ASKED])
def test_a_recipe_that_asks_for_too_much_is_refused_before_it_is_given(system, path, value, says, monkeypatch):
    monkeypatch.setattr(budget, "memory", lambda: 4 << 30)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(BadInput, match=says):
        build(with_number(system, path, value))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, "kB"
    assert time.monotonic() - began < 100


def test_the_papers_recipes_fit_on_the_meta_device():
    with torch.device("meta"):
        assert sum(p.numel() for p in build(read_recipe(shipped("lhrs_bot"))).parameters()) > 6e9


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(3, 1000), lambda: torch.zeros((3, 1000)), lambda: torch.ones(size=(3000,)),
        lambda: torch.full((3000,), 1.0), lambda: torch.randn([3, 1000]), lambda: torch.nn.Linear(1000, 3),
        lambda: torch.empty(1).new_zeros(3, 1000), lambda: torch.nn.Embedding(1000, 3),
        lambda: torch.empty(1500, dtype=torch.float64), lambda: torch.zeros(1).repeat(3000),
    ],
)  # fmt: skip
def test_tensors_count_by_their_bytes_wherever_they_are_made(make):
    with TensorBudget("It", most_bytes=13_000):
        make()
    with (
        pytest.raises(BadInput, match=r"^It asks for more than 0\.0 GB"),
        TensorBudget("It", most_bytes=11_900),
    ):
        make()


def test_what_is_only_measured_takes_no_memory_but_has_a_budget():
    with TensorBudget("It", most_bytes=10, most_elements=10**6):
        torch.empty(1000, 900, device="meta")
    with (
        torch.device("meta"),
        pytest.raises(BadInput, match="over the budget"),
        TensorBudget("It", most_elements=10**6),
    ):
        torch.empty(1000, 1001)


def test_a_model_that_the_machine_cannot_hold_is_not_begun(monkeypatch):
    monkeypatch.setattr(budget, "memory", lambda: 20 << 30)
    began = time.monotonic()
    with pytest.raises(BadInput, match=r"lhrs_bot/paper asks for more than 2\d\.\d GB .*there are 21\.5 GB"):
        build(read_recipe(shipped("lhrs_bot")))
    assert time.monotonic() - began < 100
    with measured("It"):
        torch.nn.Linear(1000, 1000)


def test_this_machine_has_memory():
    assert 2**27 < memory() < 2**50
