"""Rows that conversations share: every token has one place, and comes back to where it was."""

import torch

from rsvlm.parts.packing import Packing

ROW = torch.tensor([0, 1, 0])
REAL = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 1, 1]], dtype=torch.bool)  # padded on both sides


def test_conversations_follow_one_another_without_padding():
    packing = Packing(ROW, REAL)
    ids = torch.arange(12).view(3, 4)
    assert packing.pack(ids, -1).tolist() == [[1, 2, 10, 11], [4, 5, 6, 7]]
    short = Packing(torch.tensor([0, 1, 1]), REAL)
    assert short.pack(ids, -1).tolist() == [[1, 2, -1, -1, -1, -1], [4, 5, 6, 7, 10, 11]]
    assert packing.of_rows(torch.tensor([5, 7, 5])).tolist() == [5, 7]


def test_there_and_back_with_gradients():
    packing, x = Packing(ROW, REAL), torch.randn(3, 4, 5, requires_grad=True)
    back = packing.unpack(packing.pack(x))
    assert back.shape == x.shape and torch.equal(back[REAL], x[REAL])
    back[REAL].sum().backward()
    assert torch.equal(x.grad, REAL[..., None].expand_as(x).float())
