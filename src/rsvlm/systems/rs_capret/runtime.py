"""A trained RS-CapRet: it captions (`Answers`), matches (`Matches`), and talks with pictures in both directions."""

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsvlm.data.loader import pad_prompts, pad_right
from rsvlm.data.prompt import encode_prompt
from rsvlm.data.reply import decode_reply, stream_text
from rsvlm.data.synth.caption_targets import caption_ids
from rsvlm.errors import BadInput
from rsvlm.index.exact import ExactIndex, Neighbour
from rsvlm.parts.vlm import Adjust
from rsvlm.sample import IMAGE_TOKEN, Reply
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.matching import Matcher
from rsvlm.systems.runtime.chat import ChatModel, Shown
from rsvlm.systems.runtime.limits import check_context, check_tokenizer
from rsvlm.systems.runtime.rounds import Prompt

RET = "[RET]"  # as it is written in a dialogue


@dataclass(frozen=True, slots=True)
class Said:
    """One piece of what the model said in a dialogue: a text, and behind it perhaps a [RET].

    `query` is then its vector (D,) of unit length, and `pictures` what was found for it, best first.
    """

    text: str
    pictures: tuple[Neighbour, ...] = ()
    query: NDArray[np.float32] | None = None


def open_model(folder: Path, name: str) -> "CapRetModel":
    """The model in a folder. Raises as `load`."""
    return CapRetModel(folder, name)


class CapRetModel(Matcher, ChatModel):
    """A model folder of RS-CapRet. Whatever it is asked about a picture, it captions: it has learned nothing else."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder, name)
        check_tokenizer(name, self.tokenizer, rows=self.model.language.rows)
        self.max_text, self.ends = self.model.max_text, self.stop_ids
        self.stop_ids = self.stop_ids | {self.model.language.ret}  # a caption is over where its vector would be
        self.logit_scale, self.logit_bias = self.model.scale_and_bias()

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64,
        stop: Sequence[str] = (),
    ) -> list[Reply]:  # fmt: skip
        """A caption for each picture, one sentence (`first_sentence`); the questions are not read."""
        return super().answer(images, [""] * len(questions), max_new_tokens=max_new_tokens, stop=stop)

    def log_likelihoods(
        self, images: Sequence[Pixels | None], questions: Sequence[str], replies: Sequence[str]
    ) -> NDArray[np.float64]:
        """(N, R), as of `ScoresReplies`, each reply taken for a caption and the full stop for its end."""
        return super().log_likelihoods(images, [""] * len(questions), replies)

    def stream(
        self, image: Pixels | None, question: str, *, max_new_tokens: int = 64, stop: Sequence[str] = ()
    ) -> Generator[str, None, Reply]:
        """The caption in one piece: where its sentence ends is known at the end."""
        (reply,) = self.answer([image], [question], max_new_tokens=max_new_tokens, stop=stop)
        return (yield from stream_text([(reply.text, reply.confidence)]))

    def prompt_ids(self, prompt: Prompt, image_tokens: int) -> list[int]:
        """The picture, the prefix of captions, and the start token, with which every learned caption begins."""
        seen = encode_prompt(self.tokenizer, self.frame, "", image_tokens=image_tokens)
        prefix = self.tokenizer(self.model.prefix, add_special_tokens=False)["input_ids"]
        return [*seen, *prefix, self.tokenizer.bos_token_id]

    def stopping(self, max_new_tokens: int, ends: Sequence[str]) -> Any:
        """As of every chat model; a reply also ends with its first full stop."""
        return super().stopping(max_new_tokens, (*ends, "."))

    def reply(
        self, shown: Sequence[Shown], prompts: Sequence[Prompt], max_new_tokens: int, stop: Sequence[str] = ()
    ) -> list[Reply]:
        """As of every chat model, cut to the first sentence."""
        replies = super().reply(shown, prompts, max_new_tokens, stop)
        return [replace(reply, text=first_sentence(reply.text)) for reply in replies]

    @torch.inference_mode()
    def embed_images(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length, by W_i."""
        levels, picture = self.levels(images)
        with self.precision():
            return self.model.embed_image({"levels": levels})[picture].cpu().numpy()

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32 rows of unit length, by the hidden state of [RET] behind each text.

        A text longer than the system's `max_text` tokens is cut.
        """
        ret, most = self.model.language.ret, self.max_text
        ids = pad_right([caption_ids(self.tokenizer, text, ret=ret, most=most) for text in texts]).to(self.device)
        with self.precision():
            return self.model.embed_text({"text": ids.clamp(min=0), "text_mask": ids >= 0}).cpu().numpy()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, with the start token and [RET]."""
        return [len(self.tokenizer(text, add_special_tokens=False)["input_ids"]) + 2 for text in texts]

    @torch.inference_mode()
    def chat(
        self, pieces: Sequence[Pixels | str], index: ExactIndex | None = None, *, max_new_tokens: int = 32,
        most_queries: int = 1, pictures_each: int = 1, min_words: int = 0, ret_scale: float = 1.0,
        seen: Collection[str] = (),
    ) -> tuple[Said, ...]:  # fmt: skip
        """What the model says after `pieces`, pictures and texts in any order, with pictures found in `index`.

        A "[RET]" in a text is the token; one at its very end asks for pictures and for no words. Up to `most_queries`
        times the model may ask for pictures itself; each time it gets `pictures_each` that are not in `seen` and were
        not given before. The first `min_words` tokens are words; after them the logit of [RET] is multiplied by
        `ret_scale`, as FROMAGe does, so that a factor above 1 makes a negative one less likely. A text ends as a
        caption does (`first_sentence`). Raises BadInput for nothing to continue, and beyond the model's context.
        """
        ids, images = self._interleaved(pieces)
        ret = self.model.language.ret
        asked = ids[-1] == ret
        prompt = ids[:-1] if asked else ids
        longest = self.model.language.model.config.max_position_embeddings
        check_context(self.name, longest, prompt=len(prompt), reply=1 if asked else max_new_tokens)
        padded: Any = pad_prompts([prompt])
        batch: Any = {key: value.to(self.device) for key, value in padded.items()}
        with self.precision():
            if images:
                batch["levels"] = self.model.see({"image": self.pixels(images)})
            said = [ret]
            if not asked:
                *_, rows = self.model.steps(
                    batch, stop=self.ends, max_new_tokens=max_new_tokens, ended=self._over(most_queries),
                    adjust=adjusted(ret, min_words, ret_scale),
                )  # fmt: skip
                said = rows[0].ids
            reply = torch.tensor([said], dtype=torch.int64, device=self.device)
            mask = torch.cat([batch["prompt_mask"], torch.ones_like(reply, dtype=torch.bool)], 1)
            hidden, _ = self.model.speak(self.model.read(batch), mask, reply)
            queries = self.model.query(hidden[0, 1:]).cpu().numpy()
        return self._pieces(said, queries, index, pictures_each, {*seen})

    def _interleaved(self, pieces: Sequence[Pixels | str]) -> tuple[list[int], list[Pixels]]:
        """Token ids, each picture as many places, and the pictures; the start token comes once, before the words."""
        ids: list[int] = []
        images: list[Pixels] = []
        start = [self.tokenizer.bos_token_id]
        for piece in pieces:
            if not isinstance(piece, str):
                images.append(piece)
                ids += [IMAGE_TOKEN] * self.model.image_tokens
                continue
            ids, start = [*ids, *start], []
            for number, words in enumerate(piece.split(RET)):
                ids += [self.model.language.ret] * bool(number)
                ids += self.tokenizer(words, add_special_tokens=False)["input_ids"] if words else []
        if not pieces:
            raise BadInput("A dialogue needs a picture or a text to go on from; none was given.")
        return [*ids, *start], images

    def _over(self, most_queries: int) -> Any:
        ret = self.model.language.ret
        return lambda ids: ids.count(ret) >= max(most_queries, 1) or "\n" in decode_reply(self.tokenizer, ids)

    def _pieces(
        self, said: list[int], queries: NDArray[np.float32], index: ExactIndex | None, most: int, seen: set[str]
    ) -> tuple[Said, ...]:
        found: list[Said] = []
        begin = 0
        for at in [at for at, token in enumerate(said) if token == self.model.language.ret]:
            text = first_sentence(decode_reply(self.tokenizer, said[begin:at]))
            pictures = tuple(index.search(queries[at], most=most, seen=seen)) if index else ()
            seen |= {one.id for one in pictures}
            found.append(Said(text, pictures, queries[at]))
            begin = at + 1
        return tuple(found) or (Said(first_sentence(decode_reply(self.tokenizer, said))),)


def adjusted(ret: int, min_words: int = 0, ret_scale: float = 1.0) -> Adjust:
    """What changes the logits of [RET], the token `ret`: none among the first `min_words`, then times `ret_scale`."""

    def adjust(logits: Tensor, step: int) -> Tensor:
        changed = logits.clone()
        changed[:, ret] = float("-inf") if step < min_words else logits[:, ret] * ret_scale
        return changed

    return adjust


def first_sentence(text: str) -> str:
    """A reply up to its first line break, else up to its first full stop, which stays; as FROMAGe cuts captions."""
    line, broken, _ = text.partition("\n")
    words, stop, _ = text.partition(".")
    return (line if broken else words + stop).strip()
