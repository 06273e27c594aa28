"""`Scene`: an open raster with its bands, georeference, date and mask of valid pixels.

Windows are (column, row, width, height) in pixels of the file. Pixels come out as RGB uint8 (H, W, 3).
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rsvlm.errors import BadInput
from rsvlm.geo.bands import Stretch
from rsvlm.geo.open_raster import gdal_settings, readable_errors
from rsvlm.geo.place import Place
from rsvlm.geo.placed import Placed
from rsvlm.geo.stored import Values, missing_values, scale_and_offset, scaled_values, white_is_zero
from rsvlm.geo.tiles import Size, Tile, Window, output_size, spread_blocks, tile_windows

from rasterio.enums import MaskFlags, Resampling  # isort: skip  # after open_raster: it names the missing extra

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_STRETCH_SIDE = 1024  # pixels: longest side of the decimated read that sets the stretch
_STRETCH_BLOCKS = 64
_SEARCH_SIDE = 1024  # pixels: window of the search for one valid pixel


@dataclass(eq=False, kw_only=True)
class Scene(Placed):
    """An open raster, read by windows. Use it in `with`, from one thread at a time (calls from several threads wait).

    `bands` are the names of all bands, `band_roles` their common names ("red", "green", "blue", "nir", "swir1",
    "swir2", "" = not known), `shown` the numbers (from 1) of those that make the picture and `composite` what it shows
    in words (`rsvlm.geo.band_roles`). `dtype` is the numpy name of the stored values. `transform` is None without
    georeference and `crs` is "EPSG:n", WKT or None; `unplaced` then says why. `gsd_m` is metres per pixel along the
    ellipsoid at the middle. `date` is YYYY-MM-DD or None. `notes` are sentences about what was assumed or not read.
    """

    path: Path
    width: int
    height: int
    bands: tuple[str, ...]
    band_roles: tuple[str, ...]
    composite: str
    shown: tuple[int, ...]
    dtype: str
    driver: str
    nodata: float | None
    place: Place | None
    unplaced: str
    date: str | None
    max_pixels: int
    notes: tuple[str, ...] = ()
    _dataset: Any = field(repr=False)
    _palette: Pixels | None = field(default=None, repr=False)
    _brightness: Pixels | None = field(default=None, repr=False)
    _alpha_is_data: bool = False  # a band flagged as alpha holds data, not transparency
    _lock: Any = field(default_factory=threading.RLock, repr=False)

    def close(self) -> None:
        """Close the file; reading afterwards raises BadInput."""
        self._dataset.close()

    # -- pixels --------------------------------------------------------------------------------------------------------

    def read_rgb(self, window: Window | None = None, size: Size | None = None) -> Pixels:
        """Pixels of a window (default: all) as RGB uint8 (H, W, 3); a grey scene has three equal channels.

        `size` is (width, height), or an int for the longest side (never enlarged); shrinking averages. uint8 values are
        kept (the array is then a view in band order: np.ascontiguousarray where a library asks); others go through the
        scene's one stretch, and pixels without data become 0 there. Raises BadInput for a window outside the scene, a
        result over the pixel budget, or a damaged file.
        """
        return self._read(window, size)[0]

    def read_bands(self, numbers: Sequence[int], window: Window | None = None, size: Size | None = None) -> Values:
        """Values of bands (numbers from 1) of a window as a masked float32 array (C, H, W), for computing with them.

        Stored values times the band's scale plus its offset, as the file states them. Masked per band: nodata, NaN,
        fill values, and what the file's mask takes out; values stay below the mask. Window, `size` and errors as in
        `read_rgb`; the pixel budget counts every band.
        """
        if bad := [number for number in numbers if not 1 <= number <= len(self.bands)] or not numbers:
            raise BadInput(
                f"{self.path.name} has bands 1 to {len(self.bands)}, not {bad or 'none'}; give some of these."
            )
        window = self._check_window(window)
        shape = self._output_shape(window, size, len(numbers))
        raw = self._read_stored(window, shape, numbers=numbers)
        masks = self._masking == "mask" and ~self.valid(window, (shape[1], shape[0]))
        with self._lock, self._read_guard(self.path):
            return scaled_values(self._dataset, numbers, raw, masks)

    def band_scale(self, number: int) -> tuple[float, float]:
        """(scale, offset) of a band (from 1), which `read_bands` applies; (1, 0) where the file states none."""
        return scale_and_offset(self._dataset, number)

    def valid(self, window: Window | None = None, size: Size | None = None) -> Mask:
        """True (H, W) where there is data: not nodata in all shown bands, no NaN, not masked, not transparent."""
        window = self._check_window(window)
        shape = self._output_shape(window, size)
        if self._masking == "none":
            return np.broadcast_to(np.True_, shape)
        if self._masking == "values":
            return self._valid_values(self._read_stored(window, shape, nearest=True))
        with self._lock, self._read_guard(self.path):
            mask = self._dataset.read_masks(self.shown[0], window=_slices(window), out_shape=shape)
        good = mask > 0
        if self._has_nodata:
            good &= self._valid_values(self._read_stored(window, shape, nearest=True))
        return good

    def tiles(self, size: int = 512, overlap: int = 0) -> Iterator[Tile]:
        """Stream square tiles of `size` pixels, row by row, neighbours sharing at least `overlap` pixels.

        The last tiles of a row or column move inwards so that every tile has the full size (a smaller scene gives one
        smaller tile). Memory is one tile; the file stays open between tiles.
        """
        for window in tile_windows(self.width, self.height, size, overlap):
            pixels, good = self._read(window, None)
            yield Tile(window, pixels, good if good is not None else self._lazy_mask(window, pixels))

    @property
    def _read_guard(self) -> Any:
        """Context manager of a read. A GDAL environment costs a tenth of reading a tile, so only JPEG enters one."""
        return gdal_settings if self.driver == "JPEG" else readable_errors

    def _lazy_mask(self, window: Window, pixels: Pixels) -> Any:
        """A function that computes the valid mask of a tile, called when `Tile.valid` is first used."""
        if self._masking == "values" and self._palette is None and self._brightness is None:
            shown = len(self.shown)
            return lambda: self._valid_values(np.moveaxis(pixels[..., :shown], -1, 0))
        return lambda: self.valid(window)

    def _read(self, window: Window | None, size: Size | None) -> tuple[Pixels, Mask | None]:
        """RGB pixels (H, W, 3), and the valid mask (H, W) where computing them needed it, else None."""
        window = self._check_window(window)
        shape = self._output_shape(window, size)
        good: Mask | None = None
        raw = self._read_stored(window, shape, nearest=self._palette is not None)
        if self._palette is not None:
            return self._palette[raw[0]], None
        if self.dtype != "uint8":
            values, raw = raw, self._stretch.apply(raw)
            if white_is_zero(self._dataset):
                raw = 255 - raw
            if self._masking != "none":
                good = self._valid_values(values) if self._masking == "values" else self.valid(window, size)
                raw[:, ~good] = 0
        elif self._brightness is not None:
            raw = self._brightness[raw]
        if len(self.shown) == 1:
            raw = np.repeat(raw, 3, axis=0)
        return raw.transpose(1, 2, 0), good

    def _read_stored(
        self, window: Window, shape: tuple[int, int], *, nearest: bool = False, numbers: Sequence[int] = ()
    ) -> NDArray[Any]:
        """Stored values of the bands `numbers` (default: the shown ones) (C, H, W)."""
        if self._dataset.closed:
            raise BadInput(f"{self.path} is closed; read it inside its `with` block.")
        shrinks = shape[0] < window[3] or shape[1] < window[2]
        how = Resampling.average if shrinks and not nearest else Resampling.nearest
        with self._lock, self._read_guard(self.path):
            bands = list(numbers or self.shown)
            return self._dataset.read(bands, window=_slices(window), out_shape=(len(bands), *shape), resampling=how)

    def _check_window(self, window: Window | None) -> Window:
        if window is None:
            return self.window
        column, row, width, height = (int(value) for value in window)
        inside = min(column, row) >= 0 and column + width <= self.width and row + height <= self.height
        if not inside or width < 1 or height < 1:
            raise BadInput(
                f"The window {tuple(window)} (column, row, width, height) does not lie inside {self.path.name} "
                f"({self.width} x {self.height} pixels); choose one that does."
            )
        return column, row, width, height

    def _output_shape(self, window: Window, size: Size | None, layers: int = 1) -> tuple[int, int]:
        """(height, width) of what comes out, of which `layers` are read at once."""
        width, height = output_size(window, size)
        if width * height * layers > self.max_pixels:
            bands = f" of {layers} bands" if layers > 1 else ""
            raise BadInput(
                f"{width} x {height} pixels{bands} of {self.path.name} at once are over the budget of "
                f"{self.max_pixels / 1e6:.0f} million; read it by tiles or give a smaller size."
            )
        return height, width

    # -- which pixels are real -----------------------------------------------------------------------------------------

    @cached_property
    def _has_nodata(self) -> bool:
        """Whether values themselves can say "no data": a nodata number, or NaN."""
        return self.nodata is not None or np.dtype(self.dtype).kind == "f"

    @cached_property
    def _masking(self) -> str:
        flags = self._dataset.mask_flag_enums[self.shown[0] - 1]
        if MaskFlags.per_dataset in flags and not (MaskFlags.alpha in flags and self._alpha_is_data):
            return "mask"
        return "values" if self._has_nodata else "none"

    def _valid_values(self, raw: NDArray[Any]) -> Mask:
        """raw (C, H, W) -> (H, W). One black band of three is a dark pixel, not a hole; one NaN is a hole."""
        good = np.asarray(~missing_values(raw, self.nodata).all(axis=0))
        return good & ~missing_values(raw, None).any(axis=0) if raw.dtype.kind == "f" else good

    @cached_property
    def _stretch(self) -> Stretch:
        """2-98 % of valid values over the whole scene, from an overview or a sample of blocks; read once."""
        parts = [self._read_stored(window, shape, nearest=True) for window, shape in self._stretch_windows()]
        masks = [self.valid(window, (shape[1], shape[0])) for window, shape in self._stretch_windows()]
        raw = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)
        good = np.concatenate([mask.ravel() for mask in masks])
        return Stretch.fit(raw, good & ~missing_values(raw, self.nodata))

    def _stretch_windows(self) -> list[tuple[Window, tuple[int, int]]]:
        """(window, shape) pairs to sample: the scene decimated where that is cheap, else blocks spread over it."""
        whole = self._output_shape(self.window, _STRETCH_SIDE)
        if self._dataset.overviews(self.shown[0]) or self.width * self.height <= 16 * _STRETCH_SIDE**2:
            return [(self.window, whole)]
        block = self._dataset.block_shapes[self.shown[0] - 1]
        picked = []
        for window in spread_blocks(self.width, self.height, block, _STRETCH_BLOCKS):
            high, wide = self._output_shape(window, _STRETCH_SIDE)
            picked.append((window, (max(high, min(block[0], window[3], 64)), wide)))
        return picked

    def has_data(self) -> bool:
        """Whether one pixel at least is valid: the middle is looked at first, everything only if it must."""
        if self._masking == "none":
            return True
        side = min(_SEARCH_SIDE, self.width), min(_SEARCH_SIDE, self.height)
        middle = ((self.width - side[0]) // 2, (self.height - side[1]) // 2, *side)
        return bool(self.valid(middle).any()) or any(
            self.valid(window).any() for window in tile_windows(self.width, self.height, _SEARCH_SIDE, 0)
        )

    # -- where pixels lie ----------------------------------------------------------------------------------------------

    def _require_place(self) -> Place:
        if self.place is None:
            raise BadInput(f"{self.path.name} has no place on Earth: {self.unplaced}.")
        return self.place

    def pixel_to_lonlat(self, points: ArrayLike) -> NDArray[np.float64]:
        """Pixels (N, 2) as (column, row) -> WGS 84 degrees (N, 2), longitude first; inf off the Earth.

        Raises BadInput where the scene has no georeference.
        """
        return self._require_place().to_lonlat(points)

    def lonlat_to_pixel(self, lonlat: ArrayLike) -> NDArray[np.float64]:
        """WGS 84 degrees (N, 2), longitude first -> pixels (N, 2); inf where the CRS cannot show the place.

        Raises BadInput where the scene has no georeference.
        """
        return self._require_place().to_pixel(lonlat)


def _slices(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    column, row, width, height = window
    return (row, row + height), (column, column + width)
