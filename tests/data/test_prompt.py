"""Frames and label masks: LHRS-Bot's text to the letter, and exactly the answers learned, by offsets."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from rsvlm.data.prompt import CHAT_TEMPLATES, encode, encode_prompt, prompt_text
from rsvlm.sample import IGNORE, IMAGE_TOKEN, Turn

SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
TURNS = (
    Turn(question="What is shown?", answer="A harbour with 12 boats."),
    Turn(question="Is there water?", answer="Yes"),
    Turn(question="[VG] Where is the pier?", answer="[0.12, 0.30, 0.25, 0.41]"),
)


@pytest.fixture(scope="module")
def tokenizer():
    """Like LLaMA's: blanks become a letter of the words, one goes in front, the rest are characters and bytes."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    words += ["▁", *map(chr, range(33, 127)), "▁A", "▁Y", "es", "▁Yes", "IN", "INST", "▁["]
    merges = [("▁", "A"), ("▁", "Y"), ("e", "s"), ("▁Y", "es"), ("I", "N"), ("IN", "ST"), ("▁", "[")]
    words.insert(words.index("INST"), "ST")
    merges.insert(5, ("S", "T"))
    model = models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges, unk_token="<unk>",
                       byte_fallback=True, fuse_unk=True)  # fmt: skip
    raw = Tokenizer(model)
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    raw.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    raw.add_special_tokens(["<unk>", "<s>", "</s>"])
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def rendered(frame, turns) -> str:
    """The whole text with <image> for the picture, as `encode` tokenises it."""
    before, after = prompt_text(frame, turns[0].question)
    text = f"{before}<image>{after}{frame.answer_prefix}{turns[0].answer}{frame.answer_end}"
    for turn in turns[1:]:
        text += (
            frame.later_turn.replace("{question}", turn.question) + frame.answer_prefix + turn.answer + frame.answer_end
        )
    return text


def test_llava_llama_2_one_turn():
    assert rendered(CHAT_TEMPLATES["llava_llama_2"], TURNS[:1]) == (
        f"[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\n<image>\nWhat is shown? [/INST] A harbour with 12 boats. </s>"
    )


def test_llava_llama_2_three_turns():
    assert rendered(CHAT_TEMPLATES["llava_llama_2"], TURNS) == (
        f"[INST] <<SYS>>\n{SYSTEM}\n<</SYS>>\n\n<image>\nWhat is shown? [/INST] A harbour with 12 boats. </s>"
        "<s>[INST] Is there water? [/INST] Yes </s>"
        "<s>[INST] [VG] Where is the pier? [/INST] [0.12, 0.30, 0.25, 0.41] </s>"
    )


def test_minigpt_v2_asks_with_a_start_token_of_its_own():
    assert rendered(CHAT_TEMPLATES["minigpt_v2"], TURNS) == (
        "<s>[INST] <Img><image></Img> What is shown? [/INST] A harbour with 12 boats.</s>"
        "<s>[INST] Is there water? [/INST] Yes</s>"
        "<s>[INST] [VG] Where is the pier? [/INST] [0.12, 0.30, 0.25, 0.41]</s>"
    )


def test_minigpt_v2_trains_with_one_start_token_and_two_blanks():
    assert rendered(CHAT_TEMPLATES["minigpt_v2_train"], TURNS[:2]) == (
        "[INST] <Img><image></Img> What is shown?  [/INST] A harbour with 12 boats.</s>"
        "<s>[INST] Is there water? [/INST] Yes</s>"
    )


@pytest.mark.parametrize(("name", "starts"), [("minigpt_v2", 2), ("minigpt_v2_train", 1)])
def test_minigpt_v2_counts_its_start_tokens(tokenizer, name, starts):
    """Its segments are tokenised apart: left of the image with a start token, right of it, each answer, each question.

    SentencePiece puts a blank before each of them, which the answer's first word carries here as well.
    """
    frame, bos = CHAT_TEMPLATES[name], tokenizer.bos_token_id
    asked = encode_prompt(tokenizer, frame, "[refer] where is it ?", image_tokens=256)
    assert asked[:starts] == [bos] * starts and asked.count(bos) == starts and asked.count(IMAGE_TOKEN) == 256

    def ids(text):
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    before, after = prompt_text(frame, TURNS[0].question)
    second = frame.later_turn.replace("{question}", TURNS[1].question)
    apart = [ids(before), [IMAGE_TOKEN], ids(after), ids("A harbour with 12 boats.</s>"), ids(second), ids("Yes</s>")]
    encoded = encode(tokenizer, frame, [TURNS[:2]], image_tokens=1)
    assert [*encoded.prompt, *encoded.reply] == [bos, *(token for part in apart for token in part)]
    assert runs(encoded) == [apart[3], apart[5]]


NOVA_SYSTEM = (
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nA chat between a curious user and an artificial "
    "intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. If "
    "your don't know the answer to a question, please don't share false information.<|eot_id|>"
)
USER, ASSISTANT = (f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("user", "assistant"))


def test_llama3_three_turns():
    assert rendered(CHAT_TEMPLATES["llama3"], TURNS) == (
        f"{NOVA_SYSTEM}{USER}<image>\nWhat is shown?<|eot_id|>{ASSISTANT}A harbour with 12 boats.<|eot_id|>"
        f"{USER}Is there water?<|eot_id|>{ASSISTANT}Yes<|eot_id|>"
        f"{USER}[VG] Where is the pier?<|eot_id|>{ASSISTANT}[0.12, 0.30, 0.25, 0.41]<|eot_id|>"
    )


def llama3_tokenizer():
    """Like Llama 3's: bytes, and a start token in front of every text."""
    specials = ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
    words = [*specials, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    raw = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.add_special_tokens(specials)
    raw.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")


def nova_ids_and_labels(tokenizer, text):
    """As `preprocess_llama3` of the released code: rounds by <|eot_id|>, masks by the lengths of tokenised parts."""

    def ids_of(part):  # `tokenizer_image_token`: one start token, none where a chunk begins
        chunks = [tokenizer(chunk)["input_ids"] for chunk in part.split("<image>")]
        return [*chunks[0], *(token for chunk in chunks[1:] for token in [IMAGE_TOKEN, *chunk[1:]])]

    ids, rounds = ids_of(text), text.split("<|eot_id|>")
    labels, at = list(ids), 0
    for number, parts in enumerate([rounds[:3], *(rounds[i : i + 2] for i in range(3, len(rounds) - 1, 2))]):
        whole = "<|eot_id|>".join(parts)
        asked = whole.split("<|eot_id|>" + ASSISTANT)[0] + "<|eot_id|>" + ASSISTANT
        later = number > 0
        start = at + len(ids_of(asked)) - later
        labels[at:start] = [IGNORE] * (start - at)
        at += len(ids_of(whole)) + 1 - later
    assert at == len(ids)
    return ids, labels


@pytest.mark.parametrize("count", [1, 2, 3])
def test_llama3_ids_and_labels_are_those_of_the_released_code(count):
    tokenizer, frame = llama3_tokenizer(), CHAT_TEMPLATES["llama3"]
    encoded = encode(tokenizer, frame, [TURNS[:count]], image_tokens=1, max_tokens=9999)
    ids, labels = nova_ids_and_labels(tokenizer, rendered(frame, TURNS[:count]))
    assert [*encoded.prompt, *encoded.reply] == ids
    assert [IGNORE] * len(encoded.prompt) + encoded.labels == labels
    assert ids[:2] == [tokenizer.bos_token_id] * 2 and ids.count(tokenizer.bos_token_id) == 2  # it is written there too


def test_plain_drops_the_question():
    turn = Turn(question="Describe the image concisely.", answer="a river in a forest")
    assert rendered(CHAT_TEMPLATES["plain"], [turn]) == "<image>a river in a forest\n"


def runs(encoded) -> list[list[int]]:
    """The learned stretches of the reply, as ids."""
    out, open_run = [], False
    for token, label in zip(encoded.reply, encoded.labels, strict=True):
        assert label in (token, IGNORE)
        if label != IGNORE:
            if not open_run:
                out.append([])
            out[-1].append(token)
        open_run = label != IGNORE
    return out


def test_llama_labels_are_the_answers_and_their_ends(tokenizer):
    encoded = encode(tokenizer, CHAT_TEMPLATES["llava_llama_2"], [TURNS], image_tokens=144)
    assert encoded.prompt[0] == tokenizer.bos_token_id and encoded.prompt.count(tokenizer.bos_token_id) == 1
    assert encoded.prompt[-144:] == [IMAGE_TOKEN] * 144 and encoded.prompt.count(IMAGE_TOKEN) == 144
    learned = runs(encoded)
    assert [tokenizer.decode(run).strip() for run in learned] == [f"{turn.answer} </s>" for turn in TURNS]
    assert all(run[-1] == tokenizer.eos_token_id for run in learned)
    first = tokenizer.convert_ids_to_tokens([run[0] for run in learned])
    assert first == ["▁A", "▁Yes", "▁["], "the first letter is learned with the blank that it carries"


def test_chunks_join_as_the_original_joins_them(tokenizer):
    """Split at <image>, tokenise each part, one start token, one placeholder between (`tokenizer_image_token`)."""
    frame = CHAT_TEMPLATES["llava_llama_2"]
    encoded = encode(tokenizer, frame, [TURNS], image_tokens=1)
    parts = rendered(frame, TURNS).split("<image>")
    before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in parts)
    assert [*encoded.prompt, *encoded.reply] == [tokenizer.bos_token_id, *before, IMAGE_TOKEN, *after]


def test_plain_learns_the_caption_and_its_line_break(tokenizer):
    turn = Turn(question="dropped", answer="a river in a forest")
    encoded = encode(tokenizer, CHAT_TEMPLATES["plain"], [[turn]], image_tokens=1)
    assert encoded.prompt == [tokenizer.bos_token_id, IMAGE_TOKEN]
    assert encoded.labels == encoded.reply, "all that follows the image is learned"
    assert tokenizer.decode(encoded.reply).strip(" ") == "a river in a forest\n"


@pytest.mark.parametrize("name", sorted(set(CHAT_TEMPLATES) - {"plain"}))
def test_a_prompt_is_the_front_of_what_is_trained_on(tokenizer, name):
    """Else the model would be asked to go on from tokens that it never saw (a blank of its own before the answer)."""
    frame = CHAT_TEMPLATES[name]
    asked = encode_prompt(tokenizer, frame, TURNS[0].question, image_tokens=4)
    encoded = encode(tokenizer, frame, [TURNS[:1]], image_tokens=4)
    assert [*encoded.prompt, *encoded.reply][: len(asked)] == asked
    learned_from = len(encoded.prompt) + next(i for i, label in enumerate(encoded.labels) if label != IGNORE)
    assert learned_from == len(asked)


@pytest.mark.parametrize("name", sorted(CHAT_TEMPLATES))
def test_every_frame_shows_the_image_once_and_every_question(name):
    frame = CHAT_TEMPLATES[name]
    assert frame.first_turn.count("{image}") == 1 and "{image}" not in frame.later_turn
    assert frame.answer_end.endswith(frame.stop) or name == "caption"  # whose replies end at a full stop, too
    if name not in ("plain", "blip2", "caption"):  # these show no question
        assert frame.first_turn.count("{question}") == 1 and frame.later_turn.count("{question}") == 1


@pytest.mark.parametrize("name", sorted(CHAT_TEMPLATES))
def test_braces_in_a_question_stay(name):
    before, after = prompt_text(CHAT_TEMPLATES[name], "{image} {x} {0}")
    assert "{image}" not in before
    assert name in ("plain", "blip2", "caption") or "{image} {x} {0}" in after
