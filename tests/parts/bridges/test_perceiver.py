"""The perceiver: its published size, who reads what, and the forms that are ours. Its numbers: tests/test_golden.py."""

import pytest
import torch

from rsvlm.parts.bridges.perceiver import MultiLevelPerceiver


def perceiver(**changes):
    torch.manual_seed(0)
    numbers = {"level_dims": (8, 8, 8), "num_queries": (4, 3, 2), "width": 8, "depth": 2, "heads": 2, "output_dim": 12}
    return MultiLevelPerceiver(**{**numbers, **changes}).eval()


def test_the_published_size():
    with torch.device("meta"):
        paper = perceiver(
            level_dims=(1024,) * 3, num_queries=(64, 48, 32), width=1024, depth=6, heads=16, output_dim=4096
        )
    assert sum(p.numel() for p in paper.parameters()) == 79_935_488
    assert paper.query.shape == (1, 144, 1024) and len(paper.in_proj) == 0 and len(paper.position) == 0


@torch.no_grad()
def test_each_level_is_read_by_its_own_queries_only():
    bridge = perceiver()
    levels = [torch.randn(2, n, 8) for n in (6, 5, 4)]
    out = bridge(levels)
    assert out.shape == (2, 9, 12)
    for level, mine in enumerate((slice(0, 4), slice(4, 7), slice(7, 9))):
        changed = bridge([x + (i == level) * torch.arange(8) for i, x in enumerate(levels)])
        moved = (changed - out).abs().amax((0, 2)) > 1e-4
        assert moved[mine].all() and moved.sum() == mine.stop - mine.start


@torch.no_grad()
def test_the_order_of_image_tokens_does_not_matter_without_positions():
    bridge, levels = perceiver(), [torch.randn(2, n, 8) for n in (6, 5, 4)]
    assert torch.allclose(bridge([x.flip(1) for x in levels]), bridge(levels), atol=1e-6)


@torch.no_grad()
def test_batch_rows_do_not_mix():
    bridge, levels = perceiver(), [torch.randn(3, n, 8) for n in (6, 5, 4)]
    assert torch.allclose(bridge([x[1:2] for x in levels]), bridge(levels)[1:2], atol=1e-6)


def test_one_map_for_levels_of_one_width_and_one_each_where_they_differ():
    assert len(perceiver(level_dims=(8, 8, 8)).in_proj) == 0
    one = perceiver(level_dims=(5, 5, 5))
    assert len(one.in_proj) == 1 and [type(m).__name__ for m in one.in_proj[0]] == ["Identity", "Linear"]
    each = perceiver(level_dims=(5, 6, 7))
    assert len(each.in_proj) == 3
    assert each([torch.randn(1, 4, d) for d in (5, 6, 7)]).shape == (1, 9, 12)


@torch.no_grad()
def test_grid_queries_start_at_their_own_cell():
    bridge = perceiver(num_queries=(4, 4, 1), start="grid", level_tokens=(16, 16, 4), depth=1)
    levels = [torch.randn(1, n, 8) for n in (16, 16, 4)]
    bridge.layers[0].attention.out_proj.weight.zero_()  # without attention a query is its start, through its own MLP
    out = bridge(levels)
    top_left = levels[0].clone()
    top_left[:, [0, 1, 4, 5]] += torch.randn(8)  # the first quarter of the 4 x 4 grid
    moved = (bridge([top_left, *levels[1:]]) - out).abs().amax((0, 2)) > 1e-4
    assert moved.tolist() == [True, *[False] * 8]


def test_every_parameter_gets_a_gradient():
    bridge = perceiver(level_dims=(5, 6, 7), num_queries=(4, 4, 1), start="grid", level_tokens=(16, 16, 4))
    torch.manual_seed(1)
    (bridge([torch.randn(2, n, d) for n, d in ((16, 5), (16, 6), (4, 7))]) * torch.randn(2, 9, 12)).sum().backward()
    assert [name for name, p in bridge.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_as_many_query_groups_as_levels():
    with pytest.raises(ValueError, match="names 2 levels, the tower gives 3"):
        perceiver(num_queries=(4, 3))
