"""Pixels of an `Image`: files and bytes, pictures by Pillow, rasters by `rsvlm.geo`."""

import io
import tempfile
import warnings
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.lfs import refuse_pointer
from rsvlm.sample import Image

PIXEL_BUDGET = 64_000_000  # 8000 x 8000; a larger picture must come by windows (below Pillow's own bomb warning)
_HEAD = 64  # bytes that tell the kind of a file
_PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
_RASTER_MAGIC = (
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
)  # TIFF, BigTIFF, JPEG 2000


def read_rgb(image: Image) -> NDArray[np.uint8]:
    """The pixels of `image`, uint8 (H, W, 3), RGB, only its window where it has one.

    TIFF and JPEG 2000, and pictures deeper than 8 bits, go through `rsvlm.geo.raster.open_scene` (bands and stretch are
    decided there, per scene); transparency is dropped; EXIF rotation is not applied, because annotations count pixels
    as stored. Raises BadInput for a file that is missing, truncated, not an image, larger than `PIXEL_BUDGET`, or
    that does not hold the window.
    """
    head = image.data[:_HEAD] if image.data is not None else _head(image.path)
    refuse_pointer(image.path, head)
    if head.startswith(_RASTER_MAGIC):
        return _read_raster(image)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)  # our own budget is lower
            with PIL.Image.open(
                image.path if image.data is None else io.BytesIO(image.data), formats=_PILLOW_FORMATS
            ) as file:
                if file.width * file.height > PIXEL_BUDGET:
                    raise BadInput(
                        f"{image.path} has {file.width} x {file.height} pixels; at most {PIXEL_BUDGET:,} are read at "
                        "once, cut it into tiles first."
                    )
                if file.mode in _EIGHT_BIT_MODES:
                    return np.array(_crop(file, image).convert("RGB"))
    except PIL.UnidentifiedImageError as error:
        raise BadInput(f"{image.path} is not an image that can be read; expected JPEG, PNG or GeoTIFF.") from error
    except PIL.Image.DecompressionBombError as error:
        raise BadInput(f"{image.path} has more pixels than can be read at once ({PIXEL_BUDGET:,}).") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise BadInput(f"{image.path} is damaged or truncated ({error}); fetch it again.") from error
    return _read_raster(image)


def picture_size(image: Image) -> tuple[int, int]:
    """(width, height) in pixels as `read_rgb` gives them, from the header where that tells. Raises like `read_rgb`."""
    if image.window is not None:
        return image.window[2:]
    if image.width and image.height:
        return image.width, image.height
    try:
        with PIL.Image.open(
            image.path if image.data is None else io.BytesIO(image.data), formats=_PILLOW_FORMATS
        ) as file:
            return file.size
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError):  # a raster, or broken: reading says
        height, width = read_rgb(image).shape[:2]
        return width, height


def _head(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(_HEAD)
    except OSError as error:
        raise BadInput(f"There is no image at {path} ({error.strerror}); check the path.") from error


def _crop(file: PIL.Image.Image, image: Image) -> PIL.Image.Image:
    if image.window is None:
        return file
    column, row, width, height = image.window
    if column < 0 or row < 0 or min(width, height) < 1 or column + width > file.width or row + height > file.height:
        raise BadInput(
            f"{image.path} has {file.width} x {file.height} pixels and does not hold the window {image.window}."
        )
    return file.crop((column, row, column + width, row + height))


def _read_raster(image: Image) -> NDArray[np.uint8]:
    from rsvlm.geo.raster import open_scene  # imports rasterio, an extra that plain pictures do not need

    if image.data is None:
        with open_scene(image.path) as scene:
            return scene.read_rgb(image.window)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (Path(image.path).name or "image.tif")
        path.write_bytes(image.data)
        with open_scene(path) as scene:
            return scene.read_rgb(image.window)
