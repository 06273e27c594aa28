"""`open_scene`: open a raster file and read its metadata: driver, bands, georeference, date, nodata."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.geo.band_roles import band_roles, composite
from rsvlm.geo.bands import BandChoice, band_names, choose_bands, natural_colour
from rsvlm.geo.geodesy import date_from_tags
from rsvlm.geo.notes import raster_notes
from rsvlm.geo.open_raster import MAX_PIXELS, gdal_settings, open_dataset
from rsvlm.geo.pages import stack_pages
from rsvlm.geo.place import find_place
from rsvlm.geo.scene import Scene
from rsvlm.geo.stored import alpha_with_data, brightness_table

from rasterio.enums import ColorInterp  # isort: skip  # after open_raster: it names the missing extra
from rasterio.errors import NotGeoreferencedWarning  # isort: skip


def open_scene(path: str | Path, *, bands: BandChoice = None, max_pixels: int = MAX_PIXELS) -> Scene:
    """Open a GeoTIFF, COG, JPEG 2000, PNG or JPEG file for reading.

    `bands`: see `choose_bands`. `max_pixels`: budget for one decoded picture, block or read. Raises BadInput in one
    sentence for whatever is not such a file, costs too much, has no valid pixel, or lacks the bands asked for.
    """
    dataset = open_dataset(path, max_pixels=max_pixels)
    try:
        with gdal_settings(Path(path)):  # else GDAL writes its warnings on stderr
            dataset = stack_pages(dataset, Path(path), max_pixels)
        scene = _scene(dataset, Path(path), bands, max_pixels)
        if not scene.has_data():
            raise BadInput(f"{path} has no valid pixel: every value is nodata, NaN or masked; give a scene with data.")
    except BaseException:
        dataset.close()
        raise
    return scene


def _scene(dataset: Any, path: Path, bands: BandChoice, max_pixels: int) -> Scene:
    with gdal_settings(path), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        alpha = alpha_with_data(dataset)
        colours = ["undefined" if at == alpha else one.name for at, one in enumerate(dataset.colorinterp, start=1)]
        names = band_names(dataset.descriptions, colours)
        shown = choose_bands(bands, names, path.name)
        palette = _palette(dataset, shown)
        place, unplaced = find_place(dataset)
        tags = {**dataset.tags(), **dataset.tags(ns="IMAGERY")}
        roles, role_notes = band_roles(names, bands, path.name, dataset.dtypes[0])
        colours_named = bands is not None or natural_colour(names) is not None or all(roles[at - 1] for at in shown)
        notes = role_notes + raster_notes(dataset, path, shown=shown, colours_named=colours_named, alpha=alpha)
        dataset.overviews(1)  # found now, while the settings forbid a look at neighbouring files
    return Scene(
        path=path,
        width=dataset.width,
        height=dataset.height,
        bands=names,
        band_roles=roles,
        composite=composite(roles, shown, palette=palette is not None),
        shown=shown,
        dtype=dataset.dtypes[shown[0] - 1],
        driver=dataset.driver,
        nodata=_as_value(dataset.nodatavals[shown[0] - 1], dataset.dtypes[shown[0] - 1]),
        place=place,
        unplaced=unplaced,
        date=date_from_tags(tags),
        max_pixels=max_pixels,
        notes=notes,
        _dataset=dataset,
        _palette=palette,
        _brightness=brightness_table(dataset, shown[0]),
        _alpha_is_data=bool(alpha),
    )


def _as_value(nodata: float | None, dtype: str) -> float | None:
    """Nodata as a value that pixels of `dtype` can take, else None (-9999 in uint8 marks nothing)."""
    kind = np.dtype(dtype)
    if nodata is None or kind.kind == "f":
        return nodata
    if not float(nodata).is_integer() or not np.iinfo(kind).min <= nodata <= np.iinfo(kind).max:
        return None
    return int(nodata)


def _palette(dataset: Any, shown: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """(256 or 65536, 3) colours of a palette picture, else None."""
    if len(shown) != 1 or dataset.colorinterp[shown[0] - 1] != ColorInterp.palette:
        return None
    table = np.zeros((2 ** (8 * np.dtype(dataset.dtypes[shown[0] - 1]).itemsize), 3), np.uint8)
    for index, color in dataset.colormap(shown[0]).items():
        table[index] = color[:3]
    return table
