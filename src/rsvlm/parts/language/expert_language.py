"""Several speakers in one language model: adapters over one frozen base, or a language model each."""

import copy
import threading
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from rsvlm.parts.language.model import LanguageModel

_ONE_PASS = threading.Lock()  # `turns` says who speaks in the pass that runs: threads take turns, too
ALL = -1  # the expert of a row that all of them speak together, each with the same share


class Adapter(nn.Module):
    """One LoRA of a linear map, with the numbers and the weights of peft's: (..., in) -> (..., out)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.lora_A, self.lora_B = copy.deepcopy(layer.lora_A), copy.deepcopy(layer.lora_B)
        self.drop, self.scale = copy.deepcopy(layer.lora_dropout["default"]), layer.scaling["default"]

    def forward(self, x: Tensor) -> Tensor:
        """What is to be added to the linear map's own (..., out)."""
        down: Any = self.lora_A["default"]
        return self.lora_B["default"](down(self.drop(x.to(down.weight.dtype)))) * self.scale


class ExpertLinear(nn.Module):
    """A frozen linear map with one LoRA an expert, beside the one that it had; rows (R, T, in) -> (R, T, out).

    Which rows an adapter sees is said by `turns`, speaker -> row numbers, which the language model fills for each pass;
    `len(names)` is the speaker whose adapter was there before.
    """

    def __init__(self, layer: Any, names: Sequence[str], turns: Mapping[int, Tensor]) -> None:
        super().__init__()
        self.base_layer, self.turns = layer.base_layer, turns
        self.lora_A, self.lora_B = layer.lora_A, layer.lora_B  # under peft's names, as before there were experts
        self.lora_dropout, self.scaling = layer.lora_dropout, layer.scaling
        self.experts = nn.ModuleDict({name: Adapter(layer) for name in names})

    def forward(self, x: Tensor) -> Tensor:
        """Each row through the base and the adapter of whoever speaks it."""
        out = self.base_layer(x)
        experts = list(self.experts.values())
        for speaker, rows in self.turns.items():
            added = experts[speaker](x[rows]) if speaker < len(experts) else self._first(x[rows])
            out = out.index_add(0, rows, added.to(out.dtype))
        return out

    def _first(self, x: Tensor) -> Tensor:
        down: Any = self.lora_A["default"]
        x = self.lora_dropout["default"](x.to(down.weight.dtype))
        return self.lora_B["default"](down(x)) * self.scaling["default"]


class ExpertLanguage(LanguageModel):
    """A language model in which each row of a batch is spoken by one of several experts.

    `experts` names them. They start as copies of `language`, which stays as it is and speaks the rows of expert number
    `len(experts)`. With `separate=False` all share the base's weights and each has its own LoRA; with `separate=True`
    each is a whole decoder of its own (embeddings and head are the base's). The first `mixed` of them speak the rows of
    expert ALL, and their hidden states are averaged: under one head that is the average of their logits.

    `text_moe` changes the embeddings of words. Words that are generated go through it like all others;
    `raw_generated=True` leaves them out, as the released code does, which trained with it.
    """

    def __init__(
        self, language: LanguageModel, *, experts: Sequence[str] = (), mixed: int | None = None, separate: bool = False,
        text_moe: nn.Module | None = None, raw_generated: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(language.model)
        self.names, self.mixed = tuple(experts), len(experts) if mixed is None else mixed
        self.text_moe, self.raw_generated = text_moe, raw_generated
        self.turns: dict[int, Tensor] = {}
        self.experts = nn.ModuleDict({name: _decoder(self.model) for name in experts}) if separate else None
        if experts and not separate:
            self._share()

    def embed(self, ids: Tensor) -> Tensor:
        """As LanguageModel, through the Text-MoE where there is one."""
        x = super().embed(ids)
        generated = not self.training and ids.shape[1] == 1
        return x if self.text_moe is None or (generated and self.raw_generated) else self.text_moe(x)

    def forward(
        self, x: Tensor, mask: Tensor, cache: Any = None, positions: Tensor | None = None, expert: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """As LanguageModel; `expert` (B,) says who speaks each row: 0..len(experts) or ALL; None is ALL for each."""
        if not self.names:
            return super().forward(x, mask, cache, positions)
        expert = x.new_full((len(x),), ALL, dtype=torch.long) if expert is None else expert
        if positions is None:
            positions = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -x.shape[1] :]
        together = torch.arange(len(self.names) + 1, device=x.device) < self.mixed
        speaks = (expert[:, None] == torch.arange(len(together), device=x.device)) | (
            (expert == ALL)[:, None] & together
        )
        share = speaks / speaks.sum(1, keepdim=True)  # (B, speakers)
        run = self._shared if self.experts is None else self._separate
        return run(x, mask, cache, positions, share)

    def merge(self) -> "ExpertLanguage":
        """Fold in what can be: adapters over a shared base stay apart, those of a language model of its own do not."""
        super().merge()
        for expert in (self.experts or {}).values():
            cast(LanguageModel, expert).merge()
        return self

    def _shared(self, x: Tensor, mask: Tensor, cache: Any, positions: Tensor, share: Tensor) -> tuple[Tensor, Any]:
        """All rows in one pass over the base, each as often as it has speakers."""
        row, speaker = share.nonzero(as_tuple=True)
        with _ONE_PASS:
            try:
                self.turns.update((n, (speaker == n).nonzero()[:, 0]) for n in speaker.unique().tolist())
                said, cache = super().forward(x[row], mask[row], cache, positions[row])
            finally:
                self.turns.clear()
        return _mean(said, row, share[row, speaker], len(x)), cache

    def _separate(self, x: Tensor, mask: Tensor, cache: Any, positions: Tensor, share: Tensor) -> tuple[Tensor, Any]:
        """Each speaker's rows through its own decoder, with a cache of its own."""
        caches = cache if cache is None or isinstance(cache, list) else [copy.deepcopy(cache) for _ in share[0]]
        out = torch.zeros_like(x)
        decoders: list[Any] = [*(self.experts or {}).values(), None]
        for number, decoder in enumerate(decoders):
            row = share[:, number].nonzero()[:, 0]
            if not len(row):
                if decoder is None or not self.training:
                    continue
                row = row.new_zeros(1)  # with a share of 0: processes that hold a decoder in slices wait for each other
            one = caches and caches[number]
            args = (x[row], mask[row], one, positions[row])
            said, _ = super().forward(*args) if decoder is None else decoder(*args)
            out = out + _mean(said, row, share[row, number], len(x))
        return out, caches

    def _share(self) -> None:
        from peft.tuners.lora import LoraLayer

        found = [(name, module) for name, module in self.model.named_modules() if isinstance(module, LoraLayer)]
        if not found:
            raise ValueError("experts over one base need its `lora`")
        for name, layer in found:
            parent, _, child = name.rpartition(".")
            setattr(self.model.get_submodule(parent), child, ExpertLinear(layer, self.names, self.turns))


def _mean(said: Tensor, row: Tensor, share: Tensor, rows: int) -> Tensor:
    """What was said (R, T, D), added up by `row` (R,) with each its `share`: (rows, T, D)."""
    return said.new_zeros(rows, *said.shape[1:]).index_add(0, row, said * share[:, None, None].to(said.dtype))


def _decoder(model: Any) -> LanguageModel:
    """A copy of a causal language model without its embeddings and its head."""
    kept = (model.get_input_embeddings(), model.lm_head)
    other: Any = copy.deepcopy(model, {id(module): module for module in kept})
    other.lm_head, other.model.embed_tokens = None, None
    return LanguageModel(other)
