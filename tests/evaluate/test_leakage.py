"""The leak check finds copies in every usual disguise, and nothing else."""

import os
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import pytest

from rsvlm.data.catalogue import load
from rsvlm.errors import BadInput
from rsvlm.evaluate import leakage as leak_module
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.leakage import find_leaks, fingerprints, leak_free, name_of
from rsvlm.sample import Image

DATA = Path(os.environ.get("RSVLM_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))


def scene(seed, size=96):
    """A picture with structure at all scales, as a photo has."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size, size, 3))
    for cells in (3, 6, 12, 24):
        grid = PIL.Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        total += np.asarray(grid.resize((size, size), PIL.Image.Resampling.BICUBIC), dtype=float) / cells
    total = (total - total.min()) / (total.max() - total.min()) * 255
    return PIL.Image.fromarray(total.astype(np.uint8))


def write(picture, path, **options):
    picture.save(path, **options)
    return Image(path=str(path))


TURNS = PIL.Image.Transpose
DISGUISES = {
    "encoded": (lambda p: p, {"quality": 40}),
    "smaller": (lambda p: p.resize((60, 60)), {}),
    "larger": (lambda p: p.resize((200, 200), PIL.Image.Resampling.NEAREST), {}),
    "brighter": (lambda p: PIL.ImageEnhance.Brightness(p).enhance(1.2), {}),
    "less contrast": (lambda p: PIL.ImageEnhance.Contrast(p).enhance(0.7), {}),
    "grey": (lambda p: p.convert("L"), {}),
} | {turn.name: (lambda p, turn=turn: p.transpose(turn), {"quality": 75}) for turn in TURNS}


@pytest.fixture
def train(tmp_path):
    return [write(scene(seed), tmp_path / f"train{seed}.png") for seed in range(6)]


@pytest.mark.parametrize("name", DISGUISES)
def test_a_copy_is_found_in_every_disguise(train, tmp_path, name):
    change, options = DISGUISES[name]
    test = [write(change(scene(3)), tmp_path / "test.jpg", **options), write(scene(99), tmp_path / "new.jpg")]
    found = find_leaks(train, test)
    assert [(pair.test, pair.train) for pair in found.pairs] == [(test[0].path, train[3].path)]
    assert found.pairs[0].distance <= leak_module.MAX_DISTANCE and found.pairs[0].correlation > 0.9
    assert (found.test, found.train, found.share, found.leaked) == (2, 6, 0.5, {test[0].path})


def test_a_hash_alone_is_not_enough(train, tmp_path):
    """With the second look off and any hash allowed everything pairs; the thumbnails tell the copy from the rest."""
    test = [write(scene(2).transpose(TURNS.ROTATE_90), tmp_path / "test.jpg")]
    loose = find_leaks(train, test, max_distance=64, min_correlation=-1)
    assert len(loose.pairs) == len(train)
    assert loose.pairs[0].train == train[2].path and loose.pairs[0].distance < loose.pairs[1].distance
    strict = find_leaks(train, test, max_distance=64)
    assert [pair.train for pair in strict.pairs] == [train[2].path]


def test_the_views_of_a_hash_are_the_turned_pictures(tmp_path):
    plain = scene(7).resize((leak_module._SIDE, leak_module._SIDE))
    pixels = np.asarray(plain)
    base = fingerprints([write(plain, tmp_path / "plain.png")])
    for view in range(8):
        turned = pixels.swapaxes(0, 1) if view & 4 else pixels
        turned = turned[::-1] if view & 2 else turned
        turned = turned[:, ::-1] if view & 1 else turned
        made = fingerprints([write(PIL.Image.fromarray(np.ascontiguousarray(turned)), tmp_path / "turned.png")])
        assert int(base.hashes[0, view] ^ made.hashes[0, 0]).bit_count() <= 1  # a coefficient may equal the median
        assert np.allclose(leak_module._turned(base.thumbnails[0], view), made.thumbnails[0], atol=1e-6)


def test_leak_free_keeps_items_without_a_leaked_picture(train, tmp_path):
    test = [write(scene(1), tmp_path / "copy.jpg"), write(scene(50), tmp_path / "new.jpg")]
    found = find_leaks(train, test)
    items = [
        Item(id="copy", images=(test[0],), question="?", references=("a",)),
        Item(id="new", images=(test[1],), question="?", references=("a",)),
        Item(id="pair", images=(test[1], test[0]), question="?", references=("a",)),
        Item(id="text", question="?", references=("a",)),
    ]
    assert [item.id for item in leak_free(items, found)] == ["new", "text"]


def test_a_picture_counts_once_and_a_window_is_a_picture_of_its_own(train, tmp_path):
    wide = PIL.Image.new("RGB", (192, 96))
    wide.paste(scene(4), (0, 0))
    wide.paste(scene(60), (96, 0))
    path = write(wide, tmp_path / "wide.png").path
    parts = [Image(path=path, window=(0, 0, 96, 96)), Image(path=path, window=(96, 0, 96, 96))]
    found = find_leaks(train + train, parts + parts)
    assert (found.test, found.train) == (2, 6)
    assert found.leaked == {name_of(parts[0])} and name_of(parts[0]) == f"{path}#0,0,96,96"


def test_flat_pictures_are_counted_and_pair_with_nothing_by_chance(train, tmp_path):
    rng = np.random.default_rng(0)
    water = [np.clip(60 + rng.normal(0, 1, (64, 64, 3)), 0, 255).astype(np.uint8) for _ in range(8)]
    test = [write(PIL.Image.fromarray(pixels), tmp_path / f"water{i}.png") for i, pixels in enumerate(water)]
    test.append(write(PIL.Image.new("RGB", (64, 64)), tmp_path / "black.png"))
    found = find_leaks([*train, *test[:4]], test[4:])
    assert found.flat == 5 and not found.pairs


def test_features_list_what_the_hash_does_not_see_apart(train, tmp_path):
    other, copy = write(scene(70), tmp_path / "other.png"), write(scene(0), tmp_path / "copy.jpg")
    vectors = {image.path: np.eye(8, dtype=np.float32)[i] for i, image in enumerate(train)}
    vectors[other.path] = vectors[copy.path] = vectors[train[5].path]
    found = find_leaks(train, [other, copy], embed=lambda images: np.stack([vectors[image.path] for image in images]))
    assert [(pair.test, pair.train, pair.cosine) for pair in found.pairs] == [(copy.path, train[0].path, None)]
    assert {(pair.test, pair.train, pair.cosine) for pair in found.alike} == {
        (other.path, train[5].path, 1.0),
        (copy.path, train[5].path, 1.0),
    }
    assert all(pair.distance > leak_module.MAX_DISTANCE for pair in found.alike)
    assert found.leaked == {copy.path} and found.summary(Path())["alike"] == 2
    assert not find_leaks(train, [other, copy]).alike
    items = [Item(id=image.path, images=(image,), question="?", references=("a",)) for image in (other, copy)]
    assert [item.id for item in leak_free(items, found)] == [other.path]
    assert not leak_free(items, found, strict=True)


def test_a_copy_that_is_alike_too_keeps_both_marks(train, tmp_path):
    copy = write(scene(0), tmp_path / "copy.jpg")
    found = find_leaks(train, [copy], embed=lambda images: np.ones((len(images), 1), np.float32))
    assert len(found.alike) == len(train) and len(found.pairs) == 1
    assert found.pairs[0] == found.alike[0] and found.pairs[0].cosine == 1


def test_blocks_and_old_numpy_change_nothing(train, tmp_path, monkeypatch):
    test = [write(scene(seed), tmp_path / f"test{seed}.jpg") for seed in range(9)]
    wanted = find_leaks(train, test)
    assert len(wanted.pairs) == 6
    monkeypatch.setattr(leak_module, "_CELLS", 1)
    assert find_leaks(train, test) == wanted
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert find_leaks(train, test) == wanted


def test_nothing_and_a_broken_picture(train, tmp_path):
    empty = find_leaks([], [])
    assert empty.share == 0 and empty.summary(Path())["pairs"] == 0
    assert not find_leaks([], train).pairs and not find_leaks(train, []).pairs
    with pytest.raises(BadInput, match=r"gone\.jpg"):
        find_leaks(train, [Image(path=str(tmp_path / "gone.jpg"))])


def test_the_summary_is_json(train, tmp_path):
    import json

    found = find_leaks(train, [write(scene(seed), tmp_path / f"test{seed}.jpg") for seed in range(6)])
    summary = json.loads(json.dumps(found.summary(tmp_path, most=2)))
    assert summary["leaked"] == 6 and summary["share"] == 1 and len(summary["first"]) == 2
    assert {pair["test"] for pair in summary["first"]} <= {f"test{seed}.jpg" for seed in range(6)}  # below the root


@pytest.mark.skipif(not (DATA / "UCM_captions").is_dir(), reason=f"no UCM_captions in {DATA} (RSVLM_DATA)")
def test_real_pictures_turned_and_encoded_again_are_found(tmp_path):
    train = [sample.images[0] for sample in load("ucm_captions", DATA, split="val")][:60]
    test = []
    for at, image in enumerate(train):
        with PIL.Image.open(image.path) as file:
            turned = file.convert("RGB").transpose(list(TURNS)[at % len(TURNS)])
        test.append(write(turned, tmp_path / f"{at}.jpg", quality=50))
    found = find_leaks(train, test)
    own = {(name_of(a), name_of(b)) for a, b in zip(test, train, strict=True)}
    assert len(own & {(pair.test, pair.train) for pair in found.pairs}) >= found.test - found.flat
