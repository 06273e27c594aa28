"""Conversion between pixel geometries (boxes, rotated boxes, polygons, masks) and GeoJSON.

GeoJSON output: RFC 7946 features in longitude, latitude (WGS 84), valid rings, outer ones counter-clockwise, cut at the
antimeridian, with the geodesic `area_m2`. Edges that are straight in the image but curved on the map get extra points.
A scene without a place keeps pixel coordinates and says so with `"crs": null` in the properties.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput, missing_extra
from rsvlm.geo.earth_shapes import clip_to_earth, make_polygonal, oriented, to_lonlat
from rsvlm.geo.geodesy import geodesic_area
from rsvlm.geo.place import Floats, Place
from rsvlm.geo.tiles import Window
from rsvlm.sample import Region

try:
    import shapely
    from shapely import affinity
    from shapely.geometry import MultiPolygon, Polygon, box, mapping, shape
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("shapely", "geo") from error

Feature = dict[str, Any]
_DECIMALS = 11  # of a degree: 0.001 mm


def region_polygon(region: Region) -> Any:
    """The shapely Polygon of a region in pixels: its polygon where it has one, else its box rotated by its angle.

    Raises BadInput for a region without area.
    """
    if region.polygon:
        return make_polygonal(Polygon(region.polygon) if len(region.polygon) > 2 else Polygon(), region.label)
    if not np.isfinite(region.box).all():
        raise BadInput(f"The box {region.box} of {region.label!r} is not finite; give pixels inside the scene.")
    flat = box(*region.box)
    # Shapely turns counter-clockwise with y up; on screen y is down, so the sign changes.
    return make_polygonal(affinity.rotate(flat, -region.angle, "center") if region.angle else flat, region.label)


def mask_to_polygon(mask: NDArray[Any], offset: tuple[int, int] = (0, 0)) -> Any:
    """The True pixels of a mask (H, W) as one shapely geometry along the pixel edges, holes kept.

    `offset` is (column, row) of the mask within the scene. Raises BadInput for an empty mask.
    """
    from rasterio.features import shapes

    bits = np.ascontiguousarray(np.asarray(mask) != 0).astype(np.uint8)
    parts: list[Any] = [shape(found) for found, value in shapes(bits, mask=bits.astype(bool)) if value]
    merged = affinity.translate(MultiPolygon(parts) if len(parts) != 1 else parts[0], *offset)
    return make_polygonal(merged, "mask")


def polygon_to_mask(geometry: Any, window: Window) -> NDArray[np.bool_]:
    """The mask (H, W) of a pixel geometry within a window: True where a pixel's centre lies inside."""
    from rasterio.features import rasterize

    column, row, width, height = window
    if geometry.is_empty:
        return np.zeros((height, width), bool)
    moved = affinity.translate(geometry, -column, -row)
    return np.asarray(rasterize([(moved, 1)], out_shape=(height, width), dtype="uint8"), bool)


def feature(geometry: Any, place: Place | None, *, source: bool = False, **properties: Any) -> Feature:
    """A pixel geometry (shapely Polygon or MultiPolygon) as a GeoJSON Feature with `area_m2` among its properties.

    `source` adds `properties["source"]`: the same shape in the coordinates of the scene, with their CRS. Without a
    place the coordinates stay pixels, `crs` is None and the area is `area_px`. Raises BadInput where the shape has no
    area or lies off the Earth.
    """
    geometry = make_polygonal(geometry, str(properties.get("label", "shape")))
    if place is None:
        made = oriented(geometry)
        return _make_feature(made, {**properties, "crs": None, "area_px": float(geometry.area)})
    lonlat = to_lonlat(geometry, place)
    extra: dict[str, Any] = {"area_m2": geodesic_area(lonlat)}
    if source:
        inside = oriented(shapely.transform(geometry, place.to_crs))
        extra["source"] = {"crs": place.crs_name, "geometry": _to_lists(mapping(inside))}
    return _make_feature(lonlat, {**properties, **extra})


def region_feature(region: Region, place: Place | None, *, source: bool = False) -> Feature:
    """A region of a scene as a Feature, with `label`, `score` and its `box_px` (and `angle`) among the properties."""
    properties: dict[str, Any] = {"label": region.label, "score": region.score, "box_px": list(region.box)}
    if region.angle:
        properties["angle"] = region.angle
    return feature(region_polygon(region), place, source=source, **properties)


def window_feature(window: Window, place: Place | None, **properties: Any) -> Feature:
    """A window of a scene as a Feature; where part of it lies off the Earth (geostationary scenes), the part on it."""
    column, row, width, height = window
    flat = box(column, row, column + width, row + height)
    if place is not None:
        flat = clip_to_earth(flat, place)
    return feature(flat, place, window=list(window), **properties)


def feature_collection(features: Iterable[Mapping[str, Any]]) -> Feature:
    """A GeoJSON FeatureCollection."""
    return {"type": "FeatureCollection", "features": [dict(one) for one in features]}


def feature_to_pixels(geojson: Mapping[str, Any], place: Place | None) -> Any:
    """The shapely pixel geometry of a Feature made here or elsewhere (Polygon or MultiPolygon, longitude and latitude).

    Raises BadInput where it is not polygonal or the scene's CRS cannot show it.
    """
    geometry = shape(geojson["geometry"])
    if not isinstance(geometry, Polygon | MultiPolygon):
        raise BadInput(f"A {geometry.geom_type} is not a region; give a Polygon or a MultiPolygon.")
    if place is not None:
        pixels = shapely.transform(geometry, place.to_pixel)
        if not np.isfinite(shapely.get_coordinates(pixels)).all():
            raise BadInput(
                "The shape lies outside what the scene's coordinate system can show; choose one nearer to it."
            )
        geometry = shapely.union_all(pixels) if isinstance(pixels, MultiPolygon) and not pixels.is_valid else pixels
        if isinstance(geometry, MultiPolygon):  # halves cut at the antimeridian meet again
            geometry = geometry.buffer(1e-6, join_style="mitre").buffer(-1e-6, join_style="mitre")
    return geometry


def polygon_to_region(geometry: Any, label: str, score: float | None = None, *, tolerance: float = 1e-3) -> Region:
    """A pixel geometry as a Region; `tolerance` in pixels decides what still counts as a (rotated) box."""
    geometry = make_polygonal(geometry, label)
    x1, y1, x2, y2 = (float(value) for value in geometry.bounds)
    bounds = x1, y1, x2, y2
    if isinstance(geometry, MultiPolygon):
        geometry = geometry.convex_hull
    slack = tolerance * geometry.length
    if box(*bounds).area - geometry.area <= slack:
        return Region(label=label, box=bounds, score=score)
    turned = geometry.minimum_rotated_rectangle
    if turned.area - geometry.area <= slack:
        flat, angle = _unrotate(np.asarray(turned.exterior.coords)[:4])
        return Region(label=label, box=flat, angle=angle, score=score)
    ring = tuple((float(x), float(y)) for x, y in geometry.exterior.coords[:-1])
    return Region(label=label, box=bounds, polygon=ring, score=score)


def _unrotate(corners: Floats) -> tuple[tuple[float, float, float, float], float]:
    """Four corners of a rotated rectangle -> the axis-aligned box and its angle in degrees, in (-45, 45]."""
    across, down = corners[1] - corners[0], corners[2] - corners[1]
    angle = float(np.degrees(np.arctan2(-across[1], across[0])))
    width, height = float(np.hypot(*across)), float(np.hypot(*down))
    quarter = int(np.ceil((angle - 45) / 90))
    if quarter % 2:
        width, height = height, width
    x, y = (float(value) for value in corners.mean(axis=0))
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), angle - 90 * quarter


def _make_feature(geometry: Any, properties: dict[str, Any]) -> Feature:
    rounded = shapely.transform(geometry, lambda points: np.round(points, _DECIMALS))
    made = rounded if rounded.is_valid else oriented(make_polygonal(rounded, "shape"))
    return {"type": "Feature", "geometry": _to_lists(mapping(made)), "properties": properties}


def _to_lists(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Shapely's tuples as the lists that JSON gives back."""

    def lists(value: Any) -> Any:
        return [lists(item) for item in value] if isinstance(value, tuple | list) else float(value)

    return {"type": geometry["type"], "coordinates": lists(geometry["coordinates"])}
