"""LHRS-Bot-Nova: FINAL.pt and TextLoRA/, under the names of the branch and of the port that Stage3_HF is for."""

from functools import partial

from fake import lhrs_release, nova_release
from fake.published import LORA, POOLER, Release, small
from rsvlm.recipe import read_recipe, shipped

SIGLIP = {"width": 16, "hidden": 40, "depth": 5, "patch": 8, "size": 32}
TARGETS = read_recipe(shipped("lhrs_bot_nova")).model["language"]["lora"]
ADAPTERS = "TextLoRA/adapter_model.safetensors"
# What may stand before the names of tower, perceiver and adapters. The first is the branch's; the others are ours, made
# of the modules of the port that Stage3_HF is for (github.com/NJU-LHRS/ScoreRS), because its names are not published.
LAYOUTS = {
    "Stage3": ("", "", "base_model.model."),
    "Stage3_HF": ("model.rgb.", "model.rgb_pooler.", "base_model.model.base_model.model."),
    "Stage3_HF without the wrapper": ("rgb.", "rgb_pooler.", ""),
}


def write(folder, layout="Stage3", experts=3):
    tower, bridge, text = LAYOUTS[layout]
    pooler = {**POOLER, "experts": experts}
    adapted = {"lora": LORA, "alpha": 8} if experts else {}
    nova_release.write_release(folder, siglip=SIGLIP, pooler=pooler, fronts=LAYOUTS[layout], **adapted)
    filled = lhrs_release.filled
    found = {f"rgb_ckpt.{tower}{n}": t for n, t in filled(nova_release.siglip_shapes(**SIGLIP), 1).items()}
    shapes = nova_release.nova_pooler_shapes(**pooler)
    found |= {f"other_ckpt.rgb_pooler.{bridge}{n}": t for n, t in filled(shapes, 2).items()}
    lora = filled(lhrs_release.lora_shapes(**LORA), 3) if experts else {}
    return found | {f"TextLoRA.{text}{n.removeprefix('base_model.model.')}": t for n, t in lora.items()}


POOLED = ("FINAL.pt", "other_ckpt", "rgb_pooler")
RELEASE = Release(
    recipe=small(
        "lhrs_bot_nova", "llama3", {"tower": "siglip", **SIGLIP, "heads": 2, "taps": [1, 3, 5]},
        {"num_queries": [4, 3, 2], "width": 16, "depth": 2, "heads": 2, "experts": 3, "selects": 2},
        {**TARGETS, "r": 4, "lora_alpha": 8},
    ),
    variants={layout: partial(write, layout=layout) for layout in LAYOUTS},
    checkpoint="FINAL.pt", given="FINAL.pt", base="meta-llama/Meta-Llama-3-8B-Instruct",
    sources=frozenset({"FINAL.pt", "TextLoRA/adapter_config.json", ADAPTERS}),
    adapters=(ADAPTERS,), scale=(4, 8),
    missing=(
        (*POOLED, "layers.1.mlp.calculator.experts.bias_down.2"), (*POOLED, "layernorm_post.weight"),
        (*POOLED, "layers.0.mlp.gate.weight_noise.weight"),
        (ADAPTERS, "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"),
    ),
    strange={(*POOLED, "layers.0.attn.rope"): "layers.0.attn.rope, which this system does not have"},
    reshaped={(*POOLED, "query"): r"query has shape \(7,\), expected \(1, 9, 16\)"},
    other_sizes=(
        ({"experts": 4}, r"gate_network.0.weight has shape \(3, 16\), expected \(4, 16\)"),
        ({"experts": 2}, r"gate_network.0.weight has shape \(3, 16\), expected \(2, 16\)"),
        ({"experts": 0}, "holds other_ckpt.rgb_pooler.layers.0.mlp.gate.*, which this system does not have"),
        ({"num_queries": [4, 4, 2]}, r"query has shape \(1, 9, 16\), expected \(1, 10, 16\)"),
    ),
    ignored=r"\.head\.|post_layernorm\.", transposed="weight_down", box_dialect="nova", specials=("<|eot_id|>",),
)  # fmt: skip
