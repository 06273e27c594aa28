"""LLaVA-1.5's adapter: adapter_model.bin and non_lora_trainables.bin with the projector; CLIP is published apart."""

from fake import llava_release
from fake.lhrs_release import filled, lora_shapes
from fake.published import Release, small

CLIP = {"width": 16, "depth": 3, "patch": 8, "size": 32}
SIZES = {"layers": 2, "hidden": 24, "wide": 40}
FRONT = "base_model.model.model."
PROJECTOR = "non_lora_trainables.bin"


def write(folder):
    llava_release.write_adapter(folder, width=16, r=4, alpha=8, **SIZES)
    found = filled(llava_release.projector_shapes(width=16, hidden=24, front=FRONT), 2)
    return found | filled(lora_shapes(r=4, **SIZES), 3)


RELEASE = Release(
    recipe=small(
        "rs_gpt4v", "vicuna_v1", {"tower": "clip", **CLIP, "heads": 2, "taps": [2], "fit": "pad"}, {"layers": 2},
        {"r": 2, "experts": 3, "lora_alpha": 4, "target_modules": []}, tie_word_embeddings=False,
    ),
    variants={"adapter": write},
    checkpoint=PROJECTOR, given=".", base="lmsys/vicuna-7b-v1.5",
    sources=frozenset({PROJECTOR, "adapter_config.json", "adapter_model.bin"}),
    vision=lambda folder: llava_release.write_clip(folder / "clip", **CLIP),
    tower=r"does not hold the vision tower.*clip-vit-large-patch14-336",
    adapters=("adapter_model.bin",), scale=(4, 8),
    missing=(
        (PROJECTOR, f"{FRONT}mm_projector.0.bias"),
        ("adapter_model.bin", f"{FRONT}layers.1.mlp.down_proj.lora_B.weight"),
    ),
    strange={(PROJECTOR, "model.strange.weight"): "holds model.strange.weight, which this system does not have"},
    reshaped={(PROJECTOR, f"{FRONT}mm_projector.0.bias"): r"projector.0.bias has shape \(7,\), expected \(24,\)"},
    other_sizes=(({"layers": 1}, "mm_projector.2.*, which this system does not have"),),
)  # fmt: skip
