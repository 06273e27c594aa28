"""A user's words about place, time and resolution as the conditions of an archive, and what cannot be meant."""

import json
from datetime import UTC, date, datetime

import pytest
import shapely

from rsvlm.errors import BadInput
from rsvlm.serve.archive_filters import Where, notes, read_boxes, read_gsd, read_polygon, read_time, swapped, together

SQUARE = [[[10, 50], [11, 50], [11, 51], [10, 51], [10, 50]]]


def polygon(path, value):
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.mark.parametrize(
    ("given", "boxes"),
    [
        ("-122.5,37.7, -122.3,37.8", [(-122.5, 37.7, -122.3, 37.8)]),
        ((170, -20, -170, -10), [(170, -20, 180, -10), (-180, -20, -170, -10)]),
        ((170, -20, 190, -10), [(170, -20, 180, -10), (-180, -20, -170, -10)]),
        ((-190, -20, -170, -10), [(170, -20, 180, -10), (-180, -20, -170, -10)]),
        ((190, -20, 200, -10), [(-170, -20, -160, -10)]),
        ((180, 0, -170, 1), [(-180, 0, -170, 1)]),
        ((170, 0, 180, 1), [(170, 0, 180, 1)]),
        ((-180, 60, 180, 90), [(-180, 60, 180, 90)]),
        ((0, -90, 360, -60), [(-180, -90, 180, -60)]),
        ((150, 80, -100, 90), [(150, 80, 180, 90), (-180, 80, -100, 90)]),
    ],
)
def test_boxes_at_the_antimeridian_and_the_poles(given, boxes):
    assert read_boxes(given) == tuple(boxes)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("1,2,3", "The box '1,2,3' is not 4 numbers; expected west,south,east,north"),
        ("1,2,x,3", "is not 4 numbers"),
        ("1,2,nan,3", "is not 4 numbers"),
        ("47.1,-122.5,47.2,-122.3", "seems to have latitude first; expected -122.5,47.1,-122.3,47.2, longitude first"),
        ("485900,5200000,486000,5209247", "latitudes beyond 90 degrees; expected west,south,east,north in degrees"),
        ("400,10,410,20", "longitudes beyond 360"),
        ("10,51,11,50", r"no extent from south \(51\) to north \(50\)"),
        ("10,50,10,51", "no extent"),
    ],
)
def test_boxes_that_are_none(given, says):
    with pytest.raises(BadInput, match=says):
        read_boxes(given)


def test_a_polygon_file_of_any_kind_of_geojson(tmp_path):
    plain = {"type": "Polygon", "coordinates": SQUARE}
    feature = {"type": "Feature", "properties": {}, "geometry": plain}
    other = {"type": "MultiPolygon", "coordinates": [[[[20, 5, 7], [21, 5, 7], [21, 6, 7], [20, 5, 7]]]]}
    shapes = (plain, other, {"type": "Point", "coordinates": [0, 0]}, None)
    more = {"type": "FeatureCollection", "features": [{**feature, "geometry": one} for one in shapes]}
    for value, area in (
        (plain, 1), (feature, 1), (more, 1.5), ({"type": "GeometryCollection", "geometries": [plain, other]}, 1.5)
    ):  # fmt: skip
        found = read_polygon(polygon(tmp_path / "a.geojson", value))
        assert found.area == pytest.approx(area) and not found.has_z
    old = {**feature, "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}}
    assert read_polygon(old).bounds == (10, 50, 11, 51)
    tie = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    assert read_polygon(tie).is_valid and read_polygon(tie).area == pytest.approx(0.5)
    across = {"type": "Polygon", "coordinates": [[[179, 0], [181, 0], [181, 1], [179, 1], [179, 0]]]}
    assert sorted(part.bounds for part in read_polygon(across).geoms) == [(-180, 0, -179, 1), (179, 0, 180, 1)]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, "holds LineString; expected a GeoJSON Polygon"),
        ({"type": "FeatureCollection", "features": []}, "holds no geometry; expected"),
        ({"type": "Polygon", "coordinates": [[[485900, 5200000], [486000, 5200000], [486000, 5209247]]]},
         "y 5.2e.06 to 5.20925e.06: it is not in degrees but in another coordinate system.*ogr2ogr"),
        ({"type": "Polygon", "coordinates": [[[47, -122], [48, -122], [48, -121]]]}, "seems to have latitude first"),
        ({"type": "Polygon", "coordinates": SQUARE, "crs": {"properties": {"name": "urn:ogc:def:crs:EPSG::32614"}}},
         "is in urn:ogc:def:crs:EPSG::32614; expected WGS 84 degrees"),
        ({"type": "Polygon", "coordinates": [[[1, "a"], [2, 3]]]}, "is not valid GeoJSON"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}, "no area|is not valid GeoJSON"),
        ("PK\x03\x04", "is not valid JSON.*expected a GeoJSON file with a polygon.*ogr2ogr"),
        ("[1]", "holds a list"),
    ],
)  # fmt: skip
def test_files_that_hold_no_polygon(tmp_path, value, says):
    with pytest.raises(BadInput, match=says):
        read_polygon(polygon(tmp_path / "a.geojson", value))


def test_a_file_that_is_not_there():
    with pytest.raises(BadInput, match=r"gone.geojson cannot be read \(No such file"):
        read_polygon("gone.geojson")


def test_days_months_and_years_are_included_whole():
    def at(*parts):
        return datetime(*parts, tzinfo=UTC)

    assert read_time("2024") == at(2024, 1, 1) and read_time("2024-02", last=True).date() == date(2024, 2, 29)
    assert read_time("2024-05-31", last=True) == at(2024, 5, 31, 23, 59, 59, 999999)
    assert read_time(date(2023, 1, 2)) == at(2023, 1, 2) and read_time(datetime(2023, 1, 2, 3)) == at(2023, 1, 2, 3)
    assert read_time("2024-05-31T12:00:00Z", last=True) == at(2024, 5, 31, 12) and read_time(None) is None
    for bad in ("yesterday", "2024-13", "2024-02-30", "31.5.2024", "", "0000"):
        with pytest.raises(BadInput, match="is no date; expected a day"):
            read_time(bad)
    with pytest.raises(BadInput, match="The dates run from 2024 to 2023, which is backwards"):
        Where(start="2024", end="2023").conditions()


def test_ranges_of_resolution():
    assert read_gsd("0.3,1") == (0.3, 1) and read_gsd(",1") == (0, 1) and read_gsd((10, float("inf")))[0] == 10
    assert read_gsd("10,") == (10, float("inf"))
    for bad in ("1", "1,0.5", "-1,2", "a,b", "0,0", "1,2,3", "nan,1", ("inf", "inf")):
        with pytest.raises(BadInput, match="expected least,most in metres per pixel"):
            read_gsd(bad)


def test_conditions_have_names_and_hold_together(tmp_path):
    area = polygon(tmp_path / "a.geojson", {"type": "Polygon", "coordinates": SQUARE})
    where = Where(bbox="1,2,3,4", polygon=area, start="2020", end="2021-06", gsd=(0, 1), sensors=["S2", "L8"],
                  scenes=["a.tif"])  # fmt: skip
    found = where.conditions()
    assert list(found) == [
        "the box 1,2,3,4", f"the polygon of {area}", "dates from 2020 to 2021-06", "0 to 1 m per pixel",
        "the sensor S2 or L8", "the scene a.tif",
    ]  # fmt: skip
    whole = together([*found.values()])
    assert whole.boxes == ((1, 2, 3, 4),) and whole.start.year == 2020 and whole.gsd == (0, 1)
    assert whole.sensors == ("S2", "L8") and shapely.from_wkb(whole.polygon).area == 1
    (scenes,) = Where(scenes=[str(area.parent / "b" / ".." / "a.tif")]).conditions().values()
    assert str(tmp_path.resolve() / "a.tif") in scenes.scenes
    assert Where().conditions() == {} and notes(found) == []
    assert [*Where(start="2020").conditions()] == ["dates from 2020"]


def test_what_may_be_a_mistake_is_said():
    (said,) = notes(Where(bbox="-122.3,37,-122.5,38").conditions())
    assert said.startswith("The box -122.3,37,-122.5,38 is 359.8 degrees wide: the long way round")
    assert notes(Where(bbox="170,-20,-170,-10").conditions()) == []
    turned = swapped(Where(bbox="47,12,48,13").conditions()["the box 47,12,48,13"])
    assert turned.boxes == ((12, 47, 13, 48),)
    assert swapped(Where(bbox="100,12,101,13").conditions()["the box 100,12,101,13"]) is None
