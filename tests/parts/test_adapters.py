"""Adapters in a tower: which parameters are new, what they compute by hand, and that the tower's own stay."""

import pytest
import torch
from torch.nn import functional as F

from fake import batches, runs
from rsvlm.parts.experts import upcycle
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build
from rsvlm.systems.cards import CARDS
from rsvlm.train.stages import freeze

TINY = read_recipe(runs.tiny("georsclip"))
LORA = {"lora": {"r": 4, "lora_alpha": 4, "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj"]}}
PREFIX, BOTTLENECK = {"prefix": {"length": 3, "hidden": 8}}, {"bottleneck": {"reduction": 4}}
KINDS = {
    "lora": LORA, "prefix": PREFIX, "bottleneck": BOTTLENECK,
    "unipelt": {"gated": True, **LORA, **PREFIX, **BOTTLENECK},
}  # fmt: skip
every_kind = pytest.mark.parametrize("kind", KINDS)


def system(adapters=None):
    torch.manual_seed(0)
    return build(TINY.model_copy(update={"model": {**TINY.model, "adapters": adapters}})).eval()


@pytest.fixture(scope="module")
def plain():
    return system()


@pytest.fixture(scope="module")
def batch(plain):
    return batches.pairs(plain, batches.build_tokenizer(TINY))


def adapted(plain, kind):
    """The plain system's weights under these adapters, as a run that starts from it has them."""
    model = system(KINDS[kind])
    model.load_state_dict({**model.state_dict(), **upcycle(plain.state_dict(), model.state_dict())})
    return model


def new(model, plain):
    own = {name for name, _ in plain.named_parameters()}
    return {name for name, _ in model.named_parameters() if name.replace(".base_layer.", ".") not in own}


@every_kind
def test_every_weight_of_the_tower_is_still_there(kind, plain):
    model = adapted(plain, kind)
    state = {name.replace(".base_layer.", "."): tensor for name, tensor in model.state_dict().items()}
    assert all(torch.equal(state[name], tensor) for name, tensor in plain.state_dict().items())


@every_kind
def test_exactly_the_adapters_are_trained_and_all_of_them(kind, plain, batch):
    model = adapted(plain, kind).train()
    parts = [part for part in ("lora", "prefix", "bottleneck") if part in KINDS[kind]]
    patterns = [f"{tower}.{part}" for tower in ("vision", "text") for part in parts]
    freeze(model, patterns)
    moving = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert moving == new(model, plain) and moving
    for name in moving:  # nothing hides behind what starts at zero
        torch.nn.init.normal_(model.get_parameter(name), std=0.2)
    sum(model.loss(batch).values()).backward()
    assert {n for n, p in model.named_parameters() if p.grad is not None and p.grad.any()} == moving


@torch.no_grad()
@pytest.mark.parametrize("kind", ["lora", "bottleneck"])
def test_an_adapter_that_starts_at_zero_changes_nothing(kind, plain, batch):
    model = adapted(plain, kind)
    for embed in ("embed_image", "embed_text"):
        assert torch.equal(getattr(model, embed)(batch), getattr(plain, embed)(batch))
    for name in new(model, plain):
        torch.nn.init.normal_(model.get_parameter(name), std=0.5)
    for embed in ("embed_image", "embed_text"):
        assert not torch.allclose(getattr(model, embed)(batch), getattr(plain, embed)(batch), atol=1e-3)


@torch.no_grad()
def test_lora_becomes_part_of_the_weights(plain, batch):
    model = adapted(plain, "lora")
    for name in new(model, plain):
        torch.nn.init.normal_(model.get_parameter(name), std=0.3)
    before = model.embed_image(batch), model.embed_text(batch)
    model.merge_adapters()
    assert model.state_dict().keys() == plain.state_dict().keys()
    for one, other in zip(before, (model.embed_image(batch), model.embed_text(batch)), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_attention_with_prefixes_by_hand(causal, gated):
    """Each token looks at the learned keys, then at those of the tokens (that are before it)."""
    kind = {"gated": True, **PREFIX, **LORA, **BOTTLENECK} if gated else PREFIX
    model = system(kind)
    tower = model.text.model if causal else model.vision.model
    attention, heads = tower.encoder.layers[1].self_attn, tower.config.num_attention_heads
    width = tower.config.hidden_size
    x, prefixes = torch.randn(2, 5, width), torch.randn(3, 2, 3, width)
    found, _ = attention(x, prefixes=prefixes, is_causal=causal)
    share = torch.ones(2, 1, 1)
    if gated:
        gate = attention.prefix_gate.map
        share = (x @ gate.weight.T + gate.bias).sigmoid().mean(1, keepdim=True)
    keys = torch.cat([prefixes[1, 0] * share, attention.k_proj(x)], 1)
    values = torch.cat([prefixes[1, 1] * share, attention.v_proj(x)], 1)
    out = []
    for token in range(5):
        last = 3 + token + 1 if causal else 8
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (
            attention.q_proj(x[:, token : token + 1]), keys[:, :last], values[:, :last]))  # fmt: skip
        mixed = ((q @ k.transpose(2, 3)) / (width // heads) ** 0.5).softmax(-1) @ v
        out.append(mixed.transpose(1, 2).flatten(2))
    assert torch.allclose(found, attention.out_proj(torch.cat(out, 1)), atol=1e-5)


@torch.no_grad()
def test_prefixes_come_from_an_mlp_over_learned_vectors(plain, batch):
    """One embedding and two maps with a tanh between for all layers, as AdapterHub's."""
    encoder = adapted(plain, "prefix").vision.model.encoder
    first, second = encoder.prefix.transform[0], encoder.prefix.transform[2]
    flat = second(first(encoder.prefix.embedding.weight).tanh())
    seen = []
    hook = encoder.layers[2].self_attn.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(kwargs["prefixes"]), with_kwargs=True
    )
    encoder(inputs_embeds=torch.randn(1, 4, 32))
    hook.remove()
    assert seen[0].shape == (3, 2, 3, 32)
    for layer in range(3):
        for part in range(2):
            at = (2 * layer + part) * 32
            assert torch.equal(seen[0][layer, part], flat[:, at : at + 32])


@torch.no_grad()
def test_a_bottleneck_stands_behind_its_layer_and_a_gate_weighs_it(plain):
    for kind in ("bottleneck", "unipelt"):
        layer = adapted(plain, kind).vision.model.encoder.layers[0]
        adapter = layer.bottleneck
        for parameter in adapter.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        x, more = torch.randn(2, 6, 32), {"prefixes": torch.randn(3, 2, 3, 32)} if kind == "unipelt" else {}
        found = layer(x, None, **more)
        layer._forward_hooks.clear()
        plainly = layer(x, None, **more)
        change = F.linear(F.linear(plainly, adapter.down.weight, adapter.down.bias).relu(), adapter.up.weight,
                          adapter.up.bias)  # fmt: skip
        if kind == "unipelt":
            gate = adapter.gate.map
            change = change * F.linear(plainly, gate.weight, gate.bias).sigmoid().mean(1, keepdim=True)
        assert torch.allclose(found, plainly + change, atol=1e-5) and adapter.down.out_features == 8


@torch.no_grad()
def test_gated_lora_adds_its_share(plain):
    linear = adapted(plain, "unipelt").vision.model.encoder.layers[0].self_attn.q_proj
    for parameter in linear.lora.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 6, 32)
    gate = linear.lora.gate.map
    share = F.linear(x, gate.weight, gate.bias).sigmoid().mean(1, keepdim=True)
    wanted = F.linear(x, linear.weight, linear.bias) + x @ linear.lora.down.weight.T @ linear.lora.up.weight.T * share
    assert torch.allclose(linear(x), wanted, atol=1e-5) and linear.lora.down.out_features == 4


WIDTHS, LAYERS = (768, 512), 12  # of ViT-B/32's towers


def lora(width):
    return LAYERS * 2 * 2 * 8 * width


def prefix(width, length=30, hidden=512):
    return length * width + (width + 1) * hidden + (hidden + 1) * LAYERS * 2 * width


def bottleneck(width):
    return LAYERS * (width * width // 16 * 2 + width // 16 + width)


def unipelt(width):
    gates = LAYERS * (2 + 1 + 1) * (width + 1)  # queries, values; prefixes; bottleneck
    return lora(width) + prefix(width, 10) + bottleneck(width) + gates


@pytest.mark.parametrize(
    "count, total", [(lora, 491_520), (prefix, 16_454_144), (bottleneck, 1_294_272), (unipelt, 18_275_872)]
)
def test_the_papers_forms_count_what_adapterhubs_defaults_do(count, total):
    """Over ViT-B/32, both towers. The paper gives no counts; these stand on the card."""
    recipe = read_recipe(f"georsclip/peft_{count.__name__}")
    with torch.device("meta"):
        groups = freeze(build(recipe, for_training=False), recipe.stages[0].trainable)
    found = sum(parameter.numel() for group in groups.values() for parameter in group)
    assert found == total == sum(map(count, WIDTHS)) and f"{total:,}" in CARDS["georsclip"].counted
