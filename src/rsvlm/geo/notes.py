"""Notes for the user, a sentence each: assumptions about a raster, and files beside it that were not read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rsvlm.geo.pages import BandPages
from rsvlm.geo.tiff_header import ORIENTATION, read_tiff_tags

_WORLD_FILES = (".wld", ".tfw", ".tifw", ".tiffw", ".jgw", ".jpgw", ".jpegw", ".pgw", ".pngw", ".j2w", ".jp2w")
_ORIENTATIONS = {  # the numbers of EXIF
    "2": "mirrored", "3": "turned by 180 degrees", "4": "mirrored top to bottom", "5": "mirrored and turned",
    "6": "turned by 90 degrees", "7": "mirrored and turned", "8": "turned by 270 degrees",
}  # fmt: skip


def sidecars(path: Path) -> list[Path]:
    """Files beside a raster in which other programs look for its place, mask or overviews. They are not opened."""
    beside = [path.with_suffix(suffix) for suffix in (*_WORLD_FILES, ".prj")]
    beside += [path.with_name(path.name + suffix) for suffix in (".msk", ".aux.xml", ".ovr")]
    return [file for file in beside if file.is_file()]


def raster_notes(dataset: Any, path: Path, *, shown: Sequence[int], colours_named: bool, alpha: int) -> tuple[str, ...]:
    """The sentences about an open rasterio dataset.

    `colours_named`: whether the user or the band names say which bands are red, green and blue. `alpha`: number of a
    band that is flagged as alpha but read as data, 0 where there is none.
    """
    notes: list[str] = []
    if alpha:
        notes.append(f"band {alpha} is flagged as alpha but holds data, so it is taken as a band and not as a mask")
    if len(shown) == 3 and not colours_named:
        numbers = ", ".join(map(str, shown))
        notes.append(f"the names of the bands do not say which is red, green and blue: {numbers} are shown as such")
    if pages := len(dataset.subdatasets):
        stacked = isinstance(dataset, BandPages)
        read = "one band each, taken as the bands of one scene" if stacked else "of which the first alone is read"
        notes.append(f"the file has {pages} pages, {read}")
    orientation = dataset.tags().get("EXIF_Orientation", "").strip() or read_tiff_tags(path).get(ORIENTATION, 1)
    if turned := _ORIENTATIONS.get(str(orientation)):
        notes.append(f"the picture is stored {turned} (its orientation tag says so) and shown as it is stored")
    if not dataset.transform.is_identity and dataset.transform.e > 0 and not dataset.transform.b:
        notes.append("rows run from south to north: the picture is shown as stored, north at the bottom")
    if beside := [file.name for file in sidecars(path)]:
        notes.append(
            f"{', '.join(beside)} beside the file {'is' if len(beside) == 1 else 'are'} not read; "
            f"gdal_translate {path.name} whole.tif puts it into one file"
        )
    return tuple(notes)
