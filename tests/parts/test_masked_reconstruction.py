"""Masked reconstruction: what is hidden, what is rebuilt, what is asked of it. Recorded numbers are in test_golden."""

import numpy as np
import pytest
import torch

from rsvlm.parts import masked_reconstruction as masked
from rsvlm.parts.vision.resnet import ResNet


def rand(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_papers_share_of_blocks_is_hidden():
    """30 of the 7 x 7 blocks of 32 pixels: 60 %, rounded up."""
    masks = [masked.block_mask(7, 0.6, np.random.default_rng(seed)) for seed in range(200)]
    assert {int(mask.sum()) for mask in masks} == {30}
    assert np.abs(np.mean(masks, 0) - 30 / 49).max() < 0.13, "each block as often as any other"
    again = masked.block_mask(7, 0.6, np.random.default_rng(5))
    assert np.array_equal(again, masks[5]) and not np.array_equal(again, masks[6])


def test_a_mask_is_laid_over_pixels_and_cells_alike():
    mask = torch.tensor([[[True, False], [False, False]]])
    fine = masked.on_grid(mask, (4, 6))
    assert fine.shape == (1, 1, 4, 6) and fine[0, 0, :2, :3].all() and fine.sum() == 6


def test_what_is_hidden_has_the_mean_of_the_whole_picture():
    pixels, mask = rand(2, 3, 8, 8), torch.tensor([[[True, False], [False, True]]] * 2)
    filled = masked.mean_filled(pixels, mask)
    assert torch.allclose(filled[:, :, :4, :4], pixels.mean((2, 3), keepdim=True).expand(-1, -1, 4, 4))
    assert torch.equal(filled[:, :, :4, 4:], pixels[:, :, :4, 4:])


def test_a_token_changes_the_map_where_it_is_and_not_without_a_mask():
    torch.manual_seed(0)
    tower = ResNet(depths=[1] * 4, widths=[4] * 4, block="basic", stem=4, size=64).eval()
    pixels, token, mask = rand(1, 3, 64, 64), torch.ones(1, 4, 1, 1), torch.zeros(1, 2, 2, dtype=torch.bool)
    plain = tower.deep_maps(tower.stem_map(pixels))[-1]
    assert torch.equal(masked.masked_map(tower, pixels, mask, token), plain)
    mask[0, 0, 0] = True
    assert not torch.allclose(masked.masked_map(tower, pixels, mask, token), plain)


def test_only_hidden_pixels_are_learned():
    target, prediction = rand(2, 3, 16, 16), rand(2, 3, 16, 16, seed=1).requires_grad_()
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[:, 0, 0] = True
    masked.reconstruction_loss(prediction, target, mask).backward()
    gradient = prediction.grad.abs().amax(1)
    assert gradient[:, :4, :4].min() > 0
    assert gradient[:, 4:, 4:].max() < gradient[:, :4, :4].mean() / 50, "a thousandth, through the spectrum"
    prediction.grad = None
    masked.reconstruction_loss(prediction, target, mask, frequency_weight=0).backward()
    assert not prediction.grad[:, :, 4:, 4:].any()


def test_a_perfect_reconstruction_costs_nothing_and_is_finite():
    target, mask = rand(2, 3, 16, 16), torch.ones(2, 4, 4, dtype=torch.bool)
    prediction = target.clone().requires_grad_()
    loss = masked.reconstruction_loss(prediction, target, mask)
    loss.backward()
    assert loss == 0 and torch.isfinite(prediction.grad).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype):
    target, prediction, mask = rand(2, 3, 16, 16), rand(2, 3, 16, 16, seed=1).to(dtype), torch.ones(2, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        loss = masked.reconstruction_loss(prediction, target, mask)
    assert loss.dtype == torch.float32
    assert loss == pytest.approx(float(masked.reconstruction_loss(prediction.float(), target, mask)), rel=1e-6)


def test_the_decoder_puts_a_cells_pixels_where_the_cell_is():
    decoder = masked.PixelDecoder(5, 4)
    features = rand(1, 5, 2, 3)
    changed = features.clone()
    changed[0, :, 1, 2] += 1
    difference = (decoder(changed) - decoder(features)).abs().amax(1)[0]
    assert difference.shape == (8, 12) and difference[4:, 8:].min() > 0 and difference[:4].max() == 0
