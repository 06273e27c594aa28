"""The rig of RS-MoE: the Text-MoE of its repository. Nobody has published weights of it.

Recorded from github.com/CongcongWen1208/RS-MoE, commit 5480f72.
"""

from collections.abc import Mapping
from typing import Any

from parity.registry import PARITY, Parity, Tensors
from rsvlm.parts.language.text_moe import TEXT_MOE, TextMoE


def _build(config: Mapping[str, Any]) -> TextMoE:
    """`ShareExpertMOE` of the original from its constructor's values."""
    values = config["moe"]
    return TextMoE(
        values["hidden_dim"], experts=values["expert_number"], top_k=values["top_k"],
        shared=values["shared_experts_number"], residual=False,
    )  # fmt: skip


def _run(module: Any, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    x = inputs["x"]
    logits, shares, chosen = module.route(x.flatten(0, -2))
    sparse = module.sparse(x.flatten(0, -2)).view_as(x)
    found = {"router_logits": logits, "router_weights": shares, "selected_experts": chosen}
    return {"out": module(x), "sparse_out": sparse, **found}


PARITY.add("rs_moe/text_moe", Parity(build=_build, run=_run, table=TEXT_MOE))
