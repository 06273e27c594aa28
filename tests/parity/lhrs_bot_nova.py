"""The rig of LHRS-Bot-Nova: its perceiver, dense and of experts, the experts alone, and the upcycling of one."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from parity.lhrs_bot import recorded_queries
from parity.registry import PARITY, Parity, Tensors
from rsvlm.parts.bridges.positioned_perceiver import PositionedPerceiver
from rsvlm.parts.checkpoints import weights
from rsvlm.parts.experts import Experts, upcycle
from rsvlm.systems.lhrs_bot_nova.weights import EXPERTS, PERCEIVER


def _recorded_pooler(config: Mapping[str, Any], *, experts: bool = True) -> PositionedPerceiver:
    """`AttnPooler` of the original from its constructor's values, dense where it is or `experts` is False."""
    values, queries = config["pooler"], recorded_queries(config["pooler"])
    rows, columns = values.get("num_patches", (8, 8))
    number = values["num_experts"] if experts and values.get("use_moe") else 0
    return PositionedPerceiver(
        level_dims=[values["encoder_hidden_size"]] * len(queries), grid=(rows, columns), num_queries=queries,
        width=values["hidden_size"], depth=values["num_layers"], heads=values["num_attention_heads"],
        output_dim=values["output_size"], experts=number, selects=values.get("num_selects", 1),
    )  # fmt: skip


def _run_pooler(module: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    out = module(inputs["image_embs"].split(config["pooler"]["split_part"], 1))
    return {"out": out, "pos_embed": module.positions.unflatten(0, config["pooler"].get("num_patches", (8, 8)))}


def _recorded_experts(config: Mapping[str, Any]) -> nn.Module:
    return Experts(
        config["input_size"], config["hidden_size"], experts=config["num_experts"], selects=config["num_selects"],
        activation="none",
    )  # fmt: skip


def _run_experts(module: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    tokens = inputs["x"].flatten(0, -2)
    shares, chosen = module.router(tokens)
    each = tokens.new_zeros(len(tokens), len(module.experts)).scatter(1, chosen, shares)
    return {
        "hidden_states": module(inputs["x"]), "gate_logits": module.router.gate(tokens), "topK_indices": chosen,
        "topK_scores": shares, "importance": each.sum(0), "load": (each > 0).sum(0),
        "balance_loss": torch.tensor(-100.0),  # what the original says where it balances nothing, as in the perceiver
        **{f"expert_{number}": expert(tokens) for number, expert in enumerate(module.experts)},
    }  # fmt: skip


def _run_upcycling(module: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    """`module` is the dense perceiver; that of experts starts from it and from the recorded fresh router."""
    mixed = _recorded_pooler(config).train(module.training)
    own, fresh = mixed.state_dict(), {n.removeprefix("moe_init."): t for n, t in inputs.items() if "moe_init." in n}
    state, account = weights.adopt(fresh, own, PERCEIVER, source="the recorded perceiver of experts")
    mixed.load_state_dict({**state, **upcycle(module.state_dict(), own)})
    after = mixed.state_dict()
    named = {f"after.{theirs}": after[ours] for theirs, ours in account.loaded.items()}
    return {"dense_out": _run_pooler(module, inputs, config)["out"], **_run_pooler(mixed, inputs, config), **named}


for _module in ("attn_pooler_dense", "attn_pooler_moe"):
    PARITY.add(f"lhrs_bot_nova/{_module}", Parity(build=_recorded_pooler, run=_run_pooler, table=PERCEIVER))
PARITY.add("lhrs_bot_nova/moe_layer", Parity(build=_recorded_experts, run=_run_experts, table=EXPERTS))
PARITY.add(
    "lhrs_bot_nova/upcycling",
    Parity(build=lambda config: _recorded_pooler(config, experts=False), run=_run_upcycling, table=PERCEIVER),
)
