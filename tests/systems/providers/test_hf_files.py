"""A Hugging Face folder that is not a whole model, or that would run code, is refused in a sentence."""

import json

import pytest

from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.language.local_files import check_folder
from rsvlm.systems.load import load


@pytest.fixture
def copy(folders, tmp_path):
    """A Qwen2-VL folder to spoil."""
    for path in folders("qwen2_vl").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def rewrite(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_nothing_is_fetched():
    with pytest.raises(MissingPart, match=r"not on this machine.*run: hf download somebody/no-such-model"):
        load("hf:somebody/no-such-model")
    for name in ("/no/such/folder", "no-such-folder", "../gone", "a/b/c", ""):
        with pytest.raises(BadInput, match="There is no folder"):
            load(f"hf:{name}")


def test_pickled_weights_are_not_opened(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(BadInput, match=r"pytorch_model\.bin, a pickle, which can run code"):
        load(f"hf:{copy}")


def test_a_processor_has_to_be_there(copy):
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(BadInput, match="holds no processor for pictures"):
        load(f"hf:{copy}")


def test_a_package_that_is_missing_is_named(folders, tmp_path, monkeypatch):
    """SmolVLM is Idefics3 with a processor that says in words how many pictures a video has."""
    from transformers.models.smolvlm import processing_smolvlm

    monkeypatch.setattr(processing_smolvlm, "num2words", None)
    for path in folders("idefics3").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    rewrite(tmp_path / "processor_config.json", processor_class="SmolVLMProcessor")
    with pytest.raises(MissingPart, match=r"needs a Python package that is not installed.*pip install num2words") as no:
        load(f"hf:{tmp_path}")
    assert "\n" not in str(no.value)


@pytest.mark.parametrize(
    ("kind", "changes", "says"),
    [
        (
            "qwen2_vl",
            {"size": {"shortest_edge": 10**9, "longest_edge": 10**9}},
            "longest_edge 1000000000; expected 33,554,432",
        ),
        ("qwen2_vl", {"min_pixels": 10**9}, r"min_pixels 1000000000; expected 33,554,432"),
        ("qwen2_vl", {"patch_size": 10**9}, "patch_size 1000000000; expected 4,096"),
        ("qwen2_vl", {"temporal_patch_size": 10**9}, "temporal_patch_size 1000000000; expected 4,096"),
        ("llava_onevision", {"size": {"height": 10**9, "width": 10**9}}, "width 1000000000; expected 4,096"),
        ("llava_onevision", {"size": 1e9}, r"size 1000000000\.0; expected 4,096"),
        ("llava_onevision", {"image_grid_pinpoints": [[9, 10**9]]}, "image_grid_pinpoints 1000000000; expected 4,096"),
        ("idefics3", {"max_image_size": {"longest_edge": 10**9}}, "longest_edge 1000000000; expected 4,096"),
    ],
)
def test_a_size_that_no_picture_has_is_named(folders, tmp_path, kind, changes, says):
    for path in folders(kind).iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (file,) = tmp_path.glob("preprocessor_config.json")
    rewrite(file, **changes)
    with pytest.raises(
        BadInput, match=rf"preprocessor_config\.json has the {says}.* at the most: fetch the model again"
    ):
        load(f"hf:{tmp_path}")


def test_the_sizes_of_published_processors_pass(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    for numbers in (
        {"size": {"shortest_edge": 65536, "longest_edge": 16777216}, "patch_size": 16, "merge_size": 2},  # Qwen3-VL
        {"size": {"shortest_edge": 4096, "longest_edge": 25165824}, "merge_size": 2},  # its videos
        {"min_pixels": 3136, "max_pixels": 12845056, "merge_size": 2},  # Qwen2-VL
        {"size": {"longest_edge": 2048}, "max_image_size": {"longest_edge": 512}, "resample": 1},  # SmolVLM
        {"image_grid_pinpoints": [[384, 2304], [2304, 2304]], "size": {"height": 384, "width": 384}},  # LLaVA-OneVision
        {"feature_size": 128, "n_samples": 480000, "sampling_rate": 16000, "size": [2560, 1920]},  # with sound; Donut
    ):
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(numbers))
        check_folder(tmp_path)


def test_a_chat_template_has_to_be_there(copy):
    (copy / "chat_template.jinja").unlink()
    with pytest.raises(BadInput, match="has no chat template"):
        load(f"hf:{copy}")


def test_a_part_that_is_missing_is_named(copy):
    index = {"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    (copy / "model.safetensors").rename(copy / "model-1.safetensors")
    with pytest.raises(BadInput, match=r"lacks model-2\.safetensors; fetch the model again"):
        load(f"hf:{copy}")


def test_tensors_that_are_missing_are_not_made_up(copy):
    from safetensors.torch import load_file, save_file

    state = load_file(copy / "model.safetensors")
    lost = next(name for name in state if "mlp" in name)
    save_file(
        {name: tensor for name, tensor in state.items() if name != lost}, copy / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(BadInput, match="lacks 1 tensors"):
        load(f"hf:{copy}")


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("model.safetensors", b"x" * 100, "cannot be opened"),
        ("model.safetensors", b"", "cannot be opened"),
        ("config.json", b"{}", "cannot be opened"),
        ("config.json", b"[", "not valid JSON"),
        ("config.json", b'{"model_type": "of_tomorrow"}', "cannot be opened.*of_tomorrow"),
        ("config.json", b'{"model_type": "llama"}', "holds no processor for pictures"),
        ("preprocessor_config.json", b"{", r"preprocessor_config\.json is not readable JSON"),
        ("preprocessor_config.json", b"[]", r"preprocessor_config\.json holds a list"),
        ("tokenizer.json", b"{", "cannot be opened"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(file, content, says, copy):
    (copy / file).write_bytes(content)
    with pytest.raises(BadInput, match=says) as refused:
        load(f"hf:{copy}")
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 600


def test_code_of_a_repository_is_not_run(copy):
    (copy / "evil.py").write_text("raise SystemExit('ran')")
    rewrite(copy / "config.json", model_type="evil", auto_map={"AutoConfig": "evil.Evil"})
    with pytest.raises(BadInput, match="cannot be opened"):
        load(f"hf:{copy}")
