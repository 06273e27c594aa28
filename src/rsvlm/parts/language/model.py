"""Decoder language models: embed tokens, run over embeddings, read logits."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rsvlm.errors import BadInput
from rsvlm.parts import lora as peft_lora
from rsvlm.parts.budget import file_budget
from rsvlm.parts.language import lora_experts
from rsvlm.parts.language.local_files import (
    DTYPES,
    OPT_NUMBERS,
    check_folder,
    check_numbers,
    check_pinned,
    offline,
    open_config,
)


class LanguageModel(nn.Module):
    """A Hugging Face causal language model opened at its seams: `embed`, `forward` over embeddings, `head`.

    `lora` holds the numbers of a peft LoraConfig (r, lora_alpha, lora_dropout, target_modules), or with `experts` those
    of `rsvlm.parts.language.lora_experts`. Adapters are injected in place and their parameters carry `lora_` in the
    name, so a stage trains them as "language.lora".
    """

    model: Any  # a causal language model of transformers, which has no types worth the name
    dim: int

    def __init__(self, model: nn.Module, *, lora: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        if lora and "experts" in lora:
            model = lora_experts.inject(model, **lora)
        elif lora:
            model = peft_lora.inject(model, lora)
            for name, parameter in model.named_parameters():
                if "lora_" in name:  # masters stay fp32 when the base is half precision
                    parameter.data = parameter.data.float()
        self.model = model
        self.dim = self.model.config.hidden_size

    def embed(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> (B, T, D); negative ids (image placeholders) give the embedding of id 0, to be overwritten."""
        return self.model.get_input_embeddings()(ids.clamp(min=0))

    def forward(
        self, x: Tensor, mask: Tensor, cache: Any = None, positions: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Embeddings (B, T, D) -> hidden states (B, T, D) and the KV cache.

        `mask` is (B, past + T), True on real tokens, or (B, T, T), True where row sees column. Positions (B, T) count
        real tokens only unless given, so left padding changes nothing.
        """
        if positions is None:
            positions = (mask.long().cumsum(1) - 1).clamp(min=0)[:, -x.shape[1] :]
        out = self.model.model(
            inputs_embeds=x, attention_mask=mask if mask.ndim == 2 else mask[:, None], position_ids=positions,
            past_key_values=cache, use_cache=cache is not None,
        )  # fmt: skip
        return out.last_hidden_state, out.past_key_values

    def head(self, hidden: Tensor) -> Tensor:
        """Hidden states (..., D) -> next-token logits (..., V)."""
        return self.model.lm_head(hidden)

    def merge(self) -> "LanguageModel":
        """Fold the LoRA adapters into the base weights, for answering without their cost. Not undone."""
        peft_lora.merge(self.model)
        return self


def llama(*, lora: Mapping[str, Any] | None = None, **numbers: Any) -> LanguageModel:
    """A LLaMA of random weights from the numbers of a LlamaConfig. Raises BadInput for any other key."""
    from transformers import LlamaConfig, LlamaForCausalLM

    check_numbers(numbers)
    pinned: dict[str, Any] = {"attn_implementation": "sdpa"}
    return LanguageModel(LlamaForCausalLM(LlamaConfig(**numbers, **pinned)), lora=lora)


def opt(*, lora: Mapping[str, Any] | None = None, **numbers: Any) -> LanguageModel:
    """An OPT of random weights from the numbers of an OPTConfig. Raises BadInput for any other key."""
    from transformers import OPTConfig, OPTForCausalLM

    check_numbers(numbers, OPT_NUMBERS, "an OPT")
    pinned: dict[str, Any] = {"attn_implementation": "sdpa"}
    return LanguageModel(OPTForCausalLM(OPTConfig(**numbers, **pinned)), lora=lora)


RANDOM = {"llama": llama, "opt": opt}  # language models of random weights by the name that a recipe has for them


def pretrained(folder: Path, *, lora: Mapping[str, Any] | None = None, dtype: str = "bfloat16") -> LanguageModel:
    """A causal language model from a local folder (config.json, safetensors). Never downloads.

    Raises BadInput for another dtype, and for a folder that asks for code from elsewhere.
    """
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    if dtype not in DTYPES:
        raise BadInput(f"model.language.dtype is {dtype!r}; expected {', '.join(DTYPES)}.")
    check_folder(folder)
    logging.disable_progress_bar()  # a bar for two seconds, on the stream that errors use
    with offline(), file_budget(folder):
        model = AutoModelForCausalLM.from_pretrained(
            folder, config=open_config(folder), dtype=getattr(torch, dtype), local_files_only=True,
            use_safetensors=True, trust_remote_code=False,
        )  # fmt: skip
    check_pinned(model, folder)
    return LanguageModel(model, lora=lora)
