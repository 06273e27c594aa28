"""The recorded modules of the originals that ours are compared with: how each is built and run here.

A rig is a module of this folder that adds its recordings to `PARITY`; `load_rigs` imports all of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from rsvlm.parts.checkpoints.weights import WeightTable
from rsvlm.registry import Registry

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """One recorded module of an original: `build` ours from the recording's config, load through `table`, then `run`.

    `config["shapes"]` are those of the recorded state, for sizes that the config leaves out. `split` cuts tensors of
    the original that are several of ours, before they and their gradients are compared. `run(module, inputs, config)`
    gives the outputs under the recording's names; tensors of a state dict after the call (`after.<original name>`) as
    they lie in ours. `loss(outputs, inputs)` is needed only where the recorded loss is prose: sums of outputs, or of
    output times input, are read from the recording. `all_gradients` is False where the recording holds those of some
    parameters only.
    """

    build: Callable[[Mapping[str, Any]], nn.Module]
    run: Callable[[nn.Module, Tensors, Mapping[str, Any]], Tensors]
    table: WeightTable
    loss: Callable[[Tensors, Tensors], Tensor] | None = None
    split: Callable[[Tensors], dict[str, Tensor]] = dict
    all_gradients: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A recorded function of an original over plain values: `read(config)` is ours, `input` the key of its argument.

    Of a row's argument it gives the other values, which are equal where it is right.
    """

    input: str
    read: Callable[[Mapping[str, Any]], Callable[[Any], Mapping[str, Any]]]


# Under "<system>/<module>", as the recordings call themselves.
PARITY: Registry[Parity] = Registry("recorded module")
ROWS: Registry[Rows] = Registry("recorded function")


def load_rigs() -> Registry[Parity]:
    """`PARITY`, and beside it `ROWS`, after every rig of this folder was imported."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        import_module(f"parity.{path.stem}")
    return PARITY
