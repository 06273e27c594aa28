"""How likely a reply is: one pass or a walk over a tree, what each reply has by itself; the choice that follows."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from fake import batches, runs
from rsvlm.data.prompt import encode_replies
from rsvlm.systems.choices import choice_log_likelihoods, choice_probabilities
from rsvlm.systems.load import load
from rsvlm.systems.onnx import likelihood
from rsvlm.systems.runtime.rounds import Prompt


class Chain:
    """A language model of `tokens` tokens: the next depends on all before. It has the methods of `OnnxLanguage`."""

    def __init__(self, tokens=6, sharp=1.0, seed=0):
        self.table = sharp * np.random.default_rng(seed).standard_normal((997, tokens)).astype(np.float32)
        self.rows = 0

    def embed(self, ids):
        return ids[..., None].astype(np.float32)

    def forward(self, x, real, past=None):
        self.rows += len(x)
        state = np.zeros((len(x), 1), np.int64) if past is None else past[0].astype(np.int64)
        for step in range(x.shape[1]):
            state = (state * 31 + x[:, step].astype(np.int64) + 7) % 997
        assert real.shape == (len(x), real.shape[1])
        return self.table[state[:, 0]], [state.astype(np.float32)]

    def alone(self, prompt, reply):
        """The log-probability of a reply, token by token."""
        state, total = 0, 0.0
        for token in prompt:
            state = (state * 31 + token + 7) % 997
        for token in reply:
            logits = self.table[state].astype(np.float64)
            total += logits[token] - np.log(np.exp(logits).sum())
            state = (state * 31 + token + 7) % 997
        return total


PROMPTS = [[1, 2], [3, 4], [5, 0]]
REPLIES = [list(ids) for n in (1, 2, 3) for ids in itertools.product(range(5), repeat=n)]  # 155, each ends with token 5


def walked(model, replies):
    x = model.embed(np.array(PROMPTS))
    return likelihood.log_likelihoods(model, (x, np.ones(x.shape[:2], bool), None), [replies] * len(PROMPTS))


@pytest.mark.parametrize("sharp", [0.5, 4.0, 12.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_walk_gives_what_each_reply_has_by_itself(sharp, seed):
    model = Chain(sharp=sharp, seed=seed)
    replies = [[*ids, 5] for ids in REPLIES]
    found = walked(model, replies)
    expected = np.array([[model.alone(prompt, reply) for reply in replies] for prompt in PROMPTS])
    near = expected > expected.max(1, keepdims=True) - likelihood.FAR
    assert np.allclose(found[near], expected[near], atol=1e-3)
    assert (found[~near] >= expected[~near] - 1e-3).all()  # bounds from above
    assert (found[~near] <= (expected.max(1, keepdims=True) - likelihood.FAR + 1e-3).repeat(155, 1)[~near]).all()
    assert (found.argmax(1) == expected.argmax(1)).all()


def test_a_likely_beginning_that_leads_nowhere_misleads_nobody():
    """The first token of one reply is sure, but its second is not: the other, given up at first, is the likeliest."""
    model = Chain()
    model.table[:] = 0
    first = ((1 + 7) * 31 + 2 + 7) % 997
    model.table[first] = [30, 0, 0, 0, 0, 0]
    second = (first * 31 + 0 + 7) % 997
    model.table[second] = [0, 0, 0, 0, 0, -90]
    replies = [[0, 5], [1, 5]]
    x = model.embed(np.array([[1, 2]]))
    found = likelihood.log_likelihoods(model, (x, np.ones((1, 2), bool), None), [replies])
    assert found.argmax() == 1 and found[0, 1] == pytest.approx(model.alone([1, 2], [1, 5]), abs=1e-3)


def test_replies_that_are_unlikely_cost_nothing():
    sharp, flat = Chain(sharp=12.0), Chain(sharp=0.1)
    for model in (sharp, flat):
        walked(model, [[*ids, 5] for ids in REPLIES])
    assert sharp.rows * 4 < flat.rows


@pytest.mark.parametrize("path", runs.CHAT[:2], ids=lambda path: path.parent.name)
def test_one_pass_over_all_replies_gives_what_each_has_alone(path, tmp_path):
    """Branches do not see one another, and a reply's likelihood is the product of what `steps` gives its tokens."""
    _, system, _ = batches.tiny(path)
    (tmp_path / "recipe.yaml").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    save_file({name: tensor.clone() for name, tensor in system.state_dict().items()}, tmp_path / "model.safetensors")
    model = load(str(tmp_path))
    pictures = [np.random.default_rng(n).integers(0, 255, (40, 50, 3), np.uint8) for n in range(2)]
    replies = ["water", "a forest", "x"]
    images, questions = [pictures[0], pictures[1], pictures[0], None], ["What?", "Which?", "Is it?", "What?"]
    together = model.log_likelihoods(images, questions, replies)
    for row, (image, question) in enumerate(zip(images, questions, strict=True)):
        for column, reply in enumerate(replies):
            assert model.log_likelihoods([image], [question], [reply])[0, 0] == pytest.approx(
                together[row, column], abs=1e-3
            )
    ids = encode_replies(model.tokenizer, model.frame, "What?", ["water"])[0]
    batch = model.batch([(pictures[0],)], [Prompt.of("What?")], 8)
    total = 0.0
    for token in ids:
        with torch.inference_mode():
            hidden, _ = model.model.speak(model.model.read(batch), batch["prompt_mask"], torch.zeros(1, 0).long())
            total += model.model.language.head(hidden[:, -1]).float().log_softmax(-1)[0, token].item()
        batch["prompt"] = torch.cat([batch["prompt"], torch.tensor([[token]])], 1)
        batch["prompt_mask"] = torch.cat([batch["prompt_mask"], torch.ones(1, 1, dtype=torch.bool)], 1)
    assert together[0, 0] == pytest.approx(total, rel=1e-3)


class Lookup:
    """A model that likes some sentences."""

    def __init__(self, likes):
        self.likes = likes

    def log_likelihoods(self, images, questions, replies):
        self.asked = list(replies)
        return np.log(np.array([[self.likes.get(reply, 1e-9) for reply in replies]] * len(images)))


def test_a_choice_is_a_sentence_with_or_without_its_stop():
    model = Lookup({"Golf course.": 0.3, "Golf course": 0.2, "Sea": 0.4})
    logs = choice_log_likelihoods(model, [None, None], ["?", "?"], ["golf course", "sea"])
    assert model.asked == ["Golf course", "Sea", "Golf course.", "Sea."]
    assert np.exp(logs[0]) == pytest.approx([0.5, 0.4], rel=1e-6)
    sharp, soft = choice_probabilities(logs), choice_probabilities(logs, 5.0)
    assert sharp.sum(1) == pytest.approx([1, 1]) and sharp[0, 0] == pytest.approx(5 / 9)
    assert 0.5 < soft[0, 0] < sharp[0, 0]
