"""A system with a box head finds phrases in pixels of the picture as given, on the path that it is trained on."""

import json

import numpy as np
import pytest
import torch
import yaml
from accelerate import Accelerator

from fake import batches, finders, runs
from fake.stages import stage_batches
from rsvlm.data.catalogue import load as load_set
from rsvlm.data.loader import Schedule
from rsvlm.data.synth.box_targets import collate_targets, make_target_sampler, phrase_ids
from rsvlm.data.synth.referring import referring_phrases, training_samples
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.weights import read_state
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.sample import BATCH_CONTRACT
from rsvlm.systems.abilities import Answers, Detects
from rsvlm.systems.build import byte_tokenizer
from rsvlm.systems.load import load
from rsvlm.systems.runtime import detecting as finder
from rsvlm.train.loop import fit
from rsvlm.train.run import train
from rsvlm.train.stages import freeze, optimizer

PICTURES = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(2)]


def box_batch(model, tokenizer):
    targets = [
        (phrase_ids(tokenizer, "the boat"), [(0.1, 0.2, 0.4, 0.5)]), (phrase_ids(tokenizer, "boats"), []),
        (phrase_ids(tokenizer, "all cars"), [(0.6, 0.6, 0.9, 0.8), (0.1, 0.1, 0.2, 0.2)]),
    ]  # fmt: skip
    return collate_targets(targets, 0) | {"image": batches.pictures(model, 3)}


def test_a_stage_moves_the_head_alone_and_its_loss_falls(tmp_path):
    recipe, model, tokenizer = batches.tiny(finders.recipe(tmp_path / "recipe.yaml"))
    stage = recipe.stages[0].model_copy(update={"steps": 25, "floor": 1.0})
    moving = optimizer(stage, freeze(model, stage.trainable))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batch, seen = box_batch(model, tokenizer), []
    assert set(batch) <= set(BATCH_CONTRACT)
    for name, tensor in batch.items():
        assert str(tensor.dtype).removeprefix("torch.") == BATCH_CONTRACT[name].split()[0].rstrip(":,"), name
    fit(Accelerator(cpu=True), model, moving, stage, [[batch]] * 25, report=lambda step, numbers: seen.append(numbers))
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if name.startswith("boxes.")}
    assert all(seen[-1][loss] < 0.9 * seen[0][loss] for loss in ("heat", "boxes"))


def test_it_finds_on_the_path_that_it_was_trained_on(tmp_path):
    model = load(str(finders.folder(tmp_path)))
    assert isinstance(model, Detects) and isinstance(model, Answers) and isinstance(model, finder.DetectingModel)
    assert model.trace["trained_on"] == "ships"  # the data set, whatever was made of it
    asked = ["the largest boat", "the boat"]
    found = model.detect(PICTURES, asked)
    assert len(found) == 2
    for picture, phrase, (region,) in zip(PICTURES, asked, found, strict=True):
        batch = collate_targets([(phrase_ids(model.tokenizer, phrase), [])], 0)
        with torch.inference_mode():
            heat, boxes = model.model.heads["boxes"].locate(
                model.model, {"levels": model.levels([picture])[0], **batch}
            )
        best = boxes.flatten(1, 2)[0, heat.flatten(1).argmax()].clamp(0, 1) * torch.tensor([30, 20, 30, 20])
        assert torch.allclose(torch.tensor(region.box), best, atol=1e-3) and region.label == phrase
        assert region.score == pytest.approx(heat.sigmoid().max().item(), abs=1e-5)
    assert model.detect([], []) == []


def test_a_head_may_look_through_the_same_tower_at_larger_pictures(tmp_path):
    path = finders.recipe(tmp_path / "recipe.yaml")
    values = yaml.safe_load(path.read_text())
    values["model"]["vision"] = {"tower": "efficientnet_lite0", "taps": [4, 10, 15], "grids": [2, 2, 1], "size": 32}
    values["model"]["boxes"] |= {"size": 64, "grids": [8, 4, 2]}
    path.write_text(yaml.safe_dump(values))
    folder = train(path, finders.data(tmp_path / "data"), tmp_path / "out")
    model = load(str(folder))
    assert [level.shape[1] for level in model.levels(PICTURES)[0]] == [4, 4, 1]
    levels, _ = model.levels(PICTURES, "boxes")
    assert [level.shape[1] for level in levels] == [64, 16, 4]
    with torch.inference_mode():
        heat, _ = model.model.heads["boxes"].locate(
            model.model, {"levels": levels, **collate_targets([([1], [])] * 2, 0)}
        )
    assert heat.shape == (2, 8, 8) and model.model.vision.size == 32
    towers = [name for name in read_state(folder / "model.safetensors") if name.endswith("stem.0.weight")]
    assert towers == ["vision.stem.0.weight"]  # one tower, however it is looked through
    values["model"]["vision"] = {
        "tower": "clip",
        "width": 32,
        "depth": 3,
        "heads": 2,
        "patch": 8,
        "size": 32,
        "taps": [0, 1, 2],
    }
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(BadInput, match="sees pictures of 32 pixels only"):
        train(path, finders.data(tmp_path / "data"), tmp_path / "other")


def test_several_are_told_by_score_and_once_each(tmp_path, monkeypatch):
    model = load(str(finders.folder(tmp_path)))
    assert model.detect(PICTURES[:1], ["boats"]) == [()]  # an untrained head is sure of nothing
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.2]])
    boxes = torch.tensor([[[0.1, 0.1, 0.5, 0.5], [0.1, 0.1, 0.5, 0.45], [0.6, 0.6, 0.9, 0.9], [0.0, 0.0, 0.1, 0.1]]])
    monkeypatch.setattr(finder, "peaks", lambda *_, most: (scores, boxes))
    (several,), (one,) = (model.detect(PICTURES[:1], [phrase]) for phrase in ("all boats", "the boat"))
    assert [region.score for region in several] == pytest.approx([0.9, 0.7]) and len(one) == 1
    assert several[1].box == pytest.approx((18, 12, 27, 18))


def test_which_of_several_is_meant_is_chosen_by_geometry(tmp_path, monkeypatch):
    model = load(str(finders.folder(tmp_path)))
    boxes = [[0.5, 0.1, 0.9, 0.9], [0.0, 0.0, 0.1, 0.1], [0.2, 0.2, 0.3, 0.3]]  # the surest is not the leftmost
    monkeypatch.setattr(finder, "peaks", lambda heat, *_, most: (
        torch.tensor([[0.9, 0.8, 0.7]] * len(heat)), torch.tensor([boxes] * len(heat))
    ))  # fmt: skip
    asked = ["the leftmost boat", "the second boat from the left", "the largest boat", "the boat", "boats"]
    found = model.detect(PICTURES[:1] * len(asked), asked)
    ends = [[round(region.box[2] / 30, 3) for region in regions] for regions in found]
    assert ends == [[0.1], [0.3], [0.9], [0.9], [0.9, 0.1, 0.3]]
    assert [regions[0].label for regions in found] == asked


def test_a_model_without_a_head_does_not_say_that_it_detects(tmp_path):
    path = runs.recipe(tmp_path / "recipe.yaml")
    from safetensors.torch import save_file

    state = batches.tiny(path)[1].state_dict()
    save_file({name: tensor.clone() for name, tensor in state.items()}, tmp_path / "model.safetensors")
    assert not isinstance(load(str(tmp_path)), Detects)


def test_targets_are_the_boxes_of_the_view(tmp_path):
    samples = training_samples(load_set("ships", finders.data(tmp_path), "all"), dialect="lhrs", views=8)
    tokenizer = byte_tokenizer()
    locate = make_target_sampler(tokenizer, samples, seed=1)
    seen = set()
    for visit in range(40):
        sample = samples[visit % len(samples)]
        ids, boxes = locate(sample, visit)
        words = tokenizer.decode(ids)
        known = {phrase.words: phrase.targets for phrase in referring_phrases(sample)} | {"boats": (0,)}
        size = np.tile((sample.images[0].width, sample.images[0].height), 2)
        assert np.allclose(boxes, [np.array(sample.regions[i].box) / size for i in known[words]])
        assert locate(sample, visit) == (ids, boxes)
        seen.add(words)
    assert {"the boat", "boats"} <= seen
    steps = stage_batches(samples, Schedule.draw([len(samples)], [1.0], 16, [0]), objective="boxes")
    (batch,) = steps[1]
    assert batch["image"].shape == (8, 3, 16, 16) and batch["boxes"].shape[::2] == (8, 4)
    assert (batch["phrase_mask"].sum(1) > 0).all() and "labels" not in batch


@pytest.mark.parametrize("cache", [True, False])
def test_a_run_begins_with_a_finished_model_and_keeps_its_history(tmp_path, cache):
    runs_data = finders.data(runs.data(tmp_path / "data"))
    first = train(runs.recipe(tmp_path / "first.yaml", stages=2), runs_data, tmp_path / "first", max_steps=1)
    path = finders.recipe(tmp_path / "boxes.yaml", start=str(first), cache=cache)
    folder = train(path, runs_data, tmp_path / "out")
    before, after = (read_state(one / "model.safetensors") for one in (first, folder))
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {name.split(".")[0] for name in set(after) - set(before)} == {"boxes"}
    whole = read_recipe(folder / "recipe.yaml")
    assert [stage.name for stage in whole.stages] == ["see", "align", "boxes"] and not whole.start
    assert set(json.loads((folder / "data.json").read_text())) == {"rsicd+aid", "ships/referring"}
    assert isinstance(load(str(folder)), Detects)
    lines = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    assert len(lines) == 3 and {"heat", "boxes"} <= set(json.loads(lines[0]))


def test_what_a_run_cannot_begin_with_is_one_sentence(tmp_path):
    root = finders.data(tmp_path / "data")
    with pytest.raises(BadInput, match="No model is named 'gone'"):
        train(finders.recipe(tmp_path / "a.yaml", start="gone"), root, tmp_path / "a")
    odd = [{**finders.STAGE, "data": [{"set": "ships/refering"}]}]
    with pytest.raises(BadInput, match="Did you mean 'referring'"):
        train(finders.recipe(tmp_path / "b.yaml", stages=odd), root, tmp_path / "b")


def test_the_recipe_of_the_head_is_that_of_mini_with_a_head():
    own, mini = (
        yaml.safe_load((RECIPES / f"lhrs_bot/{size}.yaml").read_text())["model"] for size in ("mini_boxes", "mini")
    )
    assert own.pop("boxes") and own.pop("vision") == mini.pop("vision") | {"weights": "random"} and own == mini
