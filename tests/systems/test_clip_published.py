"""GeoRSCLIP, SkyCLIP and GAIA's CLIP as published: their sizes, the table of their files, and what contradicts it."""

import json
import re
import shutil
from functools import cache

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from fake import annotations, clip_release, runs
from fake.conformance import refused as refused_in_a_sentence
from fake.releases import georsclip, skyscript
from rsvlm import assets
from rsvlm.errors import BadInput, MissingPart
from rsvlm.metrics.zero_shot import TEMPLATES
from rsvlm.parts.text.clip_tokenizer import clip_tokenizer
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.systems.build import build, build_tokenizer
from rsvlm.systems.cards import CARDS, source_of
from rsvlm.systems.convert.convert import convert, identify, readers
from rsvlm.systems.convert.published_files import published_files, row_of
from rsvlm.systems.convert.verify import verify
from rsvlm.systems.load import load
from rsvlm.train.run import train

GEO, SKY = georsclip.RELEASE.recipe, skyscript.RELEASE.recipe
ROWS = [(system, row) for system, rows in published_files().items() for row in rows]
every_row = pytest.mark.parametrize(("system", "row"), ROWS, ids=[row.name for _, row in ROWS])


def refused(act, tmp_path, match):
    refused_in_a_sentence(act, tmp_path, match, BadInput)


def with_numbers(recipe, **numbers):
    return recipe.model_copy(update={"model": {**recipe.model, **numbers}})


# Facts of the papers.


@cache
def counted(name):
    with torch.device("meta"):
        return build(read_recipe(name), for_training=False)


def test_georsclip_is_openais_and_laions_clip_and_nothing_more():
    """arXiv:2306.11300, sec. VI: 50, 257, 577 and 257 tokens; the sizes of the files are float32 numbers."""
    facts = {
        "paper": (50, 512, "quick_gelu", 151_277_313), "vit_l14": (257, 768, "quick_gelu", 427_616_513),
        "vit_l14_336": (577, 768, "quick_gelu", 427_944_193), "vit_h14": (257, 1024, "gelu", 986_109_441),
    }  # fmt: skip
    for size, (tokens, dim, activation, parameters) in facts.items():
        model = counted(f"georsclip/{size}")
        numbers = read_recipe(f"georsclip/{size}").model
        assert model.vision.tokens == (tokens,) and model.image_projection.out_features == dim
        assert numbers["activation"] == activation and model.max_text == 77
        assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    heads = read_recipe("georsclip/vit_h14").model["vision"]
    assert heads["width"] // heads["heads"] == 80
    stage = read_recipe("georsclip/paper").stages[0]
    assert (stage.lr, stage.weight_decay, stage.batch) == (1e-6, 0.5, 700)
    assert stage.steps == int(20 * 0.95 * (3_007_809 + 2_062_377) / 700)
    assert len(TEMPLATES["georsclip"]) == 105


def test_skyclips_are_one_with_and_one_without_quick_gelu():
    """arXiv:2312.12856, and the README's command: L/14 from OpenAI's weights, B/32 from LAION's, rates of 1e-9."""
    large, small = read_recipe("skyscript/paper"), read_recipe("skyscript/vit_b32")
    assert (large.model["activation"], small.model["activation"]) == ("quick_gelu", "gelu")
    assert (large.stages[0].lr, small.stages[0].lr) == (3e-9, 1e-9)
    assert large.stages[0].batch == 4 * 128 and large.stages[0].steps == 20 * (1_518_890 // 512)
    assert large.stages[0].weight_decay == 1.0 and large.stages[0].betas == (0.9, 0.98)
    assert len(TEMPLATES["skyscript"]) == 2


def test_gaia_says_that_its_numbers_are_ours():
    text = (RECIPES / "gaia" / "paper.yaml").read_text()
    lines = text.split("\nstages:\n")[1].splitlines()
    assert all("ours" in line for line in lines if "name:" not in line) and "gaia" not in readers()
    assert CARDS["gaia"].licences["weights"] == "none are published" and not CARDS["gaia"].weights


# The table of published files.


@every_row
def test_a_row_is_true_to_its_recipe(system, row):
    recipe = read_recipe(f"{system}/{row.recipe}")
    assert recipe.system == system and recipe.model["activation"] == row.activation
    activation = "gelu" if "LAION" in row.start else "quick_gelu"
    assert row.activation == activation and row.good_for
    model = counted(f"{system}/{row.recipe}")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    number, unit = row.size.split(" ")[:2] if row.size[0].isdigit() else re.search(r"\((\d+) (M) ", row.size).groups()
    size = float(number) * {"MB": 1e6 / 4, "GB": 1e9 / 4, "M": 1e6}[unit]
    assert parameters == pytest.approx(size, rel=0.005)


def test_every_released_file_of_the_papers_has_a_row():
    geo = ["", "_RET-2", "_RSICD"]
    assert [row.name for row in published_files()["georsclip"]] == [
        *(f"RS5M_ViT-B-32{end}" for end in geo), "RS5M_ViT-L-14", "RS5M_ViT-L-14-336", "RS5M_ViT-H-14",
    ]  # fmt: skip
    assert {row.name for row in published_files()["skyscript"]} == {
        *(f"SkyCLIP_ViT_L14_top{end}" for end in (
            "30pct", "50pct", "30pct_filtered_by_CLIP_laion_RS", "30pct_multi_objects")),
        "SkyCLIP_ViT_B32_top50pct", "CLIP_ViT_L14_LAION_RS",
    }  # fmt: skip
    assert list(published_files()) == ["georsclip", "skyscript"] and len({row.name for _, row in ROWS}) == 12


def test_a_file_is_known_by_its_name_or_its_folders(tmp_path):
    for path, name in (
        ("RS5M_ViT-B-32.pt", "RS5M_ViT-B-32"), ("RS5M_ViT-B-32_RET-2.pt", "RS5M_ViT-B-32_RET-2"),
        ("SkyCLIP_ViT_B32_top50pct/epoch_20.pt", "SkyCLIP_ViT_B32_top50pct"),
        ("SkyCLIP_ViT_L14_top30pct/SkyCLIP_ViT_L14_top30pct.pt", "SkyCLIP_ViT_L14_top30pct"),
    ):  # fmt: skip
        assert row_of(tmp_path / path)[1].name == name
    assert row_of(tmp_path / "ViT-B-32.pt") is None and row_of(tmp_path / "RS5M_ViT-B-32_mine.pt") is None


# Activation and size are those that the user or the name says, and never guessed.


def test_a_file_of_an_unknown_name_needs_a_recipe(tmp_path):
    path = tmp_path / "in" / "epoch_5.pt"
    clip_release.write_state(path)
    seen = identify(path)
    assert seen.system is None and "QuickGELU or GELU" in seen.variant
    assert seen.what == "a CLIP of 16 x 3 (width x layers) with patches of 8 at 32 px, text 12 x 2 over 514 ids, " + (
        "vectors of 10"
    )
    refused(lambda out: convert(path, out), tmp_path, r"looks like a CLIP of 16 x 3.*say of which \(--system\)")
    match = r"whether its MLPs have QuickGELU or GELU.*RS5M_ViT-B-32, .*--recipe georsclip/paper"
    refused(lambda out: convert(path, out, system="georsclip"), tmp_path, match)
    account = convert(path, tmp_path / "out", recipe=with_numbers(GEO, activation="gelu"))
    assert read_recipe(tmp_path / "out" / "recipe.yaml").model["activation"] == "gelu" and account.loaded
    with pytest.raises(BadInput, match="looks like a CLIP of 16 x 3"):
        verify(path)


def test_a_recipe_that_contradicts_the_name_is_refused(tmp_path):
    at = tmp_path / "in"
    clip_release.write_state(at / "RS5M_ViT-H-14.pt")
    match = r"RS5M_ViT-H-14 is published with the activation gelu \(GELU, as LAION's\), and the recipe georsclip/small "
    refused(lambda out: convert(at / "RS5M_ViT-H-14.pt", out, recipe=GEO), tmp_path, f"{match}says quick_gelu")
    convert(at / "RS5M_ViT-H-14.pt", tmp_path / "out", recipe=with_numbers(GEO, activation="gelu"))
    match = "by its name a checkpoint of georsclip, not of skyscript"
    refused(lambda out: readers()["skyscript"](at / "RS5M_ViT-H-14.pt", out, recipe=SKY), tmp_path, match)


def test_a_file_of_another_size_is_named(tmp_path):
    """As the file is asked for by its name: the recipe is the published one."""
    path = tmp_path / "in" / "RS5M_ViT-L-14.pt"
    clip_release.write_state(path)
    match = r"RS5M_ViT-L-14\.pt looks like a CLIP of 16 x 3 .*, expected CLIP ViT-L/14 at 224 px; give the recipe"
    refused(lambda out: convert(path, out), tmp_path, match)


def test_the_names_tell_what_is_checked(tmp_path):
    path = tmp_path / "in" / "RS5M_ViT-B-32.pt"
    clip_release.write_state(path)
    found = verify(path)
    assert found["system"] == "georsclip" and found["looks_like"].startswith("RS5M_ViT-B-32, a CLIP of 16 x 3")
    assert found["variant"].startswith("quick_gelu by its name") and found["parameters"] > 0


def test_a_clip_with_a_resnet_is_named(tmp_path):
    path = tmp_path / "in" / "RS5M_ViT-B-32.pt"
    path.parent.mkdir()
    torch.save({"visual.layer1.0.conv1.weight": torch.ones(2), "logit_scale": torch.tensor(1.0)}, path)
    refused(lambda out: convert(path, out, recipe=GEO), tmp_path, "two transformers.*looks like a CLIP with a ResNet")


@pytest.mark.parametrize("option, match", [
    ("vision", "holds the vision tower; leave out --vision"),
    ("language_model", "holds all of the model; leave out --language-model"),
])  # fmt: skip
def test_nothing_is_published_apart(tmp_path, option, match):
    georsclip.RELEASE.write(tmp_path / "in")
    refused(
        lambda out: convert(tmp_path / "in" / georsclip.FILE, out, recipe=GEO, **{option: tmp_path}), tmp_path, match
    )


# transformers' layout, for the weights that training starts from.


def test_a_folder_of_transformers_lands_as_a_file_of_open_clip_does(tmp_path):
    theirs = clip_release.write_transformers(tmp_path / "clip")
    account = convert(tmp_path / "clip", tmp_path / "out", system="georsclip", recipe=GEO)
    assert set(account.ignored) == {"text_model.embeddings.position_ids"}
    assert set(account.loaded) == set(theirs) - set(account.ignored) and not account.notes
    state = load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(state[ours], theirs[name]) for name, ours in account.loaded.items())
    assert set(state) == set(build(GEO, for_training=False).state_dict())


@pytest.mark.parametrize("described, ok", [("quick_gelu", True), ("gelu", False), (None, True)])
def test_its_config_says_the_activation(tmp_path, described, ok):
    clip_release.write_transformers(tmp_path / "clip")
    towers = {} if described is None else {"hidden_act": described}
    (tmp_path / "clip" / "config.json").write_text(json.dumps({"vision_config": towers, "text_config": towers}))

    def act(out):
        return convert(tmp_path / "clip", out, system="georsclip", recipe=GEO)

    if ok:
        assert act(tmp_path / "out").loaded
        return
    refused(act, tmp_path, r"config\.json describes it with the activation gelu .*says quick_gelu")


# The folder.


def test_the_folder_carries_its_tokenizer_wherever_it_is(tmp_path, monkeypatch):
    """Made with the merges of the cache; opened, moved, without them."""
    merges = ["t h", "th e</w>", "p o"]
    monkeypatch.setattr(assets, "clip_merges", lambda: merges)
    words = 514 + len(merges)
    recipe = with_numbers(GEO, text={**GEO.model["text"], "vocabulary": words})
    clip_release.write_state(tmp_path / "in" / georsclip.FILE, vocabulary=words)
    convert(tmp_path / "in", tmp_path / "out", recipe=recipe)
    wanted = clip_tokenizer(words)("the port")["input_ids"]
    shutil.move(tmp_path / "out", tmp_path / "moved")
    monkeypatch.setattr(assets, "clip_merges", lambda: pytest.fail("the cache was asked"))
    found = build_tokenizer(read_recipe(tmp_path / "moved" / "recipe.yaml"), model_dir=tmp_path / "moved")
    assert found("the port")["input_ids"] == wanted != clip_tokenizer(514)("the port")["input_ids"]


def test_without_the_vocabulary_the_folder_is_written_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("RSVLM_CACHE", str(tmp_path / "cache"))
    recipe = with_numbers(GEO, text={**GEO.model["text"], "vocabulary": 520})
    clip_release.write_state(tmp_path / "in" / georsclip.FILE, vocabulary=520)
    account = convert(tmp_path / "in", tmp_path / "out", recipe=recipe)
    said = "; ".join(account.notes)
    assert "the tokenizer is not beside it: CLIP's vocabulary is not in" in said and "rsvlm setup --train" in said
    assert "10 in_proj are three tensors each here" in said and not (tmp_path / "out" / "tokenizer.json").exists()
    assert verify(tmp_path / "out")["complete"]
    with pytest.raises(MissingPart, match="rsvlm setup --train"):
        build_tokenizer(recipe, model_dir=tmp_path / "out")


@torch.no_grad()
def test_the_model_computes_what_the_original_would(tmp_path):
    """A picture's vector from the published tensors as they stand, by the formulas of open_clip's model.py."""
    released = clip_release.write_state(tmp_path / "in" / georsclip.FILE)
    convert(tmp_path / "in", tmp_path / "out", recipe=GEO)
    model = load(str(tmp_path / "out"))
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.model.vision.MEAN, model.model.vision.STD))
    pixels = (torch.from_numpy(picture).permute(2, 0, 1) / 255 - mean) / std

    def norm(x, name):
        return torch.nn.functional.layer_norm(
            x, x.shape[-1:], released[f"{name}.weight"], released[f"{name}.bias"], 1e-5
        )

    x = torch.conv2d(pixels[None], released["visual.conv1.weight"], stride=8).flatten(2).mT
    x = torch.cat([released["visual.class_embedding"].expand(1, 1, -1), x], 1) + released["visual.positional_embedding"]
    x = norm(x, "visual.ln_pre")
    for layer in range(3):
        at = f"visual.transformer.resblocks.{layer}."
        y = norm(x, f"{at}ln_1") @ released[f"{at}attn.in_proj_weight"].T + released[f"{at}attn.in_proj_bias"]
        q, k, v = (part.unflatten(2, (2, 8)).transpose(1, 2) for part in y.chunk(3, -1))
        mixed = (((q @ k.mT) / 8**0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + mixed @ released[f"{at}attn.out_proj.weight"].T + released[f"{at}attn.out_proj.bias"]
        y = norm(x, f"{at}ln_2") @ released[f"{at}mlp.c_fc.weight"].T + released[f"{at}mlp.c_fc.bias"]
        y = y * torch.sigmoid(1.702 * y)
        x = x + y @ released[f"{at}mlp.c_proj.weight"].T + released[f"{at}mlp.c_proj.bias"]
    wanted = torch.nn.functional.normalize(norm(x[:, 0], "visual.ln_post") @ released["visual.proj"], dim=-1)
    assert np.allclose(model.embed_images([picture]), wanted, atol=1e-5)


# The paper's adapters, trained from a converted model.


@pytest.mark.parametrize("kind", ["lora", "unipelt"])  # what renames weights, and all the others at once
def test_the_papers_adapters_are_trained_over_a_converted_model(tmp_path, kind):
    annotations.make("rsicd", tmp_path / "data")
    clip_release.write_state(tmp_path / "in" / georsclip.FILE)
    convert(tmp_path / "in", tmp_path / "clip", recipe=GEO)
    paper = read_recipe(f"georsclip/peft_{kind}")
    adapters = paper.model["adapters"] | ({"prefix": {"length": 3, "hidden": 8}} if kind == "unipelt" else {})
    values = paper.model_dump(mode="json") | {
        "start": str(tmp_path / "clip"), "model": {**GEO.model, "adapters": adapters}, "views": 1, "precision": "fp32",
    }  # fmt: skip
    values["stages"] = [{**values["stages"][0], "data": [{"set": "rsicd"}], "steps": 2, "batch": 2, "lr": 0.01,
                         "warmup": 0}]  # fmt: skip
    folder = train(runs.written(tmp_path / "recipe.yaml", values), tmp_path / "data", tmp_path / "out")
    before, after = (load_file(one / "model.safetensors") for one in (tmp_path / "clip", folder))
    plain = {name.replace(".base_layer.", "."): tensor for name, tensor in after.items()}
    assert all(torch.equal(plain[name], tensor) for name, tensor in before.items()) and len(after) > len(before)
    vectors = [load(str(one)).embed_texts(["a port"]) for one in (tmp_path / "clip", folder)]
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-6
    assert verify(folder)["complete"] and load(str(folder)).trace["size"] == f"peft_{kind}"


def test_their_source_is_told():
    assert source_of("georsclip").repository == "huggingface.co/Zilun/GeoRSCLIP"
    assert source_of("skyscript").code_licence == source_of("gaia").code_licence == "MIT"


def test_yaml_of_every_recipe_names_its_activation():
    for system in ("georsclip", "skyscript", "gaia"):
        for path in (RECIPES / system).glob("*.yaml"):
            assert yaml.safe_load(path.read_text())["model"]["activation"] in ("quick_gelu", "gelu"), path
