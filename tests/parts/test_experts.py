"""Experts: who is chosen, how much it counts, and what starting from one MLP keeps. Numbers: tests/test_golden.py."""

import pytest
import torch
from torch.nn import functional as F

from rsvlm.errors import BadInput
from rsvlm.parts.experts import Experts, NoisyTopKRouter, mlp, upcycle


def mixture(activation="none", experts=4, selects=2):
    torch.manual_seed(0)
    return Experts(8, 16, experts=experts, selects=selects, activation=activation)


@torch.no_grad()
def test_each_token_is_the_sum_of_its_chosen_experts_by_share():
    layer, x = mixture("gelu").eval(), torch.randn(2, 5, 8)
    wanted = torch.zeros_like(x)
    for index in [(b, t) for b in range(2) for t in range(5)]:
        best, chosen = layer.router.gate(x[index]).sort(descending=True)
        for share, expert in zip(best[:2].softmax(0), chosen[:2], strict=True):
            wanted[index] += share * layer.experts[expert](x[index])
    assert torch.allclose(layer(x), wanted, atol=1e-6)


@torch.no_grad()
def test_the_order_of_tokens_does_not_matter():
    layer, x = mixture().eval(), torch.randn(1, 64, 8)
    order = torch.randperm(64)
    assert torch.allclose(layer(x[:, order]), layer(x)[:, order], atol=1e-6)


@torch.no_grad()
def test_noise_is_for_training_only():
    layer, x = mixture(), torch.randn(3, 7, 8)
    assert torch.equal(layer.eval()(x), layer(x))
    assert not torch.equal(layer.train()(x), layer(x))
    torch.manual_seed(5)
    first = layer(x)
    torch.manual_seed(5)
    assert torch.equal(layer(x), first)


@torch.no_grad()
def test_the_noise_has_the_size_that_the_router_says():
    router, x = NoisyTopKRouter(8, 3, 3), torch.randn(1, 8).expand(20_000, 8)
    torch.nn.init.normal_(router.noise.weight)
    shares, chosen = router(x)
    logits = torch.empty_like(shares).scatter(1, chosen, shares.log())
    gate, size = router.gate(x[0]), F.softplus(router.noise(x[0])) + 0.01
    difference = logits[:, 0] - logits[:, 1]  # what shares tell: logits but for a constant
    assert difference.mean() == pytest.approx(float(gate[0] - gate[1]), abs=0.05)
    assert difference.std() == pytest.approx(float((size[0] ** 2 + size[1] ** 2).sqrt()), rel=0.05)


def test_the_noise_starts_alike_for_all_experts_and_is_learned():
    layer = mixture()
    assert not layer.router.noise.weight.any()
    layer(torch.randn(4, 8)).sum().backward()
    assert layer.router.noise.weight.grad.any()


def test_an_expert_without_tokens_gets_a_gradient_of_zeros():
    """In slices over processes every expert must run everywhere, whoever chose it."""
    layer = mixture(selects=1).eval()
    layer(torch.randn(1, 8)).sum().backward()
    grads = [expert[0].weight.grad for expert in layer.experts]
    assert all(grad is not None for grad in grads) and sum(bool(grad.any()) for grad in grads) == 1


@torch.no_grad()
def test_released_experts_are_affine_and_those_with_gelu_are_not():
    x, y = torch.randn(2, 6, 8).unbind()
    for activation, affine in (("none", True), ("gelu", False)):
        expert = mixture(activation).experts[0]
        assert torch.allclose(expert((x + y) / 2), (expert(x) + expert(y)) / 2, atol=1e-6) is affine


@pytest.mark.parametrize("selects", [0, 5])
def test_no_more_can_be_chosen_than_there_are(selects):
    with pytest.raises(ValueError, match=f"{selects} of 4 experts"):
        mixture(selects=selects)


class Block(torch.nn.Module):
    """A layer with an MLP, or with experts in its place."""

    def __init__(self, inner):
        super().__init__()
        self.norm, self.mlp = torch.nn.LayerNorm(8), inner

    def forward(self, x):
        return x + self.mlp(self.norm(x))


def upcycled(activation):
    """A dense block and the one of experts that starts from it, both with weights of their own before."""
    torch.manual_seed(1)
    dense, mixed = Block(mlp(8, 16)).eval(), Block(mixture(activation)).eval()
    torch.nn.init.normal_(dense.norm.weight)
    state = upcycle(dense.state_dict(), mixed.state_dict())
    assert set(mixed.state_dict()) - set(state) == {n for n in mixed.state_dict() if ".router." in n}
    mixed.load_state_dict({**mixed.state_dict(), **state})
    return dense, mixed, state


@torch.no_grad()
def test_experts_with_the_activation_of_the_mlp_compute_what_it_did():
    dense, mixed, _ = upcycled("gelu")
    x = torch.randn(3, 5, 8)
    assert torch.allclose(mixed(x), dense(x), atol=1e-5)
    assert torch.allclose(mixed.train()(x), dense(x), atol=1e-5)  # whoever the noise chooses


@torch.no_grad()
def test_released_experts_compute_the_mlp_without_its_gelu():
    dense, mixed, _ = upcycled("none")
    x = torch.randn(3, 5, 8)
    linear = x + dense.mlp[2](dense.mlp[0](dense.norm(x)))
    assert torch.allclose(mixed(x), linear, atol=1e-5) and not torch.allclose(mixed(x), dense(x), atol=1e-2)


def test_experts_share_no_memory_after_the_start():
    _, mixed, state = upcycled("none")
    places = {tensor.data_ptr() for tensor in state.values()}
    assert len(places) == len(state)
    with torch.no_grad():
        mixed.mlp.experts[0][0].weight.zero_()
    assert mixed.mlp.experts[1][0].weight.all()


def test_weights_without_a_place_are_refused():
    dense, mixed, _ = upcycled("none")
    own = mixed.state_dict()
    with pytest.raises(BadInput, match=r"gone\.bias has no place"):
        upcycle({**dense.state_dict(), "gone.bias": torch.ones(1)}, own)
    with pytest.raises(BadInput, match=r"norm\.weight has no place"):
        upcycle({**dense.state_dict(), "norm.weight": torch.ones(9)}, own)
