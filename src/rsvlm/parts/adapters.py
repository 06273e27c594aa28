"""Adapters in every layer of a transformer, whose own weights stay: LoRA, prefixes, bottlenecks, or all three gated.

LoRA and the encoder of the prefixes are peft's. Ours, after AdapterHub's defaults, because peft has none for towers
without a cache of keys and values: attention that reads prefixes, bottlenecks, and the gates.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.clip.modeling_clip import CLIPAttention

from rsvlm.parts import lora as peft_lora


def adapt(
    model: Any, *, lora: Mapping[str, Any] | None = None, prefix: Mapping[str, Any] | None = None,
    bottleneck: Mapping[str, Any] | None = None, gated: bool = False,
) -> None:  # fmt: skip
    """Put adapters into every layer of `model`, a tower of transformers' CLIP, in place; its weights keep their names.

    `lora` are peft's numbers (r, lora_alpha, target_modules), `prefix` the numbers `length` and `hidden` of a
    reparametrised prefix (arXiv:2101.00190), `bottleneck` the `reduction` of one behind each layer (arXiv:2005.00247).
    With `gated` each is weighed by a gate that reads the layer's input (UniPELT, arXiv:2110.07577). Names of the new
    parameters begin with `lora`, `prefix` and `bottleneck`. Only LoRA renames what it adapts (".base_layer.").
    """
    layers, width = model.encoder.layers, model.config.hidden_size
    if prefix:
        model.encoder.prefix = _prefixes(model.config, **prefix)
        model.encoder.register_forward_pre_hook(_with_prefixes, with_kwargs=True)
        for index, layer in enumerate(layers):
            plain, layer.self_attn = layer.self_attn, PrefixAttention(model.config, index, gated=gated)
            layer.self_attn.load_state_dict(plain.state_dict(), strict=False)
    if lora and gated:
        for linear in (layer.self_attn.get_submodule(name) for layer in layers for name in lora["target_modules"]):
            linear.lora = GatedLoRA(width, lora["r"])
            linear.register_forward_hook(_with_lora)
    elif lora:
        peft_lora.inject(model, lora)
    if bottleneck:
        for layer in layers:
            layer.bottleneck = Bottleneck(width, bottleneck["reduction"], gated=gated)
            layer.register_forward_hook(_with_bottleneck)


class Gate(nn.Module):
    """States (B, T, width) -> (B, 1, 1) in (0, 1): the mean over the tokens of a logistic of each."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, 1)
        nn.init.normal_(self.map.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """States (B, T, width) -> (B, 1, 1)."""
        return self.map(x).sigmoid().mean(1, keepdim=True)


class Bottleneck(nn.Module):
    """x -> up(relu(down(x))), width / `reduction` between, at least one; (B, T, width).

    `up` starts at zero, so that the tower starts as it was: ours, AdapterHub draws it from a normal of 0.02.
    """

    def __init__(self, width: int, reduction: int, *, gated: bool) -> None:
        super().__init__()
        inner = max(width // reduction, 1)
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        self.gate = Gate(width) if gated else None
        nn.init.normal_(self.down.weight, std=0.02)
        for zeroed in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zeroed)

    def forward(self, x: Tensor) -> Tensor:
        """States (B, T, width) -> what is added to them."""
        change = self.up(self.down(x).relu())
        return change if self.gate is None else change * self.gate(x)


class GatedLoRA(nn.Module):
    """x -> gate(x) * B A x, of rank `r`, without another scale; B starts at zero."""

    def __init__(self, width: int, r: int) -> None:
        super().__init__()
        self.down, self.up, self.gate = nn.Linear(width, r, bias=False), nn.Linear(r, width, bias=False), Gate(width)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        """States (B, T, width) -> what is added to the linear map of them."""
        return self.up(self.down(x)) * self.gate(x)


class PrefixAttention(CLIPAttention):
    """CLIP's attention with learned keys and values before those of the tokens, which every token sees."""

    def __init__(self, config: Any, layer: int, *, gated: bool) -> None:
        super().__init__(config)
        self.layer, self.prefix_gate = layer, Gate(config.hidden_size) if gated else None

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, *, prefixes: Tensor,
        is_causal: bool = False, **_: Any,
    ) -> tuple[Tensor, None]:  # fmt: skip
        """States (B, T, width) and `prefixes` (layers, 2, P, width) -> states; the mask is that of `is_causal`."""
        share = 1 if self.prefix_gate is None else self.prefix_gate(hidden_states)
        learned = prefixes[self.layer].unsqueeze(1).expand(-1, len(hidden_states), -1, -1) * share
        own = self.k_proj(hidden_states), self.v_proj(hidden_states)
        keys, values = (torch.cat(pair, 1) for pair in zip(learned.to(own[0].dtype), own, strict=True))
        queries, keys, values = (
            states.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
            for states in (self.q_proj(hidden_states), keys, values)
        )
        tokens, seen = queries.shape[2], keys.shape[2]
        mask = torch.ones(tokens, seen, dtype=torch.bool, device=keys.device).tril(seen - tokens) if is_causal else None
        mixed = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return self.out_proj(mixed.transpose(1, 2).flatten(2)), None


def _prefixes(config: Any, *, length: int, hidden: int) -> nn.Module:
    from peft import PrefixEncoder, PrefixTuningConfig

    return PrefixEncoder(
        PrefixTuningConfig(
            num_virtual_tokens=length, token_dim=config.hidden_size, num_layers=config.num_hidden_layers,
            num_attention_heads=config.num_attention_heads, encoder_hidden_size=hidden, prefix_projection=True,
        )
    )  # fmt: skip


# Hooks, not wrappers, and functions of this module, not closures: weights keep their names, and towers can be copied.


def _with_prefixes(encoder: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    flat = encoder.prefix(torch.arange(encoder.prefix.embedding.num_embeddings, device=_device(encoder)))
    layers = flat.unflatten(1, (len(encoder.layers), 2, -1)).permute(1, 2, 0, 3)  # (layers, 2, P, width)
    return args, {**kwargs, "prefixes": layers}


def _with_lora(linear: Any, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output + linear.lora(args[0])


def _with_bottleneck(layer: Any, args: Any, output: Tensor) -> Tensor:
    return output + layer.bottleneck(output)


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device
