"""SkyEyeGPT as published: the sizes of its recipe, and what of its checkpoints is not in the conformance suite."""

import pytest
import torch
from safetensors.torch import load_file

from fake import minigpt_release as release
from fake.conformance import refused as refused_in_a_sentence
from fake.lhrs_release import filled
from fake.releases import skyeyegpt
from fake.releases.skyeyegpt import EVA, RUNNER
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.weights import adopt
from rsvlm.parts.vision.eva import resized
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.systems.build import build, load_weights
from rsvlm.systems.skyeyegpt.weights import convert_published, published_table

RECIPE = RECIPES / "skyeyegpt" / "paper.yaml"
PAPER = read_recipe(RECIPE)
SMALL = skyeyegpt.RELEASE.recipe


def with_bridge(**lora):
    return SMALL.model_copy(update={"model": {**SMALL.model, "bridge": {"group": 4, "lora": lora}}})


@pytest.fixture(scope="module")
def eva(tmp_path_factory):
    return skyeyegpt.RELEASE.vision(tmp_path_factory.mktemp("lavis"))


@pytest.fixture
def checkpoint(tmp_path):
    """Writes a release with a model of other shapes, or with tensors more; its checkpoint."""

    def write(**form):
        skyeyegpt.write(tmp_path / "release", **form)
        return tmp_path / "release" / skyeyegpt.FILE

    return write


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


def test_the_stages_of_the_paper_move_what_they_train():
    assert [stage.name for stage in PAPER.stages] == ["single_task", "conversation"]
    assert {stage.trainable for stage in PAPER.stages} == {("bridge", "language.lora")}


# The published files.


def test_the_tower_beside_it_lands_on_the_recipes_grid_with_a_norm_as_it_starts(checkpoint, eva, tmp_path):
    account = convert_published(checkpoint(), tmp_path / "out", recipe=SMALL, vision=eva)
    state, tower = load_file(tmp_path / "out" / "model.safetensors"), torch.load(eva, weights_only=True)
    assert torch.equal(state["vision.positions"], resized(tower["pos_embed"], 65))
    assert torch.equal(state["vision.blocks.1.attention.qkv.weight"], tower["blocks.1.attn.qkv.weight"])
    assert state["vision.norm.weight"].eq(1).all() and state["vision.norm.bias"].eq(0).all()
    assert len(account.loaded) == 2 + 2 * 2 * 2 and len(set(account.elsewhere.values())) == 3


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
    refused_in_a_sentence(lambda out: convert_published(path, out, recipe=SMALL, vision=eva), tmp_path, match, error)


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
