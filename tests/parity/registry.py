"""Parity with the original code: the recorded modules that we answer for, how they are built and run here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from rsvlm.parts.checkpoints.weights import WeightTable
from rsvlm.registry import Registry

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """One recorded module of an original: `build` ours from the recording's config, load through `table`, then `run`.

    `run(module, inputs, config)` gives the outputs under the recording's names; tensors of a state dict after the call
    (`after.<original name>`) as they lie in ours. `loss(outputs, inputs)` is needed only
    where the recorded loss is prose: sums of outputs, or of output times input, are read from the recording.
    """

    build: Callable[[Mapping[str, Any]], nn.Module]
    run: Callable[[nn.Module, Tensors, Mapping[str, Any]], Tensors]
    table: WeightTable
    loss: Callable[[Tensors, Tensors], Tensor] | None = None


PARITY: Registry[Parity] = Registry("recorded module")  # under "<system>/<module>", as the recordings call themselves
