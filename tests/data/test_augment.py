"""Augmentations: the same by seed, within their ranges, and off where they are off."""

import numpy as np
import pytest

from rsvlm.data import augment
from rsvlm.data.augment import Augmentation, draw_window, read_augmentation
from rsvlm.errors import BadInput

ALL = Augmentation(
    crop_scale=(0.3, 1.0), horizontal_flip=0.5, vertical_flip=0.5, quarter_turn=0.5, rotate=0.5, jitter=0.8, blur=0.5,
    noise=0.5, solarize=0.5, gray=0.5,
)  # fmt: skip


def pixels(height=40, width=52, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def smooth(size=64):
    """A picture without noise, in which places and colours can be told: red grows with x, green with y."""
    ramp = np.linspace(10, 200, size)
    red, green = np.meshgrid(ramp, ramp)
    return np.stack([red, green, np.full_like(red, 90)], -1).astype(np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_picture_is_a_function_of_its_seed():
    first, again, other = (ALL(pixels(), rng(seed), 32) for seed in (3, 3, 4))
    assert first.shape == (32, 32, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_the_picture_that_is_given_stays_as_it_is():
    given = pixels()
    before = given.copy()
    for seed in range(20):
        ALL(given, rng(seed), 32)
    assert np.array_equal(given, before)


def test_all_off_is_the_picture_itself():
    assert np.array_equal(Augmentation()(pixels(40, 40), rng(), 40), pixels(40, 40))
    assert np.array_equal(Augmentation()(pixels(), rng(), 24, "crop"), augment.resize_square(pixels(), 24, "crop"))


@pytest.mark.parametrize("off", [
    lambda p, r: augment.color_jitter(p, r), lambda p, r: augment.random_flip(p, r, 0, 0),
    lambda p, r: augment.rotate(p, r, 0), lambda p, r: augment.gaussian_blur(p, r, (0, 0)),
    lambda p, r: augment.gaussian_noise(p, r, (0, 0)), lambda p, r: augment.solarize(p, 256),
    lambda p, r: augment.random_resized_crop(p, r, 40, scale=(1, 1), ratio=(1, 1)),
])  # fmt: skip
def test_each_of_no_strength_changes_nothing(off):
    assert np.array_equal(off(pixels(40, 40), rng()), pixels(40, 40))


def test_windows_lie_in_the_picture_with_the_area_and_shape_asked_for():
    windows = np.array([draw_window((300, 200), rng(seed), (0.3, 1.0), (3 / 4, 4 / 3)) for seed in range(2000)])
    x, y, width, height = windows.T
    assert (x >= 0).all() and (y >= 0).all() and (x + width <= 300).all() and (y + height <= 200).all()
    share, shape = width * height / 60000, width / height
    assert share.min() > 0.29 and share.max() <= 1 and 0.29 < np.quantile(share, 0.05) < 0.37
    assert shape.min() > 0.74 and shape.max() < 1.35
    free = width < 280
    assert 0.47 < np.mean(x[free] / (300 - width[free])) < 0.53, "places are spread evenly"


@pytest.mark.parametrize("extent", [(1, 1), (900, 3), (3, 900), (2, 2)])
def test_a_window_of_a_strange_picture_has_pixels(extent):
    for seed in range(50):
        x, y, width, height = draw_window(extent, rng(seed), (0.3, 1.0))
        assert min(width, height) >= 1 and x + width <= extent[0] and y + height <= extent[1]


def test_a_window_shows_what_lies_there():
    seen = augment.resized_window(smooth(), (16, 32, 32, 32), 32)
    assert np.array_equal(seen, smooth()[32:64, 16:48])


def test_flips_come_as_often_as_asked():
    picture = smooth()
    seen = [augment.random_flip(picture, rng(seed), 0.5, 0.25) for seed in range(800)]
    across = np.mean([one[0, 0, 0] > one[0, -1, 0] for one in seen])
    down = np.mean([one[0, 0, 1] > one[-1, 0, 1] for one in seen])
    assert abs(across - 0.5) < 0.06 and abs(down - 0.25) < 0.06


def test_quarter_turns_are_the_four_and_as_likely():
    picture = smooth(8)
    turns = [np.rot90(picture, k) for k in range(4)]
    found = [[np.array_equal(augment.quarter_turn(picture, rng(s)), turn) for turn in turns] for s in range(800)]
    assert np.allclose(np.mean(found, 0), 0.25, atol=0.05)


def test_a_rotation_fills_its_corners_and_keeps_its_middle():
    turned = augment.rotate(np.full((64, 64, 3), 200, np.uint8), rng(2), 180, (10, 20, 30))
    assert tuple(turned[0, 0]) == (10, 20, 30) and tuple(turned[32, 32]) == (200, 200, 200)
    still = augment.rotate(smooth(), rng(1), 5, (0, 0, 0))
    assert np.abs(still[20:44, 20:44].astype(int) - smooth()[20:44, 20:44]).max() < 15


@pytest.mark.parametrize("name, reading", [
    ("brightness", lambda p: p.mean()), ("contrast", lambda p: p.std(axis=(0, 1)).mean()),
    ("saturation", lambda p: np.ptp(p.astype(int), axis=-1).mean()),
])  # fmt: skip
def test_a_jitter_multiplies_by_one_give_or_take(name, reading):
    """The readings of half strength spread about the picture's own, from near a half to one and a half times."""
    picture = (smooth() * 0.6).astype(np.uint8)
    seen = np.array([reading(augment.color_jitter(picture, rng(s), **{name: 0.5})) for s in range(300)])
    share = seen / reading(picture)
    assert 0.48 < share.min() < 0.56 and 1.4 < share.max() < 1.52 and 0.95 < share.mean() < 1.05


def test_a_moved_hue_turns_red_and_leaves_grey():
    red, grey = np.full((4, 4, 3), (200, 0, 0), np.uint8), np.full((4, 4, 3), 77, np.uint8)
    moved = [augment.color_jitter(red, rng(s), hue=0.5)[0, 0] for s in range(100)]
    assert {int(np.argmax(colour)) for colour in moved} == {0, 1, 2}
    assert max(abs(int(c.max()) - 200) for c in moved) <= 2
    assert np.array_equal(augment.color_jitter(grey, rng(), hue=0.5), grey)


def test_noise_has_its_standard_deviation():
    grey = np.full((64, 64, 3), 128, np.uint8)
    noise = augment.gaussian_noise(grey, rng(), (6, 6)).astype(float) - 128
    assert abs(noise.std() - 6) < 0.2 and abs(noise.mean()) < 0.2
    assert augment.gaussian_noise(np.full((9, 9, 3), 255, np.uint8), rng(), (90, 90)).max() == 255


def test_a_blur_takes_away_what_is_fine():
    assert augment.gaussian_blur(pixels(), rng(), (2, 2)).std() < 0.5 * pixels().std()
    edge = np.zeros((41, 41, 3), np.uint8)
    edge[20, 20] = 255
    spread = augment.gaussian_blur(edge, rng(), (2, 2))[..., 0].astype(float)
    rows = np.arange(41) - 20
    assert abs(np.sqrt((spread.sum(1) * rows**2).sum() / spread.sum()) - 2) < 0.35


def test_solarized_and_grey_values():
    values = np.array([[[0, 127, 128], [255, 200, 10]]], np.uint8)
    assert augment.solarize(values).tolist() == [[[0, 127, 127], [0, 55, 10]]]
    assert augment.to_gray(np.full((1, 1, 3), (255, 0, 0), np.uint8)).tolist() == [[[76, 76, 76]]]


def test_probabilities_are_kept():
    seen = [Augmentation(gray=0.2)(smooth(), rng(seed), 64) for seed in range(600)]
    assert abs(np.mean([np.ptp(one, axis=-1).max() == 0 for one in seen]) - 0.2) < 0.05


@pytest.mark.parametrize("numbers, message", [
    ({"blurr": 1}, "blurr: Extra"), ({"gray": 1.2}, "gray: "), ({"crop_scale": [0.9, 0.3]}, "lower and an upper"),
    ({"crop_scale": [0.5, 1.5]}, "at most 1"), ({"fill": [0, 0, 256]}, "0 to 255"), ({"hue": 0.6}, "hue: "),
    ({"blur_sigma": [float("nan"), 1]}, "lower and an upper"),
])  # fmt: skip
def test_numbers_that_are_off_are_named(numbers, message):
    with pytest.raises(BadInput, match=message):
        read_augmentation(numbers)
