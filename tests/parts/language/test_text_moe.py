"""The released Text-MoE: each word by hand, its published size, and what is ours: a start that changes nothing."""

import pytest
import torch
from torch.nn import functional as F

from rsvlm.parts.language.text_moe import TextMoE


def by_hand(moe, x):
    """One word (D,) through the formula of the sheet, expert for expert."""
    p = torch.softmax(moe.gate.weight @ x + moe.gate.bias, 0)
    best = sorted(range(len(p)), key=lambda i: -p[i])[: moe.top_k]

    def expert(mlp):
        return mlp[3].weight @ F.gelu(mlp[0].weight @ x + mlp[0].bias) + mlp[3].bias

    chosen = sum(p[i] / sum(p[j] for j in best) * expert(moe.routed[i]) for i in best)
    return chosen + sum(expert(mlp) for mlp in moe.shared)


@torch.no_grad()
def test_every_word_by_hand():
    torch.manual_seed(0)
    moe, x = TextMoE(12, experts=5, top_k=3, shared=1, residual=False).eval(), torch.randn(2, 4, 12)
    for row, out in zip(x.flatten(0, 1), moe(x).flatten(0, 1), strict=True):
        assert torch.allclose(out, by_hand(moe, row), atol=1e-6)


def test_shares_are_one_and_who_is_not_chosen_learns_nothing():
    torch.manual_seed(0)
    moe = TextMoE(8, experts=4, top_k=2, shared=1, residual=False)
    x = torch.randn(1, 8)
    _, shares, chosen = moe.route(x)
    assert shares.sum().item() == pytest.approx(1) and shares[0, 0] >= shares[0, 1]
    moe(x).sum().backward()
    taught = {i for i, expert in enumerate(moe.routed) if any(p.grad.any() for p in expert.parameters())}
    assert taught == set(chosen[0].tolist()) and len(taught) == 2


def test_ours_starts_as_if_it_were_not_there_and_learns():
    torch.manual_seed(0)
    ours, released = TextMoE(8), TextMoE(8, residual=False)
    x = torch.randn(3, 5, 8)
    assert torch.equal(ours(x), x) and not torch.allclose(released.eval()(x), x, atol=0.1)
    ours(x).sum().backward()
    assert all(p.grad is not None for p in ours.parameters()) and ours.shared[0][3].weight.grad.any()


@pytest.mark.parametrize(("dim", "parameters"), [(4096, 805_445_636), (5120, 1_258_465_284)])
def test_the_published_sizes(dim, parameters):
    with torch.device("meta"):
        moe = TextMoE(dim)
    assert sum(p.numel() for p in moe.parameters()) == parameters


def test_no_more_can_be_chosen_than_there_are():
    with pytest.raises(ValueError, match="3 of 2 experts"):
        TextMoE(8, experts=2, top_k=3)
