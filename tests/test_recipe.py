"""Recipes: what a stage may change of the model, and that a recipe which changes nothing keeps its hash."""

from pathlib import Path

import pytest

from fake import runs
from fake.runs import stage
from rsvlm.errors import BadInput
from rsvlm.recipe import RECIPES, Recipe, read_recipe, shipped

ROOT = Path(__file__).resolve().parents[1]


def test_a_stage_replaces_single_numbers_of_the_model_at_any_depth():
    recipe = Recipe(
        system="x", size="y", model={"frame": "llama3", "bridge": {"experts": 4, "more": {"a": 1, "b": 2}}},
        stages=(stage(model={"frame": "plain", "bridge": {"experts": 0, "more": {"a": 9}}, "new": {"c": 3}}), stage()),
    )  # fmt: skip
    assert recipe.in_stage(0).model == {
        "frame": "plain", "bridge": {"experts": 0, "more": {"a": 9, "b": 2}}, "new": {"c": 3}
    }  # fmt: skip
    assert recipe.in_stage(1) == recipe
    assert recipe.model["bridge"] == {"experts": 4, "more": {"a": 1, "b": 2}}
    assert recipe.stages[0].model["bridge"]["more"] == {"a": 9}


def test_stages_that_change_nothing_hash_as_the_finished_model_says():
    """The scores of rsvlm-mini name the hash of its recipe; those of its words, from before stages could change
    numbers and before it had a match head, that of the recipe without; those of its matches, without its change head.
    """
    mini = ROOT / "packages" / "rsvlm-mini" / "src" / "rsvlm_mini"
    shipped = read_recipe(mini / "recipe.yaml")
    model = {key: value for key, value in shipped.model.items() if key != "change"}
    stages = tuple(
        stage.model_copy(update={"model": {key: value for key, value in stage.model.items() if key != "change"}})
        for stage in shipped.stages[:-1]
    )
    recipe = shipped.model_copy(
        update={"size": "mini_match", "views": 2, "save_every": 50, "model": model, "stages": stages}
    )
    model = {key: value for key, value in recipe.model.items() if key != "match"}
    stages = tuple(stage.model_copy(update={"model": {}}) for stage in recipe.stages[:-1])
    before = recipe.model_copy(
        update={"size": "mini_boxes", "precision": "bf16", "views": 8, "model": model, "stages": stages}
    )
    for one, name in ((recipe, "ucm_zero_shot"), (before, "eurosat")):
        assert f'"recipe": "{one.hash}"' in (mini / "scores" / name / "result.json").read_text()


def test_a_number_that_a_stage_changes_is_in_the_hash():
    recipe = Recipe(system="x", size="y", stages=(stage(), stage(model={"frame": "plain"})))
    other = recipe.model_copy(update={"stages": (stage(), stage())})
    assert recipe.hash != other.hash and recipe.hash_up_to(1) == other.hash_up_to(1)


def test_every_tiny_recipe_ends_in_the_form_that_it_describes():
    for path in runs.TINY:
        recipe = read_recipe(path)
        assert recipe.in_stage(len(recipe.stages) - 1).model == recipe.model, path


def test_the_recipes_come_with_the_package():
    assert shipped("lhrs_bot") == runs.RECIPES / "lhrs_bot" / "paper.yaml"
    assert {path.name for path in runs.RECIPES.iterdir()} == {path.parent.name for path in runs.TINY}
    with pytest.raises(
        BadInput, match=r"No recipe of 'bogus' at size 'paper' comes with rsvlm; there are: .*lhrs_bot, "
    ):
        shipped("bogus")


@pytest.mark.parametrize(
    "name", ["lhrs_bot/tiny", "recipes/lhrs_bot/tiny.yaml", "src/rsvlm/recipes/lhrs_bot/tiny.yaml"]
)
def test_a_shipped_recipe_is_read_by_its_name_from_anywhere(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_recipe(name) == read_recipe(RECIPES / "lhrs_bot" / "tiny.yaml")
    own = tmp_path / name
    own.parent.mkdir(parents=True)
    own.write_text("{system: lhrs_bot, size: own}", encoding="utf-8")
    assert read_recipe(name).size == "own"  # a file that is there goes first


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(BadInput, match=r"no recipe at lhrs_bot/huge; .*lhrs_bot/mini, .*skyeyegpt/tiny"):
        read_recipe("lhrs_bot/huge")


def test_recipes_are_files_of_the_package():
    assert (
        not any(path.is_symlink() for path in (RECIPES, *RECIPES.rglob("*"))) and len([*RECIPES.glob("*/*.yaml")]) == 46
    )
