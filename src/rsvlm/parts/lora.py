"""LoRA of peft, from the numbers of a recipe."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from rsvlm.errors import BadInput

# peft knows many more, which read other files, copy layers or start from a decomposition of the weights.
NUMBERS = ("r", "lora_alpha", "lora_dropout", "bias", "target_modules", "use_rslora", "use_dora")


def inject(model: nn.Module, numbers: Mapping[str, Any], **more: Any) -> nn.Module:
    """Put the adapters of these numbers into `model`, in place. Raises BadInput for any that is none of `NUMBERS`."""
    from peft import LoraConfig, inject_adapter_in_model

    if unknown := sorted(set(map(str, numbers)) - set(NUMBERS)):
        raise BadInput(f"lora has the key {unknown[0][:60]!r}, which is not taken; expected {', '.join(NUMBERS)}.")
    rank = numbers.get("r", 8)
    if isinstance(rank, bool) or not isinstance(rank, int) or not 0 < rank <= 65536:
        raise BadInput(f"lora.r is {str(rank)[:60]}; expected the rank of a matrix, a whole number of 1 to 65536.")
    return inject_adapter_in_model(LoraConfig(**numbers, **more), model)


def merge(model: nn.Module) -> None:
    """Fold the adapters in `model` into the weights that they adapt, for answering without their cost. Not undone."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, BaseTunerLayer):
            module.merge()
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, module.get_base_layer())
