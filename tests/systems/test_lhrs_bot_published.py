"""LHRS-Bot as published: the sizes of the paper, and what of its files is not in the conformance suite."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fake import lhrs_release as release
from fake.conformance import refused as refused_in_a_sentence
from fake.published import LLAMA
from fake.releases import lhrs_bot
from rsvlm.errors import BadInput
from rsvlm.parts.checkpoints.weights import adopt
from rsvlm.recipe import RECIPES, read_recipe
from rsvlm.systems.build import build, load_weights
from rsvlm.systems.lhrs_bot.weights import convert_published, published_table

ROOT = Path(__file__).resolve().parents[2]
PAPER = read_recipe(RECIPES / "lhrs_bot" / "paper.yaml")
TAPS = (7, 15, 22)

CLIP = {**lhrs_bot.CLIP, "depth": 24}
SMALL = lhrs_bot.recipe(CLIP, TAPS)


@pytest.fixture(scope="module")
def final(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release") / "Stage3"
    lhrs_bot.write(folder, CLIP)
    return folder / "FINAL.pt"


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return build(PAPER)


# The sizes of the paper.


def test_the_paper_recipe_has_the_published_parameter_counts(paper):
    counts = {"vision": 0, "bridge": 0, "language": 0, "lora": 0}
    for name, parameter in paper.named_parameters():
        assert parameter.is_meta
        counts["lora" if ".lora_" in name else name.split(".")[0]] += parameter.numel()
    assert counts == {
        "vision": 303_179_776,  # openai/clip-vit-large-patch14, vision tower
        "bridge": 79_935_488,
        "language": 6_738_415_616,
        "lora": 32 * 128 * (4 * (4096 + 4096) + 3 * (4096 + 11008)),  # rank 128 on seven maps of each of 32 layers
    }
    assert not any(".lora_" in name and "lm_head" in name for name, _ in paper.named_parameters())
    assert paper.image_tokens == 64 + 48 + 32 == 144
    assert paper.vision.taps == TAPS and paper.vision.tokens == (256, 256, 256)


def test_the_published_names_and_shapes_fit_the_paper_recipe(paper):
    clip = release.clip_shapes(width=1024, depth=24, patch=14, size=224)
    pooler = release.pooler_shapes(queries=144, width=1024, depth=6, output=4096)
    lora = release.lora_shapes(r=128, layers=32, hidden=4096, wide=11008)
    named = {f"rgb_ckpt.{n}": s for n, s in clip.items()} | {f"other_ckpt.rgb_pooler.{n}": s for n, s in pooler.items()}
    named |= {f"TextLoRA.{n}": s for n, s in lora.items()}
    published = {name: torch.empty(shape, device="meta") for name, shape in named.items()}
    own = paper.state_dict()
    state, account = adopt(
        published, own, published_table(own), source="FINAL.pt", elsewhere={r"language\.model\.(?!.*lora_).+": "LLaMA"}
    )
    assert set(account.loaded) == set(published) and not account.ignored
    assert set(state) == {name for name in own if not name.startswith("language") or ".lora_" in name}


def test_the_stages_of_the_paper_move_what_they_train():
    assert [stage.name for stage in PAPER.stages] == ["align", "multi_task", "instruct"]
    assert [stage.trainable for stage in PAPER.stages] == [("bridge",), ("bridge", "language.lora"), ("language.lora",)]


# The published files.


def plain_clip():
    """Hugging Face's own tower with the published tensors, whichever prefix this version of it wants."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    sizes = {"hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 24, "num_attention_heads": 2}
    tower = CLIPVisionModel(CLIPVisionConfig(**sizes, patch_size=8, image_size=32))
    published = release.filled(release.clip_shapes(**CLIP), 1)
    old = any(name.startswith("vision_model.") for name in tower.state_dict())
    front = "encoder." if old else "encoder.vision_model."
    tower.load_state_dict({name.removeprefix(front): tensor for name, tensor in published.items()}, strict=True)
    return tower.eval()


def converted(final, out):
    convert_published(final, out, recipe=SMALL)
    model = build(SMALL, for_training=False).eval()
    load_weights(model, load_file(out / "model.safetensors"), source="the folder")
    return model


@torch.inference_mode()
def test_levels_are_hidden_states_7_15_22_of_a_plain_clip_without_its_class_token(final, tmp_path):
    model, clip = converted(final, tmp_path / "out"), plain_clip()
    outputs = {}
    layers = next(m for n, m in clip.named_modules() if n.endswith("encoder.layers"))
    for number, layer in enumerate(layers, 1):
        layer.register_forward_hook(
            lambda _m, _i, out, n=number: outputs.update({n: out if torch.is_tensor(out) else out[0]})
        )
    image = torch.rand(2, 3, 32, 32)
    pixels = (image - torch.tensor(model.vision.MEAN).view(3, 1, 1)) / torch.tensor(model.vision.STD).view(3, 1, 1)
    hidden = clip(pixel_values=pixels, output_hidden_states=True).hidden_states
    levels = model.see({"image": image})
    assert torch.allclose(torch.cat(levels, 1), torch.cat([hidden[tap][:, 1:] for tap in TAPS], 1), atol=1e-5)
    for level, tap in zip(levels, TAPS, strict=True):  # tap n is what the n-th layer gives, whatever the library lists
        assert level.shape == (2, 16, 16)
        assert torch.allclose(level, outputs[tap][:, 1:], atol=1e-5)
        assert not torch.allclose(level, outputs[tap + 1][:, 1:], atol=1e-3)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks transformers by an old name
@torch.inference_mode()
def test_adapters_give_the_logits_of_peft(final, tmp_path):
    from peft import PeftModel

    model = converted(final, tmp_path / "out")
    from transformers import LlamaConfig, LlamaForCausalLM

    base = LlamaForCausalLM(LlamaConfig(**LLAMA)).eval()
    ours = {
        n.replace(".base_layer.", "."): t for n, t in model.language.model.state_dict().items() if ".lora_" not in n
    }
    base.load_state_dict(ours, strict=True)
    ids, mask = torch.arange(7, 15)[None], torch.ones(1, 8, dtype=torch.bool)
    before = base(ids).logits
    wanted = PeftModel.from_pretrained(base, final.parent / "TextLoRA")(ids).logits
    found = model.language.head(model.language(model.language.embed(ids), mask)[0])
    assert torch.allclose(found, wanted, atol=1e-5) and not torch.allclose(found, before, atol=1e-2)


def test_stage_1_has_no_adapters(final, tmp_path):
    path = tmp_path / "Stage1" / "FINAL.pt"
    path.parent.mkdir()
    path.write_bytes(final.read_bytes())
    with pytest.raises(BadInput, match=r"no TextLoRA folder.*--no-lora"):
        convert_published(path, tmp_path / "out", recipe=SMALL)
    account = convert_published(path, tmp_path / "out", recipe=SMALL, lora=False)
    assert not any(".lora_" in name for name in [*account.loaded.values(), *account.elsewhere])


# The prefix that transformers 5 took away.


@pytest.mark.parametrize("front", ["encoder.vision_model.", "encoder."])
def test_the_tower_loads_whole_whichever_prefix_the_file_has(final, tmp_path, front):
    tree = torch.load(final, weights_only=True)
    clip = {front + name.removeprefix("encoder.vision_model."): t for name, t in tree["rgb_ckpt"].items()}
    clip["encoder.vision_model.embeddings.position_ids"] = torch.arange(17)[None]  # saved by transformers before 4.31
    account = convert_published(resaved(final, tmp_path, rgb_ckpt=clip), tmp_path / "out", recipe=SMALL)
    own = {name for name in build(SMALL).state_dict() if name.startswith("vision.")}
    assert {ours for ours in account.loaded.values() if ours.startswith("vision.")} == own and len(own) == 7 + 24 * 16
    assert "rgb_ckpt.encoder.vision_model.embeddings.position_ids" in account.ignored


def test_the_table_follows_the_library_either_way():
    old, new = (published_table([f"vision.model.{front}embeddings.class_embedding"]) for front in ("vision_model.", ""))
    name = "rgb_ckpt.encoder.vision_model.encoder.layers.3.mlp.fc1.bias"
    assert new.ours(name) == "vision.model.encoder.layers.3.mlp.fc1.bias"
    assert old.ours(name) == "vision.model.vision_model.encoder.layers.3.mlp.fc1.bias"


# What is not the published file is refused in a sentence, and nothing is left behind.


def resaved(final, tmp_path, **changes):
    """A copy of the release with other trees in FINAL.pt."""
    import shutil

    tree = torch.load(final, weights_only=True) | changes
    shutil.copytree(final.parent, tmp_path / "copy")
    torch.save({name: value for name, value in tree.items() if value is not None}, tmp_path / "copy" / "FINAL.pt")
    return tmp_path / "copy" / "FINAL.pt"


def refused(path, tmp_path, match, error=BadInput, recipe=SMALL, **more):
    refused_in_a_sentence(lambda out: convert_published(path, out, recipe=recipe, **more), tmp_path, match, error)


@pytest.mark.parametrize("changes, match", [
    ({"rgb_ckpt": None}, "no LHRS-Bot checkpoint: expected rgb_ckpt and other_ckpt at the top, found other_ckpt"),
    ({"rgb_ckpt": None, "other_ckpt": None, "model_state": {}}, "found model_state"),
    ({"rgb_ckpt": {"encoder.x": "text"}}, "holds a str at rgb_ckpt.encoder.x"),
    ({"other_ckpt": {"rgb_pooler": {"query": torch.ones(1, 272, 8), "layernorm_kv.bias": torch.ones(8)}}}, "Nova"),
    ({"other_ckpt": {"rgb_pooler": {"layers.0.mlp.gate.weight_noise.weight": torch.ones(8)}}}, "Nova"),
])  # fmt: skip
def test_another_checkpoint_is_named(final, tmp_path, changes, match):
    refused(resaved(final, tmp_path, **changes), tmp_path, match)


@pytest.mark.parametrize("change, match", [
    ({"lora_alpha": 16}, "lora_alpha is 16, expected 8"),
    ({"r": 8}, "r is 8, expected 4"),
    ({"use_dora": True}, "use_dora is True"),
    ({"peft_type": "IA3"}, "peft_type is 'IA3'"),
    ({"bias": "all"}, "bias is 'all'"),
    ({"rank_pattern": {"q_proj": 2}}, "rank_pattern"),
])  # fmt: skip
def test_an_adapter_of_other_numbers_is_refused(final, tmp_path, change, match):
    path = resaved(final, tmp_path)
    file = path.parent / "TextLoRA" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    refused(path, tmp_path, match)


# The command.


def run(monkeypatch, *words):
    from rsvlm import cli

    monkeypatch.setattr("sys.argv", ["rsvlm", *map(str, words)])
    cli.main()


def test_the_command_refuses_other_systems(final, tmp_path, monkeypatch, capsys):
    (tmp_path / "other.yaml").write_text("{system: no_such, size: paper}")
    with pytest.raises(SystemExit) as left:
        run(monkeypatch, "weights", "convert", final, "--recipe", tmp_path / "other.yaml", "--out", tmp_path / "out")
    assert left.value.code == 2 and "No system is named 'no_such'" in capsys.readouterr().err
