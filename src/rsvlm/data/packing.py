"""Sequence packing: which conversations of a batch share a row, so that little of a row is padding."""

from collections.abc import Hashable, Sequence

from rsvlm.errors import BadInput


def first_fit(lengths: Sequence[int], size: int, kinds: Sequence[Hashable] = ()) -> list[int]:
    """First-fit bin packing: the row of each conversation, from 0, in rows of at most `size` tokens.

    `lengths` are the conversations' tokens; with `kinds` (one a conversation) only those of one kind share a row.
    Raises BadInput for a conversation that is longer than a row.
    """
    if max(lengths) > size:
        raise BadInput(
            f"A conversation may have {max(lengths)} tokens and a packed row has {size}; raise the stage's pack, or "
            "lower its max_tokens."
        )
    room: list[int] = []
    kind: list[Hashable] = []
    rows: list[int] = []
    for index, length in enumerate(lengths):
        own = kinds[index] if kinds else None
        row = next((r for r, left in enumerate(room) if left >= length and kind[r] == own), len(room))
        if row == len(room):
            room.append(size)
            kind.append(own)
        room[row] -= length
        rows.append(row)
    return rows
