"""What of two dates is not compared, by cause: no data, clouds by a band, and what is white in one of them only."""

from collections.abc import Sequence

import numpy as np

from rsvlm.errors import BadInput
from rsvlm.geo.aligned_read import Aligned, Source, read_aligned
from rsvlm.geo.common_grid import Grid
from rsvlm.geo.place import Floats
from rsvlm.geo.scene import Mask, Pixels
from rsvlm.geo.tiles import Window, tile_windows

Both = tuple[Aligned, Aligned]
_SEARCH_SIDE = 1024  # pixels: windows of a search for a valid pixel
_WHITE, _MOST_COLOUR, _BRIGHTER = 190, 40, 50  # of 255: ours, set on the pairs of IdaBD (clouds) and LEVIR-CD (roofs)
_SAID_WHITE = 0.02  # share from which white parts are said


def pixel_weights(grid: Grid, windows: Sequence[Window]) -> list[Floats]:
    """For each window the share (H, W) of all that is looked at which its pixels stand for; windows may overlap."""
    rows, columns = np.zeros(grid.height), np.zeros(grid.width)  # how often each is looked at
    for row, height in {(row, height) for _, row, _, height in windows}:
        rows[row : row + height] += 1
    for column, width in {(column, width) for column, _, width, _ in windows}:
        columns[column : column + width] += 1
    weights = [1 / np.outer(rows[y : y + h], columns[x : x + w]) for x, y, w, h in windows]
    total = sum(float(weight.sum()) for weight in weights)
    return [weight / total for weight in weights]


def _share(masks: Sequence[Mask], weights: Sequence[Floats]) -> float:
    return sum(float(weight[mask].sum()) for mask, weight in zip(masks, weights, strict=True))


def shares_left_out(
    sources: tuple[Source, Source], grid: Grid, windows: Sequence[Window], samples: Sequence[Both],
    weights: Sequence[Floats],
) -> dict[str, float]:  # fmt: skip
    """Shares of the windows that are no data or clouds, by date; causes with none are not there."""
    shares = {}
    for at, (word, source) in enumerate(zip(("before", "after"), sources, strict=True)):
        without = _share([~both[at].valid for both in samples], weights)
        no_data = without
        if source.clouds:
            bare = Source(source.scene)
            no_data = _share([~read_aligned(bare, grid, window).valid for window in windows], weights)
        shares |= {f"{word}: no data": no_data, f"{word}: clouds": without - no_data}
    return {cause: share for cause, share in shares.items() if share > 1e-9}


def left_out_notes(left_out: dict[str, float], names: tuple[str, str]) -> list[str]:
    """On pixels without data and clouds by a band; what is white has a note of its own."""
    named = {"before": names[0], "after": names[1]}
    notes = []
    for cause, share in left_out.items():
        word, _, what = cause.partition(": ")
        if what == "white":
            continue
        amount = f"about {100 * share:.0f} %" if share >= 0.01 else "under 1 %"
        what = "clouds by its own band" if what == "clouds" else "without data"
        notes.append(f"{amount} of the compared part is {what} in {named[word]}, and left out")
    return notes


def check_some_valid(
    sources: tuple[Source, Source], grid: Grid, names: tuple[str, str], left_out: dict[str, float]
) -> None:
    """Look at all pixels for one that is valid in both. Raises BadInput where there is none."""
    for window in tile_windows(grid.width, grid.height, _SEARCH_SIDE):
        one, other = (read_aligned(source, grid, window).valid for source in sources)
        if (one & other).any():
            return
    found = ", ".join(f"{cause} {100 * share:.0f} %" for cause, share in left_out.items())
    raise BadInput(
        f"No pixel of the common part of {names[0]} and {names[1]} is valid in both ({found}); give two dates that "
        f"show the same ground."
    )


def white_in_one(first: Pixels, second: Pixels) -> tuple[Mask, Mask]:
    """Where `first`, and where `second` alone is white (H, W), of pictures (3, H, W) of one brightness.

    White are clouds and snow, and also new roofs, concrete and sand: no test of brightness tells these apart.
    """

    def white(one: Pixels, other: Pixels) -> Mask:
        low, high = one.min(axis=0).astype(np.int16), one.max(axis=0).astype(np.int16)
        return (low >= _WHITE) & (high - low <= _MOST_COLOUR) & (low - other.max(axis=0) >= _BRIGHTER)

    return white(first, second), white(second, first)


def white_shares(
    pictures: Sequence[tuple[Pixels, Pixels]], samples: Sequence[Both], weights: Sequence[Floats]
) -> tuple[float, float]:
    """Shares of the windows that are valid and white in the first, and in the second alone."""
    valid = [one.valid & other.valid for one, other in samples]
    white = [white_in_one(*both) for both in pictures]
    first, second = (
        _share([mask & good for mask, good in zip(masks, valid, strict=True)], weights)
        for masks in zip(*white, strict=True)
    )
    return first, second


def white_notes(shares: tuple[float, float], names: tuple[str, str], *, left_out: bool) -> list[str]:
    """On what is white in one date alone, where that is more than a few roofs."""
    how = "and left out" if left_out else "which is compared (leave_out_white leaves it out)"
    return [
        f"about {100 * share:.0f} % of the compared part is white in {name} alone: clouds, snow, or new roofs and "
        f"concrete, {how}"
        for share, name in zip(shares, names, strict=True)
        if share >= _SAID_WHITE
    ]
