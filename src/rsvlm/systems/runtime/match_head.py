"""A chat system with a match head: pictures and texts as unit vectors of one space (`Matches`), beside what it says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rsvlm.data.loader import pad_texts
from rsvlm.parts.heads.match import MatchHead
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.build import build_tokenizer
from rsvlm.systems.matching import Matcher, token_counts
from rsvlm.systems.runtime.chat import ChatModel


class MatchingChatModel(Matcher, ChatModel):
    """A `ChatModel` whose system has a match head. The head computes in float32: it is small."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.text_tokenizer = build_tokenizer(self.recipe, MatchHead.objective)
        self.match_head: MatchHead = self.model.heads[MatchHead.objective]
        self.max_text = self.match_head.max_text
        self.logit_scale, self.logit_bias = self.match_head.scale_and_bias()

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length, in the space of `embed_texts`."""
        levels, picture = self.levels(images)
        return self.match_head.image([level.float() for level in levels])[picture].cpu().numpy()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length; a text longer than the encoder's context is cut."""
        batch: Any = pad_texts(self.text_tokenizer, texts, self.max_text)
        ids, mask = (batch[key].to(self.device) for key in ("text", "text_mask"))
        return self.match_head.embed_text(ids, mask).cpu().numpy()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, with those around it."""
        return token_counts(self.text_tokenizer, texts)
