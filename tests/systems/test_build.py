"""Recipes to systems: the tokenizer of random models, and model folders that are not whole."""

import re

import pytest
from safetensors.torch import save_file

from fake import batches, runs
from rsvlm.errors import BadInput
from rsvlm.systems.build import byte_tokenizer
from rsvlm.systems.load import load


def test_a_model_folder_that_is_not_whole_is_refused(tmp_path):
    path = runs.tiny("lhrs_bot")
    model = batches.tiny(path)[1]
    lost = next(name for name, _ in model.named_parameters() if name.startswith("bridge."))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items() if name != lost}
    (tmp_path / "recipe.yaml").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(BadInput, match=f"1 tensors are missing, the first is {re.escape(lost)}"):
        load(str(tmp_path))
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(BadInput, match="not a readable safetensors"):
        load(str(tmp_path))


def test_the_byte_tokenizer_is_lossless():
    tokenizer = byte_tokenizer()
    text = "Two  spaces,\nä and <|im_end|>"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text and max(ids) < 262
    assert ids[-1] == tokenizer.convert_tokens_to_ids("<|im_end|>")
