"""LoRA experts: one is LoRA, none is the base, and the router shares out."""

import pytest
import torch
from torch import nn

from rsvlm.errors import BadInput
from rsvlm.parts.language.lora_experts import LoRAExperts, inject
from rsvlm.parts.language.model import LanguageModel, llama

X = torch.randn(5, 7, 12, generator=torch.Generator().manual_seed(0))
SMALL = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
}  # fmt: skip


def layer(experts, **numbers):
    torch.manual_seed(1)
    made = LoRAExperts(nn.Linear(12, 9), r=3, lora_alpha=6, experts=experts, **numbers)
    for up in made.lora_B:
        nn.init.normal_(up.weight)
    return made


def test_without_updates_it_is_the_base():
    made = LoRAExperts(nn.Linear(12, 9), r=3, lora_alpha=6, experts=4)
    assert torch.equal(made(X), made.base_layer(X))


def test_one_expert_is_lora():
    made = layer(1)
    a, b = made.lora_A[0].weight, made.lora_B[0].weight
    assert torch.equal(made(X), made.base_layer(X) + 2.0 * (X @ a.T @ b.T))
    from peft import LoraConfig, inject_adapter_in_model

    model = nn.Sequential(nn.Linear(12, 9))
    model[0].load_state_dict(made.base_layer.state_dict())
    theirs = inject_adapter_in_model(LoraConfig(r=3, lora_alpha=6, target_modules=["0"]), model)[0]
    theirs.lora_A["default"].weight.data, theirs.lora_B["default"].weight.data = a.data, b.data
    torch.testing.assert_close(made(X), theirs(X))


def test_shares_are_a_mixture_and_the_top_ones_only():
    shares = layer(4).shares(X)
    assert torch.allclose(shares.sum(-1), torch.ones(5, 7))
    best = layer(4, top=2).shares(X)
    assert ((best > 0).sum(-1) == 2).all() and torch.allclose(best.sum(-1), torch.ones(5, 7))
    assert torch.equal(best.argmax(-1), shares.argmax(-1))
    made = layer(4)
    by_hand = made.base_layer(X) + 2.0 * sum(
        shares[..., e, None] * up(down(X)) for e, (down, up) in enumerate(zip(made.lora_A, made.lora_B, strict=True))
    )
    torch.testing.assert_close(made(X), by_hand)


def test_only_the_named_maps_and_nothing_else_moves():
    model = llama(lora={"r": 2, "lora_alpha": 4, "experts": 3, "target_modules": ["q_proj", "down_proj"]}, **SMALL)
    found = [module for module in model.modules() if isinstance(module, LoRAExperts)]
    assert len(found) == 2 * 2
    assert all(("lora_" in name) == parameter.requires_grad for name, parameter in model.named_parameters())
    assert isinstance(model.merge(), LanguageModel)  # mixtures depend on the token: they stay
    assert sum(isinstance(module, LoRAExperts) for module in model.modules()) == 4
    with pytest.raises(BadInput, match="No linear map"):
        inject(nn.Sequential(nn.Linear(2, 2)), target_modules=["q_proj"], r=1, lora_alpha=1, experts=2)
