"""Any model that answers about pictures can answer about scenes: tiles, places and areas are not its business.

python examples/own_model.py scene.tif
"""

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rsvlm import Reply
from rsvlm.serve.assistant import Assistant


class Greenness:
    """Names what is greener than it is red or blue; a stand-in for a network."""

    name = "greenness"

    def __init__(self) -> None:
        self.trace = {"model": self.name}

    def answer(
        self, images: Sequence[NDArray[np.uint8]], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One reply for each (picture, question)."""
        return [self._reply(image) for image in images]

    def _reply(self, image: NDArray[np.uint8]) -> Reply:
        red, green, blue = np.moveaxis(image.astype(int), -1, 0)
        share = float(((green > red) & (green > blue)).mean())
        return Reply(text="Vegetation." if share > 0.5 else "Other.", confidence=max(share, 1 - share))


def main(scene: str) -> None:
    """Print the shares of both classes over the tiles of a scene."""
    answer = Assistant(Greenness()).ask(scene, "What land cover is this?", tile=32, classes=["vegetation", "other"])
    print(answer.answer)
    for region in answer.regions:
        print(region["properties"]["label"], round(region["properties"]["share"], 3))


if __name__ == "__main__":
    main(*sys.argv[1:])
