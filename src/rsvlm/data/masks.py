"""Masks: COCO run lengths <-> bool arrays, polygons -> masks, the 3x3 grid of cells, connected components.

A mask is bool (H, W), rows from the top. COCO run lengths go down the columns and start with zeros: `{"size": [H, W],
"counts": ...}` with `counts` a list of runs (uncompressed) or pycocotools' text.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput, missing_extra

Mask = NDArray[np.bool_]
Rle = Mapping[str, Any]

GRID_CELLS = tuple(f"{row}-{column}" for row in ("top", "center", "bottom") for column in ("left", "center", "right"))
MAX_PIXELS = 2**30  # pixels of a mask: a few bytes of run lengths can claim any size
MAX_COORDINATE = 2**17  # pixels from the corner: pycocotools walks along every edge, inside the image or not


def decode_rle(rle: Rle) -> Mask:
    """The mask of COCO run lengths, compressed or not. Raises BadInput where they do not fill `size` exactly.

    pycocotools would leave the rest of a mask that its runs do not fill as it found the memory.
    """
    height, width = rle_size(rle)
    runs = decode_runs(rle.get("counts"))
    if (len(runs) and (runs.min() < 0 or runs.max() > MAX_PIXELS)) or runs.sum() != height * width:
        raise BadInput(
            f"The run lengths of a mask cover {runs.sum()} pixels; expected {height} x {width}, none negative."
        )
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def rle_size(rle: Rle) -> tuple[int, int]:
    """The (height, width) that run lengths claim. Raises BadInput where it is no size, or above MAX_PIXELS pixels."""
    size: Any = rle.get("size")
    numbers = [int(n) for n in size if isinstance(n, int | np.integer) and n >= 0] if isinstance(size, Sequence) else []
    if len(numbers) != 2 or len(size) != 2:
        raise BadInput(f"The size of a mask is {size!r}; expected [height, width] in whole pixels.")
    height, width = numbers
    if height * width > MAX_PIXELS:
        raise BadInput(f"A mask of {height} x {width} pixels is too large; expected {MAX_PIXELS} pixels at most.")
    return height, width


def decode_runs(counts: object) -> NDArray[np.int64]:
    """The run lengths behind `counts`: a list as it is, text by COCO's code. Raises BadInput for anything else.

    A number is 5 bits a letter (from "0", lowest first, bit 6: more follow, two's complement), and from the fourth on
    the difference to the run before the last.
    """
    if isinstance(counts, list | tuple):
        if not all(type(n) is int and 0 <= n <= MAX_PIXELS for n in cast(Sequence[object], counts)):
            raise BadInput("The run lengths of a mask hold something other than whole numbers of pixels.")
        return np.array(counts, dtype=np.int64)
    if not isinstance(counts, str | bytes):
        raise BadInput(f"The counts of a mask are {type(counts).__name__}; expected a list of runs or COCO's text.")
    coded = counts.encode(errors="surrogatepass") if isinstance(counts, str) else counts
    letters = np.frombuffer(coded, np.uint8).astype(np.int64) - 48
    last = letters & 32 == 0
    stops = np.flatnonzero(last)
    if len(letters) and (letters.min() < 0 or letters.max() > 63 or not last[-1]):
        raise BadInput("The counts of a mask are not COCO's text: an unknown letter, or cut off.")
    starts = np.concatenate([[0], stops + 1])[:-1]
    place = np.arange(len(letters)) - np.repeat(starts, stops - starts + 1)
    if len(place) and place.max() > 6:
        raise BadInput("The counts of a mask are not COCO's text: a run of more than 35 bits.")
    runs = np.add.reduceat((letters & 31) << 5 * place, starts) if len(letters) else letters
    runs = runs - np.where(letters[stops] & 16, 1 << 5 * (place[stops] + 1), 0)
    runs[1::2], runs[2::2] = runs[1::2].cumsum(), runs[2::2].cumsum()
    return runs


def encode_rle(mask: Mask) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask (pycocotools), `counts` as text so that JSON takes it."""
    coded = _pycocotools().encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in coded["size"]], "counts": coded["counts"].decode("ascii")}


def polygon_mask(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> Mask:
    """The union of polygons, each x1, y1, x2, y2, ... in pixels, as a mask of `size` (height, width), COCO's raster.

    Raises BadInput for fewer than three points, or a number that is not finite or beyond MAX_COORDINATE.
    """
    for ring in polygons:
        numbers = np.asarray(ring, dtype=np.float64)
        if len(ring) < 6 or len(ring) % 2 or not (np.abs(numbers) <= MAX_COORDINATE).all():
            raise BadInput(
                f"A polygon of {len(ring)} numbers is not one; expected x, y of three or more points within "
                f"{MAX_COORDINATE} pixels of the corner."
            )
    if not polygons:
        return np.zeros(size, bool)
    coco = _pycocotools()
    return decode_rle(coco.merge(coco.frPyObjects([list(map(float, ring)) for ring in polygons], *size)))


def grid_cells(mask: Mask, *, share: float = 0.0) -> tuple[str, ...]:
    """The cells of GRID_CELLS that a mask touches: any pixel, or at least `share` (0-1) of the mask's pixels.

    Cell (r, c) is rows r * H // 3 to (r + 1) * H // 3, columns alike.
    """
    rows, columns = ([i * side // 3 for i in range(4)] for side in mask.shape)
    counts = [
        int(np.count_nonzero(mask[rows[r] : rows[r + 1], columns[c] : columns[c + 1]]))
        for r in range(3)
        for c in range(3)
    ]
    return tuple(cell for cell, count in zip(GRID_CELLS, counts, strict=True) if count and count / sum(counts) >= share)


def component_areas(mask: Mask, *, connectivity: Literal[4, 8] = 8, min_pixels: int = 1) -> NDArray[np.int64]:
    """The areas in pixels of the connected components of a mask, in raster order.

    Pixels touch by their sides (4) or also by their corners (8); parts below `min_pixels` do not count.
    """
    try:
        from scipy import ndimage
    except ImportError as err:
        raise missing_extra("scipy", "evaluate") from err
    touching = np.ones((3, 3)) if connectivity == 8 else None
    labels, _ = cast("tuple[NDArray[np.int32], int]", ndimage.label(mask, touching))
    areas = np.bincount(labels.ravel())[1:]
    return areas[areas >= min_pixels]


def _pycocotools() -> Any:
    try:
        from pycocotools import mask
    except ImportError as err:
        raise missing_extra("pycocotools", "evaluate") from err
    return mask
