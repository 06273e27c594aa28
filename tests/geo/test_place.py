"""Pixels to the Earth and back: every CRS, rotated and sheared; areas; shapes as GeoJSON."""

import json
from pathlib import Path

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box, shape

from fake.rasters import GEOS, UTM, geotiff
from rsvlm.errors import BadInput
from rsvlm.geo.geodesy import date_from_tags, geodesic_area
from rsvlm.geo.place import GEOD, Place
from rsvlm.geo.raster import open_scene
from rsvlm.geo.vector import (
    feature,
    feature_collection,
    feature_to_pixels,
    mask_to_polygon,
    polygon_to_mask,
    polygon_to_region,
    region_feature,
    region_polygon,
    window_feature,
)
from rsvlm.sample import Region

GROUNDS = {  # CRS, upper left corner, pixel size: where imagery comes from, and where maps are awkward
    "utm": ("EPSG:32614", (485900, 5209247), 0.1),
    "utm south": ("EPSG:32733", (300000, 6200000), 10),
    "degrees": ("EPSG:4326", (-74.7, -8.3), 0.0008),
    "degrees high north": ("EPSG:4326", (15, 79), 0.0005),
    "mercator": ("EPSG:3857", (14321853, 4533021), 0.6),
    "polar": ("EPSG:3413", (-2000000, -500000), 30),
    "albers": ("EPSG:5070", (-1000000, 1900000), 30),
    "date line": ("EPSG:32760", (830000, 8000000), 10),
    "grads": ("EPSG:4807", (2.0, 54.0), 0.001),
}


def ground(name: str, turn: float = 0.0, shear: float = 0.0) -> Place:
    crs, corner, step = GROUNDS[name]
    affine = Affine.translation(*corner) @ Affine.rotation(turn) @ Affine.shear(shear) @ Affine.scale(step, -step)
    return Place(tuple(affine)[:6], pyproj.CRS(crs), (256, 256))


places = st.builds(ground, st.sampled_from(sorted(GROUNDS)), st.floats(-180, 180), st.floats(-40, 40))
inside = st.floats(0, 2000, allow_nan=False)
sides = st.floats(0.5, 800)


@settings(max_examples=150, deadline=None)
@given(places, st.lists(st.tuples(inside, inside), min_size=1, max_size=20))
def test_pixels_come_back(place: Place, points) -> None:
    back = place.to_pixel(place.to_lonlat(points))
    assert np.abs(back - np.asarray(points)).max() <= 1e-3


@settings(max_examples=150, deadline=None)
@given(places, inside, inside, sides, sides, st.floats(-180, 180))
def test_boxes_become_valid_rings_and_come_back(place, x, y, width, height, angle) -> None:
    region = Region(label="boat", box=(x, y, x + width, y + height), angle=angle, score=0.5)
    made = json.loads(json.dumps(region_feature(region, place)))
    geometry = shape(made["geometry"])
    assert geometry.is_valid and all(part.exterior.is_ccw for part in getattr(geometry, "geoms", [geometry]))
    assert np.abs(shapely.get_coordinates(geometry)[:, 0]).max() <= 180
    properties = made["properties"]
    assert (properties["label"], properties["score"]) == ("boat", 0.5)
    back = polygon_to_region(feature_to_pixels(made, place), "boat", 0.5)
    assert not back.polygon
    lost = region_polygon(back).symmetric_difference(region_polygon(region)).area
    assert lost <= 4e-3 * region_polygon(region).length
    if made["properties"]["area_m2"] > 2:  # under that pyproj's own sum loses its digits
        assert abs(GEOD.geometry_area_perimeter(geometry)[0]) == pytest.approx(made["properties"]["area_m2"], rel=1e-3)


@settings(max_examples=150, deadline=None)
@given(places, inside, inside, sides, sides)
def test_areas_are_geodesic(place, x, y, width, height) -> None:
    """Against the sum of many small geodesic cells, which needs no densified edge."""
    n = 12
    columns, rows = np.meshgrid(np.linspace(x, x + width, n + 1), np.linspace(y, y + height, n + 1))
    points = place.to_lonlat(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(n + 1, n + 1, 2)
    total = 0.0
    for i in range(n):
        for j in range(n):
            ring = points[[i, i, i + 1, i + 1], [j, j + 1, j + 1, j]]
            total += abs(GEOD.polygon_area_perimeter(ring[:, 0], ring[:, 1])[0])
    made = feature(box(x, y, x + width, y + height), place)
    assert made["properties"]["area_m2"] == pytest.approx(total, rel=1e-3, abs=1e-3)  # pyproj's digits end there


@settings(max_examples=60, deadline=None)
@given(places, st.integers(0, 10_000), st.integers(0, 50), st.integers(0, 50))
def test_masks_come_back_exactly(place, seed, column, row) -> None:
    mask = np.random.default_rng(seed).random((9, 12)) < 0.5
    mask[4, 4] = True
    made = feature(mask_to_polygon(mask, (column, row)), place, label="water")
    assert shape(made["geometry"]).is_valid
    np.testing.assert_array_equal(polygon_to_mask(feature_to_pixels(made, place), (column, row, 12, 9)), mask)


def test_areas_of_known_places() -> None:
    place = Place(tuple(UTM)[:6], pyproj.CRS("EPSG:26914"), (50, 50))
    assert feature(box(0, 0, 100, 100), place)["properties"]["area_m2"] == pytest.approx(250_000, rel=2e-3)
    world = Place((1.0, 0, -180, 0, -1.0, 90), pyproj.CRS("EPSG:4326"), (180, 90))
    assert feature(box(0, 0, 360, 180), world)["properties"]["area_m2"] == pytest.approx(5.1007e14, rel=1e-3)
    ring = feature(box(0, 80, 360, 100), world)["properties"]["area_m2"]
    sine, root = np.sin(np.radians(10)), GEOD.es**0.5  # the closed form of a zone of the ellipsoid
    zone = sine / (1 - GEOD.es * sine**2) + np.log((1 + root * sine) / (1 - root * sine)) / (2 * root)
    assert ring == pytest.approx(2 * np.pi * GEOD.b**2 * zone, rel=1e-3)


def test_the_antimeridian_is_cut_and_healed() -> None:
    place = Place((0.01, 0, 179.5, 0, -0.01, 10), pyproj.CRS("EPSG:4326"), (50, 50))
    made = feature(box(10, 10, 90, 60), place)
    assert made["geometry"]["type"] == "MultiPolygon"
    geometry = shape(made["geometry"])
    assert geometry.is_valid and geometry.bounds[0] == -180 and geometry.bounds[2] == 180
    whole = Place((0.01, 0, 9.5, 0, -0.01, 10), pyproj.CRS("EPSG:4326"), (50, 50))
    expected = feature(box(10, 10, 90, 60), whole)["properties"]["area_m2"]
    assert made["properties"]["area_m2"] == pytest.approx(expected, rel=1e-4)
    assert polygon_to_region(feature_to_pixels(made, place), "").box == pytest.approx((10, 10, 90, 60), abs=1e-3)


def test_a_window_over_the_pole_holds_the_pole() -> None:
    place = Place((1000, 0, -500_000, 0, -1000, 500_000), pyproj.CRS("EPSG:3413"), (500, 500))
    made = window_feature((0, 0, 1000, 1000), place)
    geometry = shape(made["geometry"])
    assert geometry.is_valid and geometry.bounds[3] == 90 and geometry.contains(shapely.Point(10, 89))
    assert made["properties"]["area_m2"] == pytest.approx(1e12 / 0.97**2, rel=0.03)


def test_geostationary_scenes() -> None:
    place = Place((20000, 0, -5_440_000, 0, -20000, 5_440_000), pyproj.CRS(GEOS), (272, 272))
    assert not np.isfinite(place.to_lonlat([(0, 0)])).any()
    with pytest.raises(BadInput, match="off the Earth"):
        feature(box(0, 0, 50, 50), place)
    with pytest.raises(BadInput, match="off the Earth"):
        window_feature((0, 0, 20, 20), place)
    disc = shape(window_feature((0, 0, 544, 544), place)["geometry"])
    assert disc.is_valid and disc.contains(shapely.Point(-75, 0)) and 130 < disc.bounds[2] - disc.bounds[0] < 163
    assert feature(box(260, 260, 280, 280), place)["properties"]["area_m2"] > 1e9


def test_source_coordinates_on_request() -> None:
    place = Place(tuple(UTM)[:6], pyproj.CRS("EPSG:26914"), (50, 50))
    source = feature(box(0, 0, 10, 20), place, source=True)["properties"]["source"]
    assert source["crs"] == "EPSG:26914"
    assert shape(source["geometry"]).bounds == (485900, 5209247 - 100, 485950, 5209247)
    assert "source" not in feature(box(0, 0, 10, 20), place)["properties"]


def test_without_a_place_pixels_stay() -> None:
    made = region_feature(Region(label="a", box=(1, 2, 3, 5)), None)
    assert made["properties"]["crs"] is None and made["properties"]["area_px"] == 6
    assert polygon_to_region(feature_to_pixels(made, None), "a").box == (1, 2, 3, 5)
    assert feature_collection([made])["type"] == "FeatureCollection"


def test_broken_shapes() -> None:
    bow = Region(label="x", box=(0, 0, 10, 10), polygon=((0, 0), (10, 10), (10, 0), (0, 10)))
    assert region_polygon(bow).is_valid and region_polygon(bow).area == 50
    for box_ in [(1, 1, 1, 5), (float("nan"), 0, 1, 1)]:
        with pytest.raises(BadInput):
            region_polygon(Region(label="x", box=box_))
    with pytest.raises(BadInput):
        region_polygon(Region(label="x", box=(0, 0, 1, 1), polygon=((0, 0), (1, 1))))
    with pytest.raises(BadInput):
        mask_to_polygon(np.zeros((4, 4), bool))


def test_turned_boxes_turn_counter_clockwise_on_screen() -> None:
    ring = np.asarray(region_polygon(Region(label="x", box=(0, 4, 10, 6), angle=30)).exterior.coords)
    right = ring[ring[:, 0].argmax()]
    assert right[1] < 5  # y runs down: the right end has gone up


def test_scenes_with_rotated_grids_open(tmp_path: Path) -> None:
    turned = Affine.translation(485900, 5209247) @ Affine.rotation(30) @ Affine.shear(10) @ Affine.scale(5, -5)
    with open_scene(geotiff(tmp_path / "a.tif", transform=turned)) as scene:
        points = np.random.default_rng(0).random((100, 2)) * 60
        np.testing.assert_allclose(scene.lonlat_to_pixel(scene.pixel_to_lonlat(points)), points, atol=1e-5)
        assert scene.gsd_m == pytest.approx(5, rel=2e-2)


def test_odd_coordinate_systems_leave_pixels(tmp_path: Path) -> None:
    moon = "+proj=longlat +R=1737400 +no_defs"
    local = 'LOCAL_CS["site",UNIT["metre",1]]'
    for number, crs in enumerate((moon, local)):
        with open_scene(geotiff(tmp_path / f"{number}.tif", crs=crs)) as scene:
            assert scene.unplaced or scene.crs


@pytest.mark.parametrize(
    ("tags", "day"),
    [
        ({"TIFFTAG_DATETIME": "2019:07:04 10:00:00"}, "2019-07-04"),
        ({"TIFFTAG_DATETIME": "2019:07:04 10:00:00", "DATE_ACQUIRED": "2018-01-02"}, "2018-01-02"),
        ({"EXIF_DateTimeOriginal": "2020:13:40"}, None),
        ({"acquisition_date": "20210303"}, "2021-03-03"),
        ({"TIFFTAG_SOFTWARE": "2019-01-01"}, None),
    ],
)
def test_dates(tags, day) -> None:
    assert date_from_tags(tags) == day


def test_geodesic_area_takes_holes_out() -> None:
    hole = shapely.Polygon(box(0, 0, 2, 2).exterior.coords, [box(0.5, 0.5, 1.5, 1.5).exterior.coords])
    assert geodesic_area(hole) == pytest.approx(geodesic_area(box(0, 0, 2, 2)) - geodesic_area(box(0.5, 0.5, 1.5, 1.5)))
