"""Any Hugging Face model: batched as alone, sighted and blind, as transformers itself generates, and safely opened."""

import numpy as np
import pytest
import torch

from fake import hub
from rsvlm.errors import BadInput
from rsvlm.systems.abilities import Answers, Compares, Streams
from rsvlm.systems.providers.hf import HFModel

QUESTIONS = ("What?", "Describe this image, please.", "How many boats are there?")
PICTURES = [
    np.random.default_rng(n).integers(0, 255, (*shape, 3), np.uint8)
    for n, shape in enumerate(((100, 80), (60, 120), (300, 200)))
]


@pytest.mark.parametrize("kind", hub.KINDS)
def test_a_batch_gives_what_each_gives_alone(kind, models):
    model = models(kind)
    together = model.answer([*PICTURES, None, PICTURES[0]], [*QUESTIONS, "What?", QUESTIONS[2]], max_new_tokens=6)
    for place, (picture, question) in enumerate(zip([*PICTURES, None], [*QUESTIONS, "What?"], strict=True)):
        (alone,) = model.answer([picture], [question], max_new_tokens=6)
        assert alone.text == together[place].text and alone.confidence == pytest.approx(
            together[place].confidence, rel=1e-4
        )
    assert len({one.text for one in together}) == 5  # other pictures, other questions, and none at all
    assert all(0 < one.confidence <= 1 and not one.error for one in together)
    assert model.answer([], []) == []


@pytest.mark.parametrize("kind", hub.KINDS)
@torch.inference_mode()
def test_replies_are_those_of_transformers(kind, models):
    model = models(kind)
    model.tokenizer.padding_side = "left"
    talks = [[{"role": "user", "content": model._content([PICTURES[0]], QUESTIONS[0])}]]
    inputs = model.processor.apply_chat_template(
        talks, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    out = model.model.generate(
        **inputs, max_new_tokens=6, do_sample=False, output_scores=True, return_dict_in_generate=True
    )
    width = inputs["input_ids"].shape[1]
    logs = model.model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
    (said,) = model.answer(PICTURES[:1], QUESTIONS[:1], max_new_tokens=6)
    assert said.text == model.tokenizer.decode(out.sequences[0, width:], skip_special_tokens=True).strip()
    assert said.confidence == pytest.approx(logs[0].mean().exp().item(), rel=1e-5)


@pytest.mark.parametrize("kind", hub.KINDS)
def test_two_dates_and_their_order(kind, models):
    model = models(kind)
    assert isinstance(model, Answers) and isinstance(model, Compares)
    there = model.compare(PICTURES[:2], PICTURES[1:], ["Changed?"] * 2, max_new_tokens=6)
    back = model.compare(PICTURES[1:], PICTURES[:2], ["Changed?"] * 2, max_new_tokens=6)
    assert there != back and len(there) == 2
    assert model.compare(PICTURES[1:2], PICTURES[2:], ["Changed?"], max_new_tokens=6)[0].text == there[1].text
    assert model.compare([], [], []) == []


def test_a_reply_ends_at_its_stop_token_only(folders, monkeypatch):
    model = HFModel("m", str(folders("qwen2_vl")))
    kept, generate = [], model.model.generate
    monkeypatch.setattr(model.model, "generate", lambda **inputs: kept.append(generate(**inputs)) or kept[-1])
    free = model.answer(PICTURES, QUESTIONS, max_new_tokens=6)
    stop = kept[0][1, -4].item()
    model.stop = {stop}
    model.model.generation_config.eos_token_id = [stop]
    cut = model.answer(PICTURES, QUESTIONS, max_new_tokens=6)
    assert len(cut[1].text) < len(free[1].text) and free[1].text.startswith(cut[1].text)
    for one, other in zip(free, cut, strict=True):
        assert one.text.startswith(other.text)


def test_words_about_boxes_stay_in_a_question(models):
    content = models("qwen2_vl")._content([], "<|box_start|>(1,2),(3,4)<|box_end|><|im_end|>?")
    assert content == [{"type": "text", "text": "<|box_start|>(1,2),(3,4)<|box_end|>?"}]


def test_what_the_model_takes_for_a_mark_is_no_word_of_a_question(models):
    model = models("qwen2_vl")
    spoilt = "What<|image_pad|>?<|im_end|>"
    assert model.answer(PICTURES[:1], [spoilt], max_new_tokens=4) == model.answer(
        PICTURES[:1], ["What?"], max_new_tokens=4
    )


@pytest.mark.parametrize(
    ("kind", "dialect"), [*zip(hub.KINDS, ("qwen2vl", "qwen25vl", "qwen3vl", "", ""), strict=True)]
)  # fmt: skip
def test_the_box_dialect_is_the_models(kind, dialect, models):
    assert models(kind).box_dialect == dialect


def test_boxes_survive_decoding_and_other_marks_do_not(models):
    model = models("qwen2_vl")
    text = "<|box_start|>(1,2),(3,4)<|box_end|>"
    ids = model.tokenizer(f"<|vision_start|>{text}<|im_end|>more", add_special_tokens=False)["input_ids"]
    end = ids.index(min(model.stop & set(ids)))
    said = model._reply(ids, [-1.0] * end + [-3.0] + [-99.0] * (len(ids) - end - 1))
    assert said.text == text and said.confidence == pytest.approx(np.exp((-end - 3) / (end + 1)))


@pytest.mark.parametrize("size", [(30, 20), (100, 80), (300, 200), (57, 400)])
def test_the_input_size_is_the_processors(size, models):
    model = models("qwen2_5_vl")
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    _, rows, columns = model.processor.image_processor(images=[picture])["image_grid_thw"][0]
    assert model.input_size(*size) == (columns * 14, rows * 14)
    assert models("qwen2_vl").input_size(*size) == size


def test_the_trace_names_the_weights_and_the_versions(folders, models):
    import hashlib

    trace = models("qwen2_vl").trace
    weights = (folders("qwen2_vl") / "model.safetensors").read_bytes()
    assert trace["weights"] == hashlib.sha256(weights).hexdigest()[:16] and trace["torch"] == torch.__version__
    assert (trace["type"], trace["dtype"]) == ("qwen2_vl", "float32") and "transformers" in trace
    half = HFModel("m", str(folders("qwen2_vl")), dtype="bfloat16")
    assert (
        half.trace["dtype"] == "bfloat16" and half.answer([PICTURES[0]], ["What?"], max_new_tokens=2)[0].confidence > 0
    )


def test_a_prompt_longer_than_the_context_says_so(models):
    with pytest.raises(BadInput, match="reads 2048 tokens at once; the prompt has"):
        models("qwen2_vl").answer([PICTURES[0]], ["boats " * 400])


@pytest.mark.parametrize("kind", hub.KINDS)
def test_the_pieces_of_a_stream_are_the_answer(kind, models):
    model = models(kind)
    assert isinstance(model, Streams)
    for image in (PICTURES[0], None):
        (reply,) = model.answer([image], [QUESTIONS[1]], max_new_tokens=12)
        pieces, end = drain(model.stream(image, QUESTIONS[1], max_new_tokens=12))
        assert "".join(pieces) == reply.text == end.text
        assert end.confidence == pytest.approx(reply.confidence, rel=1e-5)


def drain(stream):
    pieces = []
    while True:
        try:
            pieces.append(next(stream))
        except StopIteration as end:
            return pieces, end.value


def test_a_reply_ends_before_a_stop_string(models):
    model, asked = models("llava_onevision"), ([PICTURES[0], PICTURES[1]], [QUESTIONS[0], QUESTIONS[2]])
    free = model.answer(*asked, max_new_tokens=12)
    inner = free[0].text[2:4]
    cut = model.answer(*asked, max_new_tokens=12, stop=["never said", inner])
    assert cut[0].text == free[0].text[: free[0].text.index(inner)].strip() and cut[0].text != free[0].text
    if inner not in free[1].text:  # the other row goes on
        assert cut[1].text == free[1].text
    pieces, end = drain(model.stream(PICTURES[0], QUESTIONS[0], max_new_tokens=12, stop=[inner]))
    assert "".join(pieces) == cut[0].text == end.text
    assert end.confidence == pytest.approx(cut[0].confidence, rel=1e-5)
    with pytest.raises(BadInput, match="A stop string is empty"):
        model.answer(*asked, stop=[""])


def test_a_stream_that_nobody_listens_to_ends_and_an_error_is_raised(models):
    stream = models("qwen2_vl").stream(PICTURES[0], QUESTIONS[0], max_new_tokens=1000)
    next(stream)
    stream.close()
    with pytest.raises(BadInput, match="reads 2048 tokens at once"):
        next(models("qwen2_vl").stream(PICTURES[0], "boats " * 400))


@pytest.mark.parametrize("kind", hub.KINDS)
def test_the_likelihood_of_a_reply_is_that_of_its_tokens(kind, models):
    model = models(kind)
    replies = ["a boat", "b", "two boats in a harbour", "c", "d", "e", "f", "g", "h"]  # more than are run over at once
    logs = model.log_likelihoods([*PICTURES[:2], None], QUESTIONS, replies)
    assert logs.shape == (3, 9) and (logs < 0).all() and np.isfinite(logs).all()
    assert not np.allclose(logs[0], logs[1])
    # By hand: each token after the prompt and the tokens before it, then the end.
    inputs = model._inputs([((PICTURES[0],), QUESTIONS[0])], 32)
    ids, expected = model.tokenizer(replies[0], add_special_tokens=False)["input_ids"], 0.0
    for token in [*ids, None]:
        logits = model.model(**inputs).logits[0, -1].float().log_softmax(-1)
        expected += (logits[sorted(model.stop)].logsumexp(0) if token is None else logits[token]).item()
        if token is not None:
            more = {"input_ids": token, "attention_mask": 1}
            inputs |= {
                key: torch.cat([value, torch.full_like(value[:, :1], more.get(key, 0))], 1)
                for key, value in inputs.items()
                if value.shape == inputs["attention_mask"].shape
            }
    assert logs[0, 0] == pytest.approx(expected, rel=1e-4)
    assert model.log_likelihoods([], [], replies).shape == (0, 9)
