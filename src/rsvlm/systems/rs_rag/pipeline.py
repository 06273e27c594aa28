"""RS-RAG: a model is told what a knowledge base holds about pictures and texts like those that it is asked about.

image, question -> two vectors -> knowledge base -> re-ranking by the fused score -> prompt with the passages -> answer
Source: arXiv:2504.04988 (IEEE GRSM 14(2)), github.com/CongcongWen1208/RS-RAG. It has no weights of its own: it works
over any model that answers and any that matches pictures and texts (the paper's is CLIP ViT-B/32).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsvlm.index.knowledge import KnowledgeBase, digest, open_knowledge, pixels_hash
from rsvlm.index.rerank import Hit, fused
from rsvlm.sample import Reply
from rsvlm.systems.abilities import Answers, Matches, Pixels
from rsvlm.systems.load import load
from rsvlm.systems.matching import check_matches, checked_vectors
from rsvlm.systems.pipeline import refuse_pipeline
from rsvlm.systems.rs_rag.prompts import PROMPTS, citations
from rsvlm.systems.rs_rag.settings import RagSettings, read_settings


@dataclass(frozen=True, slots=True)
class CitedReply:
    """A reply with the passages in its prompt, [1] first, and the numbers of those that it cites."""

    reply: Reply
    hits: Sequence[Hit]
    cited: tuple[int, ...]


class RSRAG:
    """`Answers` with knowledge: retrieve, re-rank, put before the question, answer. `name`, `trace` as of `Answers`."""

    def __init__(
        self, answers: Answers, matches: Matches, base: KnowledgeBase, settings: RagSettings, *, name: str = "rs_rag",
        knowledge: str = "",
    ) -> None:  # fmt: skip
        check_matches(matches)
        self.answers, self.matches, self.base, self.settings, self.name = answers, matches, base, settings, name
        numbers = {key: str(value) for key, value in settings.model_dump(exclude={"answers", "matches"}).items()}
        parts = {"answers": answers.trace, "matches": matches.trace}
        of_parts = {f"{part}_{key}": value for part, trace in parts.items() for key, value in trace.items()}
        of_parts |= {"trained_on": answers.trace["trained_on"]} if "trained_on" in answers.trace else {}
        self.trace = {"model": name, "knowledge": knowledge, **of_parts, **numbers}

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One reply per (image, question), as `Answers`. Without an image the question's words retrieve alone."""
        return [one.reply for one in self.answer_with_sources(images, questions, max_new_tokens=max_new_tokens)]

    def answer_with_sources(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[CitedReply]:
        """As `answer`, with the passages in the prompt; a citation of no passage is taken out of its reply."""
        found = self.retrieve(images, questions)
        prompt = PROMPTS[self.settings.prompt]
        prompts = [prompt([hit.passage.text for hit in hits], q) for hits, q in zip(found, questions, strict=True)]
        replies = self.answers.answer(images, prompts, max_new_tokens=max_new_tokens)
        if self.settings.prompt == "rsrag":  # its prompt asks for no citations
            return [CitedReply(reply, hits, ()) for reply, hits in zip(replies, found, strict=True)]
        return [_cited(reply, hits) for reply, hits in zip(replies, found, strict=True)]

    def retrieve(self, images: Sequence[Pixels | None], questions: Sequence[str]) -> list[list[Hit]]:
        """The passages for each (image, question), best first.

        With the prompt "rsrag" the text's vector is that of the whole user turn, "<image>" included, as released.
        """
        if not questions:
            return []
        own, width = self.settings, self.base.texts.shape[1]
        head = "<image>" if own.prompt == "rsrag" else ""
        texts = self.matches.embed_texts([head + question for question in questions])
        texts = checked_vectors(self.matches.name, texts, len(questions), "text", width=width)
        shown = {id(image): image for image in images if image is not None}
        seen = self.matches.embed_images([*shown.values()]) if shown else np.zeros((0, width))
        rows = dict(
            zip(shown, checked_vectors(self.matches.name, seen, len(shown), "picture", width=width), strict=True)
        )
        return [
            fused(
                self.base, rows.get(id(image)), text, alpha=own.alpha, top=own.top_k,
                task=own.task if own.task != "auto" else task_of(question), mode=own.mode, candidates=own.candidates,
                without=self._itself(image),
            )
            for image, text, question in zip(images, texts, questions, strict=True)
        ]  # fmt: skip

    def _itself(self, image: Pixels | None) -> set[int]:
        """The pictures of the base that may not be found: the asked one by its pixels, and those held out by name."""
        pixels = pixels_hash(image) if image is not None and self.settings.exclude_self else ""
        return self.base.pictured(self.settings.hold_out, pixels)


def _cited(reply: Reply, hits: Sequence[Hit]) -> CitedReply:
    text, cited = citations(reply.text, len(hits))
    return CitedReply(Reply(text=text, confidence=reply.confidence, error=reply.error), hits, cited)


def task_of(question: str) -> str:
    """Which of RSWK's tasks a question is of, by its words: its filter of kinds of passages is chosen by it."""
    words = question.lower()
    if "categories:" in words or "category of" in words:
        return "classification"
    return "caption" if words.lstrip().startswith(("describe", "please provide detailed desc", "caption")) else "vqa"


def open_model(folder: Path, name: str) -> RSRAG:
    """The pipeline in a folder (pipeline.yaml and a knowledge base). Raises as `load`, and BadInput as both readers."""
    settings = read_settings(folder)
    base = open_knowledge(folder)
    for part in (settings.answers, settings.matches):
        refuse_pipeline(part)
    answers = load(settings.answers)
    matches = answers if settings.matches == settings.answers else load(settings.matches)
    return RSRAG(answers, matches, base, settings, name=name, knowledge=digest(folder))  # pyright: ignore
