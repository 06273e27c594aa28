"""The words of a recipe's mixture: one reading for training, traces and the leak check."""

import pytest

from rsvlm.data.ingredients import IngredientSet, dataset_names, parse_ingredient
from rsvlm.errors import BadInput


def test_sets_and_builders():
    assert parse_ingredient("rsicd") == (IngredientSet("rsicd"),)
    assert parse_ingredient("ships/referring") == (IngredientSet("ships", "referring"),)
    assert parse_ingredient("a+b/referring+a") == (
        IngredientSet("a"),
        IngredientSet("b", "referring"),
        IngredientSet("a"),
    )
    assert dataset_names("a+b/referring+a") == ("a", "b")


@pytest.mark.parametrize("text", ["ships/refering", "a+ships/refering", "ships/"])
def test_an_unknown_builder_is_named_with_the_known_ones(text):
    with pytest.raises(BadInput, match=r"No builder is named '.*Known: referring"):
        parse_ingredient(text)
