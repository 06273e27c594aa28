"""Tiny CLIP, SigLIP and SigLIP 2 of random weights: probabilities as transformers gives them, and what is refused."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fake import hub_matching
from rsvlm.errors import BadInput, MissingPart
from rsvlm.systems.abilities import Answers, CountsTokens, EncodesTexts, HasLogitScale, Matches
from rsvlm.systems.load import load
from rsvlm.systems.providers import hf_files

PICTURES = [np.random.default_rng(n).integers(0, 255, (20 + 7 * n, 30, 3), np.uint8) for n in range(3)]
TEXTS = ["a harbour", "a forest", "Bare land, dry."]
every_kind = pytest.mark.parametrize("kind", hub_matching.KINDS)


@pytest.fixture(scope="module")
def matchers(tmp_path_factory):
    """kind -> the opened model, made once."""
    made = {}

    def matcher(kind):
        if kind not in made:
            made[kind] = load(f"hf:{hub_matching.save(kind, tmp_path_factory.mktemp(kind))}")
        return made[kind]

    return matcher


@pytest.fixture
def folder(tmp_path):
    """A CLIP folder to spoil."""
    return hub_matching.save("clip", tmp_path / "clip")


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@every_kind
@torch.inference_mode()
def test_probabilities_are_those_of_transformers(kind, matchers):
    model = matchers(kind)
    shown = model.processor.image_processor(images=[Image.fromarray(one) for one in PICTURES], return_tensors="pt")
    context = hub_matching.CONTEXT[kind]
    padding = {"padding": True} if kind == "clip" else {"padding": "max_length", "max_length": context}
    rows = model.tokenizer(TEXTS, return_tensors="pt", **padding)
    words = {key: rows[key] for key in (("input_ids", "attention_mask") if kind == "clip" else ("input_ids",))}
    logits = model.model(**shown, **words).logits_per_image
    expected = logits.softmax(-1) if kind == "clip" else logits.sigmoid()
    found = model.match(PICTURES, TEXTS)
    assert found.shape == (3, 3) and np.allclose(found, expected.numpy(), atol=1e-5)
    assert (found.sum(1) == pytest.approx(1)) == (kind == "clip")
    assert len({tuple(row.round(4)) for row in found}) == 3  # the pictures are told apart


@every_kind
def test_a_batch_gives_what_each_gives_alone(kind, matchers):
    model = matchers(kind)
    assert all(isinstance(model, one) for one in (Matches, HasLogitScale, CountsTokens, EncodesTexts))
    assert not isinstance(model, Answers)
    images, texts = model.embed_images(PICTURES), model.embed_texts(TEXTS)
    for at in range(3):
        assert np.allclose(model.embed_images(PICTURES[at : at + 1]), images[at], atol=1e-6)
        assert np.allclose(model.embed_texts(TEXTS[at : at + 1]), texts[at], atol=1e-6)
    assert images.dtype == texts.dtype == np.float32 and images.shape[1] == texts.shape[1]
    assert np.allclose(np.linalg.norm(np.concatenate([images, texts]), axis=1), 1, atol=1e-5)
    raw = model.encode_texts(TEXTS)
    lengths = np.linalg.norm(raw, axis=1, keepdims=True)
    assert np.allclose(raw / lengths, texts, atol=1e-6) and not np.allclose(lengths, 1, atol=0.05)


@every_kind
def test_a_text_that_is_too_long_is_named_and_cut_only_when_told(kind, matchers):
    model, long = matchers(kind), "harbour" * 9
    with pytest.raises(
        BadInput, match=rf"1 of 2 texts are longer .*'harbourharbour.* tokens, of which {model.max_text}"
    ):
        model.match(PICTURES, ["a forest", long])
    assert model.max_text == hub_matching.CONTEXT[kind] < model.count_tokens([long])[0]
    cut = model.match(PICTURES, ["a forest", long], cut=True)
    assert cut.shape == (3, 2) and np.isfinite(cut).all()


def test_one_text_has_a_probability_of_its_own_only_in_siglip(matchers):
    assert matchers("siglip").match(PICTURES, TEXTS[:1]) == pytest.approx(
        matchers("siglip").match(PICTURES, TEXTS)[:, :1]
    )
    with pytest.raises(BadInput, match="A probability among one text means nothing"):
        matchers("clip").match(PICTURES, TEXTS[:1])


def test_a_long_strip_is_seen_by_its_middle(matchers):
    model = matchers("clip")
    strip = np.random.default_rng(3).integers(0, 255, (4, 9000, 3), np.uint8)
    other = strip.copy()
    other[:, :4000] = 0
    other[:, 5000:] = 255
    assert np.allclose(model.embed_images([strip]), model.embed_images([other]))
    upright = np.ascontiguousarray(strip.transpose(1, 0, 2))
    assert np.isfinite(model.embed_images([upright])).all()
    view = strip[:, 4000:4030][:, ::-1]  # not contiguous
    assert np.allclose(model.embed_images([view]), model.embed_images([np.ascontiguousarray(view)]))


def test_the_trace_names_weights_and_precision(folder):
    trace = load(str(folder)).trace  # the prefix is not needed
    assert (trace["type"], trace["dtype"], trace["system"]) == ("clip", "float32", "hub") and len(
        trace["weights"]
    ) == 16


def test_half_precision_is_computed_in_float32_on_a_cpu(folder):
    from transformers import CLIPModel

    CLIPModel.from_pretrained(folder, dtype=torch.float16).save_pretrained(folder)
    model = load(f"hf:{folder}")
    assert model.trace["dtype"] == ("float32" if model.device.type == "cpu" else "float16")
    assert np.isfinite(model.match(PICTURES, TEXTS)).all()


def test_what_is_no_whole_model_is_refused(folder, tmp_path):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(BadInput, match=r"pytorch_model\.bin, a pickle"):
        load(f"hf:{folder}")
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    rewrite(folder / "config.json", auto_map={"AutoModel": "code.Model"})
    assert load(f"hf:{folder}").match(PICTURES, TEXTS).shape == (3, 3)  # code of the folder is not asked for
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(BadInput, match="holds no processor for pictures"):
        load(f"hf:{folder}")
    with pytest.raises(MissingPart, match="not on this machine"):
        load("hf:somebody/no-such-clip")


def test_weights_of_another_size_are_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_size"] = 32
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="cannot be opened as a model that matches pictures and texts"):
        load(f"hf:{folder}")


def test_a_tokenizer_of_another_model_is_refused(folder, tmp_path):
    other = hub_matching.tokenizer("clip")
    other.add_tokens(["<more>"])
    other.save_pretrained(folder)
    with pytest.raises(BadInput, match="has 191 tokens, its text tower knows 190"):
        load(f"hf:{folder}")


def test_a_repository_of_open_clip_says_what_to_do(tmp_path):
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(BadInput, match=r"repository of open_clip.*rsvlm weights convert"):
        load(f"hf:{tmp_path}")


def test_a_package_that_a_tokenizer_needs_is_named(folder, monkeypatch):
    def lacking(*_):
        raise ImportError("SiglipTokenizer requires the SentencePiece library")

    monkeypatch.setattr(hf_files, "processor_class", lacking)
    with pytest.raises(MissingPart, match="SentencePiece library"):
        load(f"hf:{folder}")
