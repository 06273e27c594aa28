"""Ground sampling distance (metres per pixel), geodesic areas, and the acquisition date from metadata tags."""

import re
from collections.abc import Mapping
from datetime import date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsvlm.errors import missing_extra
from rsvlm.geo.place import GEOD, Place

try:
    import shapely
    from shapely.geometry.polygon import orient
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("shapely", "geo") from error

# Where products write the time of acquisition, most telling first; TIFFTAG_DATETIME is often only that of the file.
_DATE_TAGS = (
    "acquisitiondatetime", "date_acquired", "acquisition_date", "acquisition_datetime", "product_start_time",
    "sensing_time", "datatake_1_datatake_sensing_start", "datetime_original", "exif_datetimeoriginal", "datetime",
    "exif_datetime", "tifftag_datetime",
)  # fmt: skip
_PLANAR_LIMIT = 0.01  # degrees: under about a kilometre a shape is flat to one part in a million
_DATE = re.compile(r"((?:19|20)\d\d)[-:/]?(\d\d)[-:/]?(\d\d)")


def ground_sampling_distance(place: Place) -> float | None:
    """Metres a pixel at the middle of the scene, measured along the ellipsoid; None where that lies off the Earth.

    The square root of the area of a pixel, so that non-square pixels (degrees away from the equator) count right.
    """
    column, row = place.middle
    points = place.to_lonlat([(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)])
    if not np.isfinite(points).all():
        return None
    return abs(GEOD.polygon_area_perimeter(points[:, 0], points[:, 1])[0]) ** 0.5


def pixel_areas(place: Place, columns: ArrayLike, rows: ArrayLike, side: float = 1.0) -> NDArray[np.float64]:
    """Square metres (M, N) of a pixel at `columns` (N,) and `rows` (M,); NaN where a part of it lies off the Earth.

    Measured over a quadrangle of `side` x `side` pixels with its middle there, flat between its corners on the
    ellipsoid: within 1e-4 of the curved one up to 1.5 degrees.
    """
    middles = np.stack(np.meshgrid(np.asarray(columns, np.float64), np.asarray(rows, np.float64)), axis=-1)
    halves = side / 2 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    corners = [_on_ellipsoid(place.to_lonlat(middles + half)) for half in halves]
    with np.errstate(invalid="ignore"):
        crossed = np.cross(corners[2] - corners[0], corners[3] - corners[1])
    return (np.linalg.norm(crossed, axis=-1) / 2 / side**2).reshape(middles.shape[:2])


def _on_ellipsoid(lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees (N, 2) as metres (N, 3) from the middle of the Earth."""
    with np.errstate(invalid="ignore"):
        east, north = np.radians(lonlat).T
        normal = GEOD.a / np.sqrt(1 - GEOD.es * np.sin(north) ** 2)
        across = normal * np.cos(north)
        return np.stack([across * np.cos(east), across * np.sin(east), normal * (1 - GEOD.es) * np.sin(north)], axis=1)


def geodesic_area(geometry: Any) -> float:
    """Square metres of a shapely geometry in degrees (longitude, latitude) on the WGS 84 ellipsoid; holes taken out."""
    west, south, east, north = geometry.bounds
    if east - west > 120:  # the long way round is not a geodesic: measure in sectors
        cuts = np.linspace(west, east, 5)
        sectors = [geometry.intersection(shapely.box(a, south, b, north)) for a, b in pairwise(cuts)]
        return sum(geodesic_area(sector) for sector in sectors if not sector.is_empty)
    if max(east - west, north - south) < _PLANAR_LIMIT and max(abs(south), abs(north)) < 85:
        # The geodesic sum runs over trapezoids down to the equator and loses its digits under some square metres.
        return float(geometry.area) * _square_degree_area((south + north) / 2)
    polygons = [part for part in shapely.get_parts(geometry) if isinstance(part, shapely.Polygon)]
    return sum(abs(float(GEOD.geometry_area_perimeter(orient(part))[0])) for part in polygons)


def _square_degree_area(latitude: float) -> float:
    """Square metres of a square degree around a latitude: the two radii of curvature of the ellipsoid."""
    sine = np.sin(np.radians(latitude))
    shrink = 1 - GEOD.es * sine**2
    meridian, normal = GEOD.a * (1 - GEOD.es) / shrink**1.5, GEOD.a / np.sqrt(shrink)
    return float(meridian * normal * np.cos(np.radians(latitude)) * np.radians(1) ** 2)


def date_from_tags(tags: Mapping[str, str]) -> str | None:
    """The day of acquisition as YYYY-MM-DD from TIFF, EXIF or product tags; None where no tag tells one."""
    lower = {key.lower(): value for key, value in tags.items()}
    for name in _DATE_TAGS:
        if match := _DATE.match(lower.get(name, "").strip()):
            year, month, day = map(int, match.groups())
            try:
                found = date(year, month, day)
            except ValueError:
                continue
            if found <= datetime.now().date():
                return found.isoformat()
    return None
