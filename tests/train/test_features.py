"""Levels of a frozen tower on disk: as good as fresh ones, resumed when half made, never taken for another tower's."""

import numpy as np
import pytest
import torch

from fake import annotations, batches, runs
from rsvlm.data.loader import load_square, to_tensor
from rsvlm.sample import Image
from rsvlm.train.features import FeatureCache, weights_hash


@pytest.fixture
def tower():
    return batches.tiny(runs.tiny("lhrs_bot"))[1].vision


@pytest.fixture
def images(tmp_path):
    return [Image(path=str(annotations.picture(tmp_path / f"{n}.png", n))) for n in range(10)]


def test_cached_levels_are_the_fresh_ones(tower, images, tmp_path):
    cache, said = FeatureCache(tmp_path, tower, images, views=2), []
    cache.fill(lambda *done: said.append(done))
    assert said == [(4, 10), (8, 10), (10, 10)]
    for image, view in ((images[0], 0), (images[9], 1), (images[5], 1)):
        fresh = tower(to_tensor([load_square(image, tower.size, view)]))
        for level, stored in zip(fresh, cache.levels(image, view), strict=True):
            assert stored.dtype == np.float16
            assert torch.allclose(level[0], torch.from_numpy(stored).float(), atol=2e-3, rtol=1e-3)


def test_a_half_made_cache_is_finished_not_begun_again(tower, images, tmp_path, monkeypatch):
    whole = FeatureCache(tmp_path / "whole", tower, images, views=1)
    whole.fill(lambda *_: None)
    half = FeatureCache(tmp_path / "half", tower, images, views=1)
    half.fill(lambda *_: None)
    (half.folder / "done.json").write_text("4")
    for path in half.folder.glob("*.npy"):
        np.lib.format.open_memmap(path, "r+")[4:] = 0
    again, made = FeatureCache(tmp_path / "half", tower, images, views=1), []
    assert again.folder == half.folder
    plain = again._see
    monkeypatch.setattr(again, "_see", lambda pixels: made.append(len(pixels)) or plain(pixels))
    again.fill(lambda *_: None)
    assert made == [4, 2]
    for image in images:
        for a, b in zip(again.levels(image, 0), whole.levels(image, 0), strict=True):
            assert np.array_equal(a, b)


def test_whatever_makes_the_levels_names_the_folder(tower, images, tmp_path):
    folders = {FeatureCache(tmp_path, tower, images, views=1).folder}
    folders.add(FeatureCache(tmp_path, tower, images, views=2).folder)
    folders.add(FeatureCache(tmp_path, tower, images[:3], views=1).folder)
    folders.add(FeatureCache(tmp_path, tower, images, views=1, bf16=True).folder)
    tower.taps = tower.taps[1:]
    folders.add(FeatureCache(tmp_path, tower, images, views=1).folder)
    before = weights_hash(tower)
    with torch.no_grad():
        next(tower.parameters()).view(-1)[0] += 1e-3
    folders.add(FeatureCache(tmp_path, tower, images, views=1).folder)
    assert len(folders) == 6 and weights_hash(tower) != before


def test_windows_of_one_file_have_levels_of_their_own(tower, tmp_path):
    path = str(annotations.picture(tmp_path / "scene.png", 1, (32, 32)))
    parts = [Image(path=path), *(Image(path=path, window=(16 * n, 0, 16, 16)) for n in range(2))]
    cache = FeatureCache(tmp_path, tower, parts, views=1)
    cache.fill(lambda *_: None)
    for image in parts:
        fresh = tower(to_tensor([load_square(image, tower.size)]))
        for level, stored in zip(fresh, cache.levels(image, 0), strict=True):
            assert torch.allclose(level[0], torch.from_numpy(stored).float(), atol=2e-3, rtol=1e-3)
    assert not np.array_equal(cache.levels(parts[1], 0)[0], cache.levels(parts[2], 0)[0])
