"""What the experts of a system are taught: their part of a caption, the questions that are theirs, each row with it."""

import pytest

from rsvlm.data.prompt import CHAT_TEMPLATES, encode_question
from rsvlm.data.synth.expert_targets import expert_encoder
from rsvlm.sample import IGNORE, Image, Sample, Turn
from rsvlm.systems.build import byte_tokenizer
from rsvlm.train.objectives.language import pad_conversations

NAMES = ("theme", "object", "relation")
PROMPTS = {"theme": "Theme?", "object": "Objects?", "relation": "Relations?"}
PARTS = ("This is an aerial image.", "Two ships can be seen.", "The pier is left of them.")
CAPTION = " ".join(PARTS)


def sample(**turn):
    values = {"question": "Describe this image.", "answer": CAPTION, "task": "caption"}
    return Sample(id="a", images=(Image(path="a.png"),), turns=(Turn(**values | turn),))


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


def encoder(tokenizer, **more):
    numbers = {"experts": NAMES, "prompts": PROMPTS, "expert_of": lambda question: None} | more
    return expert_encoder(tokenizer, CHAT_TEMPLATES["chatml"], image_tokens=2, seed=1, max_tokens=400, **numbers)


def taught(tokenizer, one, **more):
    """The different (expert, question as asked, answer, question that the picture is read with) over many visits."""
    encode, found = encoder(tokenizer, **more), set()
    for visit in range(60):
        encoded = encode(one, visit)
        assert encoded.turn == [0] * len(encoded.reply)  # one question a row
        answer = tokenizer.decode([token for token in encoded.labels if token != IGNORE]).removesuffix("<|im_end|>")
        text = tokenizer.decode(encoded.reply)
        asked = text[: text.index("<|im_end|>")].strip()
        found.add((encoded.expert, asked, answer, tokenizer.decode(encoded.question)))
    return found


def test_each_expert_learns_its_part_of_the_caption(tokenizer):
    rows = {row for row in taught(tokenizer, sample()) if row[1] in PROMPTS.values()}
    assert {row[:3] for row in rows} == {(n, PROMPTS[name], PARTS[n]) for n, name in enumerate(NAMES)}
    assert not {row[3] for row in rows} & set(PROMPTS.values())  # the picture is read with the caption's own question


def test_a_part_that_is_not_there_is_not_learned(tokenizer):
    rows = taught(tokenizer, sample(answer=PARTS[1]))
    assert {row[0] for row in rows if row[1] in PROMPTS.values()} == {1}
    rows = taught(tokenizer, sample(answer=PARTS[2]), experts=("theme",), prompts={"theme": "Theme?"})
    assert {row[:3] for row in rows if row[1] == "Theme?"} == {(0, "Theme?", PARTS[2])}


def test_without_prompts_everyone_is_asked_the_same(tokenizer):
    rows = {row for row in taught(tokenizer, sample(), prompts={}) if row[2] in PARTS}
    assert {row[0] for row in rows} == {0, 1, 2} and all(row[1] == row[3] for row in rows)


def test_the_router_learns_to_write(tokenizer):
    rows = {row for row in taught(tokenizer, sample(), router="<theme>Theme?</theme>") if row[0] == 3}
    assert rows and {row[2] for row in rows} == {"<theme>Theme?</theme>"}


def test_questions_go_to_their_expert_or_to_anyone(tokenizer):
    one = sample(question="How many ships are there?", answer="Two", task="count")
    rows = taught(tokenizer, one, expert_of=lambda question: 2 if "How many" in question else None)
    assert {row[0] for row in rows if row[1].startswith("How many")} == {2}
    assert {row[0] for row in taught(tokenizer, one) if row[1].startswith("How many")} == {0, 1, 2}


def test_before_there_are_experts_captions_are_learned_whole(tokenizer):
    rows = taught(tokenizer, sample(), experts=(), prompts={})
    assert {row[0] for row in rows} == {None} and CAPTION in {row[2] for row in rows}


def test_the_same_visit_is_the_same_row_and_batches_carry_it(tokenizer):
    rows = [encoder(tokenizer)(sample(), visit) for visit in range(4)]
    assert rows == [encoder(tokenizer)(sample(), visit) for visit in range(4)]
    batch = pad_conversations(rows, pad=0)
    assert batch["expert"].tolist() == [row.expert for row in rows]
    width = max(len(row.question) for row in rows)
    assert batch["question"].tolist() == [[*row.question, *[-1] * (width - len(row.question))] for row in rows]


def test_a_question_alone_has_no_frame(tokenizer):
    assert tokenizer.decode(encode_question(tokenizer, "Any boats?")) == "Any boats?"
