"""Shapes between pixels and GeoJSON: boxes (straight and rotated), polygons and masks, there and back.

Out: RFC 7946 features in longitude, latitude (WGS 84), valid rings, outer ones counter-clockwise, cut at the
antimeridian, with the geodesic `area_m2`. Edges that are straight in the image but curved on the map get extra points.
A scene without a place keeps pixel coordinates and says so with `"crs": null` in the properties.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsvlm.errors import BadInput, missing_extra
from rsvlm.geo.geodesy import geodesic_area
from rsvlm.geo.place import GEOD, Floats, Place
from rsvlm.geo.tiles import Window
from rsvlm.sample import Region

try:
    import shapely
    from shapely import affinity
    from shapely.geometry import MultiPolygon, Polygon, box, mapping, shape
    from shapely.geometry.base import BaseGeometry
    from shapely.geometry.polygon import orient
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("shapely", "geo") from error

Feature = dict[str, Any]
_MOST_PARTS = 64  # pieces that one edge may be cut into
_DIGITS = 11  # of a degree: 0.001 mm


def outline(region: Region) -> Any:
    """The shapely Polygon of a region in pixels: its polygon where it has one, else its box turned by its angle.

    Raises BadInput for a region without area.
    """
    if region.polygon:
        return _areal(Polygon(region.polygon) if len(region.polygon) > 2 else Polygon(), region.label)
    if not np.isfinite(region.box).all():
        raise BadInput(f"The box {region.box} of {region.label!r} is not finite; give pixels inside the scene.")
    flat = box(*region.box)
    # Shapely turns counter-clockwise with y up; on screen y is down, so the sign changes.
    return _areal(affinity.rotate(flat, -region.angle, "center") if region.angle else flat, region.label)


def mask_outline(mask: NDArray[Any], offset: tuple[int, int] = (0, 0)) -> Any:
    """The True pixels of a mask (H, W) as one shapely geometry along the pixel edges, holes kept.

    `offset` is (column, row) of the mask within the scene. Raises BadInput for an empty mask.
    """
    from rasterio.features import shapes

    bits = np.ascontiguousarray(np.asarray(mask) != 0).astype(np.uint8)
    parts: list[Any] = [shape(found) for found, value in shapes(bits, mask=bits.astype(bool)) if value]
    merged = affinity.translate(MultiPolygon(parts) if len(parts) != 1 else parts[0], *offset)
    return _areal(merged, "mask")


def outline_mask(geometry: Any, window: Window) -> NDArray[np.bool_]:
    """The mask (H, W) of a pixel geometry within a window: True where a pixel's centre lies inside."""
    from rasterio.features import rasterize

    column, row, width, height = window
    moved = affinity.translate(geometry, -column, -row)
    return np.asarray(rasterize([(moved, 1)], out_shape=(height, width), dtype="uint8"), bool)


def feature(geometry: Any, place: Place | None, *, source: bool = False, **properties: Any) -> Feature:
    """A pixel geometry (shapely Polygon or MultiPolygon) as a GeoJSON Feature with `area_m2` among its properties.

    `source` adds `properties["source"]`: the same shape in the coordinates of the scene, with their CRS. Without a
    place the coordinates stay pixels, `crs` is None and the area is `area_px`. Raises BadInput where the shape has no
    area or lies off the Earth.
    """
    geometry = _areal(geometry, str(properties.get("label", "shape")))
    if place is None:
        made = _oriented(geometry)
        return _wrap(made, {**properties, "crs": None, "area_px": float(geometry.area)})
    lonlat = _to_lonlat(geometry, place)
    extra: dict[str, Any] = {"area_m2": geodesic_area(lonlat)}
    if source:
        inside = _oriented(shapely.transform(geometry, place.to_crs))
        extra["source"] = {"crs": place.crs_name, "geometry": _plain(mapping(inside))}
    return _wrap(lonlat, {**properties, **extra})


def region_feature(region: Region, place: Place | None, *, source: bool = False) -> Feature:
    """A region of a scene as a Feature, with `label`, `score` and its `box_px` (and `angle`) among the properties."""
    properties: dict[str, Any] = {"label": region.label, "score": region.score, "box_px": list(region.box)}
    if region.angle:
        properties["angle"] = region.angle
    return feature(outline(region), place, source=source, **properties)


def window_feature(window: Window, place: Place | None, **properties: Any) -> Feature:
    """A window of a scene as a Feature; where part of it lies off the Earth (geostationary scenes), the part on it."""
    column, row, width, height = window
    flat = box(column, row, column + width, row + height)
    if place is not None:
        flat = _on_earth(flat, place)
    return feature(flat, place, window=list(window), **properties)


def collection(features: Iterable[Mapping[str, Any]]) -> Feature:
    """A GeoJSON FeatureCollection."""
    return {"type": "FeatureCollection", "features": [dict(one) for one in features]}


def to_pixels(found: Mapping[str, Any], place: Place | None) -> Any:
    """The shapely pixel geometry of a Feature made here or elsewhere (Polygon or MultiPolygon, longitude and latitude).

    Raises BadInput where it is not polygonal or the scene's CRS cannot show it.
    """
    geometry = shape(found["geometry"])
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


def to_region(found: Mapping[str, Any], place: Place | None) -> Region:
    """A Feature back as a Region in pixels: a box where it is one (turned or not), else a polygon (holes dropped)."""
    properties = found.get("properties") or {}
    return shape_region(to_pixels(found, place), str(properties.get("label", "")), properties.get("score"))


def shape_region(geometry: Any, label: str, score: float | None = None, *, tolerance: float = 1e-3) -> Region:
    """A pixel geometry as a Region; `tolerance` in pixels decides what still counts as a box."""
    geometry = _areal(geometry, label)
    x1, y1, x2, y2 = (float(value) for value in geometry.bounds)
    bounds = x1, y1, x2, y2
    if isinstance(geometry, MultiPolygon):
        geometry = geometry.convex_hull
    slack = tolerance * geometry.length
    if box(*bounds).area - geometry.area <= slack:
        return Region(label=label, box=bounds, score=score)
    turned = geometry.minimum_rotated_rectangle
    if turned.area - geometry.area <= slack:
        flat, angle = _unturned(np.asarray(turned.exterior.coords)[:4])
        return Region(label=label, box=flat, angle=angle, score=score)
    ring = tuple((float(x), float(y)) for x, y in geometry.exterior.coords[:-1])
    return Region(label=label, box=bounds, polygon=ring, score=score)


def _unturned(corners: Floats) -> tuple[tuple[float, float, float, float], float]:
    """Four corners of a rectangle -> the box before it was turned, and the angle in (-45, 45]."""
    across, down = corners[1] - corners[0], corners[2] - corners[1]
    angle = float(np.degrees(np.arctan2(-across[1], across[0])))
    width, height = float(np.hypot(*across)), float(np.hypot(*down))
    quarter = int(np.ceil((angle - 45) / 90))
    if quarter % 2:
        width, height = height, width
    x, y = (float(value) for value in corners.mean(axis=0))
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2), angle - 90 * quarter


# -- pixels to the Earth -----------------------------------------------------------------------------------------------


def _areal(geometry: BaseGeometry, label: str) -> Any:
    """The geometry made valid and polygonal; a bow tie becomes two triangles. BadInput where nothing is left."""
    coords = shapely.get_coordinates(geometry)
    if not np.isfinite(coords).all():
        raise BadInput(f"The region {label!r} has coordinates that are not finite; give pixels inside the scene.")
    if not geometry.is_valid:
        geometry = shapely.make_valid(geometry)
    if not isinstance(geometry, Polygon | MultiPolygon):
        pieces = [part for part in getattr(geometry, "geoms", ()) if isinstance(part, Polygon | MultiPolygon)]
        geometry = shapely.union_all(pieces) if pieces else Polygon()
    if geometry.is_empty or geometry.area <= 0:
        raise BadInput(
            f"The region {label!r} has no area (bounds {geometry.bounds or 'none'}); give at least 3 corners."
        )
    return geometry


def _parts(geometry: Any) -> list[Polygon]:
    return list(geometry.geoms) if isinstance(geometry, MultiPolygon) else [geometry]


def _to_lonlat(geometry: Any, place: Place) -> Any:
    tolerance = min(0.1, 1e-4 * geometry.area**0.5)
    made = []
    for part in _parts(geometry):
        outer = _unwrap(_ring(part.exterior.coords, place, tolerance), place, part)
        holes = [_near(_unwrap(_ring(hole.coords, place, tolerance), None, part), outer) for hole in part.interiors]
        made.append(_areal(Polygon(outer, holes), "shape"))
    whole = shapely.union_all(made) if len(made) > 1 else made[0]
    return _oriented(_cut(whole))


def _ring(coords: ArrayLike, place: Place, tolerance: float) -> Floats:
    """A closed pixel ring in degrees, edges cut until geodesics between points stay within `tolerance` pixels."""
    ring = np.asarray(coords, np.float64)[:, :2]
    start, step = ring[:-1], np.diff(ring, axis=0)
    parts = 1
    while True:
        share = np.arange(parts) / parts
        pixels = (start[:, None] + step[:, None] * share[None, :, None]).reshape(-1, 2)
        pixels = np.concatenate([pixels, ring[:1]])
        degrees = place.to_lonlat(pixels)
        if not np.isfinite(degrees).all():
            lost = int((~np.isfinite(degrees).all(axis=1)).sum())
            raise BadInput(
                f"{lost} of {len(degrees)} points of a shape lie off the Earth in the scene's projection; "
                f"choose a region inside the visible disc."
            )
        if parts >= _MOST_PARTS or _bent(pixels, degrees, place) <= tolerance:
            return degrees
        parts *= 2


def _bent(pixels: Floats, degrees: Floats, place: Place) -> float:
    """The farthest, in pixels, that the middle of a geodesic or of a straight line in degrees lies from its edge."""
    a, b = degrees[:-1], degrees[1:]
    turn = (b[:, 0] - a[:, 0] + 180) % 360 - 180
    if np.abs(b[:, 0] - a[:, 0]).max() > 60 and len(a) < 16:
        return np.inf  # a long way round the Earth: cut first, or its direction is not known
    azimuth, _, metres = GEOD.inv(a[:, 0], a[:, 1], b[:, 0], b[:, 1])
    lon, lat, _ = GEOD.fwd(a[:, 0], a[:, 1], azimuth, np.asarray(metres) / 2)
    straight = np.stack([a[:, 0] + turn / 2, (a[:, 1] + b[:, 1]) / 2], axis=1)
    middles = (pixels[:-1] + pixels[1:]) / 2
    with np.errstate(invalid="ignore"):
        off = [np.hypot(*(place.to_pixel(way) - middles).T) for way in (np.stack([lon, lat], axis=1), straight)]
    return float(np.nan_to_num(np.stack(off), nan=np.inf).max())


def _unwrap(ring: Floats, place: Place | None, part: Polygon) -> Floats:
    """Longitudes made continuous; a ring round a pole (where `place` is given) is closed along that pole."""
    ring = ring.copy()
    jumps = np.diff(ring[:, 0])
    ring[1:, 0] -= 360 * np.cumsum(np.rint(jumps / 360))
    around = ring[-1, 0] - ring[0, 0]
    if abs(around) < 180 or place is None:
        return ring
    pole = 90.0 if _holds(part, place, 90.0) else -90.0
    return np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])


def _holds(part: Polygon, place: Place, latitude: float) -> bool:
    at = place.to_pixel([(0.0, latitude)])[0]
    return bool(np.isfinite(at).all() and part.intersects(shapely.Point(at)))


def _near(hole: Floats, outer: Floats) -> Floats:
    """A hole moved by whole turns to where its outer ring is."""
    return hole - [360 * np.rint((hole[:, 0].mean() - outer[:, 0].mean()) / 360), 0]


def _cut(geometry: Any) -> Any:
    """Split where longitude passes 180 degrees, as RFC 7946 (3.1.9) asks, and bring every part into [-180, 180]."""
    west, _, east, _ = geometry.bounds
    if west >= -180 and east <= 180:
        return geometry
    pieces = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.ceil((east + 180) / 360))):
        piece = affinity.translate(geometry, -360 * turn).intersection(box(-180, -90, 180, 90))
        if piece.area > 0:
            pieces.append(_areal(piece, "shape"))
    return shapely.union_all(pieces)


def _on_earth(flat: Polygon, place: Place) -> Any:
    """The part of a pixel rectangle that lies on the Earth: its rim is drawn in towards a point there."""
    rim = np.asarray(shapely.segmentize(flat, max(flat.length / 256, 1.0)).exterior.coords)
    off = ~np.isfinite(place.to_lonlat(rim)).all(axis=1)
    if not off.any():
        return flat
    x0, y0, x1, y1 = flat.bounds
    columns, rows = np.meshgrid(np.linspace(x0, x1, 33), np.linspace(y0, y1, 33))
    inner = np.stack([columns.ravel(), rows.ravel()], axis=1)
    inner = inner[np.isfinite(place.to_lonlat(inner)).all(axis=1)]
    if not len(inner):
        raise BadInput("The window lies off the Earth in the scene's projection; choose one inside the visible disc.")
    middle = inner.mean(axis=0)  # the visible disc is convex, so its points' mean lies in it
    near, far = np.zeros(len(rim)), np.ones(len(rim))
    for _ in range(20):
        share = (near + far) / 2
        good = np.isfinite(place.to_lonlat(middle + share[:, None] * (rim - middle))).all(axis=1)
        near, far = np.where(good, share, near), np.where(good, far, share)
    # 0.999: at the very limb longitudes change by degrees a pixel.
    return _areal(Polygon(middle + np.where(off, 0.999 * near, 1.0)[:, None] * (rim - middle)), "window")


def _oriented(geometry: Any) -> Any:
    parts = [orient(part, 1.0) for part in _parts(geometry)]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _wrap(geometry: Any, properties: dict[str, Any]) -> Feature:
    rounded = shapely.transform(geometry, lambda points: np.round(points, _DIGITS))
    made = rounded if rounded.is_valid else _oriented(_areal(rounded, "shape"))
    return {"type": "Feature", "geometry": _plain(mapping(made)), "properties": properties}


def _plain(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Shapely's tuples as the lists that JSON gives back."""

    def lists(value: Any) -> Any:
        return [lists(item) for item in value] if isinstance(value, tuple | list) else float(value)

    return {"type": geometry["type"], "coordinates": lists(geometry["coordinates"])}
