"""Every registered chat system generates as transformers does, in batches as alone, and streams what it answers."""

import numpy as np
import pytest
import torch

from fake import chats, runs
from fake.chats import PICTURES, QUESTIONS
from rsvlm.data.prompt import CHAT_TEMPLATES
from rsvlm.data.reply import decode_reply
from rsvlm.errors import BadInput
from rsvlm.sample import IMAGE_TOKEN
from rsvlm.systems.abilities import Streams
from rsvlm.systems.rs_capret.runtime import adjusted
from rsvlm.systems.runtime.limits import stops_of
from rsvlm.systems.runtime.rounds import AnswersInRounds, Prompt

NEW = 10
CAPTION = "Describe this image."


@pytest.fixture(scope="module", params=[path.parent.name for path in runs.CHAT])
def chat(request, tmp_path_factory):
    return chats.chat(tmp_path_factory.mktemp(request.param), request.param)


def asks(chat, questions):
    """Askings by one expert where the system has several: a language model alone is what transformers can run."""
    expert = 1 if getattr(chat.model, "experts", ()) else None
    return [Prompt(text=question, question=question, expert=expert) for question in questions]


@torch.inference_mode()
def by_transformers(chat, batch, expert, stop):
    """(ids, probabilities of all tokens with the stop token) of each row, by `generate` over the same embeddings."""
    language = chat.model.language
    if expert is not None:
        language.turns[expert] = torch.arange(len(batch["prompt"]))  # who speaks each row, as its `forward` says it
    out = language.model.generate(
        inputs_embeds=chat.model.read(batch), attention_mask=batch["prompt_mask"].long(), do_sample=False,
        max_new_tokens=NEW, eos_token_id=sorted(stop) or None, pad_token_id=0, output_scores=True,
        return_dict_in_generate=True,
    )  # fmt: skip
    getattr(language, "turns", {}).clear()
    best = torch.stack([score.softmax(-1).amax(-1) for score in out.scores], 1)
    rows = []
    for ids, sure in zip(out.sequences.tolist(), best.tolist(), strict=True):
        end = next((at for at, token in enumerate(ids) if token in stop), len(ids))
        rows.append((ids[:end], sure[: end + 1]))
    return rows


def words_only(chat):
    """What keeps a system from its own token, which transformers' model has not."""
    ret = getattr(chat.model.language, "ret", None)
    return None if ret is None else adjusted(ret, NEW)


@torch.inference_mode()
def test_tokens_and_probabilities_are_those_of_transformers(chat):
    asked = asks(chat, QUESTIONS)
    batch = chat.batch([(picture,) for picture in PICTURES], asked, NEW)
    lengths = 3 if "{question}" in chat.frame.first_turn else 1  # a captioner's prompt is the picture
    assert batch["prompt_mask"].sum(1).unique().numel() == lengths  # left-padded
    free, _ = chat.model.answer(batch, stop=frozenset(), max_new_tokens=NEW)
    assert len({tuple(row) for row in free}) > 1 or lengths == 1
    stop = frozenset([free[1][3]])  # one that comes: rows end at different tokens
    for ends in (frozenset(), stop):
        *_, ours = chat.model.steps(batch, stop=ends, max_new_tokens=NEW, adjust=words_only(chat))
        for row, (ids, sure) in zip(ours, by_transformers(chat, batch, asked[0].expert, ends), strict=True):
            assert row.ids == ids
            assert np.exp(row.logs) == pytest.approx(sure, rel=1e-4)
            assert row.confidence == pytest.approx(float(np.exp(np.mean(np.log(sure)))), rel=1e-4)
    assert len({len(row.ids) for row in ours}) > 1 or len(ours[1].ids) < NEW


def test_a_batch_gives_what_each_gives_alone(chat):
    questions, images = [*QUESTIONS, CAPTION, CAPTION], [*PICTURES, PICTURES[0], None]
    together = chat.answer(images, questions, max_new_tokens=NEW)
    for image, question, reply in zip(images, questions, together, strict=True):
        (alone,) = chat.answer([image], [question], max_new_tokens=NEW)
        assert alone.text == reply.text and alone.confidence == pytest.approx(reply.confidence, rel=1e-3)


def test_questions_about_one_picture_share_its_tokens(chat, monkeypatch):
    apart = [chat.answer([PICTURES[1]], [question], max_new_tokens=NEW)[0] for question in QUESTIONS]
    read, plain = [], chat.model.read
    monkeypatch.setattr(chat.model, "read", lambda batch: read.append(len(batch["prompt"])) or plain(batch))
    together = chat.answer([PICTURES[1]] * 3, QUESTIONS, max_new_tokens=NEW)
    if chat.model.reads_question:  # its tokens are another's for another question
        assert min(read) >= 3
    else:
        assert read == [1]
    for one, other in zip(apart, together, strict=True):
        assert one.text == other.text and one.confidence == pytest.approx(other.confidence, rel=1e-3)


@pytest.mark.parametrize("image", [PICTURES[2], None], ids=["sighted", "blind"])
def test_the_pieces_of_a_stream_are_the_answer(chat, image):
    assert isinstance(chat, Streams)
    for question in QUESTIONS:
        (reply,) = chat.answer([image], [question], max_new_tokens=NEW)
        pieces, end = drain(chat.stream(image, question, max_new_tokens=NEW))
        assert "".join(pieces) == reply.text == end.text and all(pieces)
        assert end.confidence == pytest.approx(reply.confidence, rel=1e-4)
    # What is put together of drafts, or cut to a sentence, comes at once.
    assert len(pieces) > 1 or isinstance(chat.model, AnswersInRounds) or chat.recipe.system == "rs_capret"


def drain(stream):
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_a_reply_ends_before_a_stop_string(chat):
    question = "x" if isinstance(chat.model, AnswersInRounds) else QUESTIONS[1]  # "x" is for one expert at a time
    (free,) = chat.answer([PICTURES[0]], [question], max_new_tokens=NEW)
    inner = free.text[3:5]
    assert len(inner) == 2 and inner.strip()  # bytes are tokens: it takes two to say it
    stop = ["never said", inner]
    (cut,) = chat.answer([PICTURES[0]], [question], max_new_tokens=NEW, stop=stop)
    assert cut.text == free.text[: free.text.index(inner)].strip()
    pieces, end = drain(chat.stream(PICTURES[0], question, max_new_tokens=NEW, stop=stop))
    assert "".join(pieces) == cut.text == end.text
    with pytest.raises(BadInput, match="A stop string is empty"):
        chat.answer([PICTURES[0]], [question], stop=[""])


def test_a_prompt_longer_than_the_context_says_so(chat):
    before = len(chat.batch([PICTURES[:1]], asks(chat, [""]), 1)["prompt"][0])
    if "{question}" not in chat.frame.first_turn:  # a captioner's prompt stays as long as it is
        assert len(chat.batch([PICTURES[:1]], asks(chat, ["a" * 999]), 1)["prompt"][0]) == before
        return
    fits = "a" * (512 - before - 3)
    chat.batch([PICTURES[:1]], asks(chat, [fits]), 3)
    said = r"reads 512 tokens at once; the prompt has 509, the reply up to 4: give .* a shorter question or fewer new"
    with pytest.raises(BadInput, match=said):
        chat.batch([PICTURES[:1]], asks(chat, [fits]), 4)
    with pytest.raises(BadInput, match="reads 512 tokens at once"):
        chat.answer(PICTURES[:1], ["a" * 600])
    with pytest.raises(BadInput, match="reads 512 tokens at once"):
        next(chat.stream(PICTURES[0], "a" * 600))


def test_image_tokens_are_as_many_as_the_system_says(chat):
    prompt = chat.batch([PICTURES[:1]], asks(chat, ["x"]), 1)["prompt"]
    assert int((prompt == IMAGE_TOKEN).sum()) == chat.model.image_tokens


# -- tokenizers --------------------------------------------------------------------------------------------------------


def test_a_tokenizer_of_another_language_model_is_refused(tmp_path, monkeypatch):
    from rsvlm.systems.runtime import chat as module

    folder, own = chats.saved(tmp_path, "lhrs_bot"), module.build_tokenizer

    def larger(recipe):
        tokenizer = own(recipe)
        tokenizer.add_tokens(["<one>", "<two>"])
        return tokenizer

    monkeypatch.setattr(module, "build_tokenizer", larger)
    with pytest.raises(BadInput, match="has 264 tokens, its language model knows 262; give the folder"):
        module.ChatModel(folder, "mine")


def test_a_frame_whose_stop_the_tokenizer_does_not_know_is_refused(tmp_path):
    with pytest.raises(BadInput, match=r"ends its replies with '<\|eot_id\|>' \(frame 'llama3'\), which its tokenizer"):
        chats.chat(tmp_path, "lhrs_bot", frame="llama3")


def test_a_line_break_ends_a_reply_as_text(tmp_path):
    chat = chats.chat(tmp_path, "lhrs_bot", frame="plain")
    assert stops_of("mine", chat.tokenizer, CHAT_TEMPLATES["plain"]) == (
        frozenset([chat.tokenizer.eos_token_id]),
        ("\n",),
    )
    ids = chat.tokenizer("one\ntwo")["input_ids"]
    assert chat.stopping(9, chat.stop_texts)["ended"](ids) and decode_reply(chat.tokenizer, ids) == "one\ntwo"
