"""The rig of SkyEyeGPT: its EVA-CLIP tower, recorded from DeltaVLM, which has the same."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from parity.registry import PARITY, Parity, Tensors
from rsvlm.parts.vision.eva import EVA, EVACLIP


def _recorded_tower(config: Mapping[str, Any]) -> nn.Module:
    """`VisionTransformer` of the original from its constructor's values; all its tokens are kept, no norm behind."""
    values = config["vit"]
    return EVACLIP(
        width=values["embed_dim"], depth=values["depth"], heads=values["num_heads"], patch=values["patch_size"],
        size=values["img_size"], mlp_ratio=values["mlp_ratio"], class_token=True,
    )  # fmt: skip


def _run_tower(module: nn.Module, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    """The recorded pictures are normalised already."""
    assert isinstance(module, EVACLIP)
    hidden = list(module.hidden(inputs["image"]))
    return {f"block_{index}": x for index, x in enumerate(hidden)} | {"out": hidden[-1]}


PARITY.add("deltavlm/eva_vit", Parity(build=_recorded_tower, run=_run_tower, table=EVA))
