"""One path for training and asking: batches, caches, branches, merged adapters and sparse logits change nothing."""

import pytest
import torch
from torch.nn import functional as F

from fake import batches, runs
from rsvlm.data.prompt import CHAT_TEMPLATES, encode_prompt
from rsvlm.parts.vlm import branches
from rsvlm.sample import IGNORE, Turn

QUESTIONS = ("What?", "Describe this image, please.", "How many boats are there?")


@pytest.fixture
def tiny():
    recipe, model, tokenizer = batches.tiny(runs.tiny("lhrs_bot"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # adapters that start at nothing would hide themselves
            torch.nn.init.normal_(parameter, std=0.2)
    return recipe, model.eval(), tokenizer


def prompts(tiny, questions):
    recipe, model, tokenizer = tiny
    ids = [
        encode_prompt(tokenizer, CHAT_TEMPLATES[recipe.model["frame"]], q, image_tokens=model.image_tokens)
        for q in questions
    ]
    width = max(map(len, ids))
    return {
        "image": batches.pictures(model, len(QUESTIONS))[[QUESTIONS.index(q) for q in questions]],
        "prompt": torch.tensor([[0] * (width - len(row)) + row for row in ids]),
        "prompt_mask": torch.tensor([[i >= width - len(row) for i in range(width)] for row in ids]),
    }


def naive(model, batch, steps):
    """Greedy ids and confidence of one prompt, everything read anew for every token."""
    ids, logs = batch["prompt"][:, :0], []
    for _ in range(steps):
        mask = torch.cat([batch["prompt_mask"], torch.ones_like(ids, dtype=torch.bool)], 1)
        hidden, _ = model.speak(model.read(batch), mask, ids)
        log, best = model.language.head(hidden[:, -1]).log_softmax(-1).max(-1)
        ids, logs = torch.cat([ids, best[:, None]], 1), [*logs, log.item()]
    return ids[0].tolist(), float(torch.tensor(logs).mean().exp())


@torch.no_grad()
def test_batched_cached_generation_is_the_naive_one(tiny):
    model = tiny[1]
    ids, confidence = model.answer(prompts(tiny, QUESTIONS), stop=frozenset(), max_new_tokens=8)
    assert len({tuple(row) for row in ids}) == 3  # three questions, three replies
    for question, row, sure in zip(QUESTIONS, ids, confidence, strict=True):
        alone, alone_sure = naive(model, prompts(tiny, [question]), 8)
        assert row == alone and sure == pytest.approx(alone_sure, rel=1e-4)


@torch.no_grad()
def test_prompts_about_one_picture_share_its_tokens(tiny, monkeypatch):
    model, order = tiny[1], [1, 0, 1, 0]
    asked = [QUESTIONS[0], QUESTIONS[1], QUESTIONS[2], QUESTIONS[0]]
    apart = prompts(tiny, asked)
    seen = model.see({"image": batches.pictures(model, 2)})
    del apart["image"]
    apart["levels"] = [level[order] for level in seen]
    shared = apart | {"levels": seen, "picture": torch.tensor(order)}
    expected = model.answer(apart, stop=frozenset(), max_new_tokens=8)
    read = []
    monkeypatch.setattr(
        model, "read", lambda batch, read_=model.read: read.append(len(batch["prompt"])) or read_(batch)
    )
    ids, sure = model.answer(shared, stop=frozenset(), max_new_tokens=8)
    assert read == [2]  # two pictures, four questions
    assert ids == expected[0] and sure == pytest.approx(expected[1], rel=1e-4)
    _, other = model.answer(shared | {"picture": 1 - torch.tensor(order)}, stop=frozenset(), max_new_tokens=8)
    assert all(abs(one - two) > 1e-3 * one for one, two in zip(sure, other, strict=True))  # it is that picture


@torch.no_grad()
def test_a_stop_token_ends_its_row_only(tiny):
    model, batch = tiny[1], prompts(tiny, QUESTIONS)
    free, _ = model.answer(batch, stop=frozenset(), max_new_tokens=6)
    stop = free[1][2]
    ids, _ = model.answer(batch, stop=frozenset([stop]), max_new_tokens=6)
    assert ids == [row[: row.index(stop)] if stop in row else row for row in free]


@torch.no_grad()
def test_adapters_folded_in_answer_the_same(tiny):
    model, batch = tiny[1], prompts(tiny, QUESTIONS)
    mask = batch["prompt_mask"]
    apart, _ = model.speak(model.read(batch), mask, batch["prompt"][:, :0])
    model.language.merge()
    assert not any("lora_" in name for name, _ in model.named_parameters())
    folded, _ = model.speak(model.read(batch), mask, batch["prompt"][:, :0])
    assert torch.allclose(apart, folded, atol=1e-5)


def labelled(tiny, talks, *, chained=False):
    """Logits at the labelled tokens of every talk, talk after talk, turn after turn."""
    recipe, model, tokenizer = tiny
    batch = batches.language(recipe, model, tokenizer, talks, chained=chained)
    batch["image"] = batches.pictures(model, 1).expand(len(talks), -1, -1, -1)
    mask, positions = branches(batch)
    hidden, _ = model.speak(model.read(batch), mask, batch["reply"], positions=positions)
    return model.language.head(hidden[:, :-1][batch["labels"] != IGNORE]), batch


@torch.no_grad()
def test_branches_see_the_image_and_not_one_another(tiny):
    talk = (*batches.TALKS[0], Turn(question="Is it large, or rather small?", answer="Large."))
    together, batch = labelled(tiny, [talk])
    assert batch["turn"].max() == 2
    apart, _ = labelled(tiny, [(turn,) for turn in talk])
    assert torch.allclose(together, apart, atol=1e-5)
    # In one branch the second turn reads the first: same first answer, another second one.
    chained, batch = labelled(tiny, [talk], chained=True)
    assert batch["turn"].max() == 0 and len(chained) == len(apart)
    first = len("A port.") + 1
    assert torch.allclose(chained[:first], apart[:first], atol=1e-5)
    assert not torch.allclose(chained[first:], apart[first:], atol=1e-2)
    other, _ = labelled(tiny, [(Turn(question="What is it?", answer="A park."), *talk[1:])], chained=True)
    assert not torch.allclose(chained[first:], other[first:], atol=1e-3)


@torch.no_grad()
def test_padding_changes_nothing(tiny):
    together, batch = labelled(tiny, batches.TALKS)
    assert not batch["reply_mask"].all()
    alone = torch.cat([labelled(tiny, [talk])[0] for talk in batches.TALKS])
    assert torch.allclose(together, alone, atol=1e-5) and torch.isfinite(together).all()


@torch.no_grad()
def test_the_loss_is_the_one_of_full_logits(tiny):
    recipe, model, tokenizer = tiny
    batch = batches.language(recipe, model, tokenizer)
    mask, positions = branches(batch)
    hidden, _ = model.speak(model.read(batch), mask, batch["reply"], positions=positions)
    logits = model.language.head(hidden)[:, :-1]
    full = F.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORE)
    assert model.loss(batch)["language"].item() == pytest.approx(full.item(), rel=1e-6)
    count = (batch["labels"] != IGNORE).sum()
    half = model.loss(batch | {"normaliser": count / 2})["language"]
    assert half.item() == pytest.approx(2 * full.item(), rel=1e-6)


@torch.no_grad()
def test_cached_levels_stand_for_the_image(tiny):
    recipe, model, tokenizer = tiny
    batch = batches.language(recipe, model, tokenizer)
    seen = {key: value for key, value in batch.items() if key != "image"} | {"levels": model.see(batch)}
    assert torch.equal(model.loss(batch)["language"], model.loss(seen)["language"])
