"""A trained chat system, ready to answer: the model, its tokenizer and its frame behind `Answers` and `Embeds`."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from rsvlm.data.loader import padded, padded_prompts, to_tensor
from rsvlm.data.prompt import FRAMES, encode_prompt, encode_question
from rsvlm.data.reply import decode_reply, end_of, stop_strings, tell, whole
from rsvlm.data.resize import Part, box_part, fitted
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.sample import Batch, Reply
from rsvlm.systems.abilities import Pixels, by_sight
from rsvlm.systems.build import build_tokenizer
from rsvlm.systems.runtime.limits import check_context, check_tokenizer, stops_of
from rsvlm.systems.runtime.load_system import opened
from rsvlm.systems.runtime.rounds import Ask, Talks, hold


class ChatModel:
    """A model folder (model.safetensors, recipe.yaml) opened for answering, on a GPU where there is one."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.recipe, model, trace = opened(folder)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model: VisionLanguageModel = model.to(self.device).eval()
        self.tokenizer, self.frame = build_tokenizer(self.recipe), FRAMES[self.recipe.model["frame"]]
        check_tokenizer(name, self.tokenizer, rows=model.language.model.get_input_embeddings().num_embeddings)
        self._stop, self._ends = stops_of(name, self.tokenizer, self.frame)
        self.box_dialect, self.trace = self.model.box_dialect, {"model": name, **trace}

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64,
        stop: Sequence[str] = (),
    ) -> list[Reply]:  # fmt: skip
        """One greedy reply per (image, question); a picture that is asked several questions in a row is seen once.

        None is no picture: a prompt without visual tokens, through the same path. A reply ends before the first of the
        strings `stop`. Raises BadInput where a prompt and its reply are longer than the model's context.
        """
        if len(images) != len(questions):
            raise ValueError(f"{len(images)} images and {len(questions)} questions")
        if isinstance(self.model, Talks):
            talks = [self.model.talk(question) for question in questions]
            return hold(talks, images, lambda seen, asks: self._reply(seen, asks, max_new_tokens, stop))
        asked = [Ask.of(question) for question in questions]
        return by_sight(
            images, lambda at: self._reply([images[i] for i in at], [asked[i] for i in at], max_new_tokens, stop)
        )

    def stream(
        self, image: Pixels | None, question: str, *, max_new_tokens: int = 64, stop: Sequence[str] = ()
    ) -> Generator[str, None, Reply]:
        """The answer to one question while it comes: pieces that make the text of its Reply, which is returned.

        What a system puts together of several askings (`Talks`) is one piece.
        """
        if isinstance(self.model, Talks):
            (reply,) = self.answer([image], [question], max_new_tokens=max_new_tokens, stop=stop)
            return (yield from tell([(reply.text, reply.confidence)]))
        ends, batch = (*self._ends, *stop_strings(stop)), self._batch([image], [Ask.of(question)], max_new_tokens)
        return (yield from tell(self._grown(batch, self._until(max_new_tokens, ends)), ends))

    def _grown(self, batch: Batch, until: Any) -> Iterator[tuple[str, float]]:
        """All that is said so far and its confidence, token by token; in between this thread computes as it likes."""
        steps = self.model.steps(batch, **until)
        while True:
            with self._precision():
                rows = next(steps, None)
            if rows is None:
                return
            yield decode_reply(self.tokenizer, rows[0].ids), rows[0].confidence

    def _reply(
        self, images: Sequence[Pixels | None], asks: Sequence[Ask], max_new_tokens: int, stop: Sequence[str]
    ) -> list[Reply]:
        """As `answer`, where all have a picture or none has."""
        ends, batch = (*self._ends, *stop_strings(stop)), self._batch(images, asks, max_new_tokens)
        with self._precision():
            ids, confidence = self.model.answer(batch, **self._until(max_new_tokens, ends))
        texts = [whole(decode_reply(self.tokenizer, row), ends) for row in ids]
        return [Reply(text=text, confidence=sure) for text, sure in zip(texts, confidence, strict=True)]

    def _until(self, max_new_tokens: int, ends: Sequence[str]) -> Any:
        """What ends a reply, as the model is told it."""
        ended = (lambda ids: end_of(decode_reply(self.tokenizer, ids), ends) >= 0) if ends else None
        return {"stop": self._stop, "ended": ended, "max_new_tokens": max_new_tokens}

    def _batch(self, images: Sequence[Pixels | None], asks: Sequence[Ask], max_new_tokens: int) -> Batch:
        """The prompts of askings that all have a picture or all have none, with as many image tokens each."""
        shown = [image for image in images if image is not None]
        tokens = (asks[0].image_tokens or self.model.image_tokens) if shown else 0
        prompts = [encode_prompt(self.tokenizer, self.frame, ask.text, image_tokens=tokens) for ask in asks]
        most = self.model.language.model.config.max_position_embeddings
        check_context(self.name, most, prompt=max(map(len, prompts)), reply=max_new_tokens)
        batch: Any = padded_prompts(prompts)
        if self.model.reads_question:
            batch["question"] = padded([encode_question(self.tokenizer, ask.about) for ask in asks])
        if asks[0].expert is not None:
            batch["expert"] = torch.tensor([ask.expert for ask in asks])
        tensors: Any = batch
        moved: Any = {key: tensor.to(self.device) for key, tensor in tensors.items()}
        if shown:
            levels, picture = self._see(shown)
            shared = not self.model.reads_question and len(levels[0]) < len(shown)
            moved |= {"levels": levels, "picture": picture} if shared else {"levels": [one[picture] for one in levels]}
        return moved

    def phrase(self, task: str, words: str) -> str | None:
        """How the system itself was asked for `task` (caption, vqa, ground, ...) in training; None where not told."""
        own = getattr(self.model, "phrase", None)
        return own(task, words) if own else None

    def box_part(self, width: int, height: int) -> Part:
        """The part of a picture whose fractions the model's boxes are: x, y, width, height in its pixels."""
        vision = self.model.vision
        return box_part(vision.size, vision.fit, self.model.box_sides)((width, height))

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) unit vectors: the means of the tower's levels, each level scaled to unit length first."""
        levels, picture = self._see(images)
        rows = [F.normalize(level.float().mean(1), dim=-1)[picture] for level in levels]
        return F.normalize(torch.cat(rows, 1), dim=-1).cpu().numpy().astype(np.float32)

    @torch.inference_mode()
    def _see(self, images: Sequence[Pixels], objective: str = "language") -> tuple[list[torch.Tensor], torch.Tensor]:
        """Levels of the distinct pictures (the same array object given twice is seen once), and which is whose (B,)."""
        size = self.model.tower(objective).size
        unique = {id(image): image for image in images}
        order = {key: place for place, key in enumerate(unique)}
        square = [fitted(image, size, self.model.vision.fit) for image in unique.values()]
        with self._precision():
            levels = self.model.see({"image": to_tensor(square).to(self.device)}, objective)
        return levels, torch.tensor([order[id(image)] for image in images], device=self.device)

    def _precision(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.precision == "bf16")
