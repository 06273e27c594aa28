"""LHRS-Bot-Nova as published: the sizes of the paper, and what of its files is not in the conformance suite."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fake import lhrs_release, nova_release
from fake.conformance import refused as refused_in_a_sentence
from fake.published import LORA, POOLER
from fake.releases import lhrs_bot_nova
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.weights import adopt
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.systems.build import build, load_weights
from rsvlm.systems.lhrs_bot import weights as lhrs_bot_weights
from rsvlm.systems.lhrs_bot.prompts import CHOICE
from rsvlm.systems.lhrs_bot_nova.prompts import PROMPTS
from rsvlm.systems.lhrs_bot_nova.weights import convert_published, published_table

ROOT = Path(__file__).resolve().parents[2]
PAPER = read_recipe(RECIPES / "lhrs_bot_nova" / "paper.yaml")

SMALL = lhrs_bot_nova.RELEASE.recipe


@pytest.fixture(scope="module")
def final(tmp_path_factory):
    return lhrs_bot_nova.RELEASE.write(tmp_path_factory.mktemp("release") / "Stage3")


def small_model(out):
    """The model that a converted folder of the small recipe holds, its language model random."""
    recipe = read_recipe(out / "recipe.yaml")
    language = {**SMALL.model["language"], "lora": recipe.model["language"]["lora"]}
    model = build(recipe.model_copy(update={"model": {**recipe.model, "language": language}}), for_training=False)
    load_weights(model, load_file(out / "model.safetensors"), source="the folder")
    return model.eval()


# The sizes of the paper.


def counts(index):
    with torch.device("meta"):
        model = build(PAPER.in_stage(index))
    found = dict.fromkeys(("vision", "bridge", "language", "lora"), 0)
    for name, parameter in model.named_parameters():
        assert parameter.is_meta
        found["lora" if ".lora_" in name else name.split(".")[0]] += parameter.numel()
    return model, found


def test_the_paper_recipe_has_the_published_parameter_counts():
    # google/siglip-so400m-patch14-384 has 428,225,600 in its vision tower: 27 layers, the last norm and the head.
    layer, norm, head = 15_239_504, 2 * 1152, 15_238_352
    expected = {
        "vision": 428_225_600 - layer - norm - head,
        "bridge": 291_960_160,
        "language": 8_030_261_248,  # Meta-Llama-3-8B
        "lora": 32 * 128 * (2 * 2 * 4096 + 2 * (4096 + 1024) + 3 * (4096 + 14336)),  # rank 128, 7 maps of 32 layers
    }
    model, found = counts(1)
    assert found == expected == counts(2)[1]
    assert model.image_tokens == 112 + 96 + 64 == 272
    assert model.vision.taps == (9, 18, 26) and model.vision.tokens == (729,) * 3
    dense, found = counts(0)
    assert found == {**expected, "bridge": 100_698_112} and not any(".experts." in n for n in dense.state_dict())


@pytest.mark.parametrize(("index", "experts"), [(0, 0), (2, 4)])
def test_the_published_names_and_shapes_fit_the_paper_recipe(index, experts):
    siglip = nova_release.siglip_shapes(width=1152, hidden=4304, depth=26, patch=14, size=384)
    pooler = nova_release.nova_pooler_shapes(queries=272, width=1152, depth=6, output=4096, experts=experts)
    named = {f"rgb_ckpt.{n}": s for n, s in siglip.items()}
    named |= {f"other_ckpt.rgb_pooler.{n}": s for n, s in pooler.items()}
    published = {name: torch.empty(shape, device="meta") for name, shape in named.items()}
    own = counts(index)[0].state_dict()
    state, account = adopt(
        published, own, published_table(own), source="FINAL.pt", elsewhere={r"language\..+": "LLaMA and adapters"}
    )
    assert set(account.loaded) | set(account.ignored) == set(published)
    assert all(".head." in name or ".post_layernorm." in name for name in account.ignored) and account.ignored
    assert set(state) == {name for name in own if not name.startswith("language")}


def test_the_stages_of_the_paper_move_what_they_train():
    both = ("bridge", "language.lora")
    assert [(stage.name, stage.trainable) for stage in PAPER.stages] == [
        ("align", ("vision", "bridge")), ("multi_task", both), ("instruct", both)
    ]  # fmt: skip
    assert [stage.model for stage in PAPER.stages] == [{"frame": "plain", "bridge": {"experts": 0}}, {}, {}]
    assert PAPER.model["bridge"]["expert_activation"] == "none"


def test_the_released_questions_keep_their_spelling():
    assert PROMPTS["vqa"].format(question="Is it rural?") == "[CONSIZE] Is it rural? Answer in a single word. Answer:"
    assert PROMPTS["scene"].format(choices="['Farm']") == (
        "[CLS] Choose the best categories describe the image from: ['Farm']"
    )
    assert PROMPTS["ground"].format(question="the ship") == "[DET] the ship"
    assert CHOICE.format(question="What?", choices="A. x") == (
        "What?\nChoices: A. x Answer from the given choices with A., B., C., D., etc."
    )


# The published files.


def test_stage_1_is_known_by_its_dense_perceiver_and_has_no_adapters(tmp_path):
    lhrs_bot_nova.write(tmp_path / "Stage1", experts=0)
    account = convert_published(tmp_path / "Stage1" / "FINAL.pt", tmp_path / "out", recipe=SMALL)
    assert not any(".lora_" in name for name in [*account.loaded.values(), *account.elsewhere])
    recipe = read_recipe(tmp_path / "out" / "recipe.yaml")
    assert recipe.model["bridge"]["experts"] == 0 and recipe.model["language"]["lora"] is None
    assert [n for n in small_model(tmp_path / "out").state_dict() if ".experts." in n] == []


@torch.inference_mode()
def test_the_converted_tower_and_perceiver_compute_what_the_published_tensors_say(final, tmp_path):
    """By hand, as the released code goes: LN, keys with positions, two chosen experts of affine maps a token."""
    from rsvlm.parts.bridges.positioned_perceiver import sin_cos

    convert_published(final, tmp_path / "out", recipe=SMALL)
    bridge, levels = small_model(tmp_path / "out").bridge, [torch.randn(1, 16, 16) for _ in range(3)]
    p = lhrs_release.filled(nova_release.nova_pooler_shapes(**POOLER, experts=3), 2)

    def norm(x, name):
        return torch.nn.functional.layer_norm(x, (16,), p[f"{name}.weight"], p[f"{name}.bias"])

    def attend(q, k, v, at):
        weights, biases = p[f"{at}in_proj_weight"].chunk(3), p[f"{at}in_proj_bias"].chunk(3)
        mapped = zip((q, k, v), weights, biases, strict=True)
        q, k, v = ((x @ w.T + b).view(-1, 2, 8).transpose(0, 1) for x, w, b in mapped)
        mixed = ((q @ k.mT) / 8**0.5).softmax(-1) @ v
        return mixed.transpose(0, 1).reshape(-1, 16) @ p[f"{at}out_proj.weight"].T + p[f"{at}out_proj.bias"]

    def experts(x, at):
        gate = torch.tanh(x @ p[f"{at}gate.gate_network.0.weight"].T) @ p[f"{at}gate.gate_network.2.weight"].T
        best, chosen = gate.topk(2)
        of = f"{at}calculator.experts."
        up = [x @ p[f"{of}weight_up.{e}"].T + p[f"{of}bias_up.{e}"] for e in range(3)]
        every = [up[e] @ p[f"{of}weight_down.{e}"] + p[f"{of}bias_down.{e}"] for e in range(3)]
        every = torch.stack(every, 1)[torch.arange(len(x))[:, None], chosen]
        return (every * best.softmax(-1)[..., None]).sum(1)

    positions, read = sin_cos(4, 4, 16).flatten(0, 1), []
    for x, tokens in zip(p["query"][0].split([4, 3, 2]), levels, strict=True):
        x, tokens = norm(x, "layernorm_query"), norm(tokens[0], "layernorm_kv")
        for at in ("layers.0.", "layers.1."):
            k, v = norm(tokens + positions, f"{at}ln_1_kv"), norm(tokens, f"{at}ln_1_kv")
            x = x + attend(norm(x, f"{at}ln_1"), k, v, f"{at}attn.")
            x = x + experts(norm(x, f"{at}ln_2"), f"{at}mlp.")
        read.append(x)
    wanted = norm(torch.cat(read), "layernorm_post") @ p["out_proj.weight"].T + p["out_proj.bias"]
    assert torch.allclose(bridge(levels)[0], wanted, atol=1e-5)


# What is not the published file is refused in a sentence, and nothing is left behind.


def refused(path, tmp_path, match, error=BadInput, recipe=SMALL, **more):
    refused_in_a_sentence(lambda out: convert_published(path, out, recipe=recipe, **more), tmp_path, match, error)


def test_the_two_branches_are_told_apart(final, tmp_path):
    clip = {"width": 16, "depth": 3, "patch": 8, "size": 32}
    old = lhrs_release.write_release(tmp_path / "old", clip=clip, pooler=POOLER, lora=LORA, alpha=8)
    refused(old, tmp_path, r"LHRS-Bot \(branch main\), not of LHRS-Bot-Nova; convert it as lhrs_bot")
    with pytest.raises(BadInput, match=r"LHRS-Bot-Nova \(branch nova\), not of LHRS-Bot; convert it as lhrs_bot_nova"):
        lhrs_bot_weights.convert_published(final, tmp_path / "out", recipe=SMALL)


def test_a_missing_folder_of_adapters_is_an_error(final, tmp_path):
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "FINAL.pt").write_bytes(final.read_bytes())
    refused(tmp_path / "alone" / "FINAL.pt", tmp_path, "no TextLoRA folder")
