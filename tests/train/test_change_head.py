"""A change head: what it is shown, what it learns, and the maps of whole pictures that it gives."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fake import annotations, runs
from rsvlm.data import catalogue
from rsvlm.data.loader import ScheduledSample
from rsvlm.errors import BadInput
from rsvlm.parts.heads.change import change_loss, stretched
from rsvlm.recipe import read_recipe
from rsvlm.systems.abilities import Answers, SegmentsChange
from rsvlm.systems.build import build
from rsvlm.systems.load import load
from rsvlm.systems.runtime.change_maps import change_maps, change_mask
from rsvlm.train.objectives import change as objective
from rsvlm.train.run import train

STAGE = {
    "name": "change", "objective": "change", "data": [{"set": "oscd"}, {"set": "sztaki"}], "batch": 4, "steps": 2,
    "trainable": ["change"], "lr": 0.01, "warmup": 2,
}  # fmt: skip


def recipe(path, **changes):
    values = read_recipe(runs.tiny("lhrs_bot")).model_dump(mode="json")
    values["model"]["change"] = {"classes": ["built", "other"], "width": 16}
    return runs.written(path, {**values, "stages": [STAGE | changes]})


def mark(pixels, value):
    for top in (4, 20, 36):
        for left in (6, 30):
            pixels[top : top + 6, left : left + 8] = value


def ground(seed):
    """Blocks of colours, (48, 48, 3)."""
    blocks = np.random.default_rng(seed).integers(40, 160, (6, 6, 3), np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))


def squares(root, name, value):
    """Pairs of one ground, in whose later picture some squares are white."""
    for path in sorted((root / annotations.DATASETS[name].folder).rglob("*.png")):
        later, labelled = path.stem.endswith("2"), path.stem in ("cm", "gt")
        pixels = np.zeros((48, 48), np.uint8) if labelled else ground(len(path.parts[-3]))
        if later or labelled:
            mark(pixels, value)
        Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = annotations.make_all(tmp_path_factory.mktemp("data"), ["oscd", "sztaki", "xbd"])
    for name in ("oscd", "sztaki"):
        squares(root, name, 255)
    return root


def test_a_trained_model_marks_pairs_of_any_size_and_still_answers(data, tmp_path):
    folder = train(recipe(tmp_path / "a.yaml"), data, tmp_path / "out")
    model = load(str(folder))
    assert isinstance(model, SegmentsChange) and isinstance(model, Answers)
    pairs = [ground(1), np.zeros((20, 61, 3), np.uint8)]
    masks = model.segment_change(pairs, pairs, ["what has changed", "new houses"])
    assert [mask.shape for mask in masks] == [(48, 48), (20, 61)] and all(mask.dtype == bool for mask in masks)


def test_a_head_learns_a_batch_by_heart(data, tmp_path):
    """Through the tower and the objective's own batch, in the two classes of the sets."""
    chosen = read_recipe(recipe(tmp_path / "a.yaml"))
    torch.manual_seed(0)
    model: Any = build(chosen)
    samples = [one for name in ("oscd", "sztaki") for one in catalogue.load(name, data, "train")]
    setting: Any = SimpleNamespace(
        model=model, samples=samples, pictures=SimpleNamespace(size=model.tower("change").size), recipe=chosen
    )
    draws = [ScheduledSample(one, at, 0, at) for at, one in enumerate(samples)]
    (batch,) = objective.collate(setting)(draws, [draws])
    assert batch["image"].shape[0] == 2 * batch["change"].shape[0] == 8 and batch["change"].max() == 1
    optimizer = torch.optim.AdamW(model.heads["change"].parameters(), 0.01)
    for step in range(100):
        losses = model(batch)
        if step == 0:
            first = {name: loss.item() for name, loss in losses.items()}
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert all(losses[name].item() < 0.35 * first[name] for name in ("change", "overlap"))


def test_what_cannot_be_learned_is_refused(data, tmp_path):
    with pytest.raises(BadInput, match=r"xbd/storm_0+, labels 'damaged'; the change head learns built, other"):
        train(recipe(tmp_path / "a.yaml", data=[{"set": "xbd"}]), data, tmp_path / "out")
    with pytest.raises(BadInput, match="has 1 pictures where the system sees 2"):
        annotations.make_all(data, ["eurosat"])
        train(recipe(tmp_path / "b.yaml", data=[{"set": "eurosat"}]), data, tmp_path / "out")


def test_tiles_of_a_large_picture_give_the_map_of_the_whole():
    """A function of each pixel alone is the same through tiles, their seams included."""
    before, after = (np.full((50, 70, 3), value, np.uint8) for value in (10, 10))
    after[20:40, 30:50] = 210
    seen = []

    def compare(one, other):
        seen.append(len(one))
        return np.stack([np.abs(b.astype(np.float32) - a)[..., 0][None] / 200 for a, b in zip(one, other, strict=True)])

    found = change_maps(before, after, compare, size=32, part=32, classes=1)
    assert found.shape == (1, 50, 70) and sum(seen) == 6 and max(seen) <= 4
    assert np.allclose(found[0], np.abs(after.astype(float) - before)[..., 0] / 200, atol=1e-4)
    with pytest.raises(BadInput, match="have 70 x 50 and 60 x 50 pixels; bring them onto one grid"):
        change_maps(before, after[:, :60], compare, size=32, part=32, classes=1)


def test_a_phrase_chooses_the_class():
    maps = np.zeros((3, 2, 2), np.float32)
    maps[0, 0, 0] = maps[1, 0, 1] = maps[2, 1, 0] = 0.9
    classes = ("built", "damaged", "other")
    assert change_mask(maps, classes, "what has changed").sum() == 3
    assert np.argwhere(change_mask(maps, classes, "Damaged buildings")).tolist() == [[0, 1]]
    assert np.argwhere(change_mask(maps, classes, "destroyed houses")).tolist() == [[0, 1]]
    assert np.argwhere(change_mask(maps, classes, "rebuilt houses")).tolist() == [[0, 0]]
    assert change_mask(maps, classes, "greenhouses and broad fields").sum() == 3, "no word of a class begins so"


def test_cells_without_a_label_teach_nothing():
    logits = torch.randn(2, 2, 4, 4, requires_grad=True)
    target = torch.zeros(2, 2, 4, 4)
    target[:, 1] = -1
    losses = change_loss(logits, target)
    sum(losses.values()).backward()
    assert logits.grad[:, 1].abs().max() == 0 and logits.grad[:, 0].abs().min() > 0


def test_light_is_evened_out_and_flat_pictures_stay_flat():
    picture = torch.rand(1, 3, 16, 16)
    assert torch.allclose(stretched(picture), stretched(picture * 0.3 + 0.2), atol=1e-4)
    flat = torch.full((1, 3, 16, 16), 0.3) + 0.001 * torch.rand(1, 3, 16, 16)
    assert stretched(flat).std() < 0.02
