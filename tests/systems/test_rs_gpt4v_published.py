"""LLaVA-1.5-shaped weights: the sizes of both recipes, and what of every layout is not in the conformance suite."""

import hashlib
import json
import re

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fake import llava_release as release
from fake.conformance import refused as refused_in_a_sentence
from fake.lhrs_release import filled, lora_shapes
from fake.releases import rs_gpt4v
from fake.releases.rs_gpt4v import CLIP, SIZES
from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.checkpoints.weights import adopt
from rsvlm.parts.vision.positions import resized
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.systems.build import build
from rsvlm.systems.convert import convert as published
from rsvlm.systems.load import load
from rsvlm.systems.rs_gpt4v.weights import convert_published, published_table

FOLDER = RECIPES / "rs_gpt4v"
SMALL = rs_gpt4v.RELEASE.recipe


def geochat(align_corners=True):
    vision = {**SMALL.model["vision"], "size": 48, "align_corners": align_corners}
    return SMALL.model_copy(update={"model": {**SMALL.model, "vision": vision, "speech": "geochat"}})


def whole(size=None, **more):
    tower = release.tower_shapes(**{**CLIP, "size": size}) if size else {}
    shapes = release.language_shapes(vocabulary=262, **SIZES) | release.projector_shapes(width=16, hidden=24) | tower
    return filled(shapes, 1) | more


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return rs_gpt4v.RELEASE.vision(tmp_path_factory.mktemp("openai"))


@pytest.fixture
def adapter(tmp_path):
    return rs_gpt4v.RELEASE.write(tmp_path / "lora")


# The sizes of the recipes.


@pytest.mark.parametrize(("name", "size", "tokens", "lora"), [
    ("geochat", 504, 1296, 32 * 64 * (4 * (4096 + 4096) + 3 * (4096 + 11008))),
    ("paper", 336, 576, None),
])  # fmt: skip
def test_the_recipes_have_the_published_parameter_counts(name, size, tokens, lora):
    recipe = read_recipe(FOLDER / f"{name}.yaml")
    with torch.device("meta"):
        model = build(recipe, for_training=False)
    counts = {"vision": 0, "bridge": 0, "language": 0, "lora": 0}
    for path, parameter in model.named_parameters():
        counts["lora" if ".lora_" in path else path.split(".")[0]] += parameter.numel()
    counts |= {} if lora else {"lora": None}
    assert counts == {
        "vision": 303_507_456 + (tokens - 576) * 1024,  # openai/clip-vit-large-patch14-336, vision tower
        "bridge": 1024 * 4096 + 4096 + 4096 * 4096 + 4096,
        "language": 6_738_415_616, "lora": lora,
    }  # fmt: skip
    assert model.image_tokens == tokens and model.vision.size == size and model.vision.fit == "pad"
    own = model.state_dict()
    shapes = release.language_shapes(layers=32, hidden=4096, wide=11008, vocabulary=32000)
    shapes |= release.projector_shapes(width=1024, hidden=4096)
    shapes |= release.tower_shapes(width=1024, depth=24, patch=14, size=size)
    if name == "geochat":  # the tuned model is published whole: language names are those without adapters
        plain = {n.replace(".base_layer.", "."): t for n, t in own.items() if ".lora_" not in n}
        empty = {n: torch.empty(shape, device="meta") for n, shape in shapes.items()}
        state, account = adopt(empty, plain, published_table(plain), source="geochat-7B")
        assert set(state) == set(plain) and len(account.loaded) == len(shapes) and not account.ignored


# The published layouts.


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("size", [None, 32])
def test_a_whole_model_lands_with_its_language_model_apart(tmp_path, clip, binary, size):
    tensors = whole(size, **{"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)})
    source = release.write_whole(tmp_path / "llava", tensors, binary=binary)
    account = convert_published(source, tmp_path / "out", recipe=SMALL, vision=None if size else clip)
    ours = load_file(tmp_path / "out" / "model.safetensors")
    words = load_file(tmp_path / "out" / "language" / "model.safetensors")
    assert set(account.ignored) == {"model.layers.0.self_attn.rotary_emb.inv_freq"}
    assert set(account.loaded) == set(tensors) - set(account.ignored)
    for theirs, name in account.loaded.items():
        found = words[theirs] if name.startswith("language.") else ours[name]
        assert torch.equal(found, tensors[theirs])
    assert torch.equal(ours["bridge.mlp.2.weight"], tensors["model.mm_projector.2.weight"])
    seen = {f"{release.TOWER}{n}": t for n, t in tower_of(clip).items()} if not size else tensors
    for name, tensor in ours.items():
        if name.startswith("vision."):
            assert torch.equal(tensor, seen[release.TOWER + bare(name)])
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert len(record["sha256"]) == (2 if size else 3) and record["loaded"] == len(account.loaded)
    chat = load(str(tmp_path / "out"))
    (reply,) = chat.answer([np.zeros((20, 30, 3), np.uint8)], ["What?"], max_new_tokens=3)
    assert 0 < reply.confidence <= 1 and chat.recipe.model["language"].get("lora") is None


def bare(name):
    return name.removeprefix("vision.model.").removeprefix("vision_model.")


def tower_of(folder):
    front = "vision_model."
    return {n.removeprefix(front): t for n, t in load_file(folder / "model.safetensors").items() if n.startswith(front)}


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("held", [None, 32, 48])
def test_geochats_positions_reach_its_grid(tmp_path, clip, held, align_corners):
    """From the tower beside it, from one in it as CLIP published it, and from one that was saved with the new table."""
    tensors = whole(held)
    source = release.write_whole(tmp_path / "geochat-7B", tensors, kind="geochat", binary=True)
    convert_published(source, tmp_path / "out", recipe=geochat(align_corners), vision=None if held else clip)
    state = load_file(tmp_path / "out" / "model.safetensors")
    name = "embeddings.position_embedding.weight"
    table = tensors[release.TOWER + name] if held else tower_of(clip)[name]
    wanted = table if held == 48 else resized(table[None], 37, align_corners=align_corners)[0]
    found = next(t for n, t in state.items() if n.endswith(name))
    assert found.shape == (37, 16) and torch.equal(found, wanted)
    chat = load(str(tmp_path / "out"))
    assert chat.box_dialect == "geochat" and chat.box_part(40, 20) == (0, 0, 40, 20) and chat.model.image_tokens == 36


@pytest.mark.parametrize("lora", [True, False])
def test_an_adapter_brings_its_own_numbers(tmp_path, adapter, clip, lora):
    account = convert_published(adapter, tmp_path / "out", recipe=SMALL, vision=clip, lora=lora)
    sources = filled(release.projector_shapes(width=16, hidden=24, front="base_model.model.model."), 2)
    sources |= filled(lora_shapes(r=4, **SIZES), 3) if lora else {}
    state = load_file(tmp_path / "out" / "model.safetensors")
    assert set(account.loaded) == set(sources)
    assert all(torch.equal(state[ours], sources[theirs]) for theirs, ours in account.loaded.items())
    language = read_recipe(tmp_path / "out" / "recipe.yaml").model["language"]
    expected = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.05, "target_modules": sorted(
        name for names in release.LINEARS.values() for name in names)}  # fmt: skip
    assert language == {"base": "vicuna-7b-v1.5"} | ({"lora": expected} if lora else {})
    with pytest.raises(MissingPart, match=r"fetch lmsys/vicuna-7b-v1\.5"):
        load(str(tmp_path / "out"))
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    beside = adapter / "non_lora_trainables.bin"
    assert record["sha256"][beside.name] == hashlib.sha256(beside.read_bytes()).hexdigest()


def test_an_adapter_speaks_over_the_language_model_of_a_converted_one(tmp_path, clip):
    source = release.write_whole(tmp_path / "llava", whole())
    convert_published(source, tmp_path / "base", recipe=SMALL, vision=clip)
    path = release.write_adapter(
        tmp_path / "lora", width=16, r=4, alpha=8, base="liuhaotian/llava-v1.5-7b", **SIZES
    )  # fmt: skip
    with pytest.raises(MissingPart, match=r"an adapter of llava-v1.5-7b.*--language-model"):
        convert_published(path, tmp_path / "out", recipe=SMALL, vision=clip)
    words = tmp_path / "base" / "language"
    convert_published(path, tmp_path / "out", recipe=SMALL, vision=clip, language_model=words)
    assert load(str(tmp_path / "out")).answer([None], ["What?"], max_new_tokens=2)
    other = {**json.loads((words / "config.json").read_text()), "hidden_size": 32}
    (words / "config.json").write_text(json.dumps(other))
    with pytest.raises(BadInput, match="hidden_size is 32, expected 24"):
        convert_published(path, tmp_path / "out2", recipe=SMALL, vision=clip, language_model=words)


@pytest.mark.parametrize("inside", [True, False])
def test_a_projector_alone_will_do(tmp_path, clip, inside):
    path = tmp_path / "pretrain" / "mm_projector.bin"
    path.parent.mkdir()
    tensors = filled(release.projector_shapes(width=16, hidden=24), 1)
    torch.save(tensors, path)
    account = convert_published(path.parent if inside else path, tmp_path / "out", recipe=SMALL, vision=clip)
    assert account.loaded == {n: n.replace("model.mm_projector", "bridge.mlp") for n in tensors}
    assert {r.split(",")[0] for r in account.elsewhere.values()} == {"the language model", "CLIP"}


# What is refused, in a sentence, with nothing left behind.


def refused(path, tmp_path, match, error=BadInput, recipe=SMALL, **more):
    refused_in_a_sentence(lambda out: convert_published(path, out, recipe=recipe, **more), tmp_path, match, error)


def test_the_one_door_knows_them(tmp_path, clip, adapter):
    folder = release.write_whole(tmp_path / "theirs", whole())
    seen = published.identify(folder)
    assert seen.system == "rs_gpt4v" and seen.variant == "whole" and published.identify(adapter).variant == "adapters"
    account = published.convert(folder, tmp_path / "out", recipe=SMALL, vision=clip)
    assert len(account.loaded) == len(whole()) and load(str(tmp_path / "out")).trace["system"] == "rs_gpt4v"
    with pytest.raises(BadInput, match="no checkpoint of skyeyegpt: it looks like LLaVA"):
        published.convert(folder, tmp_path / "other", system="skyeyegpt")


def test_a_missing_tower_is_named(tmp_path, adapter):
    refused(adapter, tmp_path, r"does not hold the vision tower.*clip-vit-large-patch14-336", MissingPart)
    refused(adapter, tmp_path, "no CLIP at", vision=tmp_path / "nowhere")


def test_an_adapter_without_its_projector_is_refused(tmp_path, adapter, clip):
    (adapter / "non_lora_trainables.bin").unlink()
    refused(adapter, tmp_path, "no non_lora_trainables.bin", vision=clip)


def test_the_recipe_of_the_other_model_is_refused(tmp_path, clip):
    source = release.write_whole(tmp_path / "geochat-7B", whole(48), kind="geochat")
    refused(source, tmp_path, "model_type is 'geochat', but 'llava' in the recipe 'small'; give geochat.yaml")
    config = json.loads((source / "config.json").read_text())
    for change, match in (
        ({"model_type": "llava"}, r"position_embedding.weight has shape \(37, 16\), expected \(17, 16\)"),
        ({"model_type": "llava", "mm_vision_select_layer": -1}, "mm_vision_select_layer is -1, but -2"),
        ({"model_type": "llava", "mm_use_im_start_end": True}, "mm_use_im_start_end is True"),
    ):
        (source / "config.json").write_text(json.dumps({**config, **change}))
        refused(source, tmp_path, match)


@pytest.mark.parametrize(("tensors", "match"), [
    ({"multi_modal_projector.linear_1.weight": 1}, "port of llava-hf.*hf:"),
    ({"rgb_ckpt.x": 1}, "looks like LHRS-Bot"),
    ({"lm_head.weight": 1}, "a language model alone"),
    ({"vision_model.embeddings.class_embedding": 1}, "CLIP tower alone"),
])  # fmt: skip
def test_another_checkpoint_is_named(tmp_path, tensors, match):
    torch.save({name: torch.ones(1) for name in tensors}, tmp_path / "other.bin")
    refused(tmp_path / "other.bin", tmp_path, match)


@pytest.mark.parametrize(("extra", "without", "match"), [
    ({"model.strange.weight": torch.ones(2)}, "", "holds model.strange.weight, which this system does not have"),
    ({}, "model.layers.1.mlp.up_proj.weight", "lacks 1 of"),
    ({"model.mm_projector.0.bias": torch.ones(7)}, "", r"model.mm_projector.0.bias has shape \(7,\), expected \(24,\)"),
])  # fmt: skip
def test_every_tensor_is_accounted_for(tmp_path, extra, without, match):
    tensors = {name: tensor for name, tensor in whole(32, **extra).items() if name != without}
    refused(release.write_whole(tmp_path / "llava", tensors), tmp_path, match)


def test_a_folder_that_is_not_whole_is_refused(tmp_path):
    source = release.write_whole(tmp_path / "llava", whole(32), words=False)
    refused(source, tmp_path, "holds no tokenizer")
    (source / "model-00002-of-00002.safetensors").unlink()
    refused(source, tmp_path, r"1 are not beside it, the first is model-00002-of-00002.safetensors")
    (source / "model.safetensors.index.json").unlink()
    refused(source, tmp_path, "holds no weights")


@pytest.mark.parametrize("front", ["", "model.", "base_model.model.model."])
def test_a_projector_that_peft_trained_beside_the_adapters(front):
    table = published_table([])
    assert table.ours(f"{front}mm_projector.modules_to_save.default.2.bias") == "bridge.mlp.2.bias"
    assert any(re.fullmatch(one, f"{front}mm_projector.original_module.2.bias") for one in table.ignored)
