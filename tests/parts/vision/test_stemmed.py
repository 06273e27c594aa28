"""Towers in two parts: ResNet, Swin and EfficientNet-Lite0 as their originals count, name and compute them."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rsvlm.errors import BadInput
from rsvlm.parts.vision.efficientnet import EfficientNetLite0
from rsvlm.parts.vision.resnet import ResNet
from rsvlm.parts.vision.swin import Swin, to_transformers

SMALL_SWIN = {"width": 12, "depths": (2, 2, 2), "heads": (2, 3, 4), "window": 4, "size": 64}
TOWERS = {
    "bottleneck": lambda: ResNet(depths=[1, 2, 1, 1], widths=[4, 6, 8, 10], stem=8, size=96, taps=[1, 3]),
    "basic": lambda: ResNet(depths=[1, 1, 1, 1], widths=[4, 6, 8, 10], block="basic", stem=8, size=64),
    "swin": lambda: Swin(**SMALL_SWIN, taps=[0, 2]),
    "swin, uneven": lambda: Swin(**SMALL_SWIN | {"size": 72}, taps=[2]),
    "lite0": lambda: EfficientNetLite0(taps=[4, 15], grids=[8, 2], size=64),
}
each = pytest.mark.parametrize("make", TOWERS.values(), ids=TOWERS)


def noisy(tower):
    """The tower with every parameter drawn anew, so that no bias or norm is at rest."""
    torch.manual_seed(1)
    for parameter in tower.parameters():
        nn.init.normal_(parameter, std=0.2)
    return tower.eval()


@each
def test_a_tower_says_what_comes_out_and_its_parts_are_the_whole(make):
    torch.manual_seed(0)
    tower = make().eval()
    image = torch.rand(2, 3, tower.size, tower.size)
    with torch.no_grad():
        levels = tower(image)
        stem = tower.stem_map(tower.normalised(image))
        maps = tower.deep_maps(stem)
    assert [level.shape[1:] for level in levels] == [*zip(tower.tokens, tower.dims, strict=True)]
    assert stem.shape == (2, tower.stem_dim, tower.size // tower.stem_stride, tower.size // tower.stem_stride)
    assert maps[-1].shape[1:] == (tower.dims[-1], *[-(-tower.size // tower.stride)] * 2)
    assert torch.allclose(levels[-1].mean(1), maps[-1].mean((2, 3)), atol=1e-5)


@each
def test_pixels_are_normalised_by_the_statistics_that_the_tower_names(make):
    tower, image = make(), torch.rand(1, 3, 8, 8)
    mean, std = (torch.tensor(values)[:, None, None] for values in (tower.mean, tower.std))
    assert torch.allclose(tower.normalised(image), (image - mean) / std, atol=1e-6)


def test_parameters_are_as_many_as_published():
    """torchvision's ResNet-50 without its classifier, Swin-B without its own."""
    with torch.device("meta"):
        towers = ResNet(), Swin(width=128, depths=(2, 2, 18, 2), heads=(4, 8, 16, 32))
    assert [sum(p.numel() for p in tower.parameters()) for tower in towers] == [25_557_032 - 2_049_000, 86_743_224]
    names = set(towers[0].state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.0.downsample.1.bias", "layer4.2.conv3.weight"} <= names
    assert len(names) == 318
    assert towers[1].state_dict()["stages.2.blocks.17.attn.w_msa.relative_position_bias_table"].shape == (169, 16)
    assert [tower.tokens for tower in towers] == [(49,), (49,)]


def test_a_resnet_computes_as_transformers_does():
    """Names in order of computation are the same in both, once the shortcuts are put first."""
    from transformers import ResNetConfig, ResNetModel

    ours = noisy(ResNet(depths=[1, 2], widths=[4, 6], stem=8, size=32, taps=[1]))
    config = ResNetConfig(embedding_size=8, hidden_sizes=[16, 24], depths=[1, 2], layer_type="bottleneck")
    theirs = ResNetModel(config).eval()

    def named(name):
        name = name.replace("embedder.embedder.convolution", "conv1").replace("embedder.embedder.normalization", "bn1")
        for stage in range(2):
            name = name.replace(f"encoder.stages.{stage}.layers.", f"layer{stage + 1}.")
        for index in range(3):
            name = name.replace(f".layer.{index}.convolution", f".conv{index + 1}")
            name = name.replace(f".layer.{index}.normalization", f".bn{index + 1}")
        return name.replace("shortcut.convolution", "downsample.0").replace("shortcut.normalization", "downsample.1")

    state = ours.state_dict()
    theirs.load_state_dict({name: state[named(name)] for name in theirs.state_dict()})
    pixels = torch.rand(2, 3, 32, 32)
    # theirs has a 3 x 3 convolution of a stride only in stages after the first
    with torch.no_grad():
        assert torch.allclose(ours.deep_maps(ours.stem_map(pixels))[0], theirs(pixels).last_hidden_state, atol=1e-5)


@pytest.mark.parametrize("size", [64, 80, 96])
def test_a_swin_is_transformers_after_its_merging_is_put_in_their_order(tmp_path, size):
    """Sizes that fill the windows, that are padded, and whose last stage is shifted."""
    from transformers import SwinConfig, SwinModel

    ours = noisy(Swin(**SMALL_SWIN | {"size": size}, taps=[2]))
    config = SwinConfig(image_size=size, embed_dim=12, depths=[2, 2, 2], num_heads=[2, 3, 4], window_size=4)
    config.save_pretrained(tmp_path)
    save_file(to_transformers(ours.state_dict()), tmp_path / "model.safetensors", {"format": "pt"})
    theirs, info = SwinModel.from_pretrained(tmp_path, add_pooling_layer=False, output_loading_info=True)
    assert not any(info.values())
    pixels = torch.rand(2, 3, size, size)
    with torch.no_grad():
        wanted = theirs.eval()(pixel_values=pixels).last_hidden_state
        assert torch.allclose(ours.deep_maps(ours.stem_map(pixels))[0].flatten(2).mT, wanted, atol=1e-5)
        swapped = {name: t.flip(-1) if ".downsample." in name else t for name, t in ours.state_dict().items()}
        ours.load_state_dict(swapped)
        found = ours.deep_maps(ours.stem_map(pixels))[0].flatten(2).mT
        assert not torch.allclose(found, wanted, atol=1e-2), "the order of merged channels matters"


def test_merged_channels_lie_as_nn_unfold_puts_them():
    from rsvlm.parts.vision.swin import _PatchMerging

    x = torch.arange(2 * 4 * 4).float().reshape(1, 2, 4, 4)
    merging = _PatchMerging(2)
    nn.init.eye_(merging.reduction.weight)
    merging.norm = nn.Identity()
    unfolded = nn.functional.unfold(x, 2, stride=2).mT[:, :, :4]
    assert torch.equal(merging(x.permute(0, 2, 3, 1)).flatten(1, 2), unfolded)


def test_a_swin_refuses_maps_that_are_smaller_than_its_window():
    tower = Swin(**SMALL_SWIN, taps=[2])
    with pytest.raises(BadInput, match="A map of 2 x 2 cells has no window of 4 x 4"):
        tower(torch.rand(1, 3, 32, 32))


def test_a_swin_starts_as_its_paper_or_as_was_released():
    torch.manual_seed(0)
    paper, released = (Swin(**SMALL_SWIN, taps=[2], start=start) for start in ("truncated_normal", "released"))

    def spread(tower, name):
        return float(tower.get_parameter(name).detach().std())

    table = "stages.0.blocks.0.attn.w_msa.relative_position_bias_table"
    assert spread(paper, table) == pytest.approx(0.02, rel=0.3)
    assert not released.get_parameter(table).any()
    weight = "stages.0.blocks.0.ffn.layers.0.0.weight"
    assert spread(paper, weight) == pytest.approx(0.02, rel=0.1)
    assert spread(released, weight) == pytest.approx(12**-0.5 / 3**0.5, rel=0.1)


def test_a_block_of_a_resnet_starts_as_its_shortcut():
    block = ResNet(depths=[2], widths=[4], stem=16, size=32, taps=[0]).layer1[1].eval()
    x = torch.rand(1, 16, 8, 8)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("kernel, stride, groups", [(1, 1, 1), (3, 1, 6), (3, 2, 6), (5, 2, 6), (5, 1, 6)])
def test_a_frozen_norm_is_part_of_its_convolution_while_the_tower_trains(kernel, stride, groups):
    """The same values and gradients as those of the two apart."""
    from rsvlm.parts.vision.efficientnet import _conv

    torch.manual_seed(0)
    layer = _conv(6, 12, kernel, stride, groups)
    nn.init.normal_(layer[1].weight), nn.init.normal_(layer[1].bias), nn.init.normal_(layer[1].running_mean)
    layer[1].running_var.uniform_(0.5, 2)
    image, found = torch.randn(2, 6, 9, 9), {}
    for fused in (True, False):
        layer.train(fused)
        layer[1].eval()
        x = image.clone().requires_grad_()
        out = layer(x)
        layer.zero_grad()
        out.square().sum().backward()
        found[fused] = [out, x.grad, *(p.grad.clone() for p in layer.parameters())]
    for one, other in zip(found[True], found[False], strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-4)
    layer.train()
    assert layer[1].training and not torch.allclose(layer(image), found[True][0]), "a norm that trains has its batch"


def test_a_training_lite0_sees_what_it_sees_when_asked():
    torch.manual_seed(0)
    tower, image = EfficientNetLite0(taps=[4], grids=[4], size=32), torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(tower.train()(image)[0], tower.eval()(image)[0], atol=1e-4)
