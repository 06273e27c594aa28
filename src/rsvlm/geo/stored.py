"""Stored values that need interpretation: fewer than 8 bits, MINISWHITE, fill values, alpha bands that hold data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.geo.open_raster import GDAL_OPTIONS as _GDAL  # noqa: F401  (words a missing extra)

from rasterio.enums import ColorInterp  # isort: skip

Values = np.ma.MaskedArray[Any, np.dtype[np.float32]]
FILL_MAGNITUDE = (
    1e36  # magnitude from which a floating value is a fill value: -3.4e38, 9.97e36 (NetCDF), never a measurement
)
_BLENDED = 1e30  # magnitude that only a mean of measurements and fill values has
_SAMPLE_SIDE = 256  # pixels: side of the windows in which an alpha band is looked at
_MIN_DATA_SHARE = 0.05  # share of values that are neither 0 nor the largest, from which a band flagged as alpha is data


def missing_values(raw: NDArray[Any], nodata: float | None) -> NDArray[np.bool_]:
    """True where a single value is no data: nodata, not finite, or a fill value near the limit of the type."""
    if raw.dtype.kind != "f":
        return raw == nodata if nodata is not None else np.zeros(raw.shape, bool)
    with np.errstate(invalid="ignore"):
        missing = ~(np.abs(raw) < FILL_MAGNITUDE)  # NaN, too
        if nodata is not None and not np.isnan(nodata):
            # A tag is text: -3.4e38 and -9999.9 are rounded, and float32 rounds once more.
            missing |= np.isclose(raw, nodata, rtol=1e-6, atol=0)
    return missing


def scale_and_offset(dataset: Any, band: int) -> tuple[float, float]:
    """(scale, offset) that turn a band's stored values into what they mean; (1, 0) where the file states none."""
    scale, offset = float(dataset.scales[band - 1]), float(dataset.offsets[band - 1])
    return scale if np.isfinite(scale) and scale else 1.0, offset if np.isfinite(offset) else 0.0


def scaled_values(dataset: Any, bands: Sequence[int], raw: NDArray[Any], masked: Any) -> Values:
    """Stored values (C, H, W) of `bands` (numbers from 1) as masked float32: times the scale, plus the offset.

    Masked per band: no data, and the pixels of `masked` (bool, broadcast to (H, W)).
    """
    values, missing = np.empty(raw.shape, np.float32), np.empty(raw.shape, bool)
    for at, band in enumerate(bands):
        scale, offset = scale_and_offset(dataset, band)
        missing[at] = missing_values(raw[at], dataset.nodatavals[band - 1]) | masked
        if raw.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                missing[at] |= ~(np.abs(raw[at]) < _BLENDED)
        with np.errstate(over="ignore", invalid="ignore"):
            values[at] = raw[at].astype(np.float64) * scale + offset
    return np.ma.MaskedArray(values, missing)


def brightness_table(dataset: Any, band: int) -> NDArray[np.uint8] | None:
    """(256,) brightness of the stored values of a uint8 band with fewer than 8 bits, or with white as 0; else None."""
    if dataset.dtypes[band - 1] != "uint8":
        return None
    bits = int(dataset.tags(band, ns="IMAGE_STRUCTURE").get("NBITS", 8))
    if bits >= 8 and not white_is_zero(dataset):
        return None
    top = 2 ** min(bits, 8) - 1
    values = np.clip(np.arange(256) * (255 / top), 0, 255)
    return np.rint(255 - values if white_is_zero(dataset) else values).astype(np.uint8)


def white_is_zero(dataset: Any) -> bool:
    """Whether the file says that 0 is white (MINISWHITE)."""
    return dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"


def alpha_with_data(dataset: Any) -> int:
    """The number of a band that is flagged as alpha and holds data, such as near infrared; 0 where there is none.

    It has a name that is not alpha's, or many values besides 0 and the largest: transparency of rasters is a mask.
    """
    flagged = [at for at, meaning in enumerate(dataset.colorinterp, start=1) if meaning == ColorInterp.alpha]
    if len(flagged) != 1 or dataset.driver not in ("GTiff", "JP2OpenJPEG"):
        return 0
    name = (dataset.descriptions[flagged[0] - 1] or "").strip().lower()
    if name:
        return 0 if name in ("alpha", "mask", "transparency", "opacity") else flagged[0]
    values = np.concatenate([dataset.read(flagged[0], window=window).ravel() for window in _sample_windows(dataset)])
    top = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1.0
    return flagged[0] if np.mean((values != 0) & (values != top)) > _MIN_DATA_SHARE else 0


def _sample_windows(dataset: Any) -> list[Any]:
    """Five windows over the raster: the corners and the middle."""
    width, height = min(_SAMPLE_SIDE, dataset.width), min(_SAMPLE_SIDE, dataset.height)
    right, bottom = dataset.width - width, dataset.height - height
    starts = {(0, 0), (right, 0), (0, bottom), (right, bottom), (right // 2, bottom // 2)}
    return [((row, row + height), (column, column + width)) for column, row in sorted(starts)]
