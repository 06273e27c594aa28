"""SigLIP's levels are what its layers give, whether or not layers, norm and head behind the last of them are there."""

import pytest
import torch
from transformers import SiglipVisionConfig, SiglipVisionModel

from rsvlm.parts.vision.siglip import SigLIPLevels

SIZES = {"width": 16, "heads": 2, "hidden": 40, "patch": 8, "size": 36}
TAPS = (9, 18, 26)


@pytest.fixture(scope="module")
def towers():
    """Ours of 26 layers, and the library's own of 27 with the same weights and everything behind them."""
    torch.manual_seed(0)
    ours = SigLIPLevels(depth=26, taps=TAPS, **SIZES).eval()
    config = SiglipVisionConfig(
        hidden_size=16, intermediate_size=40, num_hidden_layers=27, num_attention_heads=2, patch_size=8, image_size=36
    )
    whole = SiglipVisionModel(config).eval()
    for name, parameter in whole.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter)
    front = "vision_model." if any(name.startswith("vision_model.") for name in whole.state_dict()) else ""
    state = {name: tensor for name, tensor in whole.state_dict().items() if name in ours.model.state_dict()}
    assert set(state) == set(ours.model.state_dict())
    ours.model.load_state_dict(state)
    return ours, whole, front


@torch.no_grad()
def test_levels_are_the_outputs_of_their_layers(towers):
    ours, whole, front = towers
    outputs = {}
    for number, layer in enumerate(whole.get_submodule(f"{front}encoder.layers"), 1):
        layer.register_forward_hook(
            lambda _m, _i, out, n=number: outputs.update({n: out if torch.is_tensor(out) else out[0]})
        )
    image = torch.rand(2, 3, 36, 36)
    whole(pixel_values=(image - 0.5) / 0.5)  # SigLIP's mean and deviation
    levels = ours(image)
    assert [tuple(level.shape) for level in levels] == [(2, 16, 16)] * 3
    for level, tap in zip(levels, TAPS, strict=True):
        assert torch.allclose(level, outputs[tap], atol=1e-5)
        assert not torch.allclose(level, outputs[tap - 1], atol=1e-3)


@torch.no_grad()
def test_the_last_level_is_before_the_norm_as_the_released_code_reads_it(towers):
    """`layers[:-1]`, then `hidden_states[26]`: some versions of the library norm the last entry."""
    ours, whole, front = towers
    encoder = whole.get_submodule(f"{front}encoder")
    layers, encoder.layers = encoder.layers, encoder.layers[:-1]
    image = torch.rand(1, 3, 36, 36)
    hidden = whole(pixel_values=image * 2 - 1, output_hidden_states=True).hidden_states
    encoder.layers = layers
    assert len(hidden) == 27
    assert torch.allclose(torch.cat(ours(image), 1), torch.cat([hidden[tap] for tap in TAPS], 1), atol=1e-5)


def test_it_says_its_sizes_and_has_no_more_than_it_reads(towers):
    ours, _, _ = towers
    assert ours.dims == (16,) * 3 and ours.tokens == (16,) * 3 and ours.size == 36  # 36 // 8 = 4 a side
    assert not any("head." in name or "post_layernorm" in name for name in ours.state_dict())
    sum(level.sum() for level in ours.train()(torch.rand(1, 3, 36, 36))).backward()
    assert [name for name, p in ours.named_parameters() if p.grad is None] == []


def test_a_tap_behind_the_last_layer_is_refused():
    with pytest.raises(ValueError, match=r"taps \[1, 3\] of a tower of 2 layers"):
        SigLIPLevels(depth=2, taps=(1, 3), **SIZES)
