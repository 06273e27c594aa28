"""Which system a checkpoint is of, from the names and shapes of its tensors alone.

Every system is asked (`identify` in its weights.py), in alphabetical order; the first that claims the checkpoint has
it. A system therefore claims only what no other one can be: what its release shares with others is ruled out there.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from torch import Tensor

from rsvlm.parts.checkpoints import open_clip
from rsvlm.systems.convert.identified import Adapter, Has, Identified, Layout
from rsvlm.systems.discovery import submodule, system_names

# What is of no system, by the first pattern that is found.
_OTHERS = {
    r"query_tokens|Qformer": "a BLIP-2 child with a Q-Former (MiniGPT-4, InstructBLIP, DeltaVLM)",
    r"^(vision|bridge|language)\..+": "a model of rsvlm itself, which is converted already",
    r"\.lora_[AB]\.": "an adapter alone, which belongs beside a checkpoint",
    r"^cls_token$|^blocks\.0\.": "the EVA-CLIP tower alone, which belongs beside a checkpoint (--vision)",
    r"^model\.embed_tokens|^model\.layers\.": "a language model alone, which belongs beside a checkpoint "
    "(--language-model)",
    r"vision_model\.|^visual\.": "CLIP or a vision tower alone",
}
_UNTOLD = "its tensors do not tell whether its MLPs have QuickGELU or GELU"


def layouts() -> list[Layout]:
    """`LAYOUT` of every system's weights.py that has one."""
    found = [getattr(submodule(system, "weights"), "LAYOUT", None) for system in system_names("weights")]
    return [layout for layout in found if layout is not None]


def identify_tensors(tensors: Mapping[str, Tensor]) -> Identified:
    """What these tensors are, by flattened name; adapters that lie beside them under the name of their folder."""
    nested = tuple(front for layout in layouts() for front in layout.nested)
    groups: dict[str, int] = {}
    for name in tensors:
        top = ".".join(name.split(".")[: 2 if name.startswith(nested) else 1])
        groups[top] = groups.get(top, 0) + 1
    parameters = sum(tensor.numel() for tensor in tensors.values())
    found = _identify_names(tuple(tensors))
    if found.system is None and open_clip.layout_of(tensors) and (sizes := open_clip.sizes_of(tensors)):
        found = Identified(sizes.name, variant=_UNTOLD)
    return replace(found, parameters=parameters, groups=groups, adapter=find_adapter(tensors))


def find_adapter(tensors: Mapping[str, Tensor]) -> Adapter | None:
    """The adapter over LLaMA's layers among these tensors."""
    rank = width = keys = 0
    for name, tensor in tensors.items():
        found = re.search(r"layers\.\d+\.self_attn\.([qkvo]_proj)\.lora_([AB])", name)
        if found and tensor.ndim == 2 and found[2] == "A":
            rank, width = tensor.shape
        elif found and tensor.ndim == 2 and found[1] in ("k_proj", "v_proj"):
            keys = len(tensor)
    return Adapter(rank, width, keys) if rank else None


def _identify_names(names: tuple[str, ...]) -> Identified:
    has = _search(names)
    for system in system_names("weights"):
        identify = getattr(submodule(system, "weights"), "identify", None)
        if identify and (found := identify(has)):
            return replace(found, system=system)
    what = next((what for pattern, what in _OTHERS.items() if has(pattern)), "no system that is known here")
    return Identified(what)


def _search(names: tuple[str, ...]) -> Has:
    @cache  # systems ask for the same patterns
    def has(pattern: str) -> bool:
        return any(re.search(pattern, name) for name in names)

    return has
