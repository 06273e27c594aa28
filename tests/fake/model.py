"""A model without weights: it answers by the mean colour of a picture, counts what it is asked, and can be killed."""

from collections.abc import Mapping, Sequence

import numpy as np

from rsvlm.sample import Reply


class Killed(BaseException):
    """Stands for kill -9: nothing may catch it."""


def colour_of(pixels) -> tuple[int, ...] | None:
    """The mean colour in steps of 64, None without a picture."""
    if pixels is None:
        return None
    return tuple(round(float(value) / 64) for value in np.asarray(pixels).reshape(-1, 3).mean(axis=0))


class Answerer:
    """Satisfies `Answers`. `said` maps a colour (see `colour_of`) or a question to a reply.

    `asked` lists every (colour, question) put to it, `blind` the questions without a picture; after `dies_after` of
    them the next call raises `Killed`.
    """

    def __init__(
        self, said: Mapping[object, str] = {}, otherwise: str = "", dies_after: int | None = None, name: str = "colour"
    ) -> None:
        self.name = name
        self.trace = {"system": "fake", "sha256": "0" * 64}
        self.said, self.otherwise, self.dies_after = said, otherwise, dies_after
        self.asked: list[tuple[tuple[int, ...], str]] = []
        self.blind: list[str] = []

    def answer(self, images: Sequence, questions: Sequence[str], *, max_new_tokens: int = 64) -> list[Reply]:
        assert len(images) == len(questions)
        if self.dies_after is not None and len(self.asked) + len(images) > self.dies_after:
            raise Killed
        pairs = list(zip(map(colour_of, images), questions, strict=True))
        self.asked += [(colour, question) for colour, question in pairs if colour is not None]
        self.blind += [question for colour, question in pairs if colour is None]
        return [
            Reply(text=self.said.get(question, self.said.get(colour_of(image), self.otherwise)), confidence=0.5)
            for image, question in zip(images, questions, strict=True)
        ]


class ColourModel(Answerer):
    """Satisfies `Embeds` too: its feature is the mean colour."""

    def embed_images(self, images: Sequence):
        rows = np.stack([np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images]).astype(np.float32) + 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
