"""Towers: CLIP's levels are the hidden states they claim to be; Lite0's have the right sizes and frozen norms."""

import pytest
import torch

from rsvlm.parts.vision.clip import CLIPLevels
from rsvlm.parts.vision.efficientnet import EfficientNetLite0, lite0_state


@pytest.fixture(scope="module")
def clip():
    torch.manual_seed(0)
    return CLIPLevels(width=16, depth=6, heads=2, patch=8, size=32, taps=(0, 2, 5, 6)).eval()


@torch.no_grad()
def test_clip_levels_by_hand(clip):
    """Embedding, first norm, then block after block, written out; level 0 is what enters the first block."""
    image = torch.rand(2, 3, 32, 32)
    levels = clip(image)
    state = {name.removeprefix("vision_model."): tensor for name, tensor in clip.model.state_dict().items()}

    def norm(x, name):
        return torch.nn.functional.layer_norm(x, (16,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-5)

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def heads(x, name):
        return linear(x, name).unflatten(2, (2, 8)).transpose(1, 2)

    pixels = (image - torch.tensor(clip.MEAN).view(3, 1, 1)) / torch.tensor(clip.STD).view(3, 1, 1)
    patches = torch.conv2d(pixels, state["embeddings.patch_embedding.weight"], stride=8).flatten(2).transpose(1, 2)
    x = torch.cat([state["embeddings.class_embedding"].expand(2, 1, 16), patches], 1)
    x = norm(x + state["embeddings.position_embedding.weight"], "pre_layrnorm")
    wanted = [x]
    for i in range(6):
        at = f"encoder.layers.{i}."
        y = norm(x, at + "layer_norm1")
        q, k, v = (heads(y, f"{at}self_attn.{name}_proj") for name in "qkv")
        mixed = ((q @ k.transpose(2, 3)) / 8**0.5).softmax(-1) @ v
        x = x + linear(mixed.transpose(1, 2).flatten(2), f"{at}self_attn.out_proj")
        y = linear(norm(x, at + "layer_norm2"), f"{at}mlp.fc1")
        x = x + linear(y * torch.sigmoid(1.702 * y), f"{at}mlp.fc2")
        wanted.append(x)
    assert len(levels) == 4
    for level, tap in zip(levels, (0, 2, 5, 6), strict=True):
        assert level.shape == (2, 16, 16) and torch.allclose(level, wanted[tap][:, 1:], atol=1e-5), tap


@torch.no_grad()
def test_the_class_token_is_not_among_the_levels(clip):
    image = torch.rand(1, 3, 32, 32)
    first = clip(image)[0]
    with torch.no_grad():
        name = next(n for n, _ in clip.model.named_parameters() if n.endswith("class_embedding"))
        clip.model.get_parameter(name).add_(1.0)
    assert torch.equal(clip(image)[0], first)


def test_clip_says_its_sizes(clip):
    assert clip.dims == (16,) * 4 and clip.tokens == (16,) * 4 and clip.size == 32
    assert not any("mean" in name or "std" in name for name in clip.state_dict())


@pytest.fixture(scope="module")
def lite0():
    torch.manual_seed(0)
    return EfficientNetLite0(taps=(4, 10, 16), grids=(4, 2, 1), size=64)


@torch.no_grad()
def test_lite0_levels(lite0):
    levels = lite0.eval()(torch.rand(2, 3, 64, 64))
    assert [tuple(level.shape) for level in levels] == [(2, 16, 40), (2, 4, 112), (2, 1, 1280)]
    assert lite0.dims == (40, 112, 1280) and lite0.tokens == (16, 4, 1)


def test_lite0_norms_keep_their_statistics_in_training(lite0):
    before = {name: tensor.clone() for name, tensor in lite0.state_dict().items() if "running" in name}
    lite0.train()(torch.rand(2, 3, 64, 64))
    assert lite0.training and before
    assert all(torch.equal(lite0.state_dict()[name], tensor) for name, tensor in before.items())


def test_lite0_names_of_the_published_file():
    published = {"_conv_stem.weight": 1, "_bn0.bias": 2, "_blocks.3._bn2.running_var": 3,
                 "_blocks.0._depthwise_conv.weight": 4, "_fc.weight": 5, "_bn1.num_batches_tracked": 6,
                 "_conv_head.weight": 7}  # fmt: skip
    assert lite0_state(published) == {
        "stem.0.weight": 1, "stem.1.bias": 2, "blocks.3.project.1.running_var": 3, "blocks.0.depthwise.0.weight": 4,
        "head.0.weight": 7,
    }  # fmt: skip
