"""RS-MoE: an Instruction Router asks several experts for parts of a caption, and one text is made of their drafts.

image -> vision -> Q-Former, which reads the question too -> router -> theme | object | relation -> merge -> text
Source: arXiv:2411.01595 (IEEE TGRS 2025). A RECONSTRUCTION: the repository (github.com/CongcongWen1208/RS-MoE) says
that the method is not in it, and there are no weights. From the paper: three experts, each guided by a prompt that the
router makes of picture and instruction, and two stages. Ours: the form of the router and its texts, the merge, how a
caption is cut, and who gets which question. `text_moe` is the other mixture, the one that the repository has.
"""
# Which keys a batch has is said by BATCH_CONTRACT, not by its type.
# pyright: reportTypedDictNotRequiredAccess=false

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from rsvlm.data.prompt import ChatTemplate
from rsvlm.data.synth.expert_targets import EncodeFn, expert_encoder
from rsvlm.errors import BadInput
from rsvlm.parts.bridges.qformer import QFormerBridge
from rsvlm.parts.language.expert_language import ALL, ExpertLanguage
from rsvlm.parts.language.instruction_router import ROUTES, TEMPLATES, SoftRouter, parse_tagged, question_kind, tagged
from rsvlm.parts.language.model import LanguageModel
from rsvlm.parts.language.text_moe import TextMoE
from rsvlm.parts.vision.tower import Tower
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.registry import unknown
from rsvlm.sample import IMAGE_TOKEN, Batch
from rsvlm.systems.registry import SYSTEMS
from rsvlm.systems.runtime.rounds import Prompt, Rounds, concat, vote

FUSE = "Write one description of this image from these notes: {drafts}"  # ours


@SYSTEMS("rs_moe")
class RSMoE(VisionLanguageModel):
    """see: a frozen tower; bridge: Q-Former; tokens: the router's behind the picture's; speak: the row's expert.

    Stage 1 has no `experts`: one language model learns whole captions. In stage 2 it stays, and each of `experts`
    (names of TEMPLATES) starts as its copy: an adapter over the one base, or with `separate` a decoder of its own.
    `router` is {"mode": ...}: "none" (every expert is asked the question itself), "template" (its fixed text), "soft"
    (the text, and `tokens` learned words from an MLP of `hidden`), "generate" (one more expert writes the texts).
    Drafts become one text by `merge`: "concat"; "fuse", by the model of stage 1; "logit_mix", all word by word.
    """

    reads_question = True

    def __init__(
        self, vision: Tower, bridge: Mapping[str, Any], language: LanguageModel, *, experts: Sequence[str] = (),
        router: Mapping[str, Any] | None = None, separate: bool = False,
        merge: Literal["concat", "fuse", "logit_mix"] = "concat", text_moe: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        mode, numbers = _router(experts, merge, **(router or {}))
        words = dict(text_moe or {})
        raw = words.pop("raw_generated", False)
        speakers = ExpertLanguage(
            language, experts=[*experts, "router"] if mode == "generate" else experts, mixed=len(experts),
            separate=separate, raw_generated=raw, text_moe=TextMoE(language.dim, **words) if text_moe else None,
        )  # fmt: skip
        qformer = QFormerBridge(
            vision_dim=vision.dims[-1], output_dim=language.dim, vocabulary=language.model.config.vocab_size, **bridge
        )
        soft = SoftRouter(language.dim, experts=len(experts), **numbers) if mode == "soft" else None
        super().__init__(vision, qformer, speakers, image_tokens=qformer.num_queries + (soft.tokens if soft else 0))
        self.picture_tokens, self.stage1 = qformer.num_queries, len(speakers.names)
        self.router, self.experts, self.mode, self.merge = soft, tuple(experts), mode, merge
        self.prompts = {} if mode == "none" else {name: TEMPLATES[name] for name in experts}

    def tokens(self, batch: Batch) -> Tensor:
        """The picture's tokens, read with the question, and the router's words where the prompt has places for them."""
        ids, real = batch["prompt"], batch["prompt_mask"]
        question = batch["question"] if "question" in batch else ids.where(real, -1)
        picture = self.bridge(self.see(batch), question)
        if self.router is None or int((ids[0] == IMAGE_TOKEN).sum()) == self.picture_tokens:
            return picture
        known = (question >= 0)[..., None]
        mean = self.language.embed(question).where(known, 0).sum(1) / known.sum(1).clamp(min=1)
        return torch.cat([picture, self.router(picture, mean, batch.get("expert"))], 1)

    def rounds(self, question: str) -> Rounds:
        """What the answer to a question takes: for a caption a draft of each expert, else the expert that it is for."""

        def ask(text: str, expert: int | None, *, routed: bool = True) -> Prompt:
            places = None if routed else self.picture_tokens
            return Prompt(text=text, question=question, expert=expert, image_tokens=places)

        everyone = range(len(self.experts))
        kind = question_kind(question)
        if not self.experts:
            return (yield [ask(question, None)])[0]
        if kind != "caption":
            expert = self.expert_of(question)
            return vote((yield [ask(question, e) for e in (everyone if expert is None else [expert])]))
        if self.merge == "logit_mix":
            return (yield [ask(question, ALL)])[0]
        prompts = self.prompts
        if self.mode == "generate":
            (written,) = yield [ask(question, len(everyone), routed=False)]
            prompts = parse_tagged(written.text, self.experts)
        drafts = yield [ask(prompts.get(name, question), e) for e, name in enumerate(self.experts)]
        whole = concat(drafts)
        if self.merge == "fuse":
            (whole,) = yield [ask(FUSE.format(drafts=whole.text), self.stage1, routed=False)]
        return whole

    def expert_of(self, question: str) -> int | None:
        """The number of the expert that a question is for; None where it is for all, or its expert is not here."""
        name = ROUTES.get(question_kind(question))
        return self.experts.index(name) if name in self.experts else None

    def conversation_encoder(
        self, tokenizer: Any, frame: ChatTemplate, *, image_tokens: int, seed: int, most: int, max_tokens: int
    ) -> EncodeFn:
        """Conversations as this stage learns them: one question a row, because its picture is read with it."""
        return expert_encoder(
            tokenizer, frame, image_tokens=image_tokens, seed=seed, max_tokens=max_tokens, experts=self.experts,
            prompts=self.prompts, expert_of=self.expert_of,
            router=tagged(self.prompts) if self.mode == "generate" else "",
        )  # fmt: skip


def _router(experts: Sequence[str], merge: str, *, mode: str = "none", **numbers: Any) -> tuple[str, dict[str, Any]]:
    """The router's mode and numbers. Raises BadInput for a name that means nothing here."""
    for kind, name, known in (
        ("router mode", mode, ["none", "template", "soft", "generate"]),
        ("merge", merge, ["concat", "fuse", "logit_mix"]),
        *(("expert", expert, list(TEMPLATES)) for expert in experts),
    ):
        if name not in known:
            raise BadInput(unknown(kind, name, known))
    if mode != "none" and not experts:
        raise BadInput(f"A router of mode {mode!r} has no expert to ask; give `experts`, or no router.")
    return mode, numbers
