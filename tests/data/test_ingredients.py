"""The words of a recipe's mixture: one reading for training, traces and the leak check."""

import pytest

from rsvlm.data.ingredients import Made, datasets_of, parse
from rsvlm.errors import BadInput


def test_sets_and_builders():
    assert parse("rsicd") == (Made("rsicd"),)
    assert parse("ships/referring") == (Made("ships", "referring"),)
    assert parse("a+b/referring+a") == (Made("a"), Made("b", "referring"), Made("a"))
    assert datasets_of("a+b/referring+a") == ("a", "b")


@pytest.mark.parametrize("text", ["ships/refering", "a+ships/refering", "ships/"])
def test_an_unknown_builder_is_named_with_the_known_ones(text):
    with pytest.raises(BadInput, match=r"No builder is named '.*Known: referring"):
        parse(text)
