"""LHRS-Bot-Nova as published: the sizes of the paper, and FINAL.pt of every stage as a model folder of ours."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from fake import lhrs_release, nova_release
from rsvlm.errors import BadInput, MissingPart
from rsvlm.parts.checkpoints.weights import adopt
from rsvlm.recipe import Recipe, read_recipe
from rsvlm.systems.build import build, byte_tokenizer, load_weights
from rsvlm.systems.lhrs_bot import weights as lhrs_bot_weights
from rsvlm.systems.lhrs_bot.prompts import CHOICE
from rsvlm.systems.lhrs_bot_nova.prompts import PROMPTS
from rsvlm.systems.lhrs_bot_nova.weights import convert_published, published_table
from rsvlm.systems.load import load

ROOT = Path(__file__).resolve().parents[2]
PAPER = read_recipe(ROOT / "recipes" / "lhrs_bot_nova" / "paper.yaml")

SIGLIP = {"width": 16, "hidden": 40, "depth": 5, "patch": 8, "size": 32}
POOLER = {"queries": 9, "width": 16, "depth": 2, "output": 24}
LORA = {"r": 4, "layers": 2, "hidden": 24, "wide": 40}
LLAMA = {"vocab_size": 262, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512}  # fmt: skip
SMALL = Recipe(
    system="lhrs_bot_nova", size="small",
    model={
        "frame": "llama3",
        "vision": {"tower": "siglip", **SIGLIP, "heads": 2, "taps": [1, 3, 5]},
        "bridge": {"num_queries": [4, 3, 2], "width": 16, "depth": 2, "heads": 2, "experts": 3, "selects": 2},
        "language": {"base": "llama", **LLAMA, "lora": {**PAPER.model["language"]["lora"], "r": 4, "lora_alpha": 8}},
    },
)  # fmt: skip
# What may stand before the names of tower, perceiver and adapters. The first is the branch's; the others are ours, made
# of the modules of the port that Stage3_HF is for (github.com/NJU-LHRS/ScoreRS), because its names are not published.
LAYOUTS = {
    "Stage3": ("", "", "base_model.model."),
    "Stage3_HF": ("model.rgb.", "model.rgb_pooler.", "base_model.model.base_model.model."),
    "Stage3_HF without the wrapper": ("rgb.", "rgb_pooler.", ""),
}


def write(folder, experts=3, **options):
    lora = {"lora": LORA, "alpha": 8} if experts else {}
    return nova_release.write_release(folder, siglip=SIGLIP, pooler={**POOLER, "experts": experts}, **lora, **options)


@pytest.fixture(scope="module")
def final(tmp_path_factory):
    return write(tmp_path_factory.mktemp("release") / "Stage3")


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


def test_the_paper_recipe_gives_a_source_for_every_number_of_its_stages():
    lines = (ROOT / "recipes" / "lhrs_bot_nova" / "paper.yaml").read_text().split("\nstages:\n")[1].splitlines()
    assert [line for line in lines if "name:" not in line and "#" not in line] == []
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


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_tensor_lands_whatever_stands_around_its_module(tmp_path, layout):
    tower, bridge, text = LAYOUTS[layout]
    path = write(tmp_path / "Stage3", fronts=LAYOUTS[layout])
    account = convert_published(path, tmp_path / "out", recipe=SMALL)
    state = load_file(tmp_path / "out" / "model.safetensors")
    siglip = lhrs_release.filled(nova_release.siglip_shapes(**SIGLIP), 1)
    pooler = lhrs_release.filled(nova_release.nova_pooler_shapes(**POOLER, experts=3), 2)
    lora = lhrs_release.filled(lhrs_release.lora_shapes(**LORA), 3)
    sources = {f"rgb_ckpt.{tower}{n}": t for n, t in siglip.items()}
    sources |= {f"other_ckpt.rgb_pooler.{bridge}{n}": t for n, t in pooler.items()}
    sources |= {f"TextLoRA.{text}{n.removeprefix('base_model.model.')}": t for n, t in lora.items()}
    assert set(account.loaded) | set(account.ignored) == set(sources) and set(account.loaded.values()) == set(state)
    for theirs, ours in account.loaded.items():
        turned = sources[theirs].mT if "weight_down" in theirs else sources[theirs]
        assert torch.equal(state[ours], turned), theirs
    assert all("head." in name or "post_layernorm." in name for name in account.ignored)
    missing = set(build(SMALL).state_dict()) - set(state)
    assert missing == set(account.elsewhere) and all(name.startswith("language.model.") for name in missing)


def test_stage_1_is_known_by_its_dense_perceiver_and_has_no_adapters(tmp_path):
    path = write(tmp_path / "Stage1", experts=0)
    account = convert_published(path, tmp_path / "out", recipe=SMALL)
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


def test_a_converted_folder_answers(final, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    LlamaForCausalLM(LlamaConfig(**LLAMA | {"vocab_size": 263})).save_pretrained(tmp_path / "llama")
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|eot_id|>"]})
    tokenizer.save_pretrained(tmp_path / "llama")
    convert_published(final.parent, tmp_path / "out", recipe=SMALL, language_model=tmp_path / "llama")
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    chat = load(str(tmp_path / "out"))
    first, second = (chat.answer([picture], ["What is shown?"], max_new_tokens=3)[0] for _ in range(2))
    assert first == second and 0 < first.confidence <= 1  # asked, the router adds no noise
    assert chat.box_dialect == "nova"


def test_the_folder_says_where_its_weights_come_from_and_what_it_needs(final, tmp_path):
    convert_published(final, tmp_path / "out", recipe=SMALL)
    record = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert record["system"] == "lhrs_bot_nova" and set(record["sha256"]) == {
        "FINAL.pt", "TextLoRA/adapter_config.json", "TextLoRA/adapter_model.safetensors"
    }  # fmt: skip
    assert record["sha256"]["FINAL.pt"] == hashlib.sha256(final.read_bytes()).hexdigest()
    assert any("Meta-Llama-3-8B-Instruct" in reason for reason in record["elsewhere"])
    with pytest.raises(MissingPart, match="fetch meta-llama/Meta-Llama-3-8B-Instruct from Hugging Face"):
        load(str(tmp_path / "out"))


# What is not the published file is refused in a sentence, and nothing is left behind.


def refused(path, tmp_path, match, recipe=SMALL):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BadInput, match=match) as caught:
        convert_published(path, tmp_path / "out", recipe=recipe)
    assert sorted(tmp_path.iterdir()) == before and "\n" not in str(caught.value)


def test_the_two_branches_are_told_apart(final, tmp_path):
    clip = {"width": 16, "depth": 3, "patch": 8, "size": 32}
    old = lhrs_release.write_release(tmp_path / "old", clip=clip, pooler=POOLER, lora=LORA, alpha=8)
    refused(old, tmp_path, r"LHRS-Bot \(branch main\), not of LHRS-Bot-Nova; convert it as lhrs_bot")
    with pytest.raises(BadInput, match=r"LHRS-Bot-Nova \(branch nova\), not of LHRS-Bot; convert it as lhrs_bot_nova"):
        lhrs_bot_weights.convert_published(final, tmp_path / "out", recipe=SMALL)


@pytest.mark.parametrize(("bridge", "match"), [
    ({"experts": 4}, r"gate_network.0.weight has shape \(3, 16\), expected \(4, 16\)"),
    ({"experts": 2}, r"gate_network.0.weight has shape \(3, 16\), expected \(2, 16\)"),
    ({"experts": 0}, "holds other_ckpt.rgb_pooler.layers.0.mlp.gate.*, which this system does not have"),
    ({"num_queries": [4, 4, 2]}, r"query has shape \(1, 9, 16\), expected \(1, 10, 16\)"),
])  # fmt: skip
def test_other_sizes_are_an_error(final, tmp_path, bridge, match):
    model = {**SMALL.model, "bridge": {**SMALL.model["bridge"], **bridge}}
    refused(final, tmp_path, match, SMALL.model_copy(update={"model": model}))


@pytest.mark.parametrize("name", ["layers.1.mlp.calculator.experts.bias_down.2", "layernorm_post.weight",
                                  "layers.0.mlp.gate.weight_noise.weight"])  # fmt: skip
def test_a_missing_tensor_is_an_error(final, tmp_path, name):
    import shutil

    shutil.copytree(final.parent, tmp_path / "copy")
    tree = torch.load(final, weights_only=True)
    del tree["other_ckpt"]["rgb_pooler"][name]
    torch.save(tree, tmp_path / "copy" / "FINAL.pt")
    refused(tmp_path / "copy" / "FINAL.pt", tmp_path, "lacks 1 of")


def test_a_missing_folder_of_adapters_is_an_error(final, tmp_path):
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "FINAL.pt").write_bytes(final.read_bytes())
    refused(tmp_path / "alone" / "FINAL.pt", tmp_path, "no TextLoRA folder")


def test_the_command_takes_it(final, tmp_path, monkeypatch, capsys):
    from rsvlm import cli

    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL.model_dump(mode="json")))
    words = ["rsvlm", "weights", "convert", final, "--recipe", tmp_path / "small.yaml", "--out", tmp_path / "out"]
    monkeypatch.setattr("sys.argv", [*map(str, words)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0 and "0 unknown, 0 missing" in capsys.readouterr().out
