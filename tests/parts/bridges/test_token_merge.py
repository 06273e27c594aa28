"""Merged tokens: which ones stand side by side, the published size, and adapters that start at nothing."""

import pytest
import torch

from rsvlm.errors import BadInput
from rsvlm.parts.bridges.token_merge import TokenMerge


def merge(**changes):
    torch.manual_seed(0)
    return TokenMerge(**{"dim": 3, "tokens": 16, "output_dim": 5, **changes})


@torch.no_grad()
def test_four_neighbours_of_a_row_become_one_token():
    bridge = merge(dim=1, output_dim=4)
    bridge.proj.weight.copy_(torch.eye(4))
    bridge.proj.bias.zero_()
    rows = torch.arange(16.0).view(1, 16, 1)  # a 4 x 4 grid, row by row
    assert bridge([rows * 0, rows]).tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]]


@torch.no_grad()
def test_channels_stay_together_as_a_plain_view_has_them():
    bridge, level = merge(), torch.randn(2, 16, 3)
    wanted = level.view(2, 4, 12) @ bridge.proj.weight.T + bridge.proj.bias
    assert torch.allclose(bridge([level]), wanted, atol=1e-6) and bridge.tokens == 4


def test_the_published_size():
    with torch.device("meta"):
        paper = TokenMerge(dim=1408, tokens=1024, output_dim=4096)
    assert paper.tokens == 256 and sum(p.numel() for p in paper.parameters()) == 5632 * 4096 + 4096


def test_adapters_start_at_nothing_and_learn():
    plain, adapted = merge(), merge(lora={"r": 2, "lora_alpha": 4})
    level = torch.randn(2, 16, 3)
    assert {n for n, _ in adapted.named_parameters()} == {
        "proj.base_layer.weight", "proj.base_layer.bias", "proj.lora_A.default.weight", "proj.lora_B.default.weight",
    }  # fmt: skip
    assert torch.equal(adapted([level]), plain([level]))
    adapted([level]).sum().backward()
    assert adapted.proj.lora_B["default"].weight.grad.any()


@pytest.mark.parametrize("group", [0, 3, -4])
def test_tokens_that_do_not_divide_are_refused(group):
    with pytest.raises(BadInput, match=f"16 tokens of an image cannot be merged {group} by {group}"):
        merge(group=group)
