"""Every registered system: packed, and with text-only conversations among the others, the loss is the same."""

import pytest
import torch

from fake import batches, runs
from rsvlm.data.prompt import CHAT_TEMPLATES, encode
from rsvlm.recipe import read_recipe
from rsvlm.sample import IGNORE, IMAGE_TOKEN, Turn
from rsvlm.train.objectives.language import pad_conversations

TALKS = (*batches.TALKS, (Turn(question="What is 2 + 2?", answer="Four."), Turn(question="And 3 + 3?", answer="Six.")))
SHOWN = (True, False, True, True, False)  # which talks are about a picture
MODEL_NAMES = [
    pytest.param(path, index, id=f"{path.parent.name}-{stage.name}")
    for path in runs.TINY
    for index, stage in enumerate(read_recipe(path).stages)
    if stage.objective == "language" and path.parent.name != "gaia_blip2"  # without a picture it has no prompt
]


def encoded(recipe, model, tokenizer):
    """Five conversations, of branches or one after another, two of them without a picture."""
    frame, talks = CHAT_TEMPLATES[recipe.model["frame"]], (*TALKS, TALKS[1])
    made = []
    for talk, shown in zip(talks, SHOWN, strict=True):
        branches = [[turn] for turn in talk] if shown else [talk]
        made.append(encode(tokenizer, frame, branches, image_tokens=model.image_tokens if shown else 0))
    if model.reads_question:
        for number, one in enumerate(made):
            object.__setattr__(one, "question", [70 + number] * (number + 1))
            object.__setattr__(one, "expert", (0, 1, 0, -1, 1)[number])
    return made


def batch_of(model, made, pack):
    shown = sum(IMAGE_TOKEN in one.prompt for one in made)
    return pad_conversations(made, 0, pack) | {
        "image": batches.pictures(model, max(shown, 1)),
        "normaliser": torch.tensor(50.0),
    }


def loss_and_gradients(model, batch):
    model.zero_grad()
    loss = model.loss(batch)["language"]
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def system(path, index):
    recipe, model, tokenizer = batches.tiny(path, index)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # adapters that start at nothing would hide themselves
            torch.nn.init.normal_(parameter, std=0.2)
    return recipe, model.eval(), tokenizer


@pytest.mark.parametrize(("path", "index"), MODEL_NAMES)
def test_packed_and_padded_have_equal_losses_and_gradients(path, index):
    recipe, model, tokenizer = system(path, index)
    made = encoded(recipe, model, tokenizer)
    wanted, gradients = loss_and_gradients(model, batch_of(model, made, None))
    batch = batch_of(model, made, 512)
    assert batch["row"].max() + 1 < len(made)  # some rows are shared
    found, packed = loss_and_gradients(model, batch)
    assert torch.allclose(found, wanted, rtol=1e-6, atol=0) and packed.keys() == gradients.keys()
    for name, gradient in gradients.items():
        assert torch.allclose(packed[name], gradient, rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize(("path", "index"), MODEL_NAMES)
@torch.no_grad()
def test_conversations_in_one_row_are_what_they_are_alone(path, index):
    """With and without pictures, so that the right picture is in the right place."""
    recipe, model, tokenizer = system(path, index)
    made = encoded(recipe, model, tokenizer)
    together = model.loss(batch_of(model, made, 512))["language"]
    pictures, alone = iter(batches.pictures(model, sum(SHOWN))), torch.zeros(())
    for one, shown in zip(made, SHOWN, strict=True):
        batch = pad_conversations([one], 0) | {"normaliser": torch.tensor(50.0)}
        alone += model.loss(batch | ({"image": next(pictures)[None]} if shown else {}))["language"]
    assert torch.allclose(together, alone, rtol=1e-5)
    swapped = batch_of(model, made, 512)
    swapped["image"] = swapped["image"].flip(0)
    assert not torch.allclose(model.loss(swapped)["language"], alone, rtol=1e-6)


@pytest.mark.parametrize(("path", "index"), MODEL_NAMES)
def test_a_batch_without_pictures_moves_nothing_that_looks_at_them(path, index):
    """Its one blank picture goes through tower and bridge, as in all processes, and counts for nothing."""
    recipe, model, tokenizer = system(path, index)
    made = [one for one, shown in zip(encoded(recipe, model, tokenizer), SHOWN, strict=True) if not shown]
    batch = batch_of(model, made, 512)
    found, gradients = loss_and_gradients(model, batch)
    assert all(not gradient.any() for name, gradient in gradients.items() if name.startswith(("vision", "bridge")))
    assert any(name.startswith("bridge") for name in gradients)
    del batch["image"]
    assert torch.equal(model.loss(batch)["language"], found)


@torch.no_grad()
def test_the_first_token_of_every_branch_is_predicted_by_the_end_of_the_prompt():
    """In a frame without a question the first word of an answer is learned, in later branches, too."""
    _, model, tokenizer = system(runs.tiny("lhrs_bot"), 1)
    sides = [Turn(question="", answer="A port."), Turn(question="", answer="Boats.")]

    def loss(*branches):
        made = encode(tokenizer, CHAT_TEMPLATES["plain"], branches, image_tokens=model.image_tokens)
        assert IGNORE not in made.labels
        return model.loss(batch_of(model, [made], None))["language"]

    assert torch.allclose(loss(*([turn] for turn in sides)), loss([sides[0]]) + loss([sides[1]]), rtol=1e-6)
