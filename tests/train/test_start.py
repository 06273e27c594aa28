"""A run that starts from a finished model: which numbers and which weights it takes over, and what it refuses."""

import pytest
import torch
from safetensors.torch import load_file

from fake import finders, runs
from rsvlm.errors import BadInput
from rsvlm.recipe import Recipe, read_recipe
from rsvlm.train.run import train
from rsvlm.train.start import fitting_state, inherit_model

BODY = {"bridge.query": torch.zeros(2), "vision.weight": torch.ones(3)}
STAGES = read_recipe(runs.tiny("lhrs_bot")).model_dump(mode="json")["stages"]


def test_a_head_that_is_not_built_is_left_out_and_nothing_else():
    heads = {"boxes.out.weight": torch.ones(1), "tags.out.weight": torch.ones(1)}
    state, left_out = fitting_state(BODY | heads, BODY, source="m")
    assert set(state) == set(BODY) and left_out == ("boxes", "tags")
    state, left_out = fitting_state(BODY | heads, {**BODY, "tags.out.weight": torch.zeros(1)}, source="m")
    assert torch.equal(state["tags.out.weight"], torch.ones(1)) and left_out == ("boxes",)
    assert fitting_state(BODY, BODY | heads, source="m")[1] == ()  # a head that is new is not brought


@pytest.mark.parametrize(
    ("state", "own", "name"),
    [
        (BODY | {"router.weight": torch.ones(1)}, BODY, "router.weight"),
        (BODY | {"bridge.tags.weight": torch.ones(1)}, BODY, "bridge.tags.weight"),
        (BODY | {"tags.a": torch.ones(1), "tags.b": torch.ones(1)}, BODY | {"tags.a": torch.ones(1)}, "tags.b"),
        (BODY | {"boxes.a": torch.ones(2)}, BODY | {"boxes.a": torch.ones(1)}, "boxes.a"),
    ],
    ids=["no head", "not at the top", "another head", "another size"],
)
def test_what_does_not_fit_is_refused_by_name(state, own, name):
    with pytest.raises(BadInput, match=rf"m cannot go on in a model of this form: {name} has no place"):
        fitting_state(state, own, source="m")


def test_numbers_are_inherited_where_the_recipe_gives_none():
    started = Recipe(system="x", size="big", seed=3, model={"vision": {"size": 8}})
    heir = Recipe(system="x", size="small", start="somewhere")
    assert inherit_model(heir, started) == heir.model_copy(update={"model": started.model})
    own = heir.model_copy(update={"model": {"vision": {"size": 4}}})
    assert inherit_model(own, started) == own


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """(data, a finished model with a tag head and a box head)."""
    root = tmp_path_factory.mktemp("begun")
    return runs.data(root / "data"), finders.folder(root / "model")


def test_a_run_leaves_out_the_head_that_its_recipe_does_not_build(begun, tmp_path, capfd):
    data, model = begun
    path = runs.recipe(tmp_path / "recipe.yaml", start=str(model), stages=9, model=_without_heads())
    values = read_recipe(path).model_dump(mode="json") | {"stages": STAGES[1:3]}
    out = tmp_path / "out"
    folder = train(runs.written(path, values), data, out, max_steps=1)
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "left out" in line]
    assert line == f"{model / 'model.safetensors'}: left out boxes, tags, which this recipe does not build."
    before, after = load_file(model / "model.safetensors"), load_file(folder / "model.safetensors")
    assert {name.partition(".")[0] for name in set(before) - set(after)} == {"boxes", "tags"}
    assert all(torch.equal(after[name], before[name]) for name in after if name.startswith("vision."))
    whole = read_recipe(folder / "recipe.yaml")
    assert not whole.start and "boxes" not in whole.model and whole.in_stage(0).model["boxes"]["width"] == 16


def test_a_run_without_numbers_of_its_own_has_those_of_the_model(begun, tmp_path):
    data, model = begun
    path = runs.recipe(tmp_path / "recipe.yaml", start=str(model), model={}, stages=2)
    folder = train(path, data, tmp_path / "out", only_stage="align", max_steps=1)
    assert read_recipe(folder / "recipe.yaml").model == read_recipe(model / "recipe.yaml").model
    before, after = load_file(model / "model.safetensors"), load_file(folder / "model.safetensors")
    assert set(after) == set(before)
    changed = {name.partition(".")[0] for name in after if not torch.equal(after[name], before[name])}
    assert changed == {"bridge"}


def _without_heads():
    return read_recipe(runs.tiny("lhrs_bot")).model | {"num_tags": 0}
