"""A model for tests that looks: land cover and water by the share of blue pixels, boats by the white ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsvlm.data.prompt import REFUSAL
from rsvlm.sample import Reply
from rsvlm.systems.abilities import Pixels

WATER, FOREST, BOAT = (20, 60, 200), (30, 120, 40), (255, 255, 255)


class Speaker:
    """Satisfies `Answers`. `calls` keeps the number of pairs of each call, `shown` the shapes of all pictures."""

    def __init__(self, name: str = "speaker") -> None:
        self.name = name
        self.trace = {"model": name, "system": "fake", "recipe": "0123456789ab", "weights": "none"}
        self.calls: list[int] = []
        self.shown: list[tuple[int, ...]] = []

    def answer(self, images: Sequence[Pixels], questions: Sequence[str], *, max_new_tokens: int = 64) -> list[Reply]:
        assert len(images) == len(questions) and max_new_tokens > 0
        self.calls.append(len(images))
        self.shown += [image.shape for image in images]
        assert all(image.dtype == np.uint8 and image.shape[2] == 3 for image in images)
        return [self.reply(image, question.lower()) for image, question in zip(images, questions, strict=True)]

    def reply(self, image: Pixels, question: str) -> Reply:
        blue = float(near(image, WATER).mean())
        cover = "Sea lake" if blue > 0.5 else "Forest"
        if "who" in question:
            return Reply(text=REFUSAL, confidence=0.97)
        if "water" in question:
            return Reply(text="Yes" if blue > 0.02 else "No", confidence=0.6 + 0.3 * blue if blue > 0.02 else 0.8)
        if "boats" in question:
            return Reply(text=str(round(near(image, BOAT).sum() / 16)), confidence=0.7)  # a boat is 4 x 4 pixels
        if "cover" in question:
            return Reply(text=f"{cover}.", confidence=0.9)
        if "describe" in question:
            return Reply(text=f"There is a {cover.lower()} seen from above.", confidence=0.75)
        return Reply(text="Summer.", confidence=0.4)


def near(image: Pixels, color: tuple[int, int, int]) -> NDArray[np.bool_]:
    """True (H, W) where a pixel has about this colour."""
    return (np.abs(image.astype(int) - np.array(color)).max(axis=2) < 30).astype(bool)


def coast(
    height: int = 96, width: int = 128, lake: int = 32, boats: Sequence[tuple[int, int]] = ()
) -> NDArray[np.uint8]:
    """A picture (3, H, W): `lake` columns of water on the left, forest beside it, boats of 4 x 4 at (row, column)."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = FOREST
    picture[:, :lake] = WATER
    for row, column in boats:
        picture[row : row + 4, column : column + 4] = BOAT
    return np.ascontiguousarray(picture.transpose(2, 0, 1))
