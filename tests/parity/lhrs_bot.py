"""The rig of LHRS-Bot: its perceiver (`AttnPooler`), with one width and with a map before it."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from parity.registry import PARITY, Parity, Tensors
from rsvlm.parts.bridges.perceiver import MultiLevelPerceiver
from rsvlm.systems.lhrs_bot.weights import PERCEIVER


def recorded_queries(values: Mapping[str, Any]) -> list[int]:
    """Queries a level from the values of an `AttnPooler`; an int `stage_num` means that many equal parts."""
    stages = values["stage_num"]
    return [values["num_query"] // stages] * stages if isinstance(stages, int) else stages


def _recorded_pooler(config: Mapping[str, Any]) -> nn.Module:
    """`AttnPooler` of the original from its constructor's values."""
    values = config["pooler"]
    queries = recorded_queries(values)
    return MultiLevelPerceiver(
        level_dims=[values["encoder_hidden_size"]] * len(queries), num_queries=queries, width=values["hidden_size"],
        depth=values["num_layers"], heads=values["num_attention_heads"], output_dim=values["output_size"],
    )  # fmt: skip


def _run_pooler(module: nn.Module, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    return {"out": module(inputs["image_embs"].split(config["pooler"]["split_part"], 1))}


for _module in ("attn_pooler", "attn_pooler_inproj"):
    PARITY.add(f"lhrs_bot/{_module}", Parity(build=_recorded_pooler, run=_run_pooler, table=PERCEIVER))
