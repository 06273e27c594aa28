"""The Instruction Router: which question goes where, prompts as text and back, learned words of each expert."""

import pytest
import torch

from rsvlm.data.prompt import TASK_QUESTIONS
from rsvlm.parts.language.instruction_router import ROUTES, TEMPLATES, SoftRouter, parse_tagged, question_kind, tagged

RSICAP = (
    "Take a look at this image and describe what you notice.",
    "Please provide a detailed description of the picture.",
    "Describe this image in detail.",
    "Could you describe the contents of this image for me?",
)


@pytest.mark.parametrize("question", [*RSICAP, *TASK_QUESTIONS["caption"]])
def test_captions_are_asked_like_this(question):
    assert question_kind(question) == "caption"


@pytest.mark.parametrize(("question", "kind"), [
    ("Is there a road?", "presence"), ("Is a small building present?", "presence"),
    ("Does this image contain ships?", "presence"), ("How many roads are there?", "count"),
    ("What is the number of buildings?", "count"), ("Are there more roads than buildings?", "compare"),
    ("Is the number of roads equal to the number of buildings?", "compare"),
    ("Is it a rural or an urban area?", "rural_urban"), ("What is the area covered by water?", "area"),
    ("Where is the airport?", "position"), ("What is the colour of the roof?", "open"), ("", "open"),
])  # fmt: skip
def test_the_kind_of_a_question(question, kind):
    assert question_kind(question) == kind


def test_templates_are_no_captions_and_every_route_has_a_template():
    assert set(ROUTES.values()) <= set(TEMPLATES)


def test_prompts_as_text_and_back():
    names = list(TEMPLATES)
    assert parse_tagged(tagged(TEMPLATES), names) == dict(TEMPLATES)
    found = parse_tagged("x <object> Count\nthe ships. </object><theme></theme><relation>open", names)
    assert found == {**TEMPLATES, "object": "Count\nthe ships."}
    assert parse_tagged("", ["other"]) == {"other": ""}


@pytest.fixture
def router():
    torch.manual_seed(0)
    router = SoftRouter(6, experts=3, tokens=2, hidden=5)
    for parameter in router.parameters():
        torch.nn.init.normal_(parameter)
    return router


@torch.no_grad()
def test_each_expert_has_words_of_its_own(router):
    picture, question = torch.randn(1, 4, 6).expand(5, -1, -1), torch.randn(1, 6).expand(5, -1)
    words = router(picture, question, torch.tensor([0, 1, 2, -1, 3]))
    assert words.shape == (5, 2, 6)
    assert len({tuple(row.flatten().tolist()) for row in words[:3]}) == 3
    assert torch.allclose(words[3], words[:3].mean(0), atol=1e-6) and torch.equal(words[3], words[4])
    assert torch.allclose(router(picture, question), words[3].expand(5, -1, -1), atol=1e-6)


@torch.no_grad()
def test_words_depend_on_picture_and_question_and_start_without(router):
    picture, question, expert = torch.randn(1, 4, 6), torch.randn(1, 6), torch.tensor([1])
    words = router(picture, question, expert)
    assert torch.equal(router(picture, question, expert), words)
    assert not torch.allclose(router(picture + 1, question, expert), words)
    assert not torch.allclose(router(picture, question + 1, expert), words)
    fresh = SoftRouter(6, experts=3, tokens=2, hidden=5)
    assert torch.equal(fresh(picture, question, expert), fresh.prompt[1:2])


def test_only_the_words_of_the_asked_expert_learn(router):
    router(torch.randn(2, 4, 6), torch.randn(2, 6), torch.tensor([2, 2])).sum().backward()
    assert router.prompt.grad[2].any() and not router.prompt.grad[:2].any()
