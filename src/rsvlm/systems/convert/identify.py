"""Whose checkpoint is it? Told from the names and shapes of its tensors alone."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

# LLaMAs by the width of their stream and of their keys: who is asked for when an adapter does not fit.
_BASES = {
    (4096, 4096): "LLaMA-2-7B or Vicuna-7B",
    (4096, 1024): "LLaMA-3-8B",
    (5120, 5120): "LLaMA-2-13B or Vicuna-13B",
    (3200, 3200): "OpenLLaMA-3B",
    (2048, 512): "LLaMA-3.2-1B",
    (3072, 1024): "LLaMA-3.2-3B",
}


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA over a LLaMA: its rank, the width of the stream, the width of the keys (0 = it has none on k or v)."""

    rank: int
    width: int
    keys: int = 0

    @property
    def base(self) -> str:
        """Which language model it looks made for, in words."""
        name = _BASES.get((self.width, self.keys))
        sizes = f"{self.width} wide" + (f", keys {self.keys} wide" if self.keys else "")
        return f"{name} ({sizes})" if name else f"a language model {sizes}"


@dataclass(frozen=True, slots=True)
class Identified:
    """What a checkpoint looks like: a system of ours (None = of nobody here), in words, its variant and stage."""

    what: str
    system: str | None = None
    variant: str = ""
    stage: str = ""
    parameters: int = 0
    groups: Mapping[str, int] = field(default_factory=dict)  # tensors by the first part of their names
    adapter: Adapter | None = None


def identify_tensors(tensors: Mapping[str, Tensor]) -> Identified:
    """What these tensors look like, by flattened name; TextLoRA, where it lies beside, under "TextLoRA."."""
    groups: dict[str, int] = {}
    for name in tensors:
        top = ".".join(name.split(".")[: 2 if name.startswith("other_ckpt.") else 1])
        groups[top] = groups.get(top, 0) + 1
    system, what, variant, stage = _whose(list(tensors))
    parameters = sum(tensor.numel() for tensor in tensors.values())
    return Identified(what, system, variant, stage, parameters, groups, adapter(tensors))


def adapter(tensors: Mapping[str, Tensor]) -> Adapter | None:
    """The adapter over LLaMA's layers among these tensors."""
    rank = width = keys = 0
    for name, tensor in tensors.items():
        found = re.search(r"layers\.\d+\.self_attn\.([qkvo]_proj)\.lora_([AB])", name)
        if found and tensor.ndim == 2 and found[2] == "A":
            rank, width = tensor.shape
        elif found and tensor.ndim == 2 and found[1] in ("k_proj", "v_proj"):
            keys = len(tensor)
    return Adapter(rank, width, keys) if rank else None


def _whose(names: list[str]) -> tuple[str | None, str, str, str]:
    """System, words, variant and stage."""

    def has(pattern: str) -> bool:
        return any(re.search(pattern, name) for name in names)

    if has(r"^rgb_ckpt\.|^other_ckpt\."):
        return _lhrs(has)
    if has(r"query_tokens|Qformer"):
        return None, "a BLIP-2 child with a Q-Former (MiniGPT-4, InstructBLIP, DeltaVLM)", "", ""
    if has(r"^llama_proj\."):
        bridge = "adapters on the alignment layer" if has(r"^llama_proj\.lora_") else "a plain alignment layer"
        tower = "the vision tower in it" if has(r"^visual_encoder\.") else "the vision tower apart"
        return "skyeyegpt", "SkyEyeGPT (or MiniGPT-v2, which has the same names)", f"{bridge}, {tower}", "unknown"
    if has(r"mm_projector|multi_modal_projector"):
        kind = "adapters" if has(r"\.lora_[AB]\.") else "whole" if has(r"embed_tokens") else "the projector alone"
        return "rs_gpt4v", "LLaVA-1.5 (RS-GPT4V's form; GeoChat has the same names)", kind, "unknown"
    if has(r"^(vision|bridge|language)\..+"):
        return None, "a model of rsvlm itself, which is converted already", "", ""
    for pattern, what in _OTHERS.items():
        if has(pattern):
            return None, what, "", ""
    return None, "no system that is known here", "", ""


def _lhrs(has: Callable[[str], bool]) -> tuple[str, str, str, str]:
    adapted = has(r"^TextLoRA\.")
    if not has(r"\.layernorm_kv\.|\.mlp\.gate\."):
        stage = "2 or 3 (their names are the same)" if adapted else "1, unless its TextLoRA folder is missing"
        return "lhrs_bot", "LHRS-Bot (branch main)", "dense perceiver", stage
    names = "names as in Stage3_HF" if has(r"^rgb_ckpt\.(model|rgb)\.|rgb_pooler\.(model|rgb_pooler)\.") else ""
    if has(r"\.mlp\.c_fc\."):
        return "lhrs_bot_nova", "LHRS-Bot-Nova (branch nova)", ", ".join(filter(None, ["dense perceiver", names])), "1"
    variant = ", ".join(filter(None, ["perceiver of experts", names or "names as in Stage3"]))
    return "lhrs_bot_nova", "LHRS-Bot-Nova (branch nova)", variant, "2 or 3 (their names are the same)"


_OTHERS = {
    r"\.lora_[AB]\.": "an adapter alone, which belongs beside a checkpoint",
    r"^cls_token$|^blocks\.0\.": "the EVA-CLIP tower alone, which belongs beside a checkpoint (--vision)",
    r"^model\.embed_tokens|^model\.layers\.": "a language model alone, which belongs beside a checkpoint "
    "(--language-model)",
    r"vision_model\.|^visual\.": "CLIP or a vision tower alone",
}
