"""The perceiver with positions: its published sizes, who reads what and from where. Numbers: tests/test_golden.py."""

import pytest
import torch

from rsvlm.parts.bridges.positioned_perceiver import PositionedPerceiver, sin_cos


def perceiver(**changes):
    torch.manual_seed(0)
    numbers = {"level_dims": (8, 8, 8), "grid": (2, 3), "num_queries": (4, 3, 2), "width": 8, "depth": 2, "heads": 2,
               "output_dim": 12}  # fmt: skip
    return PositionedPerceiver(**{**numbers, **changes}).eval()


@pytest.mark.parametrize(("experts", "published"), [(0, 100_698_112), (4, 291_960_160)])
def test_the_published_sizes(experts, published):
    with torch.device("meta"):
        paper = perceiver(
            level_dims=(1152,) * 3, grid=(27, 27), num_queries=(112, 96, 64), width=1152, depth=6, heads=8,
            output_dim=4096, experts=experts, selects=2,
        )  # fmt: skip
    assert sum(p.numel() for p in paper.parameters()) == published
    assert paper.query.shape == (1, 272, 1152) and paper.positions.shape == (729, 1152)
    assert "positions" not in paper.state_dict()


@torch.no_grad()
@pytest.mark.parametrize("experts", [0, 4])
def test_each_level_is_read_by_its_own_queries_only(experts):
    bridge = perceiver(experts=experts)
    levels = [torch.randn(2, 6, 8) for _ in range(3)]
    out = bridge(levels)
    assert out.shape == (2, 9, 12)
    for level, mine in enumerate((slice(0, 4), slice(4, 7), slice(7, 9))):
        changed = bridge([x + (i == level) * torch.arange(8).sin() * 3 for i, x in enumerate(levels)])
        moved = (changed - out).abs().amax((0, 2)) > 1e-5
        assert moved[mine].all() and moved.sum() == mine.stop - mine.start


@torch.no_grad()
def test_a_token_is_read_from_its_place():
    bridge, levels = perceiver(), [torch.randn(2, 6, 8) for _ in range(3)]
    assert not torch.allclose(bridge([x.flip(1) for x in levels]), bridge(levels), atol=1e-4)
    bridge.positions.zero_()
    assert torch.allclose(bridge([x.flip(1) for x in levels]), bridge(levels), atol=1e-6)


@torch.no_grad()
def test_positions_are_in_the_keys_and_not_in_the_values():
    """Where all tokens are one, attention mixes equal values: positions then change nothing."""
    bridge, levels = perceiver(), [torch.randn(2, 1, 8).expand(2, 6, 8) for _ in range(3)]
    before = bridge(levels)
    bridge.positions.mul_(10)
    assert torch.allclose(bridge(levels), before, atol=1e-5)


@torch.no_grad()
def test_batch_rows_do_not_mix():
    bridge, levels = perceiver(experts=3), [torch.randn(3, 6, 8) for _ in range(3)]
    assert torch.allclose(bridge([x[1:2] for x in levels]), bridge(levels)[1:2], atol=1e-6)


def test_positions_count_columns_first():
    table = sin_cos(5, 7, 16)
    assert table.shape == (5, 7, 16)
    for row, column in ((0, 0), (4, 0), (0, 6), (3, 2)):
        speed = 10000 ** -(torch.arange(4) / 4)
        wanted = torch.cat([f(n * speed) for n in (column, row) for f in (torch.sin, torch.cos)])
        assert torch.allclose(table[row, column], wanted, atol=1e-6)
    with pytest.raises(ValueError, match="multiple of 4, not 6"):
        sin_cos(2, 2, 6)


@pytest.mark.parametrize("experts", [0, 4])
def test_every_parameter_gets_a_gradient(experts):
    bridge = perceiver(level_dims=(5, 5, 5), experts=experts).train()
    torch.manual_seed(1)
    (bridge([torch.randn(4, 6, 5) for _ in range(3)]) * torch.randn(4, 9, 12)).sum().backward()
    assert [name for name, p in bridge.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_levels_must_fit():
    with pytest.raises(ValueError, match="names 2 levels, the tower gives 3"):
        perceiver(num_queries=(4, 3))
    with pytest.raises(ValueError, match=r"gives \[8, 8, 9\]"):
        perceiver(level_dims=(8, 8, 9))
