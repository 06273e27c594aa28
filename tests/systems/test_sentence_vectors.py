"""The sentence encoder in NumPy gives the vectors of the one in PyTorch."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from rsvlm.parts.text.sentence import sentence_encoder
from rsvlm.systems.onnx.sentence import MOST_TOKENS, SentenceVectors

NUMBERS = {
    "vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24,
    "max_position_embeddings": 300, "layer_norm_eps": 1e-12,
}  # fmt: skip
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklm"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An encoder of random weights with words of one letter."""
    root = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    encoder = sentence_encoder(**NUMBERS)
    for parameter in encoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save_file({name: one.contiguous() for name, one in encoder.model.state_dict().items()}, root / "model.safetensors")
    (root / "config.json").write_text(json.dumps({"model_type": "bert", **NUMBERS}))
    words = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    words.save(str(root / "tokenizer.json"))
    return root


def test_vectors_are_those_of_pytorch(folder):
    texts = ["a b c", "d", "e f g h i j " * 5, "zebra a"]
    found, words = SentenceVectors(folder)(texts), Tokenizer.from_file(str(folder / "tokenizer.json"))
    encoder = sentence_encoder(folder).eval()
    for text, row in zip(texts, found, strict=True):
        ids = torch.tensor([words.encode(text).ids])
        with torch.no_grad():
            wanted = torch.nn.functional.normalize(encoder(ids, torch.ones_like(ids)), dim=-1)[0].numpy()
        assert np.abs(row - wanted).max() < 1e-5
    assert found.shape == (4, 16) and np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_long_texts_are_cut_and_none_are_none(folder):
    encode = SentenceVectors(folder)
    long = encode(["a b " * MOST_TOKENS, "a b " * (MOST_TOKENS // 2 - 1)])
    assert np.allclose(long[0], long[1], atol=1e-6) and encode([]).shape == (0, 16)
