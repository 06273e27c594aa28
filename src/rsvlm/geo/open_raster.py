"""Safe opening of rasters: which files are accepted, by their first bytes, and with which GDAL settings.

GDAL reads some 150 formats, several of which (VRT, MRF, WMS, HTTP, GTI) fetch or write other files when they are
opened. Only four formats are accepted, each by its own driver, chosen from the first bytes of a regular local file.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput, missing_extra
from rsvlm.geo.tiff_header import ROWS_PER_STRIP, read_tiff_tags
from rsvlm.lfs import refuse_pointer

try:
    import rasterio
    from rasterio.enums import Interleaving
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
except ImportError as error:  # pragma: no cover - the core install
    raise missing_extra("rasterio", "geo") from error

MAX_PIXELS = 2**27  # 134 million: a PNG, JPEG or single block of this size decodes in at most about 0.5 GB
_BYTES_PER_PIXEL = 8  # the budget in bytes: four bands of 16 bits
_MAX_RATIO = 4000  # decoded : stored bytes; DEFLATE cannot pass 1032, imagery stays under 100

DRIVERS: dict[bytes, str] = {
    b"II*\x00": "GTiff",
    b"MM\x00*": "GTiff",
    b"II+\x00": "GTiff",
    b"MM\x00+": "GTiff",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"\x00\x00\x00\x0cjP  \r\n\x87\n": "JP2OpenJPEG",
    b"\xff\x4f\xff\x51": "JP2OpenJPEG",
}
_UNSUPPORTED = {  # what hostile or mistaken files look like, for a better sentence
    b"<VRTDataset": "a GDAL VRT, which points to other files",
    b"<MRF_META": "a GDAL MRF, which points to other files",
    b"<GDAL_WMS": "a GDAL WMS description, which points to a server",
    b"<GDALTileIndexDataset": "a GDAL tile index, which points to other files",
    b"PK\x03\x04": "a zip archive",
    b"%PDF": "a PDF",
    b"\x89HDF": "an HDF5 file",
    b"CDF": "a NetCDF file",
    b"GIF8": "a GIF",
    b"RIFF": "a WebP or RIFF file",
    b"BM": "a BMP",
}
_EXPECTED = "give a GeoTIFF, COG, JPEG 2000, PNG or JPEG file"

# The block cache holds a row of tiles, not a twentieth of the machine's memory. It is one for the process and GDAL
# reads it at its first use, so a rasterio Env cannot bound it for us alone; what the user has set stands.
os.environ.setdefault("GDAL_CACHEMAX", "256")  # MB

# Pinned, not inherited: no look at neighbouring files (.aux.xml, .ovr, .msk, world files), no network, a cut JPEG is an
# error instead of grey.
GDAL_OPTIONS: dict[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",
    "GDAL_HTTP_MAX_RETRY": "0",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",
}


@contextmanager
def gdal_settings(path: Path) -> Iterator[None]:
    """GDAL with the settings above; its errors come out as one BadInput sentence naming `path`."""
    with rasterio.Env(**GDAL_OPTIONS), readable_errors(path):
        yield


@contextmanager
def readable_errors(path: Path) -> Iterator[None]:
    """GDAL's errors as one sentence: for reads of a file opened under `gdal_settings`, which it keeps (but JPEG's)."""
    try:
        yield
    except RasterioError as error:
        reason = str(error.__cause__ or error).splitlines()[0].rstrip(".")
        raise BadInput(
            f"{path} is damaged or cut short and cannot be read ({reason}); copy or download it again."
        ) from error


def open_dataset(path: str | Path, *, max_pixels: int = MAX_PIXELS) -> Any:
    """Open a raster of an accepted format; the caller closes the rasterio dataset that is returned.

    Raises BadInput where `path` is not a regular local file, is none of the four formats by its first bytes, has no
    bands, or would need more than the pixel budget `max_pixels` (whole picture for PNG and JPEG, one block otherwise).
    """
    file = _local_path(path)
    return _open(file, _detect_driver(file), max_pixels, page=0)


def open_page(path: str | Path, number: int, *, max_pixels: int = MAX_PIXELS) -> Any:
    """Open one page of a TIFF, `number` counted from 1. Raises BadInput as `open_dataset`, and for any other file."""
    file = _local_path(path)
    if _detect_driver(file) != "GTiff":
        raise BadInput(f"{file} has no pages; only those of a TIFF can be read.")
    return _open(file, "GTiff", max_pixels, page=number)


def _open(file: Path, driver: str, max_pixels: int, *, page: int) -> Any:
    name = f"GTIFF_DIR:{page}:{file}" if page else file
    with gdal_settings(file), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(name, driver=driver)
        try:
            _check_limits(dataset, file, max_pixels, page)
            if driver == "GTiff" and dataset.compression:
                # Threads decode blocks side by side; without a codec they only cost.
                dataset.close()
                dataset = rasterio.open(name, driver=driver, NUM_THREADS=str(min(4, os.cpu_count() or 1)))
        except BaseException:
            dataset.close()
            raise
    return dataset


def _local_path(path: str | Path) -> Path:
    text = os.fspath(path)
    if "://" in text or text.startswith("/vsi") or text.lower().startswith(("http:", "https:", "s3:", "file:")):
        raise BadInput(f"{text} is not a local file: scenes are read from disk only, so download it and give the path.")
    try:
        file = Path(text).resolve()
        found = file.exists()
    except (OSError, ValueError):  # a name too long, a loop of links, a NUL
        found = False
        file = Path("/")
    if not found:
        raise BadInput(f"There is no file {text!r:.200}; {_EXPECTED}.")
    if not file.is_file() or str(file).startswith("/vsi"):
        raise BadInput(f"{text} is not a regular file; {_EXPECTED}.")
    return file


def _detect_driver(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise BadInput(f"{file} cannot be read ({error.strerror}); check its permissions.") from error
    refuse_pointer(file, head)
    if not head:
        raise BadInput(f"{file} is empty (0 bytes); {_EXPECTED}.")
    for magic, driver in DRIVERS.items():
        if head.startswith(magic):
            return driver
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for mark, name in _UNSUPPORTED.items():
        if start.startswith(mark) or (mark.startswith(b"<") and mark in head):
            raise BadInput(f"{file} is {name}, whatever its name says; {_EXPECTED}.")
    raise BadInput(f"{file} is not an image of a known kind (it starts with {head[:12]!r}); {_EXPECTED}.")


def _check_limits(dataset: Any, file: Path, max_pixels: int, page: int = 0) -> None:
    """Raises BadInput for a raster over the pixel budget, complex, bandless, or with an external overview."""
    width, height, count = dataset.width, dataset.height, dataset.count
    if count < 1 or width < 1 or height < 1:
        raise BadInput(f"{file} has no bands to show (size {width} x {height}, {count} bands); {_EXPECTED}.")
    if dataset.dtypes[0].startswith("complex"):
        raise BadInput(f"{file} holds complex numbers; save its amplitude (for example in dB) as a GeoTIFF first.")
    # A TIFF or JP2 can name any file as its overview in a metadata tag, and GDAL would open that by whatever driver
    # fits.
    if any(dataset.tags(ns="OVERVIEWS")) or any(dataset.tags(band, ns="OVERVIEWS") for band in range(1, count + 1)):
        raise BadInput(f"{file} names another file as its overview; rewrite it with gdal_translate and try again.")
    bytes_per_pixel = max(1, _itemsize(dataset.dtypes[0])) * count
    if dataset.driver in ("PNG", "JPEG"):
        if width * height > max_pixels:
            raise BadInput(
                f"{file} has {width} x {height} pixels, over the budget of {max_pixels / 1e6:.0f} million for a "
                f"{dataset.driver}; convert it to a tiled GeoTIFF (gdal_translate -of COG) or cut it."
            )
        # GDAL reads a small PNG in one piece, and then says nothing about the rows that are not there.
        if dataset.driver == "PNG" and not _ends_with(file, b"IEND"):
            raise BadInput(
                f"{file} is damaged or cut short: the end mark of a PNG is missing; copy or download it again."
            )
        return
    rows, columns = dataset.block_shapes[0]
    if dataset.compression and columns == width:  # GDAL calls a long compressed strip rows, but decodes all of it
        rows = max(rows, min(read_tiff_tags(file, page=page or 1).get(ROWS_PER_STRIP, rows), height))
    together = count if dataset.interleaving == Interleaving.pixel else 1
    block = rows * columns * together * max(1, _itemsize(dataset.dtypes[0]))
    if rows * columns > max_pixels or block > max_pixels * _BYTES_PER_PIXEL:
        raise BadInput(
            f"{file} is stored in blocks of {columns} x {rows} pixels ({block / 1e6:.0f} MB), over the budget of "
            f"{max_pixels / 1e6:.0f} million pixels; convert it to a tiled GeoTIFF (gdal_translate -of COG)."
        )
    size, decoded = file.stat().st_size, width * height * bytes_per_pixel
    if width * height > max_pixels and decoded > size * _MAX_RATIO:
        raise BadInput(
            f"{file} claims {width} x {height} pixels but holds only {size} bytes, so it is nearly empty or a "
            f"decompression bomb; cut it to the part that has pixels."
        )


def _ends_with(file: Path, mark: bytes) -> bool:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 65536))
        return mark in stream.read()


def _itemsize(dtype: str) -> int:
    digits = "".join(letter for letter in dtype if letter.isdigit())
    return int(digits or 8) // 8
