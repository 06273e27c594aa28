"""Language models from local files: code on the hub is refused, numbers have a budget, and no request is sent."""

import json
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

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


@pytest.fixture
def asked(monkeypatch):
    """The names of kernels that are asked of the hub, as if the package `kernels` were installed."""
    from transformers import modeling_utils
    from transformers.integrations import hub_kernels

    found = []

    def get_kernel(name, *_, **__):
        found.append(name)
        raise FileNotFoundError("no kernel here")

    monkeypatch.setattr(hub_kernels, "get_kernel", get_kernel)
    for module in (hub_kernels, modeling_utils):
        monkeypatch.setattr(module, "is_kernels_available", lambda *_: True, raising=False)
    return found


@pytest.mark.parametrize("name", ["flash_attention_2", "flash_attention_3", "flex_attention", "eager", None])
def test_attention_is_that_of_pytorch_whatever_a_config_wishes(folder, asked, name):
    change(folder, attn_implementation=name, _attn_implementation=name, experts_implementation=None)
    opened = model.pretrained(folder, dtype="float32").model
    assert opened.config._attn_implementation == "sdpa" and asked == []
    assert model.llama(**SMALL).model.config._attn_implementation == "sdpa"


def test_no_kernel_is_fetched_while_a_block_is_open_in_any_thread(asked):
    from huggingface_hub import constants
    from transformers.integrations import hub_kernels

    def look():
        with local_files.offline():
            with pytest.raises(FileNotFoundError, match="is code from the hub, which is not run"):
                hub_kernels.get_kernel("kernels-community/flash-attn2")
            entered.wait(5)
            with pytest.raises(FileNotFoundError, match="is code from the hub, which is not run"):
                hub_kernels.get_kernel("a/b")
            assert constants.HF_HUB_OFFLINE is True

    before, entered = (constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE")), threading.Event()
    with ThreadPoolExecutor(4) as pool:
        with local_files.offline():
            looks = [pool.submit(look) for _ in range(4)]
        entered.set()
        [one.result() for one in looks]
    assert asked == [] and before == (constants.HF_HUB_OFFLINE, os.environ.get("HF_HUB_OFFLINE"))
    with pytest.raises(FileNotFoundError, match="no kernel here"):
        hub_kernels.get_kernel("a/b")  # all is as before
    assert asked == ["a/b"]


def test_implementations_are_looked_for_in_every_file_and_named_ones_only(folder):
    (folder / "processor_config.json").write_text(json.dumps({"x": [{"attn_implementation": "kernels@main"}]}))
    with pytest.raises(BadInput, match=r"processor_config\.json asks for the attn_implementation 'kernels@main'"):
        model.pretrained(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("adapter_config.json", {"base_model_name_or_path": "a/b", "peft_type": "LORA"}, "holds adapters"),
        ("shard-00000-model-00001-of-00002.safetensors", {}, "a distributed checkpoint"),
        ("config.json", {"transformers_weights": "other.safetensors"}, "takes its transformers_weights from 'other"),
        ("processor_config.json", {"audio_tokenizer": {"audio_tokenizer_name_or_path": "a/b"}}, "takes its audio_tok"),
        ("config.json", {"num_hidden_layers": 1_000_000}, "num_hidden_layers 1000000; expected 1,024 at the most"),
        ("config.json", {"vision_config": {"depth": 1e9}}, "depth 1000000000.0; expected 1,024 at the most"),
        ("processor_config.json", {"image_seq_len": 10**9}, "image_seq_len 1000000000; expected 65,536"),
        ("config.json", {"hidden_size": 2**20, "vocab_size": 2**20}, "over the budget of 50,000 and 1"),
        ("config.json", {"vocab_size": 2**30}, "over the budget of 50,000 and 1"),
    ],
)  # fmt: skip
def test_a_folder_that_asks_for_more_than_it_holds_is_refused(folder, file, content, message):
    if (folder / file).is_file():
        change(folder, **content)
    else:
        (folder / file).write_text(json.dumps(content))
    for opens in (lambda: model.pretrained(folder), lambda: load_with_processor(folder, "auto")):
        if file == "config.json" and "budget" in message and opens.__code__.co_names[0] != "model":
            continue  # no picture model: its processor is missed first
        with pytest.raises(BadInput, match=message):
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
