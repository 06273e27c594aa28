"""The box head: shapes on any grids, the loss against hand-made maps, peaks, and that it learns what a phrase means."""

import pytest
import torch

from rsvlm.parts.heads.boxes import BoxHead, box_loss, giou, peaks

DIMS = (6, 5, 4)


def head(**more):
    torch.manual_seed(0)
    return BoxHead(level_dims=DIMS, phrase_dim=8, **{"width": 16, "depth": 2, "heads": 2} | more)


def levels(count, sides=(8, 8, 4), seed=1):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(count, side * side, dim, generator=draw) for side, dim in zip(sides, DIMS, strict=True)]


@pytest.mark.parametrize("sides", [(8, 8, 4), (20, 10, 5)])
def test_a_heat_and_a_box_for_every_cell_of_the_finest_level(sides):
    heat, boxes = head()(levels(2, sides), torch.randn(2, 8))
    assert heat.shape == (2, sides[0], sides[0]) and boxes.shape == (2, sides[0], sides[0], 4)
    assert (
        boxes[..., 2:] > boxes[..., :2]
    ).all() and heat.sigmoid().mean() < 0.05  # few cells are centres at the start
    middles = (torch.arange(sides[0]) + 0.5) / sides[0]
    x1, y1, x2, y2 = boxes.unbind(-1)
    assert ((x1 < middles) & (middles < x2)).all()  # x runs along the last axis, y along the one before
    assert ((y1 < middles[:, None]) & (middles[:, None] < y2)).all()


def test_the_phrase_steers():
    one = head().requires_grad_(False)
    for block in one.blocks:
        torch.nn.init.normal_(block.film.weight, std=0.5)
    seen = levels(1)
    assert not torch.allclose(one(seen, torch.ones(1, 8))[0], one(seen, torch.arange(8.0)[None])[0], atol=1e-3)


def perfect(box, side=8):
    """Maps that say exactly this box in the cell of its centre."""
    heat, boxes = torch.full((1, side, side), -12.0), torch.zeros(1, side, side, 4)
    x, y = int((box[0] + box[2]) / 2 * side), int((box[1] + box[3]) / 2 * side)
    heat[0, y, x], boxes[0, :, :] = 12.0, torch.tensor(box)
    return heat, boxes


def test_the_loss_is_small_where_the_maps_are_right_and_only_there():
    box = (0.1, 0.55, 0.3, 0.75)
    heat, boxes = perfect(box)
    target = torch.tensor([[box, (-1.0,) * 4]])
    right = box_loss(heat, boxes, target)
    assert right["heat"] < 1e-3 and right["boxes"] < 1e-4
    assert box_loss(heat.transpose(1, 2), boxes, target)["heat"] > 5  # x and y are not to be swapped
    assert box_loss(heat, boxes.flip(-1).flip(-1) + 0.1, target)["boxes"] > 0.5
    nothing = box_loss(heat, boxes, torch.full((1, 2, 4), -1.0))
    assert nothing["boxes"] == 0 and nothing["heat"] > 5  # a peak where there is nothing
    assert box_loss(torch.full((1, 8, 8), -12.0), boxes, torch.full((1, 2, 4), -1.0))["heat"] < 1e-3


def test_giou_by_hand():
    one, other = torch.tensor([[0.0, 0, 2, 2]] * 3), torch.tensor([[0.0, 0, 2, 2], [1, 0, 3, 2], [3, 0, 4, 1]])
    assert torch.allclose(giou(one, other), torch.tensor([1.0, 1 / 3, -3 / 8]))


def test_peaks_are_the_best_first_without_their_neighbours():
    heat = torch.full((1, 8, 8), -9.0)
    heat[0, 2, 3], heat[0, 2, 4], heat[0, 6, 6] = 1.0, 0.5, 2.0
    boxes = torch.rand(1, 8, 8, 4)
    scores, found = peaks(heat, boxes, most=3)
    assert torch.allclose(scores[0, :2], torch.tensor([2.0, 1.0]).sigmoid()) and scores[0, 2] < 0.01
    assert torch.equal(found[0, :2], torch.stack([boxes[0, 6, 6], boxes[0, 2, 3]]))


def test_it_learns_left_from_right():
    """Two marks in the picture; the phrase says which of them is meant."""
    one = head(depth=1)
    moving = torch.optim.Adam(one.parameters(), 3e-3)
    draw = torch.Generator().manual_seed(0)
    said = torch.eye(8)[:2]

    def batch(count):
        seen = [torch.zeros_like(level) for level in levels(count)]
        row = torch.randint(8, (count, 2), generator=draw)
        column = torch.stack(
            [torch.randint(0, 4, (count,), generator=draw), torch.randint(4, 8, (count,), generator=draw)], 1
        )
        for k in (0, 1):
            seen[0][torch.arange(count), row[:, k] * 8 + column[:, k]] = 1.0 + torch.arange(6.0)
        which = torch.randint(2, (count,), generator=draw)
        at = torch.arange(count)
        middle = torch.stack([column[at, which], row[at, which]], 1) / 8 + 1 / 16
        return seen, said[which], torch.cat([middle - 0.1, middle + 0.1], 1)[:, None]

    for _ in range(150):
        seen, phrase, target = batch(32)
        sum(box_loss(*one(seen, phrase), target).values()).backward()
        moving.step()
        moving.zero_grad()
    seen, phrase, target = batch(64)
    found = peaks(*one(seen, phrase), most=1)[1][:, 0]
    assert (giou(found, target[:, 0]) > 0.5).float().mean() > 0.9
