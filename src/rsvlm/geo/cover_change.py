"""What covers the ground at two dates, computed from bands: where water or vegetation came and went.

Each date has its own border of the index (`rsvlm.geo.indices`), found in its own histogram. Both are compared on the
cells of the pair's grid, where both dates have data.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.geo.cells import Bits, Cells, Patch
from rsvlm.geo.indices import Cover, can_classify, classify
from rsvlm.geo.pair import Pair
from rsvlm.geo.scene import Scene

COVERS = ("water", "vegetation", "snow")  # built-up and burnt land are confused with bare soil too often
_MOST, _LEAST = 200, 9  # patches that are outlined, and cells of the smallest
_ROWS = 256  # of cells that are looked up at once


@dataclass(frozen=True, eq=False)
class CoverChange:
    """A cover at two dates. Shares in 0..1 and areas are of cells where both have data; areas None without a place.

    `gained` and `lost` are patches of at least 9 cells, outlined in pixels of the pair, the largest first; `formulas`
    are the indices of both dates. `clear`: both borders part two groups of values.
    """

    cover: str
    formulas: tuple[str, str]
    clear: bool
    shares: tuple[float, float]
    gained_m2: float | None
    lost_m2: float | None
    notes: tuple[str, ...]
    gained: tuple[Patch, ...] = field(repr=False)
    lost: tuple[Patch, ...] = field(repr=False)


def cover_changes(pair: Pair) -> Iterator[CoverChange]:
    """The covers that the bands of both dates allow to compute."""
    for cover in COVERS:
        if any(can_classify(scene, cover) for scene in (pair.before, pair.after)):
            continue
        try:
            yield _compared(pair, classify(pair.before, cover), classify(pair.after, cover))
        except BadInput:  # a band without values, which only reading tells
            continue


def _compared(pair: Pair, before: Cover, after: Cover) -> CoverChange:
    cells = Cells.over(pair.width, pair.height)
    (had, there), (has, here) = (
        _on_grid(pair, cells, scene, cover, offset)
        for scene, cover, offset in zip((pair.before, pair.after), (before, after), pair.offsets, strict=True)
    )
    valid = there & here
    if not valid.any():
        raise BadInput(f"No cell of {pair.before.path.name} and {pair.after.path.name} has data in both.")
    gained, lost = valid & has & ~had, valid & had & ~has
    patches = [cells.patches(mask, _MOST, _LEAST)[0] for mask in (gained, lost)]
    areas = cells.areas(pair.place) if pair.place else None
    sizes = [None if areas is None else float(areas[mask].sum(dtype=np.float64)) for mask in (gained, lost)]
    return CoverChange(
        cover=before.cover, formulas=(before.formula, after.formula), clear=before.border.clear and after.border.clear,
        shares=(float(had[valid].mean()), float(has[valid].mean())), gained_m2=sizes[0], lost_m2=sizes[1],
        notes=tuple(dict.fromkeys((*before.notes, *after.notes))), gained=tuple(patches[0]), lost=tuple(patches[1]),
    )  # fmt: skip


def _on_grid(
    pair: Pair, cells: Cells, scene: Scene, cover: Cover, offset: tuple[float, float]
) -> tuple[Bits, Bits]:  # fmt: skip
    """The cover of a scene, and where it has data, at the middles of the cells of the pair's grid."""
    rows, columns = cells.shape
    found, there = np.zeros(cells.shape, bool), np.zeros(cells.shape, bool)
    x = np.minimum((np.arange(columns) + 0.5) * cells.step, pair.width - 0.5) + offset[0]
    for top in range(0, rows, _ROWS):
        y = np.minimum((np.arange(top, min(top + _ROWS, rows)) + 0.5) * cells.step, pair.height - 0.5) + offset[1]
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        at = _to_scene(pair, scene, points)
        inside = np.isfinite(at).all(1) & (at >= 0).all(1) & (at < (scene.width, scene.height)).all(1)
        column, row = (at[inside] // cover.cells.step).astype(np.int64).T
        part = slice(top, top + len(y))
        for target, mask in ((found, cover.mask), (there, cover.valid)):
            values = np.zeros(len(points), bool)
            values[inside] = mask[row, column]
            target[part] = values.reshape(len(y), columns)
    return found, there


def _to_scene(pair: Pair, scene: Scene, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels of the pair's grid (N, 2) as pixels of one of its scenes."""
    if pair.place is None or scene.place is None:
        return points
    if pair.place.crs == scene.place.crs:
        return scene.place.from_crs(pair.place.to_crs(points))
    return scene.place.to_pixel(pair.place.to_lonlat(points))
