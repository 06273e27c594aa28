"""Batches that a model cannot mix, asked apart."""

from collections.abc import Callable, Sequence

from rsvlm.sample import Reply
from rsvlm.systems.abilities import Pixels


def split_by_image(images: Sequence[Pixels | None], ask: Callable[[list[int]], list[Reply]]) -> list[Reply]:
    """Replies in order, where rows with a picture and rows without are asked apart.

    `ask` gets the row numbers of one kind, and gives their replies.
    """
    replies: dict[int, Reply] = {}
    each_kind(images, lambda rows: replies.update(zip(rows, ask(rows), strict=True)))
    return [replies[row] for row in range(len(images))]


def each_kind(images: Sequence[Pixels | None], run: Callable[[list[int]], None]) -> None:
    """Call `run` with the numbers of the rows that have a picture, and with those of the rows that have none."""
    for shown in (True, False):
        if rows := [row for row, image in enumerate(images) if (image is not None) is shown]:
            run(rows)
