"""The rig of the optimizer Adan, recorded from CMID."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from parity.registry import PARITY, Parity, Tensors
from rsvlm.parts.checkpoints.weights import WeightTable
from rsvlm.train.optim import Adan


def _recorded(module: nn.Module, inputs: Tensors, config: Mapping[str, Any]) -> Tensors:
    """The parameter after each of the recorded gradients, with both forms of weight decay."""
    after: dict[str, Tensor] = {}
    for form in ("prox", "no_prox"):
        parameter = nn.Parameter(inputs["param"].clone())
        optimizer = Adan([parameter], **config["opt"], proximal=form == "prox")
        for step, gradient in enumerate(inputs["grads"]):
            parameter.grad = gradient.clone()
            optimizer.step()
            after[f"{form}_{step}"] = parameter.detach().clone()
    return after


PARITY.add("cmid/adan", Parity(build=lambda config: nn.Module(), run=_recorded, table=WeightTable({})))
