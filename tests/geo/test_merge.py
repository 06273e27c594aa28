"""Tiles put together again: a detector over tiles says what it says over the whole scene."""

from pathlib import Path

import numpy as np
import pytest
import rasterio.features
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shapely.geometry import shape

from fake.rasters import blobs, geotiff
from rsvlm.geo.merge import merge_masks, merge_regions, offset_region
from rsvlm.geo.raster import open_scene
from rsvlm.geo.tiles import tile_windows
from rsvlm.geo.vector import mask_to_polygon, region_polygon
from rsvlm.sample import Region


def detect(pixels, *, polygons: bool = False) -> list[Region]:
    """The synthetic detector: every connected bright patch is a boat."""
    mask = (pixels[..., 0] > 127).astype(np.uint8)
    found = []
    for one, _ in rasterio.features.shapes(mask, mask=mask.astype(bool)):
        part = shape(one)
        ring = tuple(part.exterior.coords[:-1]) if polygons else ()
        found.append(Region(label="boat", box=part.bounds, polygon=ring, score=0.9))
    return found


def same(first: list[Region], second: list[Region]) -> bool:
    shapes = [sorted(region_polygon(region).normalize().wkt for region in regions) for regions in (first, second)]
    return shapes[0] == shapes[1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(24, 70), st.integers(0, 14), st.integers(4, 60), st.booleans())
@example(0, 27, 13, 7, True)  # parts that meet in the middle of a straight edge
def test_tiles_find_what_the_whole_finds(seed, size, overlap, largest, polygons) -> None:
    picture = blobs(120, 140, 30, seed, largest).transpose(1, 2, 0)
    tiled = [
        (
            window,
            detect(picture[window[1] : window[1] + window[3], window[0] : window[0] + window[2]], polygons=polygons),
        )
        for window in tile_windows(140, 120, size, overlap)
    ]
    merged = merge_regions(tiled, (140, 120))
    whole = detect(picture, polygons=polygons)
    assert len(merged) == len(whole)
    assert same(merged, whole)


def test_the_same_through_a_file(tmp_path: Path) -> None:
    path = geotiff(tmp_path / "a.tif", blobs(300, 400, 60, 3, 50), tiled=True, blockxsize=64, blockysize=64)
    with open_scene(path) as scene:
        merged = merge_regions(
            ((tile.window, detect(tile.pixels)) for tile in scene.tiles(96, 24)), (scene.width, scene.height)
        )
        assert same(merged, detect(scene.read_rgb())) and len(merged) > 20


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 60), st.integers(0, 15), st.floats(0.2, 0.7))
def test_masks_are_whole_across_seams(seed, size, overlap, share) -> None:
    coarse = np.random.default_rng(seed).random((12, 14)) < share
    mask = np.kron(coarse, np.ones((9, 9), bool))
    parts = [
        (w, mask[w[1] : w[1] + w[3], w[0] : w[0] + w[2]])
        for w in tile_windows(mask.shape[1], mask.shape[0], size, overlap)
    ]
    merged = merge_masks(parts)
    whole = shapely.union_all([mask_to_polygon(mask)]) if mask.any() else shapely.MultiPolygon()
    assert shapely.union_all(merged).symmetric_difference(whole).area == 0
    assert len(merged) == len(shapely.get_parts(whole))


def test_turned_boxes_join_over_a_seam() -> None:
    long = region_polygon(Region(label="ship", box=(20, 45, 180, 55), angle=20))
    tiles = [(0, 0, 110, 100), (90, 0, 110, 100)]
    found = []
    for window in tiles:
        column, row, width, height = window
        part = long.intersection(shapely.box(column, row, column + width, row + height)).minimum_rotated_rectangle
        from rsvlm.geo.vector import polygon_to_region

        found.append((window, [offset_region(polygon_to_region(part, "ship", 0.8), -column, -row)]))
    merged = merge_regions(found, (200, 100), edge_tolerance=6)
    assert len(merged) == 1 and merged[0].angle == pytest.approx(20, abs=3)
    assert region_polygon(merged[0]).intersection(long).area > 0.9 * long.area


def test_doubles_go_and_neighbours_stay() -> None:
    a = Region(label="car", box=(50, 10, 60, 20), score=0.6)
    tiles = [((0, 0, 64, 64), [a]), ((40, 0, 64, 64), [Region(label="car", box=(10.5, 10, 20, 20), score=0.9)])]
    assert [one.score for one in merge_regions(tiles, (104, 64))] == [0.9]
    other = ((40, 0, 64, 64), [Region(label="bus", box=(10.5, 10, 20, 20), score=0.9), offset_region(a, -29, 0)])
    assert len(merge_regions([tiles[0], other], (104, 64))) == 3
    two = ((0, 0, 64, 64), [a, offset_region(a, 1, 0)])
    assert len(merge_regions([two], (104, 64))) == 2  # one tile saw both
    assert merge_regions([], (10, 10)) == []


def test_facing_parts_of_two_objects_are_not_joined() -> None:
    left = ((0, 0, 64, 64), [Region(label="car", box=(58, 10, 64, 20))])
    right = ((48, 0, 64, 64), [Region(label="car", box=(0, 10, 6, 20)), Region(label="car", box=(10, 10, 24, 20))])
    found = merge_regions([left, right], (112, 64))
    assert [one.box for one in found] == [(48, 10, 54, 20), (58, 10, 72, 20)]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 120), st.integers(1, 120), st.integers(1, 90), st.data())
def test_windows_cover_everything(width, height, size, data) -> None:
    overlap = data.draw(st.integers(0, size - 1))
    if size - overlap < 4:
        overlap = max(0, size - 4)
    seen = np.zeros((height, width), int)
    for column, row, w, h in tile_windows(width, height, size, overlap):
        assert w == min(size, width) and h == min(size, height)
        seen[row : row + h, column : column + w] += 1
    assert seen.min() >= 1
