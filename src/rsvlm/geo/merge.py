"""Merging of tile results: tile to scene coordinates, duplicate suppression, union of objects cut by a tile edge.

A region that touches an edge of its tile which is not an edge of the scene may be only a part of an object. Parts on
both sides of a tile edge that agree in the overlap of the tiles are joined; parts that lie within a complete region of
the same label are dropped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsvlm.geo.tiles import Window
from rsvlm.geo.vector import polygon_to_region, region_polygon
from rsvlm.sample import Region

_DUPLICATE_SHARE = 0.8  # share of a cut part that lies within another region of its label and makes it a double
_SEAM_SHARE = 0.5  # share of the seam that two parts must have in common to be one


@dataclass
class _Piece:
    region: Region
    shape: Any
    window: Window
    cut: frozenset[str]  # which of left, right, top, bottom end at a seam


def offset_region(region: Region, column: float, row: float) -> Region:
    """The region translated by (column, row) pixels: from tile coordinates to scene coordinates."""
    x1, y1, x2, y2 = region.box
    polygon = tuple((x + column, y + row) for x, y in region.polygon)
    return replace(region, box=(x1 + column, y1 + row, x2 + column, y2 + row), polygon=polygon)


def merge_regions(
    tile_regions: Iterable[tuple[Window, Sequence[Region]]],
    size: tuple[int, int],
    *,
    iou: float = 0.5,
    edge_tolerance: float = 1.0,
) -> list[Region]:
    """Regions of tiles, in tile pixels, as regions of the scene (width, height) = `size`, in scene pixels.

    `iou`: of two regions of one label with a greater intersection over union, the one with the lower score is dropped.
    `edge_tolerance`: pixels from a tile's edge within which a region counts as cut. Sorted by label, then by row.
    """
    pieces = [
        _make_piece(offset_region(region, *window[:2]), window, size, edge_tolerance)
        for window, regions in tile_regions
        for region in regions
    ]
    merged: list[Region] = []
    for label in sorted({piece.region.label for piece in pieces}):
        same = _join_across_seams([piece for piece in pieces if piece.region.label == label], edge_tolerance)
        merged += sorted(
            (piece.region for piece in _suppress_duplicates(same, iou)), key=lambda one: (one.box[1], one.box[0])
        )
    return merged


def merge_masks(tile_masks: Iterable[tuple[Window, NDArray[np.bool_]]]) -> list[Any]:
    """Masks (H, W) of tiles -> shapely polygons of the scene in scene pixels, joined across tile edges.

    Memory is that of the polygons, not of a mask of the whole scene. Whether polygons that meet only at a corner are
    joined is decided by `shapely.union_all`.
    """
    from rsvlm.geo.vector import mask_to_polygon

    parts = [mask_to_polygon(mask, window[:2]) for window, mask in tile_masks if mask.any()]
    whole = shapely.union_all(parts) if parts else shapely.MultiPolygon()
    return list(shapely.get_parts(whole))


def _make_piece(region: Region, window: Window, size: tuple[int, int], edge_tolerance: float) -> _Piece:
    shape = region_polygon(region)
    x1, y1, x2, y2 = shape.bounds
    column, row, width, height = window
    cut = set()
    if column > 0 and x1 <= column + edge_tolerance:
        cut.add("left")
    if row > 0 and y1 <= row + edge_tolerance:
        cut.add("top")
    if column + width < size[0] and x2 >= column + width - edge_tolerance:
        cut.add("right")
    if row + height < size[1] and y2 >= row + height - edge_tolerance:
        cut.add("bottom")
    return _Piece(region, shape, window, frozenset(cut))


def _score(piece: _Piece) -> float:
    return 1.0 if piece.region.score is None else piece.region.score


def _neighbour_pairs(pieces: Sequence[_Piece], reach: float) -> list[tuple[int, int]]:
    """Index pairs (i < j) whose bounds come within `reach` pixels."""
    boxes = [shapely.box(*piece.shape.bounds) for piece in pieces]
    left, right = shapely.STRtree(boxes).query([one.buffer(reach) for one in boxes], predicate="intersects")
    return [(int(i), int(j)) for i, j in zip(left, right, strict=True) if i < j]


def _join_across_seams(pieces: list[_Piece], edge_tolerance: float) -> list[_Piece]:
    """Merge pieces that continue each other across a tile edge (union-find over `_meet_at_seam`)."""
    parent = list(range(len(pieces)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, j in _neighbour_pairs(pieces, 2 * edge_tolerance) if pieces else []:
        if _meet_at_seam(pieces[i], pieces[j], edge_tolerance):
            parent[root(j)] = root(i)
    groups: dict[int, list[_Piece]] = {}
    for i, piece in enumerate(pieces):
        groups.setdefault(root(i), []).append(piece)
    return [group[0] if len(group) == 1 else _merge_group(group) for group in groups.values()]


def _meet_at_seam(a: _Piece, b: _Piece, edge_tolerance: float) -> bool:
    """Whether two parts end at the seam between their tiles, towards each other, and agree along it."""
    if a.window == b.window or a.shape.distance(b.shape) > 2 * edge_tolerance:
        return False
    common = _padded_window(a.window, edge_tolerance).intersection(_padded_window(b.window, edge_tolerance))
    for low, high, axis in (("right", "left", 0), ("bottom", "top", 1)):
        for one, two in ((a, b), (b, a)):
            if low in one.cut and high in two.cut and one.window[axis] < two.window[axis]:
                along = 1 - axis
                # Only what both tiles see can agree: a part may go on in a third tile, or run aslant.
                seen = [piece.shape.intersection(common) for piece in (one, two)]
                if any(part.is_empty for part in seen):
                    continue
                spans = [(part.bounds[along], part.bounds[along + 2]) for part in seen]
                shared = min(spans[0][1], spans[1][1]) - max(spans[0][0], spans[1][0])
                shorter = min(top - bottom for bottom, top in spans)
                if shorter > 0 and shared >= _SEAM_SHARE * shorter:
                    return True
    return False


def _padded_window(window: Window, margin: float) -> Any:
    column, row, width, height = window
    return shapely.box(column - margin, row - margin, column + width + margin, row + height + margin)


def _merge_group(group: list[_Piece]) -> _Piece:
    """One piece from parts: boxes give the box round all, turned boxes the turned one, polygons their union."""
    best = max(group, key=_score)
    label, score = best.region.label, best.region.score
    # A union keeps the corners of its parts on straight edges; what lies on a line through its neighbours is no corner.
    whole = shapely.simplify(shapely.normalize(shapely.union_all([piece.shape for piece in group])), 0)
    if any(piece.region.polygon for piece in group):
        region = polygon_to_region(whole, label, score)
        if region.angle or not region.polygon:
            ring = tuple((float(x), float(y)) for x, y in region_polygon(region).exterior.coords[:-1])
            region = replace(region, box=whole.bounds, angle=0.0, polygon=ring)
    elif any(piece.region.angle for piece in group):
        region = polygon_to_region(whole.minimum_rotated_rectangle, label, score)
    else:
        region = Region(label=label, box=whole.bounds, score=score)
    return _Piece(region, region_polygon(region), (0, 0, 0, 0), frozenset())


def _suppress_duplicates(pieces: list[_Piece], iou: float) -> list[_Piece]:
    """Greedy non-maximum suppression by score, then by area, within one label; complete pieces go before cut ones."""
    order = sorted(
        range(len(pieces)),
        key=lambda i: (
            bool(pieces[i].cut),
            -_score(pieces[i]),
            -pieces[i].shape.area,
        ),
    )
    rank = {index: position for position, index in enumerate(order)}
    rivals: dict[int, list[int]] = {i: [] for i in range(len(pieces))}
    for i, j in _neighbour_pairs(pieces, 0.0) if pieces else []:
        first, second = (i, j) if rank[i] < rank[j] else (j, i)
        rivals[second].append(first)
    kept: set[int] = set()
    for i in order:
        if not any(_is_duplicate(pieces[i], pieces[j], iou) for j in rivals[i] if j in kept):
            kept.add(i)
    return [pieces[i] for i in order if i in kept]


def _is_duplicate(piece: _Piece, better: _Piece, iou: float) -> bool:
    if piece.window == better.window:
        return False  # one tile saw both: its model said two, and so they are
    shared = piece.shape.intersection(better.shape).area
    if piece.cut and shared >= _DUPLICATE_SHARE * piece.shape.area:
        return True
    return shared > iou * (piece.shape.area + better.shape.area - shared)
