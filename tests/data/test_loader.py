"""Samples to batches: the schedule, views, padding, and that only train samples are ever drawn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fake import annotations, runs
from fake.stages import stage_batches
from rsvlm.data.augment import read_augmentation
from rsvlm.data.loader import Schedule, check_image_counts, dihedral_view, load_square, random_crop, to_tensor
from rsvlm.data.prompt import CHAT_TEMPLATES, EncodedConversation
from rsvlm.errors import BadInput
from rsvlm.sample import IGNORE, Image, Sample, Turn
from rsvlm.systems.build import byte_tokenizer
from rsvlm.train.objectives.language import conversation_encoder, pad_conversations


def test_every_sample_once_before_any_comes_again():
    plan = Schedule.draw([7, 3], [1.0, 1.0], 200, [1, 2])
    for low, high in ((0, 7), (7, 10)):
        drawn = plan.sample[(plan.sample >= low) & (plan.sample < high)]
        visits = plan.visit[(plan.sample >= low) & (plan.sample < high)]
        size = high - low
        for start in range(0, len(drawn) - size + 1, size):
            assert sorted(drawn[start : start + size]) == [*range(low, high)]
        assert (visits == np.arange(len(drawn)) // size).all()


def test_weights_are_honoured_and_the_seed_decides():
    plan = Schedule.draw([50, 50], [3.0, 1.0], 4000, [5, 0])
    assert abs((plan.sample < 50).mean() - 0.75) < 0.03
    again, other = Schedule.draw([50, 50], [3.0, 1.0], 4000, [5, 0]), Schedule.draw([50, 50], [3.0, 1.0], 4000, [5, 1])
    assert (plan.sample == again.sample).all() and (plan.sample != other.sample).any()
    assert (Schedule.draw([5, 5], [1.0, 1e-9], 20, [0]).sample < 5).all()


def test_the_eight_views_are_all_there_is():
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    views = [dihedral_view(pixels, view) for view in range(8)]
    assert np.array_equal(views[0], pixels) and len({view.tobytes() for view in views}) == 8
    assert np.array_equal(views[1], pixels[:, ::-1])


def test_pictures_become_squares_in_range(tmp_path):
    image = Image(path=str(annotations.picture(tmp_path / "a.png", size=(30, 20))))
    square = load_square(image, 16)
    assert square.shape == (16, 16, 3) and square.dtype == np.uint8
    assert np.array_equal(load_square(image, 16, 3), dihedral_view(square, 3))
    tensor = to_tensor([square, load_square(image, 16, 1)])
    assert tensor.shape == (2, 3, 16, 16) and tensor.dtype == torch.float32 and 0 <= tensor.min() <= tensor.max() <= 1
    assert tensor[0, 1, 2, 3] == square[2, 3, 1] / 255
    rng = np.random.default_rng(0)
    for _ in range(20):
        assert random_crop(square, 8, rng).shape == (8, 8, 3)


def test_prompts_are_padded_left_and_replies_right():
    short, long = (
        EncodedConversation([1], [2], [IGNORE], [0]),
        EncodedConversation([3, 4, 5], [6, 7, 8], [IGNORE, 7, 8], [0, 0, 1]),
    )
    batch = pad_conversations([short, long], pad=9)
    assert batch["prompt"].tolist() == [[9, 9, 1], [3, 4, 5]]
    assert batch["prompt_mask"].tolist() == [[False, False, True], [True] * 3]
    assert batch["reply"].tolist() == [[2, 9, 9], [6, 7, 8]]
    assert batch["reply_mask"].tolist() == [[True, False, False], [True] * 3]
    assert batch["labels"].tolist() == [[IGNORE] * 3, [IGNORE, 7, 8]]
    assert batch["turn"].tolist() == [[0, 0, 0], [0, 0, 1]]


@pytest.fixture
def samples(tmp_path):
    return [
        Sample(
            id=f"set/{n}", images=(Image(path=str(annotations.picture(tmp_path / f"{n}.png", n))),), source="set",
            turns=(
                Turn(question="", answer="airport", task="scene"),
                Turn(question="", answer=f"a place {n} .", task="caption"),
            ),
        )
        for n in range(5)
    ]  # fmt: skip


def rows(parts):
    """The pictures and replies of several batches as a set, whatever their order and padding."""
    return sorted(
        (image.numpy().tobytes(), tuple(reply[mask].tolist()))
        for part in parts
        for image, reply, mask in zip(part["image"], part["reply"], part["reply_mask"], strict=True)
    )


def test_a_step_depends_on_its_number_only(samples):
    first, second = stage_batches(samples), stage_batches(samples)
    assert len(first) == 4
    last = second[3]
    _ = [first[n] for n in range(3)]
    for a, b in zip(first[3], last, strict=True):
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    assert rows(first[0]) != rows(first[1])


@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (1, 4), (2, 2)])
def test_processes_and_micro_batches_share_out_one_global_batch(samples, world, accumulate):
    whole = stage_batches(samples)[1]
    parts = [
        part
        for rank in range(world)
        for part in stage_batches(samples, world=world, accumulate=accumulate, rank=rank)[1]
    ]
    assert len(parts) == world * accumulate and rows(parts) == rows(whole)
    labelled = sum((part["labels"] != IGNORE).sum() for part in parts)
    assert {part["normaliser"].item() for part in parts} == {labelled.item() / len(parts)}
    with pytest.raises(BadInput, match="A batch of 8 cannot be cut into 3 x 1"):
        stage_batches(samples, accumulate=3)


def test_pictures_are_augmented_anew_at_each_visit_and_the_same_in_each_process(samples):
    numbers = {"crop_scale": [0.5, 0.9], "rotate": 1.0, "jitter": 1.0}
    plain, changed = (
        stage_batches(samples, views=1, augment=augment) for augment in (None, read_augmentation(numbers))
    )
    assert not torch.equal(plain[1][0]["image"], changed[1][0]["image"])
    again = stage_batches(samples, views=1, augment=read_augmentation(numbers))
    assert torch.equal(changed[1][0]["image"], again[1][0]["image"])
    halves = [stage_batches(samples, views=1, augment=changed_by, world=2, rank=rank)[1][0]
              for changed_by in [read_augmentation(numbers)] for rank in range(2)]  # fmt: skip
    assert rows(halves) == rows(changed[1])


def test_a_sample_that_speaks_of_places_is_only_coloured(samples):
    turned, coloured = ({"rotate": 1.0, "horizontal_flip": 1.0}, {"solarize": 1.0, "solarize_threshold": 0})
    placed = [replace(one, meta={"view": 3}) for one in samples]
    plain = stage_batches(placed)[0][0]["image"]
    assert torch.equal(stage_batches(placed, augment=read_augmentation(turned))[0][0]["image"], plain)
    assert not torch.equal(stage_batches(samples, augment=read_augmentation(turned))[0][0]["image"], plain)
    inverted = stage_batches(placed, augment=read_augmentation({**turned, **coloured}))[0][0]["image"]
    assert torch.allclose(inverted, 1 - plain, atol=1e-6)


def test_samples_of_another_number_of_pictures_are_refused_by_name(samples):
    pairs = [replace(one, images=(one.images[0], samples[0].images[0])) for one in samples]
    say = r"set, sample set/1, has 2 pictures where the system sees 1 \(found in 4 of 5 samples\)"
    with pytest.raises(BadInput, match=say):
        check_image_counts([samples[0], *pairs[1:]], 1)
    with pytest.raises(BadInput, match="has 1 pictures where the system sees 2"):
        check_image_counts(samples, 2)
    check_image_counts([*samples, Sample(id="text", images=(), source="words")], 1)  # text alone shows nothing


def test_a_system_of_two_dates_gets_both_and_in_order(samples):
    pairs = [replace(one, images=(one.images[0], samples[(n + 1) % 5].images[0])) for n, one in enumerate(samples)]
    (batch,) = stage_batches(pairs, views=1)[0]
    drawn = [pairs[n] for n in stage_batches(samples).schedule.sample[:8]]
    wanted = to_tensor([load_square(image, 16) for one in drawn for image in one.images])
    assert torch.equal(batch["image"], wanted) and len(batch["prompt"]) == 8
    (tagged,) = stage_batches(pairs, tags=["place"])[0]
    assert len(tagged["image"]) == 16 and len(tagged["tags"]) == 8


def test_tag_batches_have_a_target_for_every_tag(samples):
    made = stage_batches(samples, tags=["set:airport", "place", "", "other:river"])
    (batch,) = made[0]
    assert batch["image"].shape == (8, 3, 16, 16) and batch["tags"].shape == (8, 4)
    assert batch["tags"][0].tolist() == [1, 1, -1, -1]
    (again,) = made[0]
    assert torch.equal(batch["image"], again["image"])


def test_training_loads_the_train_split_only(tmp_path, monkeypatch):
    from rsvlm.data import catalogue
    from rsvlm.train import run, stage_data

    asked, seen = [], []

    def load(name, root, split="train", **more):
        asked.append(split)
        found = catalogue.load(name, root, split, **more)
        seen.extend(found)
        return found

    monkeypatch.setattr(stage_data, "load", load)
    data = runs.data(tmp_path / "data")
    run.train(runs.recipe(tmp_path / "tiny.yaml"), data, tmp_path / "out", max_steps=1)
    assert set(asked) == {"train"} and {sample.split for sample in seen} == {"train"}
    held_back = {s.images[0].path for name in ("rsicd", "eurosat") for split in ("val", "test")
                 for s in catalogue.load(name, data, "all") if s.split == split}  # fmt: skip
    assert held_back and not held_back & {sample.images[0].path for sample in seen}


def test_encoder_chains_every_fifth_visit():
    encode = conversation_encoder(
        byte_tokenizer(), CHAT_TEMPLATES["chatml"], image_tokens=4, seed=1, most=3, max_tokens=500
    )
    asked = (Turn(question="a?", answer="yes", task="vqa"), Turn(question="b?", answer="no", task="vqa"))
    sample = Sample(id="12345", images=(Image(path="x"),), turns=asked)
    branches = [max(encode(sample, visit).turn) for visit in range(40)]
    assert set(branches[::5]) == {0} and max(branches) >= 1 and encode(sample, 3) == encode(sample, 3)
