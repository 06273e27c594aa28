"""Models that find the white boats of `fake.chat_model.coast`: one that detects, one that writes boxes in a dialect."""

import numpy as np

from fake.chat_model import BOAT, Speaker, near
from rsvlm.data import box_codecs as boxes
from rsvlm.sample import Region, Reply


def boats(image) -> list[tuple[float, float, float, float]]:
    """Boxes of the connected white rectangles of a picture, in its pixels."""
    left = near(image, BOAT)
    found = []
    while left.any():
        row, column = (int(n) for n in np.argwhere(left)[0])
        width = int(np.argmin(np.append(left[row, column:], False)))
        height = int(np.argmin(np.append(left[row:, column], False)))
        left[row : row + height, column : column + width] = False
        found.append((float(column), float(row), float(column + width), float(row + height)))
    return found


class Detector(Speaker):
    """Satisfies `Detects`. As a trained one does, it gives one box, if any, for a phrase that begins with "the"."""

    def __init__(self, name: str = "detector") -> None:
        super().__init__(name)
        self.asked: list[str] = []

    def detect(self, images, phrases) -> list[tuple[Region, ...]]:
        self.asked += phrases
        texts = []
        for image, phrase in zip(images, phrases, strict=True):
            found = [] if "plane" in phrase else boats(image)
            regions = tuple(Region(label=phrase, box=box, score=0.9 - 0.1 * at) for at, box in enumerate(found))
            texts.append(regions[:1] if phrase.startswith("the ") else regions)
        return texts


class Writer(Speaker):
    """Writes boxes in `box_dialect`; like a Qwen2.5-VL it sees every picture at another size where that matters."""

    def __init__(self, dialect: str, name: str = "writer") -> None:
        super().__init__(name)
        self.box_dialect, self.asked = dialect, []

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        return (2 * width, 2 * height) if self.box_dialect == "qwen25vl" else (width, height)

    def answer(self, images, questions, *, max_new_tokens=64) -> list[Reply]:
        self.asked += questions
        replies = super().answer(images, questions, max_new_tokens=max_new_tokens)
        return [
            self.write(image) if any(word in question for word in ("ocat", "bounding")) else reply
            for image, question, reply in zip(images, questions, replies, strict=True)
        ]

    def write(self, image) -> Reply:
        size = image.shape[1], image.shape[0]
        text = boxes.encode(boats(image), self.box_dialect, size=size, input_size=self.input_size(*size))
        return Reply(text=text or "There are none.", confidence=0.6)
