"""Q-Former: learned queries that read a picture and, where it reads words, the question about it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rsvlm.parts import lora as peft_lora


class QFormerBridge(nn.Module):
    """Queries read the last feature level and the question's words; a linear map makes them language tokens.

    Levels [(B, N_l, D_l)] and question ids (B, T), -1 on padding -> (B, num_queries, output_dim). The transformer is
    InstructBLIP's (arXiv:2305.06500) in transformers' form: every second block reads the picture, queries and words
    have an MLP each. Words are ids of `vocabulary`, of which the last 128 are read. With `vocabulary` 0 it is BLIP-2's
    (arXiv:2301.12597), which has no words: the question is not read. `lora` holds the numbers of a peft LoraConfig; its
    adapters move as "bridge.qformer.lora".
    """

    def __init__(
        self, *, vision_dim: int, output_dim: int, vocabulary: int, num_queries: int, width: int, depth: int,
        heads: int, dropout: float = 0.0, most_words: int = 128, lora: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        from transformers import (
            Blip2QFormerConfig,
            Blip2QFormerModel,
            InstructBlipQFormerConfig,
            InstructBlipQFormerModel,
        )

        numbers: dict[str, Any] = {
            "hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads,
            "intermediate_size": 4 * width, "encoder_hidden_size": vision_dim, "hidden_dropout_prob": dropout,
            "attention_probs_dropout_prob": dropout,
        }  # fmt: skip
        if vocabulary:
            qformer: nn.Module = InstructBlipQFormerModel(InstructBlipQFormerConfig(vocab_size=vocabulary, **numbers))
        else:
            qformer = Blip2QFormerModel(Blip2QFormerConfig(**numbers))
        if lora:
            qformer = peft_lora.inject(qformer, lora)
        self.num_queries, self.most_words, self.reads_words = num_queries, most_words, vocabulary > 0
        self.query = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, num_queries, width), std=0.02))
        self.qformer = qformer
        self.proj = nn.Linear(width, output_dim)

    def forward(self, levels: Sequence[Tensor], question: Tensor) -> Tensor:
        """Levels and question ids (B, T), -1 where there is none -> language tokens (B, num_queries, output_dim)."""
        queries = self.query.expand(len(levels[-1]), -1, -1)
        if not self.reads_words:
            return self.proj(self.qformer(queries, encoder_hidden_states=levels[-1]).last_hidden_state)
        words = last_words(question, self.most_words)
        mask = torch.cat([words.new_ones(queries.shape[:2]), (words >= 0).long()], 1)
        out = self.qformer(
            input_ids=words.clamp(min=0), attention_mask=mask, query_embeds=queries, encoder_hidden_states=levels[-1]
        )
        return self.proj(out.last_hidden_state[:, : self.num_queries])


def last_words(ids: Tensor, most: int) -> Tensor:
    """The last `most` ids of each row of (B, T) that are not negative, moved to the front; -1 behind them."""
    real = ids >= 0
    real = real & (real.flip(1).cumsum(1).flip(1) <= most)
    order = (~real).long().argsort(dim=1, stable=True)
    width = max(int(real.sum(1).max()), 1)
    return ids.where(real, -1).gather(1, order)[:, :width]
