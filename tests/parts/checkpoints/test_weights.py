"""Tables of weights: names, layouts, tied matrices. Whole files: tests/systems/test_*_published.py."""

import pytest
import torch

from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.weights import WeightTable, adopt

TABLE = WeightTable({r"(\w+)\.kernel": r"\1.weight"}, {"step": "a counter"}, {r"turned\..+": lambda tensor: tensor.mT})
OWN = {"turned.weight": torch.zeros(3, 2), "plain.weight": torch.zeros(2, 3)}


def test_a_layout_turns_the_tensors_that_it_names():
    turned, plain = torch.randn(2, 3), torch.randn(2, 3)
    state, account = adopt({"turned.kernel": turned, "plain.kernel": plain, "step": turned}, OWN, TABLE, source="x")
    assert torch.equal(state["turned.weight"], turned.mT) and torch.equal(state["plain.weight"], plain)
    assert account.loaded == {"turned.kernel": "turned.weight", "plain.kernel": "plain.weight"}
    assert account.ignored == {"step": "a counter"}


def test_the_shape_counts_as_it_lies_in_ours():
    with pytest.raises(BadInput, match=r"turned.kernel has shape \(2, 3\), expected \(3, 2\)"):
        adopt({"turned.kernel": torch.zeros(3, 2), "plain.kernel": torch.zeros(2, 3)}, OWN, TABLE, source="x")


def test_layouts_follow_their_table():
    below = TABLE.under("net.", "part.") | WeightTable({}, {}, {"other": lambda tensor: tensor[0]})
    assert below.laid_out("net.turned.kernel", torch.zeros(2, 3)).shape == (3, 2)
    assert below.laid_out("turned.kernel", torch.zeros(2, 3)).shape == (2, 3)
    assert below.laid_out("other", torch.zeros(2, 3)).shape == (3,)
    assert below.ours("net.turned.kernel") == "part.turned.weight"


def test_a_tied_matrix_may_come_under_each_of_its_names():
    table = WeightTable({"embed|head": "words"})
    words = torch.randn(4, 2)
    state, account = adopt({"embed": words, "head": words.clone()}, {"words": words}, table, source="x")
    assert torch.equal(state["words"], words) and account.loaded == {"embed": "words", "head": "words"}
    with pytest.raises(BadInput, match="holds head twice"):
        adopt({"embed": words, "head": words + 1}, {"words": words}, table, source="x")
