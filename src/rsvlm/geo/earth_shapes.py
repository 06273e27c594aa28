"""Pixel geometries to geometries in longitude and latitude: valid, split at the antimeridian, closed along a pole.

A point off the Earth (the rim of a geostationary scene) raises BadInput. Source of the rules: RFC 7946.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rsvlm.errors import BadInput, missing_extra
from rsvlm.geo.place import GEOD, Floats, Place

try:
    import shapely
    from shapely import affinity
    from shapely.geometry import MultiPolygon, Polygon, box
    from shapely.geometry.base import BaseGeometry
    from shapely.geometry.polygon import orient
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("shapely", "geo") from error

_MAX_SUBDIVISIONS = 64  # pieces that one edge may be cut into


def make_polygonal(geometry: BaseGeometry, label: str) -> Any:
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


def polygons_of(geometry: Any) -> list[Polygon]:
    """The polygons that a polygon or multipolygon is made of."""
    return list(geometry.geoms) if isinstance(geometry, MultiPolygon) else [geometry]


def to_lonlat(geometry: Any, place: Place) -> Any:
    """A pixel geometry in degrees: edges densified to within 0.1 pixel or less, split at the antimeridian."""
    tolerance = min(0.1, 1e-4 * geometry.area**0.5)
    made = []
    for part in polygons_of(geometry):
        outer = _unwrap(_densify_ring(part.exterior.coords, place, tolerance), place, part)
        holes = [
            _align_hole(_unwrap(_densify_ring(hole.coords, place, tolerance), None, part), outer)
            for hole in part.interiors
        ]
        made.append(make_polygonal(Polygon(outer, holes), "shape"))
    whole = shapely.union_all(made) if len(made) > 1 else made[0]
    return oriented(split_at_antimeridian(whole))


def _densify_ring(coords: ArrayLike, place: Place, tolerance: float) -> Floats:
    """A closed pixel ring in degrees, edges subdivided until geodesics stay within `tolerance` pixels of them."""
    ring = np.asarray(coords, np.float64)[:, :2]
    start, step = ring[:-1], np.diff(ring, axis=0)
    cuts = 1
    while True:
        share = np.arange(cuts) / cuts
        pixels = (start[:, None] + step[:, None] * share[None, :, None]).reshape(-1, 2)
        pixels = np.concatenate([pixels, ring[:1]])
        degrees = place.to_lonlat(pixels)
        if not np.isfinite(degrees).all():
            lost = int((~np.isfinite(degrees).all(axis=1)).sum())
            raise BadInput(
                f"{lost} of {len(degrees)} points of a shape lie off the Earth in the scene's projection; "
                f"choose a region inside the visible disc."
            )
        if cuts >= _MAX_SUBDIVISIONS or _max_deviation(pixels, degrees, place) <= tolerance:
            return degrees
        cuts *= 2


def _max_deviation(pixels: Floats, degrees: Floats, place: Place) -> float:
    """Largest distance in pixels of an edge's midpoint from that of its geodesic or straight line in degrees."""
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
    pole = 90.0 if _contains_pole(part, place, 90.0) else -90.0
    return np.concatenate([ring, [[ring[-1, 0], pole], [ring[0, 0], pole], ring[0]]])


def _contains_pole(part: Polygon, place: Place, latitude: float) -> bool:
    """Whether a pixel polygon contains the pole at `latitude` 90 or -90."""
    at = place.to_pixel([(0.0, latitude)])[0]
    return bool(np.isfinite(at).all() and part.intersects(shapely.Point(at)))


def _align_hole(hole: Floats, outer: Floats) -> Floats:
    """A hole shifted by multiples of 360 degrees of longitude to lie within its outer ring."""
    return hole - [360 * np.rint((hole[:, 0].mean() - outer[:, 0].mean()) / 360), 0]


def split_at_antimeridian(geometry: Any) -> Any:
    """Split where longitude passes 180 degrees, as RFC 7946 (3.1.9) asks, and bring every part into [-180, 180]."""
    west, _, east, _ = geometry.bounds
    if west >= -180 and east <= 180:
        return geometry
    pieces = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.ceil((east + 180) / 360))):
        piece = affinity.translate(geometry, -360 * turn).intersection(box(-180, -90, 180, 90))
        if piece.area > 0:
            pieces.append(make_polygonal(piece, "shape"))
    return shapely.union_all(pieces)


def clip_to_earth(flat: Polygon, place: Place) -> Any:
    """The part of a pixel rectangle that lies on the Earth: its boundary is moved inwards. Raises BadInput."""
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
    return make_polygonal(Polygon(middle + np.where(off, 0.999 * near, 1.0)[:, None] * (rim - middle)), "window")


def oriented(geometry: Any) -> Any:
    """Outer rings counter-clockwise, holes clockwise, as RFC 7946 asks."""
    turned = [orient(part, 1.0) for part in polygons_of(geometry)]
    return turned[0] if len(turned) == 1 else MultiPolygon(turned)
