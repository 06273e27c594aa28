"""Every registered system, every stage of its tiny recipe: what moves and learns, and that it answers as it trains."""

import re

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from fake import batches, runs
from rsvlm.errors import BadInput
from rsvlm.recipe import read_recipe
from rsvlm.sample import BATCH_CONTRACT, IMAGE_TOKEN
from rsvlm.systems.base import SYSTEMS, Answers, Embeds
from rsvlm.systems.build import build, build_tokenizer
from rsvlm.train.loop import fit
from rsvlm.train.stages import freeze, moves, optimizer

STAGES = [
    pytest.param(path, index, id=f"{path.parent.name}-{stage.name}")
    for path in runs.TINY
    for index, stage in enumerate(read_recipe(path).stages)
]


def batch_of(stage, recipe, model, tokenizer):
    return batches.tags(model) if stage.objective == "tags" else batches.language(recipe, model, tokenizer)


def with_gradient(model):
    return {name for name, p in model.named_parameters() if p.grad is not None}


def test_every_system_has_a_tiny_recipe_and_every_tiny_recipe_a_system():
    for path in runs.TINY:
        build(read_recipe(path))
    assert [path.parent.name for path in runs.TINY] == list(SYSTEMS)
    assert len(SYSTEMS) == 5


@pytest.mark.parametrize(("path", "index"), STAGES)
def test_exactly_the_named_parameters_move_and_the_loss_falls(path, index):
    recipe, model, tokenizer = batches.tiny(path, index)
    stage = recipe.stages[index].model_copy(update={"steps": 25, "warmup": 0, "floor": 1.0})
    moving = optimizer(stage, freeze(model, stage.trainable))
    named = {name for name, _ in model.named_parameters() if any(moves(name, t) for t in stage.trainable)}
    before = {name: p.clone() for name, p in model.state_dict().items()}
    batch, seen = batch_of(stage, recipe, model.train(), tokenizer), []
    model(batch)
    sum(model(batch).values()).backward()
    reached = with_gradient(model)
    model.zero_grad()
    fit(Accelerator(cpu=True), model, moving, stage, [[batch]] * 25, report=lambda step, numbers: seen.append(numbers))
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == reached <= named
    assert all(name.startswith("vision.") for name in named - reached)  # the blocks behind the last tap
    loss = [next(iter(numbers.values())) for numbers in seen]
    assert loss[-1] < loss[0] - 0.02 and len(loss) == 25  # little: a random language model stays near ln(262)
    assert all(numbers["grad_norm"] > 0 and numbers["lr"] > 0 for numbers in seen)


@pytest.mark.parametrize(("path", "index"), [p for p in STAGES if not p.id.endswith("-see")])
def test_the_loss_trains_what_the_answer_uses(path, index):
    recipe, model, tokenizer = batches.tiny(path, index)
    freeze(model, recipe.stages[index].trainable)
    batch = batches.language(recipe, model, tokenizer)
    sum(model(batch).values()).backward()
    trained = with_gradient(model)
    model.zero_grad()
    hidden, _ = model.speak(model.read(batch), batch["prompt_mask"], batch["prompt"][:, :0])
    model.language.head(hidden[:, -1]).sum().backward()
    assert with_gradient(model) == trained == {n for n, p in model.named_parameters() if p.requires_grad}


def test_a_stage_that_moves_nothing_is_refused():
    recipe, model, _ = batches.tiny(runs.TINY[0])
    with pytest.raises(BadInput, match=r"'language.experts' names no parameter; this system has: bridge, language"):
        freeze(model, ["bridge", "language.experts"])
    groups = freeze(model, ["bridge", "language.lora"])
    for rates, odd in (
        ({"bridge": 1.0}, "language.lora"),
        ({"bridge": 1.0, "language.lora": 1.0, "vision": 1.0}, "vision"),
    ):
        with pytest.raises(BadInput, match=f"'{odd}' is in only one"):
            optimizer(recipe.stages[2].model_copy(update={"lr": rates}), groups)


def test_patterns_name_parameters():
    assert moves("bridge.query", "bridge") and not moves("bridges.query", "bridge")
    assert moves("language.model.layers.0.q_proj.lora_A.default.weight", "language.lora")
    assert not moves("language.model.layers.0.q_proj.weight", "language.lora")
    assert not moves("vision.language.lora_A", "language.lora")


@pytest.mark.parametrize("path", runs.TINY, ids=lambda path: path.parent.name)
def test_batches_keep_the_contract(path):
    recipe, model, tokenizer = batches.tiny(path)
    batch = batches.language(recipe, model, tokenizer)
    assert set(batch) <= set(BATCH_CONTRACT)
    if getattr(model, "tags", None) is not None:
        assert set(batches.tags(model)) <= set(BATCH_CONTRACT)
    for name, tensor in batch.items():
        assert str(tensor.dtype).removeprefix("torch.") == BATCH_CONTRACT[name].split()[0].rstrip(":,"), name
    assert ((batch["prompt"] == IMAGE_TOKEN).sum(1) == model.image_tokens).all()


@pytest.mark.parametrize("path", runs.TINY, ids=lambda path: path.parent.name)
def test_a_saved_system_loads_and_answers(path, tmp_path):
    from safetensors.torch import save_file

    from rsvlm.systems.load import load

    recipe, model, _ = batches.tiny(path)
    (tmp_path / "recipe.yaml").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    save_file({n: t.clone() for n, t in model.state_dict().items()}, tmp_path / "model.safetensors")
    chat = load(str(tmp_path))
    assert isinstance(chat, Answers) and isinstance(chat, Embeds)
    images = [np.random.default_rng(n).integers(0, 255, (20, 30, 3), np.uint8) for n in range(3)]
    replies = chat.answer(images, ["What?", "How many boats are there?", "Where?"], max_new_tokens=4)
    assert len(replies) == 3 and all(0 <= reply.confidence <= 1 for reply in replies)
    assert chat.answer(images[1:2], ["How many boats are there?"], max_new_tokens=4)[0].text == replies[1].text
    vectors = chat.embed_images(images)
    assert vectors.dtype == np.float32 and np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert chat.trace["recipe"] == recipe.hash
    lost = next(n for n, _ in model.named_parameters() if n.startswith("bridge."))
    state = {n: t.clone() for n, t in model.state_dict().items() if n != lost}
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(BadInput, match=f"1 tensors are missing, the first is {re.escape(lost)}"):
        load(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(BadInput, match="not a readable safetensors"):
        load(str(tmp_path))


def test_the_byte_tokenizer_is_lossless():
    tokenizer = build_tokenizer(read_recipe(runs.TINY[0]))
    text = "Two  spaces,\nä and <|im_end|>"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text and max(ids) < 262
    assert ids[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>")
