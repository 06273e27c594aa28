"""Generators of tiny rasters: good ones of every kind that is met, and a corpus of hostile or broken ones."""

import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning

UTM = Affine(5.0, 0.0, 485900.0, 0.0, -5.0, 5209247.0)  # 5 m, EPSG:26914, as the NAIP scenes have it
GEOS = "+proj=geos +lon_0=-75 +h=35786023 +a=6378137 +b=6356752.3 +units=m +sweep=x"


def pixels(height: int = 64, width: int = 80, bands: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """Noise (C, H, W) in 1..254: no value is a usual nodata."""
    return np.random.default_rng(seed).integers(1, 255, (bands, height, width), dtype=np.uint8)


def geotiff(path: Path, data: NDArray[Any] | None = None, **profile: Any) -> Path:
    """Write (C, H, W) as a GeoTIFF in UTM zone 14 unless the profile says otherwise."""
    values = pixels() if data is None else data
    descriptions = profile.pop("descriptions", None)
    tags = profile.pop("tags", None)
    gcps = profile.pop("gcps", None)
    settings = {"crs": "EPSG:26914", "transform": UTM, **profile}
    settings = {key: value for key, value in settings.items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=len(values),
            height=values.shape[1],
            width=values.shape[2],
            dtype=values.dtype,
            **settings,
        ) as out:
            out.write(values)
            if descriptions:
                out.descriptions = descriptions
            if tags:
                out.update_tags(**tags)
            if gcps:
                out.gcps = gcps
    return path


def blobs(height: int, width: int, count: int, seed: int, largest: int) -> NDArray[np.uint8]:
    """A black picture (3, H, W) with white rectangles that keep three pixels from each other."""
    random = np.random.default_rng(seed)
    taken, shown = np.zeros((height, width), bool), np.zeros((height, width), bool)
    for _ in range(count):
        h, w = random.integers(2, largest, 2)
        y, x = random.integers(0, height - h), random.integers(0, width - w)
        if not taken[max(0, y - 3) : y + h + 3, max(0, x - 3) : x + w + 3].any():
            taken[y : y + h, x : x + w] = shown[y : y + h, x : x + w] = True
    return np.repeat(shown[None] * np.uint8(255), 3, axis=0)


# -- hostile and broken ------------------------------------------------------------------------------------------------

TILED: dict[str, Any] = {"tiled": True, "blockxsize": 64, "blockysize": 64}
SECRET = "never shown"


def _vrt(path: Path, target: Path) -> None:
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{target}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        "</VRTDataset>"
    )


def _raw_vrt(path: Path) -> None:
    secret = path.with_name("secret.txt")
    secret.write_text(SECRET * 40)
    path.write_text(
        '<VRTDataset rasterXSize="8" rasterYSize="8"><VRTRasterBand dataType="Byte" band="1" '
        'subClass="VRTRawRasterBand">'
        f'<SourceFilename relativeToVRT="0">{secret}</SourceFilename><ImageOffset>0</ImageOffset>'
        "<PixelOffset>1</PixelOffset><LineOffset>8</LineOffset></VRTRasterBand></VRTDataset>"
    )


def _tiff_header(width: int, height: int, bands: int = 1, *, compression: int = 1, data: bytes = b"") -> bytes:
    """A little-endian TIFF with one directory, uncompressed uint8, written by hand so that it can lie."""
    offset = 8 + 2 + 12 * 10 + 4
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression), (262, 3, 1), (273, 4, offset),
        (277, 3, bands), (278, 4, height), (279, 4, len(data)), (284, 3, 1),
    ]  # fmt: skip
    body = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        body += struct.pack("<HHI", tag, kind, 1) + (
            struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value)
        )
    return b"II*\x00" + struct.pack("<I", 8) + body + struct.pack("<I", 0) + data


def _png(width: int, height: int) -> bytes:
    """A grey PNG that claims a size and holds a few rows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(width + 1)))
        + chunk(b"IEND", b"")
    )


def _cut(path: Path, share: float, **profile: Any) -> None:
    geotiff(path, pixels(256, 256), **profile)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def _cut_image(path: Path, kind: str) -> None:
    Image.fromarray(pixels(256, 256).transpose(1, 2, 0)).save(path, kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _named_overview(path: Path) -> None:
    """A sound TIFF whose metadata names a VRT as its overview: GDAL would open that by any driver."""
    other = path.with_name("overview.vrt")
    _raw_vrt(other)
    geotiff(path)
    with rasterio.open(path, "r+") as out:
        out.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(other))


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.tif", b"II*\x00")


def _polyglot(path: Path, magic: bytes) -> None:
    _raw_vrt(path)
    path.write_bytes(magic + path.read_bytes())


def _sparse(path: Path, side: int, block: int) -> None:
    """A TIFF that claims side x side pixels and holds none."""
    layout = {"tiled": True, "blockxsize": block, "blockysize": block, "SPARSE_OK": True, "compress": "deflate"}
    profile = {"width": side, "height": side, "count": 1, "dtype": "uint8", "crs": "EPSG:26914", "transform": UTM}
    with rasterio.open(path, "w", driver="GTiff", **profile, **layout):
        pass


HOSTILE: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "vrt named tif": ("a.tif", lambda path: _vrt(path, geotiff(path.with_name("real.tif")))),
    "vrt with a byte order mark": ("b.tif", lambda path: path.write_text("\ufeff \n<VRTDataset rasterXSize='1'/>")),
    "raw vrt named png": ("a.png", _raw_vrt),
    "vrt behind the first bytes of a jpeg": ("p.jpg", lambda path: _polyglot(path, b"\xff\xd8\xff")),
    "vrt behind the first bytes of a png": ("p.png", lambda path: _polyglot(path, b"\x89PNG\r\n\x1a\n")),
    "mrf named tif": (
        "m.tif",
        lambda path: path.write_text("<MRF_META><Raster/></MRF_META>"),
    ),
    "wms named tif": ("w.tif", lambda path: path.write_text("<GDAL_WMS><Service name='TMS'/></GDAL_WMS>")),
    "tile index": ("g.tif", lambda path: path.write_text("<GDALTileIndexDataset/>")),
    "text": ("t.tif", lambda path: path.write_text("hello")),
    "empty": ("e.tif", lambda path: path.write_bytes(b"")),
    "zip": ("z.tif", _zip),
    "folder": ("f.tif", lambda path: path.mkdir()),
    "only a header": ("h.tif", lambda path: path.write_bytes(b"II*\x00\x08\x00\x00\x00")),
    "zero size": ("zero.tif", lambda path: path.write_bytes(_tiff_header(0, 0))),
    "zero bands": ("none.tif", lambda path: path.write_bytes(_tiff_header(4, 4, 0, data=bytes(16)))),
    "cut uncompressed": ("c1.tif", lambda path: _cut(path, 0.6)),
    "cut tiled deflate": ("c2.tif", lambda path: _cut(path, 0.6, **TILED, compress="deflate")),
    "cut lzw": ("c3.tif", lambda path: _cut(path, 0.9, compress="lzw")),
    "cut jpeg in tiff": ("c4.tif", lambda path: _cut(path, 0.9, compress="jpeg", **TILED)),
    "cut png": ("c.png", lambda path: _cut_image(path, "PNG")),
    "cut jpeg": ("c.jpg", lambda path: _cut_image(path, "JPEG")),
    "cut jp2": ("c.jp2", lambda path: _cut_image(path, "JPEG2000")),
    "bomb png": ("bomb.png", lambda path: path.write_bytes(_png(30_000, 30_000))),
    "bomb strip": ("bomb.tif", lambda path: path.write_bytes(_tiff_header(60_000, 60_000, data=bytes(100)))),
    "bomb tile": ("tile.tif", lambda path: _sparse(path, 16_384, 16_384)),
    "bomb sparse": ("sparse.tif", lambda path: _sparse(path, 200_000, 512)),
    "nan geotransform": ("nan.tif", lambda path: geotiff(path, transform=Affine(float("nan"), 0, 0, 0, -5, 0))),
    "flat geotransform": ("flat.tif", lambda path: geotiff(path, transform=Affine(5, 5, 0, 5, 5, 0))),
    "all nodata": ("nodata.tif", lambda path: geotiff(path, np.zeros((3, 40, 40), np.uint8), nodata=0)),
    "all nan": ("allnan.tif", lambda path: geotiff(path, np.full((1, 40, 40), np.nan, np.float32))),
    "complex": ("slc.tif", lambda path: geotiff(path, np.ones((1, 8, 8), np.complex64))),
    "names its overview": ("ovr.tif", _named_overview),
}
REFUSED_NAMES = (
    "http://example.org/scene.tif",
    "https://example.org/scene.tif",
    "/vsizip/scenes.zip/a.tif",
    "/vsicurl/http://example.org/a.tif",
    "/vsimem/a.tif",
    "zip://scenes.zip!a.tif",
    "s3://bucket/a.tif",
    "GTIFF_DIR:1:scene.tif",
    "MEM:::DATAPOINTER=1,PIXELS=8,LINES=8",
    "<VRTDataset rasterXSize='1' rasterYSize='1'/>",
    "WMS:http://example.org",
    "missing.tif",
    "a\x00b.tif",
    "x" * 5000,
    "",
)
