"""Language models from local files: code on the hub is refused, numbers have a budget, and no request is sent."""

import json
import socket

import pytest

from rsvlm.errors import BadInput
from rsvlm.parts.language import local_files, model
from rsvlm.recipe import read_recipe, shipped
from rsvlm.systems.build import build
from rsvlm.systems.providers.hf_files import load_with_processor

SMALL = {"vocab_size": 32, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A tiny model in the files of transformers; whatever would open a connection fails the test."""
    model.llama(**SMALL).model.save_pretrained(tmp_path)

    def connects(*arguments, **more):
        pytest.fail(f"a connection was opened: {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", connects)
    monkeypatch.setattr(socket, "getaddrinfo", connects)
    return tmp_path


def change(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "values",
    [
        {"attn_implementation": "some/kernel"}, {"_attn_implementation": "some/kernel:fn"},
        {"_attn_implementation_internal": "some/kernel@main"}, {"text_config": {"attn_implementation": "a/b"}},
        {"attn_implementation": {"": "sdpa", "vision_config": "a/b"}}, {"experts_implementation": "a/b"},
    ],
)  # fmt: skip
def test_a_folder_that_names_code_on_the_hub_is_refused(folder, values):
    change(folder, **values)
    for opens in (lambda: model.pretrained(folder), lambda: load_with_processor(folder, "auto")):
        with pytest.raises(BadInput, match=r"config\.json asks for the .*which transformers would fetch and run"):
            opens()


def test_a_plain_folder_opens_without_a_request(folder):
    change(folder, attn_implementation="eager")
    assert model.pretrained(folder, dtype="float32").dim == 16
    with local_files.offline():
        from huggingface_hub import constants

        assert constants.HF_HUB_OFFLINE is True
    with pytest.raises(BadInput, match="dtype is 'os'; expected bfloat16, float16, float32"):
        model.pretrained(folder, dtype="os")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"attn_implementation": "some/kernel"}, "has the key 'attn_implementation', which is no number of a LLaMA"),
        ({"num_hidden_layers": 1_000_000}, r"1,000,000 layers .* over the budget"),
        ({"hidden_size": 2_000_000}, r"parameters, over the budget"),
        ({"num_hidden_layers": "1e6"}, "num_hidden_layers is '1e6'; expected a whole number"),
        ({"vocab_size": 10**5000}, "vocab_size is out of range; expected a whole number"),
    ],
)
def test_numbers_of_a_recipe_are_checked_before_anything_is_made(numbers, message):
    recipe = read_recipe(shipped("lhrs_bot", "tiny"))
    language = recipe.model["language"] | numbers
    with pytest.raises(BadInput, match=message):
        build(recipe.model_copy(update={"model": recipe.model | {"language": language}}))


def test_a_published_language_model_takes_no_other_keys(folder):
    recipe = read_recipe(shipped("lhrs_bot", "tiny"))
    language = {"base": str(folder), "attn_implementation": "some/kernel"}
    with pytest.raises(BadInput, match="has the key 'attn_implementation'; beside base and lora it takes dtype"):
        build(recipe.model_copy(update={"model": recipe.model | {"language": language}}))
