"""EVA-CLIP: the library's own tower with the same weights, its published file and sizes. Numbers: test_golden.py."""

import re

import pytest
import torch
from torch.nn import functional as F

from fake import minigpt_release as release
from rsvlm.errors import BadInput
from rsvlm.parts.vision.eva import EVACLIP, read_published, resized

SIZES = {"width": 32, "depth": 3, "patch": 4, "hidden": 139}


def tower(size=16, **changes):
    torch.manual_seed(0)
    numbers = {"width": 32, "depth": 3, "heads": 4, "patch": 4, "size": size, "norm": True, **changes}
    made = EVACLIP(**numbers).eval()
    for parameter in made.parameters():  # also what starts at zero or one
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def library(width, depth, heads, patch, size, hidden):
    from transformers import InstructBlipVisionConfig, InstructBlipVisionModel

    config = InstructBlipVisionConfig(
        hidden_size=width, intermediate_size=hidden, num_hidden_layers=depth, num_attention_heads=heads,
        patch_size=patch, image_size=size, qkv_bias=True,
    )  # fmt: skip
    return InstructBlipVisionModel(config)


NAMES = (
    (r"^class_token", "embeddings.class_embedding"), (r"^positions", "embeddings.position_embedding"),
    (r"^patch\.", "embeddings.patch_embedding."), (r"^norm\.", "post_layernorm."), (r"^blocks\.", "encoder.layers."),
    (r"norm_attention", "layer_norm1"), (r"norm_mlp", "layer_norm2"), (r"attention\.out", "self_attn.projection"),
    (r"attention\.qkv", "self_attn.qkv"), (r"attention\.q_bias", "self_attn.qkv.bias"),
    (r"mlp\.0", "mlp.fc1"), (r"mlp\.2", "mlp.fc2"),
)  # fmt: skip


def in_the_library(state):
    """Our tensors under the names of transformers' InstructBLIP; the keys' bias, which we have not, is zero there."""
    out = {}
    for name, tensor in state.items():
        if name.endswith("q_bias"):
            tensor = torch.cat([tensor, torch.zeros_like(tensor), state[name.replace("q_bias", "v_bias")]])
        if not name.endswith("v_bias"):
            for ours, theirs in NAMES:
                name = re.sub(ours, theirs, name)
            out[name] = tensor
    return out


@torch.no_grad()
def test_the_level_is_what_the_library_gives():
    mine = tower()
    theirs = library(32, 3, 4, 4, 16, 139).eval()
    theirs.load_state_dict(in_the_library(mine.state_dict()), strict=True)
    theirs.post_layernorm.eps = mine.norm.eps
    image = torch.rand(2, 3, 16, 16)
    mean, std = torch.tensor([[0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]])
    wanted = theirs((image - mean.view(3, 1, 1)) / std.view(3, 1, 1)).last_hidden_state
    (level,) = mine(image)
    assert level.shape == (2, 16, 32) and mine.tokens == (16,) and mine.dims == (32,) and mine.size == 16
    assert torch.allclose(level, wanted[:, 1:], atol=1e-5)
    mine.keeps_class_token = True
    assert torch.allclose(mine(image)[0], wanted, atol=1e-5)
    assert tower(class_token=True).tokens == (17,)


@torch.no_grad()
def test_without_a_norm_the_level_is_the_last_block():
    plain, image = tower(norm=False), torch.rand(1, 3, 16, 16)
    hidden = list(plain.hidden((image - plain.mean) / plain.std))
    assert len(hidden) == 3 and torch.equal(plain(image)[0], hidden[-1][:, 1:])
    assert not any(name.startswith("norm") or "mean" in name for name in plain.state_dict())


def test_the_norms_have_the_originals_eps():
    made = tower()
    assert made.norm.eps == 1e-5
    assert {n.eps for block in made.blocks for n in (block.norm_attention, block.norm_mlp)} == {1e-6}


def test_the_published_size():
    with torch.device("meta"):
        eva = EVACLIP(width=1408, depth=39, heads=16, patch=14, size=448, norm=True)
        theirs = library(1408, 39, 16, 14, 448, 6144)
    count = sum(p.numel() for p in eva.parameters())
    assert count == 986_978_688 == sum(p.numel() for p in theirs.parameters()) - 39 * 1408  # the keys' bias
    assert eva.blocks[0].mlp[0].out_features == 6144 and eva.tokens == (1024,)


def test_sizes_that_do_not_fit_are_refused():
    for wrong in ({"heads": 5}, {"size": 18}):
        with pytest.raises(BadInput, match="cannot be built"):
            tower(**wrong)


def test_pictures_of_another_size_are_refused():
    with pytest.raises(BadInput, match=r"pictures of 16 x 16 pixels, not \(16, 20\)"):
        tower()(torch.rand(1, 3, 16, 20))


# Positions.


def test_positions_go_to_a_finer_grid_as_the_original_takes_them_there():
    table = torch.randn(1, 17, 8)
    fine = resized(table, 65)
    grid = table[:, 1:].reshape(-1, 4, 4, 8).permute(0, 3, 1, 2)
    wanted = F.interpolate(grid, size=(8, 8), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).flatten(1, 2)
    assert torch.equal(fine[:, :1], table[:, :1]) and torch.equal(fine[:, 1:], wanted)
    assert resized(table, 17) is table
    assert torch.allclose(resized(torch.ones(1, 17, 8), 65), torch.ones(1, 65, 8), atol=1e-6)
    other = F.interpolate(grid, size=(8, 8), mode="bicubic", align_corners=True).permute(0, 2, 3, 1).flatten(1, 2)
    assert not torch.allclose(fine[:, 1:], other, atol=1e-2)


def test_rows_stay_rows():
    columns = torch.arange(4.0).repeat(4)[None, :, None]  # the value of a patch is its column
    fine = resized(torch.cat([torch.zeros(1, 1, 1), columns], 1), 65)[0, 1:, 0].view(8, 8)
    assert torch.allclose(fine, fine[:1].expand(8, 8), atol=1e-6) and (fine[0].diff() > 0).all()


@pytest.mark.parametrize(("have", "want"), [(16, 65), (17, 64), (18, 65)])
def test_what_is_no_square_is_refused(have, want):
    with pytest.raises(BadInput, match="expected a class token and a square"):
        resized(torch.zeros(1, have, 4), want)


# The published file.


def test_every_tensor_of_the_file_lands_on_a_finer_grid(tmp_path):
    made = tower(size=32)
    path = release.write_eva(tmp_path / "eva_vit_g.pth", size=16, **SIZES)
    published = torch.load(path, weights_only=True)
    state, account = read_published(path, made)
    assert set(state) == {name for name in made.state_dict() if not name.startswith("norm.")}
    assert set(account.loaded) | set(account.ignored) == set(published)
    assert set(account.ignored) == {n for n in published if n.startswith(("blocks.3.", "norm."))}
    same = {theirs: ours for theirs, ours in account.loaded.items() if theirs != "pos_embed"}
    assert all(torch.equal(state[ours], published[theirs]) for theirs, ours in same.items())
    assert torch.equal(state["positions"], resized(published["pos_embed"], 65))


@pytest.mark.parametrize("change, match", [
    (lambda t: t.pop("blocks.1.attn.q_bias"), "lacks 1 of"),
    (lambda t: t.update({"blocks.0.gamma_1": torch.ones(32)}), "blocks.0.gamma_1.*another one"),
    (lambda t: t.update({"pos_embed": torch.ones(17, 32)}), "pos_embed has shape"),
    (lambda t: t.update({"pos_embed": torch.ones(1, 19, 32)}), "19 position embeddings cannot become 17"),
])  # fmt: skip
def test_another_file_is_refused(tmp_path, change, match):
    path = release.write_eva(tmp_path / "eva.pth", size=16, **SIZES)
    tensors = torch.load(path, weights_only=True)
    change(tensors)
    torch.save(tensors, path)
    with pytest.raises(BadInput, match=match):
        read_published(path, tower())


def test_a_recipe_trains_from_the_published_file(tmp_path):
    from fake import runs
    from rsvlm.recipe import read_recipe
    from rsvlm.systems.build import build

    path = release.write_eva(tmp_path / "eva.pth", size=16, width=32, depth=3, patch=8, hidden=139)
    recipe = read_recipe(runs.tiny("skyeyegpt"))
    vision = {**recipe.model["vision"], "weights": str(path)}
    recipe = recipe.model_copy(update={"model": {**recipe.model, "vision": vision}})
    wanted = torch.load(path, weights_only=True)["blocks.2.mlp.fc1.bias"].float()
    assert torch.equal(build(recipe).vision.blocks[2].mlp[0].bias, wanted)
    assert not torch.equal(build(recipe, for_training=False).vision.blocks[2].mlp[0].bias, wanted)
