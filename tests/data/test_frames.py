"""Every conversation template to the letter: one turn, two turns, and the first token ids, blanks and typos included.

Written out from the released code: LHRS-Bot and -Nova lhrs/Dataset/conversation.py, GeoChat geochat/conversation.py
(LLaVA-1.5's), MiniGPT-v2 minigpt4/conversation and datasets. None of them is in single-hash form: `###` parts the
rounds only in Vicuna v0, which no system here was trained with.
"""

import pytest

from rsvlm.data.prompt import CHAT_TEMPLATES, encode, encode_prompt, prompt_text
from rsvlm.sample import IMAGE_TOKEN, Turn
from rsvlm.systems.build import byte_tokenizer

ONE, TWO = Turn(question="What is it?", answer="A port."), Turn(question="Any boats?", answer="Yes")
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
HUMAN = (
    "A chat between a curious human and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the human's questions."
)
LLAMA_2 = (
    "[INST] <<SYS>>\nYou are a helpful language and vision assistant. You are able to understand the visual content "
    "that the user provides, and assist the user with a variety of tasks using natural language.\n<</SYS>>\n\n"
)
NOVA = (  # "your", and a start token in the text
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nA chat between a curious user and an artificial "
    "intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. If "
    "your don't know the answer to a question, please don't share false information.<|eot_id|>"
)
USER, ASSISTANT = (f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("user", "assistant"))

# name: (the first turn, what the second adds, the first ids of a prompt: 3 is <s>, 1 is <|im_start|>)
TABLE = {
    "chatml": (
        "<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n<|im_start|>assistant\nA port.<|im_end|>",
        "\n<|im_start|>user\nAny boats?<|im_end|>\n<|im_start|>assistant\nYes<|im_end|>",
        [1],
    ),
    "brief": ("<|im_start|><image>What is it?\nA port.<|im_end|>", "\nAny boats?\nYes<|im_end|>", [1, IMAGE_TOKEN]),
    "plain": ("<image>A port.\n", "Yes\n", [3, IMAGE_TOKEN]),
    "llava_llama_2": (
        f"{LLAMA_2}<image>\nWhat is it? [/INST] A port. </s>", "<s>[INST] Any boats? [/INST] Yes </s>", [3, "["],
    ),
    "llama3": (
        f"{NOVA}{USER}<image>\nWhat is it?<|eot_id|>{ASSISTANT}A port.<|eot_id|>",
        f"{USER}Any boats?<|eot_id|>{ASSISTANT}Yes<|eot_id|>",
        [3, "<"],
    ),
    "vicuna_v1": (
        f"{VICUNA} USER: <image>\nWhat is it? ASSISTANT: A port.</s>", "USER: Any boats? ASSISTANT: Yes</s>", [3, "A"],
    ),
    "llava_v1": (
        f"{HUMAN} USER: <image>\nWhat is it? ASSISTANT: A port.</s>", "USER: Any boats? ASSISTANT: Yes</s>", [3, "A"],
    ),
    "minigpt_v2": (
        "<s>[INST] <Img><image></Img> What is it? [/INST] A port.</s>", "<s>[INST] Any boats? [/INST] Yes</s>",
        [3, 3, "["],
    ),
    "minigpt_v2_train": (
        "[INST] <Img><image></Img> What is it?  [/INST] A port.</s>", "<s>[INST] Any boats? [/INST] Yes</s>", [3, "["],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


def text_of(tokenizer, encoded):
    """The conversation as it is read, the picture as <image>, without the tokenizer's own start token."""
    ids = [*encoded.prompt, *encoded.reply]
    at = ids.index(IMAGE_TOKEN)
    before, after = (tokenizer.decode(part, clean_up_tokenization_spaces=False) for part in (ids[:at], ids[at + 1 :]))
    return f"{before}<image>{after}"


def test_the_table_holds_every_template():
    of_captions = {"blip2", "caption"}  # tests/systems/test_gaia_blip2.py, tests/systems/test_rs_capret.py
    assert {*TABLE} | of_captions == set(CHAT_TEMPLATES) and len(CHAT_TEMPLATES) == 11


@pytest.mark.parametrize("name", TABLE)
def test_a_template_is_written_to_the_letter(tokenizer, name):
    first, second, _ = TABLE[name]
    frame = CHAT_TEMPLATES[name]
    start = "<s>" if frame.bos else ""
    for turns, wanted in (([ONE], first), ([ONE, TWO], first + second)):
        encoded = encode(tokenizer, frame, [turns], image_tokens=1)
        assert text_of(tokenizer, encoded) == start + wanted
    before, after = prompt_text(frame, ONE.question)
    asked = f"{before}<image>{after}"
    assert first.startswith(asked) and first[len(asked) :] == f"{frame.answer_prefix}{ONE.answer}{frame.answer_end}"
    assert "###" not in first + second


@pytest.mark.parametrize("name", TABLE)
def test_a_prompt_starts_with_the_start_tokens_that_it_was_trained_with(tokenizer, name):
    *_, starts = TABLE[name]
    ids = encode_prompt(tokenizer, CHAT_TEMPLATES[name], ONE.question, image_tokens=1)
    letters = [tokenizer.convert_tokens_to_ids(n) if isinstance(n, str) else n for n in starts]
    assert ids[: len(starts)] == letters
    assert ids.count(3) == starts.count(3)
