"""A trained chat system behind its abilities: `Answers`, `Streams` and `Embeds` of one picture, `Compares` of two."""

from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rsvlm.data.loader import pad_prompts, pad_right
from rsvlm.data.prompt import CHAT_TEMPLATES, encode_prompt, encode_question, encode_replies
from rsvlm.data.reply import cut_at_stop, decode_reply, find_stop, stop_strings, stream_text
from rsvlm.data.resize import CropWindow, box_window
from rsvlm.errors import BadInput
from rsvlm.sample import Batch, Reply
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.batching import each_kind, split_by_image
from rsvlm.systems.build import build_tokenizer
from rsvlm.systems.runtime.limits import check_context, check_tokenizer, stops_of
from rsvlm.systems.runtime.open_model import OpenModel
from rsvlm.systems.runtime.rounds import AnswersInRounds, Prompt, run_rounds

Shown = tuple[Pixels, ...]  # the pictures of one prompt, none where it is asked blind


class SpeakingModel(OpenModel):
    """A model folder whose system speaks: prompts about pictures to replies."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.tokenizer, self.frame = build_tokenizer(self.recipe), CHAT_TEMPLATES[self.recipe.model["frame"]]
        rows = self.model.language.model.get_input_embeddings().num_embeddings
        check_tokenizer(name, self.tokenizer, rows=rows)
        self.stop_ids, self.stop_texts = stops_of(name, self.tokenizer, self.frame)

    def reply(
        self, shown: Sequence[Shown], prompts: Sequence[Prompt], max_new_tokens: int, stop: Sequence[str] = ()
    ) -> list[Reply]:
        """One greedy reply a prompt, in one batch: all have pictures or none has, with as many image tokens each."""
        ends = (*self.stop_texts, *stop_strings(stop))
        batch = self.batch(shown, prompts, max_new_tokens)
        with self.precision():
            ids, confidence = self.model.answer(batch, **self.stopping(max_new_tokens, ends))
        texts = [cut_at_stop(decode_reply(self.tokenizer, row), ends) for row in ids]
        return [Reply(text=text, confidence=sure) for text, sure in zip(texts, confidence, strict=True)]

    def stopping(self, max_new_tokens: int, ends: Sequence[str]) -> Any:
        """What ends a reply, as arguments of the system's `answer` and `steps`."""
        ended = (lambda ids: find_stop(decode_reply(self.tokenizer, ids), ends) >= 0) if ends else None
        return {"stop": self.stop_ids, "ended": ended, "max_new_tokens": max_new_tokens}

    def batch(self, shown: Sequence[Shown], prompts: Sequence[Prompt], max_new_tokens: int) -> Batch:
        """Prompts and pictures as the batch contract has them.

        Raises BadInput where a prompt and its reply are longer than the model's context.
        """
        images = [image for several in shown for image in several]
        tokens = (prompts[0].image_tokens or self.model.image_tokens) if images else 0
        ids = [self.prompt_ids(prompt, tokens) for prompt in prompts]
        longest = self.model.language.model.config.max_position_embeddings
        check_context(self.name, longest, prompt=max(map(len, ids)), reply=max_new_tokens)
        batch: Any = pad_prompts(ids)
        if self.model.reads_question:
            batch["question"] = pad_right([encode_question(self.tokenizer, prompt.question) for prompt in prompts])
        if prompts[0].expert is not None:
            batch["expert"] = torch.tensor([prompt.expert for prompt in prompts])
        moved: Any = {key: tensor.to(self.device) for key, tensor in batch.items()}
        return moved | self._pictures(images) if images else moved

    def prompt_ids(self, prompt: Prompt, image_tokens: int) -> list[int]:
        """The token ids of a prompt, its pictures as IMAGE_TOKEN `image_tokens` times."""
        return encode_prompt(self.tokenizer, self.frame, prompt.text, image_tokens=image_tokens)

    def _pictures(self, images: Sequence[Pixels]) -> dict[str, Any]:
        """`image`, or `levels` where a picture that is asked about several times need be seen only once."""
        if self.model.num_images > 1:
            return {"image": self.pixels(images)}
        levels, picture = self.levels(images)
        shared = not self.model.reads_question and len(levels[0]) < len(images)
        return {"levels": levels, "picture": picture} if shared else {"levels": [one[picture] for one in levels]}


class ChatModel(SpeakingModel):
    """A system that answers about one picture."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        self.box_dialect: str = self.model.box_dialect

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

        def reply(images: Sequence[Pixels | None], prompts: Sequence[Prompt]) -> list[Reply]:
            return self.reply([_shown(image) for image in images], prompts, max_new_tokens, stop)

        if isinstance(self.model, AnswersInRounds):
            return run_rounds([self.model.rounds(question) for question in questions], images, reply)
        prompts = [Prompt.of(question) for question in questions]
        return split_by_image(images, lambda at: reply([images[i] for i in at], [prompts[i] for i in at]))

    def log_likelihoods(
        self, images: Sequence[Pixels | None], questions: Sequence[str], replies: Sequence[str]
    ) -> NDArray[np.float64]:
        """(N, R), as of `ScoresReplies`: one pass over the prompt and all replies, which do not see one another.

        Raises BadInput for a system that answers in several rounds: its replies have no one likelihood.
        """
        if isinstance(self.model, AnswersInRounds):
            raise BadInput(f"{self.name} answers in several rounds, so that no likelihood of a reply is known.")
        found = np.zeros((len(images), len(replies)))

        def score(at: list[int]) -> None:
            ids = [encode_replies(self.tokenizer, self.frame, questions[i], replies) for i in at]
            shown, prompts = [_shown(images[i]) for i in at], [Prompt.of(questions[i]) for i in at]
            batch: Any = self.batch(shown, prompts, max(len(one) for row in ids for one in row))
            if "picture" in batch:
                batch["levels"] = [level[batch["picture"]] for level in batch["levels"]]
            reply = pad_right([[token for one in row for token in one] for row in ids]).to(self.device)
            turn = pad_right([[n for n, one in enumerate(row) for _ in one] for row in ids]).to(self.device)
            batch |= {"reply": reply.clamp(min=0), "reply_mask": reply >= 0, "turn": turn}
            with self.precision():
                logs = self.model.log_likelihoods(batch).double().masked_fill(turn < 0, 0)
            sums = logs.new_zeros(len(at), len(replies)).scatter_add(1, turn.clamp(min=0), logs)
            found[at] = sums.cpu().numpy()

        each_kind(images, score)
        return found

    def stream(
        self, image: Pixels | None, question: str, *, max_new_tokens: int = 64, stop: Sequence[str] = ()
    ) -> Generator[str, None, Reply]:
        """The answer to one question while it comes: pieces that make the text of its Reply, which is returned.

        What a system puts together of several prompts (`AnswersInRounds`) is one piece.
        """
        if isinstance(self.model, AnswersInRounds):
            (reply,) = self.answer([image], [question], max_new_tokens=max_new_tokens, stop=stop)
            return (yield from stream_text([(reply.text, reply.confidence)]))
        ends = (*self.stop_texts, *stop_strings(stop))
        batch = self.batch([_shown(image)], [Prompt.of(question)], max_new_tokens)
        return (yield from stream_text(self._growing(batch, self.stopping(max_new_tokens, ends)), ends))

    def _growing(self, batch: Batch, limits: Any) -> Iterator[tuple[str, float]]:
        """All of the reply so far and its confidence, token by token; in between this thread computes as it likes."""
        steps = self.model.steps(batch, **limits)
        while True:
            with self.precision():
                rows = next(steps, None)
            if rows is None:
                return
            yield decode_reply(self.tokenizer, rows[0].ids), rows[0].confidence

    def box_part(self, width: int, height: int) -> CropWindow:
        """The part of a picture whose fractions the model's boxes are: x, y, width, height in its pixels."""
        vision = self.model.vision
        return box_window(vision.size, vision.fit, self.model.box_sides)((width, height))

    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) unit vectors: the means of the tower's levels, each level scaled to unit length first."""
        return self.pooled(images)


class ComparingModel(SpeakingModel):
    """A system that answers about two dates of one place."""

    def compare(
        self, before: Sequence[Pixels], after: Sequence[Pixels], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (before, after, question). Raises BadInput as `ChatModel.answer` does."""
        pairs = list(zip(before, after, strict=True))
        if len(pairs) != len(questions):
            raise ValueError(f"{len(pairs)} pairs and {len(questions)} questions")
        return self.reply(pairs, [Prompt.of(question) for question in questions], max_new_tokens) if pairs else []


def _shown(image: Pixels | None) -> Shown:
    return () if image is None else (image,)
