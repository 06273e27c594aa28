"""Whose checkpoint it is, told from published names at published sizes (without memory) alone."""

import re

import pytest
import torch

from fake import lhrs_release, llava_release, minigpt_release, nova_release
from fake.releases import cmid as cmid_release
from rsvlm.systems.convert.identified import Adapter
from rsvlm.systems.convert.identify import find_adapter, identify_tensors
from rsvlm.systems.discovery import submodule, system_names


def meta(shapes, front=""):
    return {front + name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


CLIP = meta(lhrs_release.clip_shapes(width=16, depth=2, patch=8, size=32), "rgb_ckpt.")
OLD = meta(lhrs_release.pooler_shapes(queries=9, width=16, depth=2, output=24), "other_ckpt.rgb_pooler.")
LORA = meta(lhrs_release.lora_shapes(r=128, layers=2, hidden=4096, wide=11008), "TextLoRA.")
EXPERTS = nova_release.nova_pooler_shapes(queries=9, width=16, depth=2, output=24, experts=3)
DENSE = nova_release.nova_pooler_shapes(queries=9, width=16, depth=2, output=24, experts=0)
RUNNER = {"merged": 5632, "layers": 2, "hidden": 4096, "r": 64}
SKYEYE = meta(minigpt_release.runner_shapes(**RUNNER))
ADAPTED = meta(minigpt_release.runner_shapes(**RUNNER, bridge_r=8))
RESNET, SWIN = (cmid_release.tensors(cmid_release.recipe(tower)) for tower in (cmid_release.RESNET, cmid_release.SWIN))
BYOL = cmid_release.tensors(cmid_release.recipe(cmid_release.SWIN, variant="byol"))


def alone(whole, front="online_encoder.model."):
    """The backbone of a CMID by the names that its own file has."""
    return {name.removeprefix(front): tensor for name, tensor in whole.items() if name.startswith(front)}


SEEN = {
    "cmid": (RESNET, "cmid", "resnet, MoCo", "views"),
    "cmid, Swin by BYOL": (BYOL, "cmid", "swin, BYOL", "views"),
    "cmid, a ResNet alone": (alone(RESNET), "cmid", "resnet", "unknown"),
    "cmid, a Swin alone": (alone(SWIN), "cmid", "swin", "unknown"),
    "lhrs_bot, stage 2": (CLIP | OLD | LORA, "lhrs_bot", "dense perceiver", "2 or 3"),
    "lhrs_bot, stage 1": (CLIP | OLD, "lhrs_bot", "dense perceiver", "1, unless its TextLoRA"),
    "nova, stage 1": (meta(DENSE, "other_ckpt.rgb_pooler."), "lhrs_bot_nova", "dense perceiver", "1"),
    "nova, Stage3": (
        meta(EXPERTS, "other_ckpt.rgb_pooler."), "lhrs_bot_nova", "perceiver of experts, names as in Stage3", "2 or 3"
    ),
    "nova, Stage3_HF": (
        meta(EXPERTS, "other_ckpt.rgb_pooler.model.rgb_pooler."), "lhrs_bot_nova",
        "perceiver of experts, names as in Stage3_HF", "2 or 3",
    ),
    "skyeyegpt": (SKYEYE, "skyeyegpt", "a plain alignment layer, the vision tower apart", "unknown"),
    "skyeyegpt, adapted": (
        ADAPTED, "skyeyegpt", "adapters on the alignment layer, the vision tower apart", "unknown"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_a_system_its_variant_and_its_stage(name):
    tensors, system, variant, stage = SEEN[name]
    seen = identify_tensors(tensors)
    assert (seen.system, seen.variant) == (system, variant) and seen.stage.startswith(stage)
    assert seen.parameters == sum(tensor.numel() for tensor in tensors.values())
    assert sum(seen.groups.values()) == len(tensors)


@pytest.mark.parametrize("names, what", [
    (["query_tokens", "llama_proj.weight"], "Q-Former"), (["cls_token", "blocks.0.norm1.weight"], "EVA-CLIP tower"),
    (["base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"], "an adapter alone"),
    (["model.embed_tokens.weight", "lm_head.weight"], "a language model alone"), (["bridge.query"], "rsvlm itself"),
    (["vision_model.embeddings.class_embedding"], "CLIP"), (["x"], "no system that is known"),
    (["visual.layer1.0.conv1.weight"], "CLIP"),
])  # fmt: skip
def test_what_is_no_system_of_ours_is_named(names, what):
    seen = identify_tensors({name: torch.ones(2) for name in names})
    assert seen.system is None and what in seen.what


def test_an_adapter_tells_its_rank_and_its_base():
    assert find_adapter(LORA) == Adapter(128, 4096, 4096) and find_adapter(SKYEYE) == Adapter(64, 4096, 4096)
    at = "model.layers.0.self_attn."
    three = {f"{at}q_proj.lora_A.weight": (8, 4096), f"{at}k_proj.lora_B.weight": (1024, 8)}
    assert find_adapter(meta(three)).base == "LLaMA-3-8B (4096 wide, keys 1024 wide)"
    assert Adapter(8, 4096, 4096).base.startswith("LLaMA-2-7B or Vicuna-7B")
    assert Adapter(8, 24).base == "a language model 24 wide"
    assert find_adapter(OLD) is None


LLAVA = [
    {**llava_release.language_shapes(layers=1, hidden=8, wide=8, vocabulary=9), "model.mm_projector.0.bias": (8,)},
    llava_release.projector_shapes(width=8, hidden=8),
    llava_release.projector_shapes(width=8, hidden=8, front="base_model.model.model."),
]
EVERY = {name: (list(tensors), system) for name, (tensors, system, _, _) in SEEN.items()}
EVERY |= {f"rs_gpt4v {number}": (list(names), "rs_gpt4v") for number, names in enumerate(LLAVA)}
EVERY["a Q-Former"] = (["query_tokens", "Qformer.bert.x", "llama_proj.weight", "mm_projector.weight"], None)


@pytest.mark.parametrize("name", EVERY)
def test_one_system_at_most_claims_a_checkpoint(name):
    """So the order in which systems are asked does not matter."""
    names, system = EVERY[name]

    def has(pattern):
        return any(re.search(pattern, one) for one in names)

    asked = {other: getattr(submodule(other, "weights"), "identify", None) for other in system_names("weights")}
    claims = [other for other, ask in asked.items() if ask and ask(has)]
    assert claims == ([system] if system else [])
