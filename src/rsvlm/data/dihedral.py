"""The eight dihedral transforms (flips and quarter turns) of boxes; `rsvlm.data.loader.dihedral_view` does pixels."""

from collections.abc import Sequence

from rsvlm.sample import Box


def dihedral_size(size: tuple[int, int], view: int) -> tuple[int, int]:
    """(width, height) of a picture of `size` in view 0..7: swapped after an odd number of quarter turns."""
    width, height = size
    return (height, width) if view // 2 % 2 else size


def dihedral_box(box: Sequence[float], size: tuple[int, int], view: int) -> Box:
    """A box (x1, y1, x2, y2) of a picture of `size` (width, height), in the pixels of its view 0..7.

    Odd views are mirrored left to right, then view // 2 quarter turns follow, counter-clockwise.
    """
    width, height = size
    x1, y1, x2, y2 = box
    if view % 2:
        x1, x2 = width - x2, width - x1
    for _ in range(view // 2):
        x1, y1, x2, y2 = y1, width - x2, y2, width - x1
        width, height = height, width
    return x1, y1, x2, y2
