"""The BLIP-2 of GAIA: a Q-Former between a frozen tower and a frozen language model learns to caption.

image -> EVA-CLIP -> Q-Former, 32 queries -> linear -> OPT -> caption
Source: arXiv:2502.09598 (IEEE GRSM 2026), github.com/Orion-AI-Lab/GAIA, which has no training code and no weights: the
parts are those of BLIP-2 (arXiv:2301.12597), what moves is ours. The CLIP of the same paper is `gaia`.
"""

from collections.abc import Mapping
from typing import Any

from rsvlm.data.prompt import ChatTemplate
from rsvlm.data.synth.caption_targets import caption_encoder
from rsvlm.data.synth.expert_targets import EncodeFn
from rsvlm.parts.bridges.qformer import QFormerBridge
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.vision.tower import Tower
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("gaia_blip2")
class GAIABLIP2(VisionLanguageModel):
    """see: every token of a frozen EVA-CLIP, normed; bridge: a Q-Former without words, linear; speak: a frozen decoder.

    It captions, whatever it is asked: its frame has no place for a question. What it learns are captions alone.
    """

    tasks = ("caption",)

    def __init__(self, vision: Tower, bridge: Mapping[str, Any], language: LanguageModel) -> None:
        qformer = QFormerBridge(vision_dim=vision.dims[-1], output_dim=language.dim, vocabulary=0, **bridge)
        super().__init__(vision, qformer, language, image_tokens=qformer.num_queries)

    def conversation_encoder(
        self, tokenizer: Any, frame: ChatTemplate, *, image_tokens: int, seed: int, most: int, max_tokens: int
    ) -> EncodeFn:
        """Captions as they are learned: `most` of a picture's at a visit, without a question."""
        return caption_encoder(tokenizer, frame, image_tokens=image_tokens, seed=seed, most=most, max_tokens=max_tokens)
