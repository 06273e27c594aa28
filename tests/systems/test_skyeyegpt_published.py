"""SkyEyeGPT as published: the sizes of its recipe, and MiniGPT-v2-shaped checkpoints as a model folder of ours."""

import hashlib
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fake import minigpt_release as release
from fake import runs
from fake.lhrs_release import filled
from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.checkpoints.weights import adopt
from rsvlm.parts.vision.eva import resized
from rsvlm.recipe import Recipe, read_recipe
from rsvlm.systems.build import build, byte_tokenizer, load_weights
from rsvlm.systems.load import load
from rsvlm.systems.skyeyegpt.weights import convert_published, published_table

RECIPE = runs.ROOT / "recipes" / "skyeyegpt" / "paper.yaml"
PAPER = read_recipe(RECIPE)
EVA = {"width": 32, "depth": 2, "patch": 8, "hidden": 139}
RUNNER = {"merged": 4 * 32, "layers": 2, "hidden": 24, "r": 4}
LLAMA = {"vocab_size": 262, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512}  # fmt: skip
SMALL = Recipe(
    system="skyeyegpt", size="small",
    model={
        "frame": "minigpt_v2",
        "vision": {"tower": "eva_clip", "width": 32, "depth": 2, "heads": 4, "patch": 8, "size": 64, "norm": True},
        "bridge": {"group": 4},
        "language": {"base": "llama", **LLAMA, "lora": {**PAPER.model["language"]["lora"], "r": 4, "lora_alpha": 1}},
    },
)  # fmt: skip


def with_bridge(**lora):
    return SMALL.model_copy(update={"model": {**SMALL.model, "bridge": {"group": 4, "lora": lora}}})


@pytest.fixture(scope="module")
def eva(tmp_path_factory):
    """Positions of a grid half as fine as the recipe's: 32 pixels, where it sees 64."""
    return release.write_eva(tmp_path_factory.mktemp("lavis") / "eva_vit_g.pth", size=32, **EVA)


@pytest.fixture
def checkpoint(tmp_path):
    return lambda **shapes: write(tmp_path, **shapes)


def write(folder, extra=(), without=(), **shapes):
    model = filled(release.runner_shapes(**{**RUNNER, **shapes}), 1) | dict(extra)
    return release.write_checkpoint(
        folder / "release" / "SkyEyeGPT.pth", {n: t for n, t in model.items() if n not in without}
    )


# The sizes of the paper.


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return build(PAPER)


def test_the_paper_recipe_has_the_published_parameter_counts(paper):
    counts = {"vision": 0, "bridge": 0, "language": 0, "lora": 0}
    for name, parameter in paper.named_parameters():
        assert parameter.is_meta
        counts["lora" if ".lora_" in name else name.split(".")[0]] += parameter.numel()
    assert counts == {
        "vision": 986_978_688,  # EVA-CLIP-g without its last block, at 448 pixels, and `ln_vision`
        "bridge": 5632 * 4096 + 4096,
        "language": 6_738_415_616,
        "lora": 32 * 2 * 2 * 64 * 4096,  # rank 64 on q_proj and v_proj
    }
    assert paper.image_tokens == 256 and paper.vision.tokens == (1024,) and paper.vision.size == 448


@pytest.mark.parametrize("adapter", ["", ".default"])
def test_the_published_names_and_shapes_fit_the_paper_recipe(paper, adapter):
    shapes = release.runner_shapes(merged=5632, layers=32, hidden=4096, r=64, adapter=adapter)
    assert len(shapes) == 130
    tower = release.eva_shapes(width=1408, depth=40, patch=14, size=448, hidden=6144)
    shapes |= {f"visual_encoder.{name}": shape for name, shape in tower.items()}
    own = paper.state_dict()
    state, account = adopt(
        {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}, own, published_table(own, 39),
        source="SkyEyeGPT.pth", elsewhere={r"language\.model\.(?!.*lora_).+": "LLaMA", r"vision\.norm\..+": "ones"},
    )  # fmt: skip
    assert set(account.loaded) | set(account.ignored) == set(shapes)
    assert set(account.ignored) == {name for name in shapes if ".blocks.39." in name}
    assert len(state) == 130 + 4 + 39 * 13


def test_the_paper_recipe_gives_a_source_for_every_number_of_its_stages():
    lines = RECIPE.read_text().split("\nstages:\n")[1].splitlines()
    assert [line for line in lines if "name:" not in line and "#" not in line] == []
    assert [stage.name for stage in PAPER.stages] == ["single_task", "conversation"]
    assert {stage.trainable for stage in PAPER.stages} == {("bridge", "language.lora")}


# The published files.


@pytest.mark.parametrize("adapter", ["", ".default"])
def test_every_tensor_lands_in_both_forms(checkpoint, eva, tmp_path, adapter):
    inverse = {"llama_model.base_model.model.model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)}
    path = checkpoint(adapter=adapter, extra=inverse)
    account = convert_published(path, tmp_path / "out", recipe=SMALL, vision=eva)
    state = load_file(tmp_path / "out" / "model.safetensors")
    published = torch.load(path, weights_only=True)["model"]
    assert set(account.loaded) == set(published) - set(inverse) and set(account.ignored) == set(inverse)
    assert len(account.loaded) == 2 + 2 * 2 * 2
    assert all(torch.equal(state[ours], published[theirs]) for theirs, ours in account.loaded.items())
    own = build(SMALL).state_dict()
    assert set(state) == {name for name in own if not name.startswith("language.") or ".lora_" in name}
    assert set(own) - set(account.loaded.values()) == set(account.elsewhere)
    tower = torch.load(eva, weights_only=True)
    assert torch.equal(state["vision.positions"], resized(tower["pos_embed"], 65))
    assert torch.equal(state["vision.blocks.1.attention.qkv.weight"], tower["blocks.1.attn.qkv.weight"])
    assert state["vision.norm.weight"].eq(1).all() and state["vision.norm.bias"].eq(0).all()


def test_the_folder_says_where_its_weights_come_from(checkpoint, eva, tmp_path):
    path = checkpoint()
    convert_published(path, tmp_path / "out", recipe=SMALL, vision=eva)
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    sources = {"SkyEyeGPT.pth": path, "eva_vit_g.pth": eva}
    assert record["sha256"] == {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in sources.items()}
    assert len(record["elsewhere"]) == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "model.safetensors", "provenance.json", "recipe.yaml"
    ]  # fmt: skip


@pytest.mark.parametrize("size", [64, 32])
def test_a_checkpoint_saved_whole_brings_its_own_tower(checkpoint, tmp_path, size):
    tower = filled(release.eva_shapes(size=size, **EVA), 7)
    extra = {f"visual_encoder.{name}": tensor for name, tensor in tower.items()}
    extra |= {"ln_vision.weight": torch.full((32,), 2.0), "ln_vision.bias": torch.full((32,), 3.0)}
    account = convert_published(checkpoint(extra=extra), tmp_path / "out", recipe=SMALL)
    state = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(state["vision.positions"], resized(tower["pos_embed"], 65))
    assert state["vision.norm.bias"].eq(3).all()
    assert not any(name.startswith("vision.") for name in account.elsewhere)


@torch.inference_mode()
def test_the_model_computes_what_the_original_would(checkpoint, eva, tmp_path):
    """encode_img and q_proj of layer 0, from the published tensors as they stand."""
    path = checkpoint()
    convert_published(path, tmp_path / "out", recipe=SMALL, vision=eva)
    model = build(SMALL, for_training=False).eval()
    load_weights(model, load_file(tmp_path / "out" / "model.safetensors"), source="the folder")
    published = torch.load(path, weights_only=True)["model"]
    image = torch.rand(1, 3, 64, 64)
    *_, last = model.vision.hidden((image - model.vision.mean) / model.vision.std)
    normed = torch.nn.functional.layer_norm(last, (32,), eps=1e-5)[:, 1:]
    wanted = normed.reshape(1, 16, 128) @ published["llama_proj.weight"].T + published["llama_proj.bias"]
    assert torch.allclose(model.bridge(model.see({"image": image})), wanted, atol=1e-5)
    at = "llama_model.base_model.model.model.layers.0.self_attn.q_proj."
    adapted = model.language.model.model.layers[0].self_attn.q_proj
    x = torch.randn(3, 24)
    change = x @ published[f"{at}lora_A.weight"].T @ published[f"{at}lora_B.weight"].T * (1 / 4)  # lora_alpha / r
    assert torch.allclose(adapted(x) - adapted.get_base_layer()(x), change, atol=1e-5) and change.abs().max() > 1e-3


def test_a_converted_folder_answers(checkpoint, eva, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    LlamaForCausalLM(LlamaConfig(**LLAMA)).save_pretrained(tmp_path / "llama")
    byte_tokenizer().save_pretrained(tmp_path / "llama")
    convert_published(checkpoint(), tmp_path / "out", recipe=SMALL, vision=eva, language_model=tmp_path / "llama")
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    model = load(str(tmp_path / "out"))
    (reply,) = model.answer([picture], ["[caption] briefly describe the image"], max_new_tokens=3)
    assert isinstance(reply.text, str) and 0 < reply.confidence <= 1 and model.box_dialect == "minigpt"


def test_without_the_language_model_the_folder_says_what_it_needs(checkpoint, eva, tmp_path):
    convert_published(checkpoint(), tmp_path / "out", recipe=SMALL, vision=eva)
    with pytest.raises(MissingPart, match="Llama-2-7b-chat-hf"):
        load(str(tmp_path / "out"))


# The alignment layer with adapters.


@pytest.mark.parametrize("adapter", ["", ".default"])
def test_adapters_of_the_alignment_layer_are_loaded(checkpoint, eva, tmp_path, adapter):
    path = checkpoint(bridge_r=2, adapter=adapter)
    account = convert_published(path, tmp_path / "out", recipe=with_bridge(r=2, lora_alpha=4), vision=eva)
    assert len(account.loaded) == 2 + 2 + 8
    assert account.loaded["llama_proj.weight"] == "bridge.proj.base_layer.weight"
    kept = read_recipe(tmp_path / "out" / "recipe.yaml").model["bridge"]
    assert kept == {"group": 4, "lora": {"r": 2, "lora_alpha": 4}}


def test_adapters_of_unknown_scale_are_refused(checkpoint, eva, tmp_path):
    refused(checkpoint(bridge_r=2), eva, tmp_path, r"lora_alpha no file tells; give model\.bridge\.lora")


def test_a_plain_alignment_layer_makes_a_plain_recipe(checkpoint, eva, tmp_path):
    account = convert_published(checkpoint(), tmp_path / "out", recipe=with_bridge(r=2, lora_alpha=4), vision=eva)
    assert account.loaded["llama_proj.weight"] == "bridge.proj.weight"
    assert read_recipe(tmp_path / "out" / "recipe.yaml").model["bridge"] == {"group": 4}


# What is not the published file is refused in a sentence, and nothing is left behind.


def refused(path, eva, tmp_path, match, error=BadInput):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=match) as caught:
        convert_published(path, tmp_path / "out", recipe=SMALL, vision=eva)
    assert sorted(tmp_path.iterdir()) == before
    assert "\n" not in str(caught.value)


def test_a_missing_tower_is_an_error(checkpoint, tmp_path):
    refused(checkpoint(), None, tmp_path, "does not hold the vision tower.*eva_vit_g.pth", MissingPart)


@pytest.mark.parametrize("name", [
    "llama_proj.bias", "llama_model.base_model.model.model.layers.1.self_attn.v_proj.lora_B.weight",
])  # fmt: skip
def test_a_missing_tensor_is_an_error(checkpoint, eva, tmp_path, name):
    refused(checkpoint(without=[name]), eva, tmp_path, "lacks 1 of")


@pytest.mark.parametrize("name", [
    "llama_proj.lora_C.weight", "llama_model.base_model.model.lm_head.0.weight", "visual_encoder.rope.freqs_cos",
    "llama_model.base_model.model.model.layers.0.mlp.up_proj.lora_A.weight",
])  # fmt: skip
def test_a_strange_tensor_is_an_error(checkpoint, eva, tmp_path, name):
    match = "lora_alpha" if "lora_C" in name else "which this system does not have"
    refused(checkpoint(extra={name: torch.ones(2)}), eva, tmp_path, match)


def test_one_adapter_under_both_names_is_an_error(checkpoint, eva, tmp_path):
    twice = filled(release.runner_shapes(**RUNNER, adapter=".default"), 2)
    refused(checkpoint(extra=twice), eva, tmp_path, "twice, under two names")


@pytest.mark.parametrize("changes, match", [
    ({"merged": 768}, r"llama_proj.weight has shape \(24, 768\), expected \(24, 128\)"),
    ({"r": 8}, r"lora_A.weight has shape \(8, 24\), expected \(4, 24\)"),
])  # fmt: skip
def test_other_sizes_are_an_error(checkpoint, eva, tmp_path, changes, match):
    refused(checkpoint(**changes), eva, tmp_path, match)


@pytest.mark.parametrize("tree, match", [
    ({"rgb_ckpt": {}, "other_ckpt": {}}, "expected llama_proj and llama_model, found other_ckpt, rgb_ckpt.*LHRS-Bot"),
    ({"model": {"query_tokens": 1, "llama_proj.weight": 1}}, "found llama_proj, query_tokens.*with a Q-Former"),
    ({"cls_token": 1, "blocks.0.norm1.weight": 1}, "EVA-CLIP tower alone"),
    ({"model": {"model.mm_projector.0.weight": 1}}, "found model$|found model\\."),
    ([1, 2], "found list"),
    ({"model": {"llama_proj.weight": "text"}}, "holds a str at llama_proj.weight"),
])  # fmt: skip
def test_another_checkpoint_is_named(eva, tmp_path, tree, match):
    torch.save(tree, tmp_path / "other.pth")
    refused(tmp_path / "other.pth", eva, tmp_path, match)


def test_a_bare_state_dict_will_do(checkpoint, eva, tmp_path):
    path = checkpoint()
    torch.save(torch.load(path, weights_only=True)["model"], path)
    assert len(convert_published(path, tmp_path / "out", recipe=SMALL, vision=eva).loaded) == 10


class Ran:
    """Would leave a mark if the checkpoint's code were run."""

    def __reduce__(self):
        return exec, ("raise SystemExit('the code of a checkpoint must not run')",)


def test_code_in_a_checkpoint_is_not_run(checkpoint, eva, tmp_path):
    refused(checkpoint(extra={"x": Ran()}), eva, tmp_path, "more than tensors")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(checkpoint, eva, tmp_path, share):
    path = checkpoint()
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused(path, eva, tmp_path, "damaged|more than tensors")


def test_a_truncated_tower_is_refused(checkpoint, eva, tmp_path):
    path = checkpoint()
    cut = tmp_path / "eva.pth"
    cut.write_bytes(eva.read_bytes()[:-500])
    refused(path, cut, tmp_path, "eva.pth is damaged|more than tensors")


def test_the_command_takes_the_tower(checkpoint, eva, tmp_path, monkeypatch, capsys):
    import yaml

    from rsvlm import cli

    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL.model_dump(mode="json")))
    words = ["weights", "convert", checkpoint(), "--recipe", tmp_path / "small.yaml", "--out", tmp_path / "out"]
    for more, code in (([], 2), (["--vision", eva], 0)):
        monkeypatch.setattr("sys.argv", ["rsvlm", *map(str, words), *map(str, more)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == code
    said = capsys.readouterr()
    assert "eva_vit_g.pth" in said.err and "10 tensors loaded, 0 left out, 0 unknown, 0 missing" in said.out
