"""Semantic maps of SECOND and SECOND-CC: the class of every pixel of a picture, in colours of a palette.

Only what changes between the two dates has a class; everything else is unchanged.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from rsvlm.data.sources.label_files import read_colours
from rsvlm.errors import BadInput

# Class -> colour in the files. A class is known by its place here.
PALETTE = {
    "unchanged": (255, 255, 255), "ground": (128, 128, 128), "tree": (0, 255, 0), "low vegetation": (0, 128, 0),
    "water": (0, 0, 255), "building": (128, 0, 0), "playground": (255, 0, 0),
}  # fmt: skip
_CODES = {(red << 16) | (green << 8) | blue: at for at, (red, green, blue) in enumerate(PALETTE.values())}
_CODES[0] = 0  # black is white made black, as SECOND-CC's code does it

Classes = NDArray[np.uint8]


def read_semantic_map(path: str | Path) -> Classes:
    """(H, W) classes by their place in `PALETTE`. Raises BadInput for a colour that is not of it."""
    red, green, blue = read_colours(Path(path)).astype(np.int32).transpose(2, 0, 1)
    codes, inverse = np.unique((red << 16) | (green << 8) | blue, return_inverse=True)
    if strange := [int(code) for code in codes if int(code) not in _CODES]:
        colour = tuple(strange[0] >> shift & 255 for shift in (16, 8, 0))
        raise BadInput(
            f"{path} has the colour {colour} ({len(strange)} colours that are none of a semantic map's); expected only "
            f"{', '.join(PALETTE)} in SECOND's colours, in a file without loss."
        )
    return np.array([_CODES[int(code)] for code in codes], np.uint8)[inverse.reshape(red.shape)]


def resized_map(classes: Classes, size: int) -> Classes:
    """(H, W) -> (size, size): the nearest pixel's class."""
    return np.asarray(
        PILImage.fromarray(np.ascontiguousarray(classes)).resize((size, size), PILImage.Resampling.NEAREST)
    )


def input_colours() -> list[tuple[float, ...]]:
    """The colours as a model is shown them, in [0, 1]: of the palette, and black for what is unchanged."""
    return [(0.0, 0.0, 0.0), *(tuple(value / 255 for value in colour) for colour in list(PALETTE.values())[1:])]
