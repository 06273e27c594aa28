"""SkyEyeGPT: a checkpoint of MiniGPT-v2's runner, and EVA-CLIP beside it."""

from functools import partial

import torch

from fake import minigpt_release
from fake.lhrs_release import filled
from fake.published import Release, small
from rsvlm.recipe import read_recipe, shipped

EVA = {"width": 32, "depth": 2, "patch": 8, "hidden": 139}
RUNNER = {"merged": 4 * 32, "layers": 2, "hidden": 24, "r": 4}
TARGETS = read_recipe(shipped("skyeyegpt")).model["language"]["lora"]
FILE = "SkyEyeGPT.pth"
AT = "llama_model.base_model.model.model.layers."
INVERSE = f"{AT}0.self_attn.rotary_emb.inv_freq"


def write(folder, extra=(), **shapes):
    model = filled(minigpt_release.runner_shapes(**{**RUNNER, **shapes}), 1) | dict(extra)
    minigpt_release.write_checkpoint(folder / FILE, model)
    return model


def write_eva(folder):
    """Positions of a grid half as fine as the recipe's: 32 pixels, where it sees 64."""
    return minigpt_release.write_eva(folder / "eva_vit_g.pth", size=32, **EVA)


RELEASE = Release(
    recipe=small(
        "skyeyegpt", "minigpt_v2",
        {"tower": "eva_clip", "width": 32, "depth": 2, "heads": 4, "patch": 8, "size": 64, "norm": True}, {"group": 4},
        {**TARGETS, "r": 4, "lora_alpha": 1},
    ),
    variants={
        "peft 0.2": partial(write, extra={INVERSE: torch.ones(2)}),
        "later": partial(write, adapter=".default", extra={INVERSE: torch.ones(2)}),
    },
    checkpoint=FILE, given=FILE, base="meta-llama/Llama-2-7b-chat-hf", sources=frozenset({FILE}),
    vision=write_eva, tower=r"does not hold the vision tower.*eva_vit_g\.pth",
    adapters=(FILE, "model"), scale=(4, 1),
    missing=((FILE, "model", "llama_proj.bias"), (FILE, "model", f"{AT}1.self_attn.v_proj.lora_B.weight")),
    strange={
        (FILE, "model", "llama_proj.lora_C.weight"): "lora_alpha",
        **{(FILE, "model", name): "which this system does not have" for name in (
            "llama_model.base_model.model.lm_head.0.weight", "visual_encoder.rope.freqs_cos",
            f"{AT}0.mlp.up_proj.lora_A.weight")},
    },
    reshaped={(FILE, "model", "llama_proj.weight"): r"llama_proj.weight has shape \(7,\), expected \(24, 128\)"},
    other_sizes=(({"group": 2}, r"llama_proj.weight has shape \(24, 128\), expected \(24, 64\)"),),
    ignored=r"inv_freq$", box_dialect="minigpt",
)  # fmt: skip
