"""Training from pictures alone: what a batch of views shows, what a killed run keeps, what processes share."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fake import runs
from fake.model import Killed
from rsvlm.data.images import read_rgb
from rsvlm.data.resize import resize_square
from rsvlm.errors import BadInput
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build
from rsvlm.train.log import Log
from rsvlm.train.run import train
from rsvlm.train.stage_data import StageData


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data root with what the tiny recipe names."""
    return runs.data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """The folder of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole")
    train("cmid/tiny", data, out)
    return out


def batches(data, tmp_path, **changes):
    """Batches of the tiny recipe with other numbers of its stage, and its model."""
    from accelerate import Accelerator

    recipe = read_recipe(recipe_of(tmp_path, **changes))
    model = build(recipe)
    return StageData(recipe, Path(data), tmp_path, Accelerator(cpu=True), {}).batches(0, model), model


def recipe_of(folder, model=None, **changes):
    values = read_recipe("cmid/tiny").model_dump(mode="json") | {"views": changes.pop("views", 2)}
    values["stages"][0] |= changes
    values["model"]["distillation"] |= model or {}
    return runs.written(folder / "recipe.yaml", values)


def lines(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_batch_is_a_function_of_its_step(data, tmp_path):
    made, model = batches(data, tmp_path)
    (first,), (again,), (second,) = made[2], made[2], made[3]
    assert set(first) == {"image", "hidden", "window", "step"}
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["image"], second["image"]) and not torch.equal(first["hidden"], second["hidden"])
    assert first["image"].shape == (8, 3, 64, 64) and first["hidden"].shape == (8, 2, 2)
    assert first["step"].tolist() == [2, 6] and second["step"].tolist() == [3, 6]
    assert (first["hidden"].sum((1, 2)) == 3).all() and model.mask_ratio == 0.6  # of 4: 60 %, rounded up


def test_a_view_shows_the_window_that_it_names(data, tmp_path):
    """The first of two is cut out and mirrored, and nothing else is done to it; the second has other colours."""
    made, _ = batches(data, tmp_path, views=1, batch=16)
    (batch,), draws = made[0], [made._draw(place) for place in range(16)]
    mirrored = set()
    for index, draw in enumerate(draws):
        height, width, top, left, flip = batch["window"][2 * index].int().tolist()
        square = resize_square(read_rgb(draw.sample.images[0]), 64)
        cut = square[top : top + height, left : left + width]
        wanted = resize_square(cut[:, ::-1] if flip else cut, 64).astype(float)
        seen = batch["image"][2 * index].permute(1, 2, 0).numpy() * 255
        assert np.abs(seen - wanted).mean() < 6, "another filter, the same place"
        mirrored.add(flip)
        assert 0.25 < height * width / 64**2 <= 1 and top + height <= 64 and left + width <= 64
    assert mirrored == {0, 1}
    assert not torch.equal(batch["window"][::2], batch["window"][1::2])


def test_pictures_of_a_visit_are_turned_before_the_views_are_cut(data, tmp_path):
    made, _ = batches(data, tmp_path, views=8)
    plain, _ = batches(data, tmp_path, views=1)
    differing = [not torch.equal(made[step][0]["image"], plain[step][0]["image"]) for step in range(6)]
    assert sum(differing) >= 5


def test_a_size_that_is_not_made_of_blocks_is_refused(data, tmp_path):
    with pytest.raises(BadInput, match=r"sees pictures of 72 pixels, which are not made of whole blocks of 32"):
        batches(data, tmp_path, size=72)


def test_killed_a_run_goes_on_with_its_teacher_queue_and_centre(data, whole, tmp_path, monkeypatch):
    """All three losses and the finished model are those of an unbroken run, kill after kill."""
    step = Log.step
    for place in (("views", 0), ("views", 2), ("views", 4)):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Log, "step", runs.dying(step, place))
            train("cmid/tiny", data, tmp_path)
    kept = load_file(tmp_path / "checkpoint" / "weights.safetensors")
    assert {"queue.keys", "queue.pointer", "local_loss.centre", "teacher.vision.conv1.weight"} <= set(kept)
    assert {"vision.bn1.running_mean", "teacher.vision.bn1.running_mean", "mask_token"} <= set(kept)
    train("cmid/tiny", data, tmp_path)
    numbers = ("step", "reconstruction", "contrastive", "local", "lr", "grad_norm")
    assert [[line[n] for n in numbers] for line in lines(tmp_path)] == [[o[n] for n in numbers] for o in lines(whole)]
    found, wanted = (load_file(out / "model" / "model.safetensors") for out in (tmp_path, whole))
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_the_teacher_moves_after_the_student_and_the_queue_has_the_keys_of_every_step(whole):
    state = load_file(whole / "model" / "model.safetensors")
    torch.manual_seed(3)
    start = build(read_recipe("cmid/tiny")).state_dict()["vision.layer4.0.conv2.weight"]
    student, teacher = (state[f"{front}vision.layer4.0.conv2.weight"] - start for front in ("", "teacher."))
    assert 0 < teacher.norm() < 0.05 * student.norm()
    assert int(state["queue.pointer"]) == 6 * 8 % 32


@pytest.mark.parametrize("changes", [{"batch": 1, "accumulate": 1}, {"accumulate": 2}], ids=["one picture", "halves"])
def test_one_picture_at_a_time_and_parts_of_a_step(data, tmp_path, changes):
    train(recipe_of(tmp_path, steps=2, **changes), data, tmp_path / "out")
    assert len(lines(tmp_path / "out")) == 2
    assert all(np.isfinite([line["contrastive"], line["local"]]).all() for line in lines(tmp_path / "out"))


def test_a_queue_that_steps_do_not_divide_is_refused(data, tmp_path):
    with pytest.raises(BadInput, match="A queue of 30 keys cannot be filled by 4 at a time"):
        train(recipe_of(tmp_path, model={"queue": 30}), data, tmp_path / "out")


def test_byol_has_a_predictor_and_no_queue(data, tmp_path):
    recipe = recipe_of(
        tmp_path, model={"variant": "byol", "predictor": 12}, steps=2,
        trainable=["vision", "mask_token", "decoder", "projector", "local_head", "predictor"],
    )  # fmt: skip
    folder = train(recipe, data, tmp_path / "out")
    names = set(load_file(folder / "model.safetensors"))
    assert "predictor.3.weight" in names and not any(name.startswith("queue") for name in names)
    assert all(0 <= line["contrastive"] <= 4 for line in lines(tmp_path / "out"))


def test_two_processes_enqueue_each_key_once_and_agree(data, tmp_path):
    recipe, out = recipe_of(tmp_path, steps=3), tmp_path / "out"
    codes, said = runs.processes("pass", recipe=recipe, data=data, out=out, world=2)
    assert codes == [[0, 0]], said[-3000:]
    state = load_file(out / "model" / "model.safetensors")
    keys = state["queue.keys"].T
    assert int(state["queue.pointer"]) == 3 * 2 * 4, "a step's pictures, two views each, whatever number of processes"
    near = (keys[:24] @ keys[:24].T).fill_diagonal_(0)
    assert near.max() < 1 - 1e-6, "no key is there twice"
    assert torch.allclose(keys.norm(dim=1), torch.ones(32), atol=1e-5)
