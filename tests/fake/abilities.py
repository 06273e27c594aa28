"""Models without weights that have one ability each: they know the answers by the text that is asked."""

from collections.abc import Mapping, Sequence

import numpy as np

from rsvlm.sample import Region, Reply


class Fake:
    """A name and a trace."""

    name = "fake"

    def __init__(self) -> None:
        self.trace = {"system": "fake"}
        self.asked: list[str] = []


class Compares(Fake):
    """Says the colour difference of two dates."""

    def compare(self, before: Sequence, after: Sequence, questions: Sequence[str], *, max_new_tokens: int = 64):
        assert len(before) == len(after) == len(questions)
        self.asked += questions
        return [Reply(text="the scene is the same as before", confidence=0.5) for _ in questions]


class Segments(Fake):
    """Marks the left half of every picture."""

    def segment(self, images: Sequence, phrases: Sequence[str]):
        self.asked += phrases
        masks = [np.zeros(image.shape[:2], bool) for image in images]
        for mask in masks:
            mask[:, : mask.shape[1] // 2] = True
        return masks


class MarksChange(Fake):
    """Marks where two dates differ."""

    def segment_change(self, before: Sequence, after: Sequence, phrases: Sequence[str]):
        self.asked += phrases
        return [(one != other).any(axis=-1) for one, other in zip(before, after, strict=True)]


class Matches(Fake):
    """Vectors by a hash of what is embedded."""

    def embed_images(self, images: Sequence):
        return self._rows([int(np.asarray(image).sum()) for image in images])

    def embed_texts(self, texts: Sequence[str]):
        self.asked += texts
        return self._rows([sum(map(ord, text)) for text in texts])

    @staticmethod
    def _rows(seeds: Sequence[int]):
        rows = np.stack([np.random.default_rng(seed).standard_normal(8) for seed in seeds]).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Detects(Fake):
    """Finds the boxes that it is made with, by phrase."""

    def __init__(self, boxes: Mapping[str, tuple[float, ...]]) -> None:
        super().__init__()
        self.boxes = boxes

    def detect(self, images: Sequence, phrases: Sequence[str]):
        self.asked += phrases
        return [(Region(label=phrase, box=self.boxes[phrase], score=0.9),) for phrase in phrases]


class Writes(Fake):
    """Answers with the box of a phrase in words, in the dialect "lhrs"; blind it has one box for everything."""

    box_dialect = "lhrs"

    def __init__(self, said: Mapping[str, str]) -> None:
        super().__init__()
        self.said = said

    def answer(self, images: Sequence, questions: Sequence[str], *, max_new_tokens: int = 64):
        self.asked += questions
        known = [next((text for phrase, text in self.said.items() if phrase in question), "") for question in questions]
        return [
            Reply(text="[0.25, 0.25, 0.75, 0.75]" if image is None else text, confidence=0.7)
            for image, text in zip(images, known, strict=True)
        ]


class Falters(Fake):
    """Answers, but some calls never come back; `broken` says whether it still does."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = True

    def answer(self, images: Sequence, questions: Sequence[str], *, max_new_tokens: int = 64):
        self.asked += questions
        failed = Reply(text="", confidence=0.0, error="the server answered 500 six times")
        return [
            failed if self.broken and i % 2 else Reply(text="forest", confidence=0.9) for i in range(len(questions))
        ]
