"""Georeferencing: from pixel (column, row) to longitude and latitude, and back.

Pixel (0, 0) is the outer corner of the top-left pixel; (0.5, 0.5) its centre. Longitude and latitude are WGS 84
degrees, longitude first (RFC 7946).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsvlm.errors import BadInput, missing_extra

try:
    import pyproj
    from pyproj.exceptions import CRSError, ProjError
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("pyproj", "geo") from error

Floats = NDArray[np.float64]
Transform = tuple[float, float, float, float, float, float]
GEOD = pyproj.Geod(ellps="WGS84")
_FARTHEST = 1e12  # of a ground control point from the origin, in pixels or units of its CRS; false for NaN
_MAX_GCP_MISFIT = 1.0  # pixels; a worse fit means that the scene needs warping, not an affine


@dataclass(frozen=True)
class Place:
    """An affine transform (a, b, c, d, e, f: x = a*col + b*row + c, y = d*col + e*row + f) into a CRS.

    `crs` is a pyproj CRS that PROJ can bring to longitude and latitude (ProjError otherwise), `middle` the middle of
    the scene in pixels. Build one with `find_place`.
    """

    transform: Transform
    crs: Any
    middle: tuple[float, float]

    def __post_init__(self) -> None:
        if self.crs.is_engineering:
            raise CRSError("a local system that is not tied to the Earth")
        if self.crs.is_geocentric or self.crs.is_vertical:
            raise CRSError("a geocentric or vertical system, which has no map coordinates")
        _ = self._transformer

    @cached_property
    def _transformer(self) -> Any:
        return pyproj.Transformer.from_crs(self.crs, "OGC:CRS84", always_xy=True)

    @cached_property
    def crs_name(self) -> str:
        """ "EPSG:<code>" where the CRS has one, else its WKT."""
        code = self.crs.to_epsg(min_confidence=90)
        return f"EPSG:{code}" if code else self.crs.to_wkt()

    def to_crs(self, points: ArrayLike) -> Floats:
        """Pixels (N, 2) as (column, row) -> coordinates (N, 2) in the CRS, x (easting, longitude) first."""
        a, b, c, d, e, f = self.transform
        xy = np.asarray(points, np.float64).reshape(-1, 2)
        return np.stack([a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f], axis=1)

    def from_crs(self, coords: ArrayLike) -> Floats:
        """Coordinates (N, 2) in the CRS -> pixels (N, 2)."""
        a, b, c, d, e, f = self.transform
        xy = np.asarray(coords, np.float64).reshape(-1, 2)
        x, y, det = xy[:, 0] - c, xy[:, 1] - f, a * e - b * d
        return np.stack([(e * x - b * y) / det, (a * y - d * x) / det], axis=1)

    def to_lonlat(self, points: ArrayLike) -> Floats:
        """Pixels (N, 2) -> degrees (N, 2), longitude in [-180, 180] first; inf where a pixel lies off the Earth."""
        coords = self.to_crs(points)
        lon, lat = self._transformer.transform(coords[:, 0], coords[:, 1])
        off = ~(np.isfinite(lon) & np.isfinite(lat)) | (np.abs(lat) > 90 + 1e-9)
        # Only values outside are wrapped: the arithmetic costs the last digits, and -180 must stay -180.
        lon = np.where(np.abs(lon) > 180, (np.where(off, 0.0, lon) + 180) % 360 - 180, lon)
        return np.where(off[:, None], np.inf, np.stack([lon, np.clip(lat, -90, 90)], axis=1))

    def to_pixel(self, lonlat: ArrayLike) -> Floats:
        """Degrees (N, 2), longitude first -> pixels (N, 2); inf where the CRS cannot show the place."""
        degrees = np.asarray(lonlat, np.float64).reshape(-1, 2)
        x, y = self._transformer.transform(degrees[:, 0], degrees[:, 1], direction="INVERSE")
        if self.crs.is_geographic:
            # A scene may run past 180 degrees, or count from 0 to 360: take the turn that lies nearest to its middle.
            turn = 2 * np.pi / self.crs.axis_info[0].unit_conversion_factor
            middle = self.to_crs([self.middle])[0, 0]
            x = x - turn * np.rint((x - middle) / turn)
        with np.errstate(invalid="ignore"):
            pixels = self.from_crs(np.stack([x, y], axis=1))
        return np.where(np.isfinite(pixels).all(axis=1, keepdims=True), pixels, np.inf)


def find_place(dataset: Any) -> tuple[Place | None, str]:
    """(place, "") of an open rasterio dataset; or (None, reason), the reason as half a sentence.

    From its transform and CRS, else from its ground control points where an affine fits them to a pixel. Raises
    BadInput where the transform is not finite or has no inverse.
    """
    transform: Transform = tuple(float(value) for value in tuple(dataset.transform)[:6])  # type: ignore[assignment]
    crs, gcps = dataset.crs, dataset.gcps
    if dataset.transform.is_identity and gcps[0]:
        crs = gcps[1] or crs
        fitted, misfit = fit_gcps(gcps[0], x_period=360.0 if crs and crs.is_geographic else None)
        if fitted is None or misfit > _MAX_GCP_MISFIT:
            off = f" (off by {misfit:.1f} pixels)" if fitted else ""
            return None, (
                f"its {len(gcps[0])} ground control points do not lie on one affine map{off}; "
                f"warp it first with gdalwarp -tps"
            )
        transform = fitted
    elif dataset.transform.is_identity:
        rpc = " but only RPCs; orthorectify it first with gdalwarp -rpc" if dataset.rpcs else ""
        return None, f"it has no geotransform{rpc}"
    if not crs:
        _ = _check_invertible(transform, dataset.name)
        return None, "it has no coordinate reference system; set one with gdal_edit -a_srs"
    middle = (dataset.width / 2, dataset.height / 2)
    _ = _check_invertible(transform, dataset.name)
    try:
        place = Place(transform, pyproj.CRS.from_user_input(crs.to_wkt()).to_2d(), middle)
        corners = [(x, y) for x in (0, dataset.width) for y in (0, dataset.height)]
        if np.isfinite(place.to_lonlat([middle, *corners])).any():
            return place, ""
        x, y = place.to_crs([middle])[0]
        return None, (
            f"its coordinates ({x:.0f}, {y:.0f} in the middle) lie off the Earth in {place.crs_name:.60}; "
            f"set its true coordinate reference system with gdal_edit -a_srs"
        )
    except CRSError as error:
        return None, f"its coordinate reference system is not understood ({str(error).splitlines()[0]:.120})"
    except ProjError as error:
        return None, f"its coordinates cannot be brought to longitude and latitude ({str(error).splitlines()[0]:.120})"


def fit_gcps(gcps: Any, *, x_period: float | None = None) -> tuple[Transform | None, float]:
    """The affine that fits rasterio ground control points best, and its worst miss in pixels; None where there is none.

    That is under three points, points on one line (of the picture or of the map), and numbers that are not finite.
    `x_period`: the period of x (360 for degrees of longitude); points on both sides of 180 degrees are unwrapped first.
    """
    pixels = np.array([(point.col, point.row) for point in gcps], np.float64).reshape(-1, 2)
    coords = np.array([(point.x, point.y) for point in gcps], np.float64).reshape(-1, 2)
    if len(pixels) < 3 or not (np.abs(pixels) < _FARTHEST).all() or not (np.abs(coords) < _FARTHEST).all():
        return None, float("inf")
    if x_period and np.ptp(coords[:, 0]) > x_period / 2:
        coords[:, 0] %= x_period
    origin = coords.mean(axis=0)  # large eastings cost digits in the normal equations
    left = np.column_stack([pixels, np.ones(len(pixels))])
    solved, _, rank, _ = np.linalg.lstsq(left, coords - origin, rcond=None)
    (a, d), (b, e), (c, f) = solved
    if rank < 3 or abs(a * e - b * d) <= 1e-12 * np.abs(solved[:2]).max() ** 2:
        return None, float("inf")
    miss = np.linalg.solve(np.array([[a, b], [d, e]]), (left @ solved - (coords - origin)).T)
    return (float(a), float(b), float(c + origin[0]), float(d), float(e), float(f + origin[1])), float(
        np.hypot(*miss).max()
    )


def _check_invertible(transform: Transform, where: str) -> Transform:
    a, b, _, d, e, _ = transform
    scale = max(abs(a), abs(b), abs(d), abs(e))
    if not np.isfinite(transform).all() or abs(a * e - b * d) <= 1e-12 * scale * scale:
        raise BadInput(
            f"The geotransform {transform} of {where} has no inverse (NaN, infinite or flat); set a right one with "
            f"gdal_edit -a_ullr, or strip it with gdal_edit -unsetgt."
        )
    return transform
