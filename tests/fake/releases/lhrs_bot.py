"""LHRS-Bot: FINAL.pt and TextLoRA/."""

from functools import partial

import torch

from fake import lhrs_release
from fake.published import LORA, POOLER, Release, small
from rsvlm.recipe import read_recipe, shipped

CLIP = {"width": 16, "depth": 3, "patch": 8, "size": 32}
TARGETS = read_recipe(shipped("lhrs_bot")).model["language"]["lora"]
AT = "encoder.vision_model."
ADAPTERS = "TextLoRA/adapter_model.safetensors"


def recipe(clip=CLIP, taps=(1, 2, 3)):
    return small(
        "lhrs_bot", "llava_llama_2", {"tower": "clip", **clip, "heads": 2, "taps": list(taps)},
        {"num_queries": [4, 3, 2], "width": 16, "depth": 2, "heads": 2}, {**TARGETS, "r": 4, "lora_alpha": 8},
    )  # fmt: skip


def write(folder, clip=CLIP, **form):
    lhrs_release.write_release(folder, clip=clip, pooler=POOLER, lora=LORA, alpha=8, **form)
    filled = lhrs_release.filled
    found = {f"rgb_ckpt.{n}": t for n, t in filled(lhrs_release.clip_shapes(**clip), 1).items()}
    found |= {f"other_ckpt.rgb_pooler.{n}": t for n, t in filled(lhrs_release.pooler_shapes(**POOLER), 2).items()}
    found |= {f"TextLoRA.{n}": t for n, t in filled(lhrs_release.lora_shapes(**LORA), 3).items()}
    return found | {"other_ckpt.embed_tokens.weight": torch.zeros(5, 4)}


RELEASE = Release(
    recipe=recipe(),
    variants={
        "plain": write, "inside model": partial(write, outer=True), "binary adapters": partial(write, binary=True),
        "both": partial(write, outer=True, binary=True),
    },
    checkpoint="FINAL.pt", given="FINAL.pt", base="meta-llama/Llama-2-7b-chat-hf",
    sources=frozenset({"FINAL.pt", "TextLoRA/adapter_config.json", ADAPTERS}),
    adapters=(ADAPTERS,), scale=(4, 8),
    missing=(
        ("FINAL.pt", "rgb_ckpt", f"{AT}encoder.layers.2.mlp.fc2.bias"),
        ("FINAL.pt", "rgb_ckpt", f"{AT}embeddings.class_embedding"),
        ("FINAL.pt", "other_ckpt", "rgb_pooler", "layers.1.ln_1_kv.weight"),
        ("FINAL.pt", "other_ckpt", "rgb_pooler", "query"),
        (ADAPTERS, "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"),
    ),
    strange={("FINAL.pt", "rgb_ckpt", f"{AT}head.probe"): "head.probe.*another one"},
    reshaped={("FINAL.pt", "other_ckpt", "rgb_pooler", "query"): r"query has shape \(7,\), expected \(1, 9, 16\)"},
    other_sizes=(({"num_queries": [4, 4, 2]}, r"query has shape \(1, 9, 16\), expected \(1, 10, 16\)"),),
    ignored=r"\.embed_tokens\.", box_dialect="lhrs",
)  # fmt: skip
