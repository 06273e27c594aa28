"""SentenceEncoder: a BERT whose last states are averaged over a text's tokens (arXiv:1908.10084, sec. 3)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from rsvlm.parts import lora as adapters
from rsvlm.parts.checkpoints.shards import read_config
from rsvlm.parts.checkpoints.weights import read_state


class SentenceEncoder(nn.Module):
    """ids (B, T), mask (B, T) -> (B, `dim`), the mean of the last states where the mask is 1."""

    def __init__(self, model: BertModel) -> None:
        super().__init__()
        self.model = model
        self.dim: int = model.config.hidden_size
        self.max_text: int = model.config.max_position_embeddings

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and their mask (1 = a token, 0 = padding) -> one vector a text, of any length."""
        states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask[..., None].to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1)


def sentence_encoder(
    folder: Path | None = None, *, lora: Mapping[str, Any] | None = None, **numbers: Any
) -> SentenceEncoder:
    """The encoder in `folder` (config.json, model.safetensors), or a random one of the `numbers` of BertConfig.

    With `lora`, the numbers of peft, it gets adapters, and its own weights stay as they are.
    """
    settings = read_config(folder) if folder else numbers
    config = BertConfig.from_dict({**settings, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0})
    model = BertModel(config, add_pooling_layer=False)
    if folder and torch.empty(0).device.type != "meta":
        model.load_state_dict(read_state(folder / "model.safetensors"))
    if lora:
        adapters.inject(model, lora)
    return SentenceEncoder(model)
