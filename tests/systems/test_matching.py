"""Probabilities of texts for pictures by any model that matches, and every mistake in a sentence."""

import numpy as np
import pytest

import rsvlm
from fake.chat_model import Speaker
from fake.matchers import Colours, Plain, dual_folder
from rsvlm.errors import BadInput
from rsvlm.serve.assistant import Assistant
from rsvlm.systems import matching
from rsvlm.systems.load import load
from rsvlm.systems.matching import match_probabilities


def flat(*colour):
    return np.full((8, 10, 3), colour, np.uint8)


RED, GREEN, BLUE = flat(250, 5, 5), flat(5, 250, 5), flat(5, 5, 250)
TEXTS = ["a red roof", "a green field", "blue water"]


def test_the_right_text_is_the_likeliest_and_rows_sum_to_one():
    found = match_probabilities(Colours(), [RED, GREEN, BLUE, RED], TEXTS, batch=3)
    assert found.argmax(1).tolist() == [0, 1, 2, 0] and found.sum(1) == pytest.approx(1)
    assert found[0, 0] > 0.99 and (found[0] == found[3]).all()
    assert match_probabilities(Colours(), [], TEXTS).shape == (0, 3)
    assert rsvlm.match_probabilities is match_probabilities


def test_scale_and_bias_are_the_models_own():
    cosines = np.array([[0.2, 0.1]])
    odds = np.exp(10 * cosines)
    assert matching.probabilities(Colours(scale=10), cosines) == pytest.approx(odds / odds.sum())
    sigmoid = 1 / (1 + np.exp(-(10 * cosines - 3)))
    assert matching.probabilities(Colours(scale=10, bias=-3), cosines) == pytest.approx(sigmoid)
    plain = np.exp(100 * cosines)  # a model that tells no scale
    assert matching.probabilities(Plain(), cosines) == pytest.approx(plain / plain.sum())
    assert np.isfinite(matching.probabilities(Colours(scale=1e4, bias=0.0), np.array([[-1.0, 1.0]]))).all()


def test_templates_are_averaged_at_unit_length():
    model = Colours(scale=1)
    framed = matching.text_vectors(model, ["red"], templates=["{} blue", "{}"])[0]
    each = np.stack([model.embed_texts([text])[0] for text in ("red blue", "red")]).astype(float).mean(0)
    assert framed == pytest.approx(each / np.linalg.norm(each), abs=1e-6)
    assert match_probabilities(model, [RED], ["red", "green"], templates=["a photo of {}."]).shape == (1, 2)


def test_every_model_that_matches_has_match():
    for model in (Colours(), Assistant(Colours()), Assistant(Plain())):
        assert model.match([RED, BLUE], TEXTS).argmax(1).tolist() == [0, 2]
    assert Assistant(Plain()).match(RED, TEXTS).shape == (1, 3)
    assert Assistant(Plain()).embed_images([RED, BLUE]).shape == (2, 3)
    assert Assistant(Plain()).embed_texts(TEXTS).dtype == np.float32


def test_a_dual_encoder_matches_with_its_own_scale(tmp_path):
    model = load(str(dual_folder(tmp_path)))
    images = [np.random.default_rng(n).integers(0, 255, (40, 30, 3), np.uint8) for n in range(3)]
    cosines = model.embed_images(images).astype(float) @ model.embed_texts(["a port", "bare land"]).T
    logits = cosines * model.model.logit_scale.exp().item()
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert model.match(images, ["a port", "bare land"]) == pytest.approx(expected, abs=1e-5)
    raw = model.encode_texts(["a port", "bare land"])
    assert np.allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), model.embed_texts(["a port", "bare land"]))
    assert model.logit_bias is None and model.max_text < model.count_tokens(["port " * 99])[0]
    with pytest.raises(BadInput, match="longer than"):
        model.match(images, ["a port", "port " * 99])


@pytest.mark.parametrize(
    ("texts", "settings", "says"),
    [
        ([], {}, "No text was given to match"),
        (["a", " "], {}, "A text to match is empty"),
        (["a forest", "A  Forest"], {}, "The text 'a forest' is given 2 times"),
        (["red"], {}, "A probability among one text means nothing"),
        (["red", "blue"], {"templates": ["a photo"]}, r"The template 'a photo' has no one {}"),
        (["red", "blue"], {"templates": ["{} {}"]}, r"The template '{} {}' has no one {}"),
        (
            ["red", "blue " * 13],
            {},
            "1 of 2 texts are longer than colours reads: 'blue blue .* has 13 tokens, of which 12",
        ),
    ],
)
def test_texts_that_cannot_be_matched_are_one_sentence(texts, settings, says):
    with pytest.raises(BadInput, match=says) as error:
        match_probabilities(Colours(), [RED], texts, **settings)
    assert "\n" not in str(error.value)


def test_one_text_is_fine_where_each_has_a_probability_of_its_own():
    found = match_probabilities(Colours(scale=10, bias=-7), [RED, BLUE], ["red"])
    assert found[0, 0] > 0.9 > 0.1 > found[1, 0]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda rows: rows * np.nan, "plain gave vectors that hold NaN or infinity for 2 of 2 pictures"),
        (lambda rows: np.where(rows > 0.9, np.inf, rows), "NaN or infinity for 1 of 2 pictures"),
        (lambda rows: rows[:, :2], "vectors of 2 numbers for a picture where 3 were expected"),
        (lambda rows: rows[:1], r"vectors of shape \(1, 3\) for 2 pictures"),
        (lambda rows: rows[0], r"vectors of shape \(3,\) for 2 pictures"),
        (lambda rows: rows * 0, "a vector of length zero for a picture"),
    ],
)
def test_vectors_that_are_none_are_one_sentence_and_no_figure(spoil, says):
    with pytest.raises(BadInput, match=says):
        match_probabilities(Plain(spoil), [RED, flat(9, 9, 9)], TEXTS)


def test_vectors_of_two_widths_are_one_sentence():
    widths = iter((3, 2))
    model = Plain(lambda rows: rows[:, : next(widths)])
    with pytest.raises(BadInput, match="Vectors of one model came in the shapes"):
        match_probabilities(model, [RED, BLUE], TEXTS, batch=1)


def test_who_cannot_match_says_who_can():
    for ask in (lambda: match_probabilities(Speaker(), [RED], TEXTS), lambda: Assistant(Speaker()).embed_images([RED])):
        with pytest.raises(BadInput, match=r"cannot match pictures and texts; models that can: .*dual encoder"):
            ask()
    with pytest.raises(BadInput, match="colours cannot answer questions about a picture"):
        Assistant(Colours()).ask("scene.tif", "What?")
