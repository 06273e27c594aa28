"""A raster of classes that is written strip by strip, outlined, and saved as a COG: memory is that of a strip.

Band 1 is the class of each pixel, 0 = none and `NO_DATA` = not looked at; band 2 how likely it is, in percent.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsvlm.files import atomic_file
from rsvlm.geo.place import Place
from rsvlm.geo.vector import polygon_to_mask

import rasterio  # isort: skip  # after vector: it names the missing extra
from rasterio.errors import NotGeoreferencedWarning  # isort: skip
from rasterio.features import rasterize, shapes  # isort: skip
from rasterio.shutil import copy  # isort: skip
from rasterio.windows import Window as Block  # isort: skip
from shapely.geometry import shape  # isort: skip

NO_DATA = 255
_MARK = 3  # band of the pixels that have a class: a mask for GDAL, and no part of what is saved
_ROWS = 512  # that are looked at together

Classes = NDArray[np.uint8]


class ClassRegion(NamedTuple):
    """Connected pixels of one class (`value`): outline in pixels (shapely), number, and mean band 2 in percent."""

    value: int
    outline: Any
    pixels: int
    percent: float


class ClassRaster:
    """Open with `class_raster`; write all strips, then take the regions, then save. The file that it works in is in
    pixels, so that outlines are; what is saved lies at its place.
    """

    def __init__(self, path: Path, width: int, height: int, place: Place | None) -> None:
        self.path, self.width, self.height, self.place = path, width, height, place
        self._file = _open(
            path, "w+", driver="GTiff", width=width, height=height, count=_MARK, dtype="uint8", tiled=True,
            blockxsize=512, blockysize=512, compress="deflate", zlevel=1, BIGTIFF="IF_SAFER",
        )  # fmt: skip

    def write(self, top: int, classes: Classes, percent: Classes) -> None:
        """Rows (h, W) from `top` on."""
        marked = ((classes > 0) & (classes != NO_DATA)).astype(np.uint8)
        self._file.write(np.stack([classes, percent, marked]), window=self._rows(top, len(classes)))

    def regions(self, least: int = 1) -> list[ClassRegion]:
        """Connected pixels of one class, the largest first. Those of fewer than `least` are taken out of the raster.

        Pixels that meet only at a corner are not connected.
        """
        self._file = self._reopened()
        found = [
            (shape(outline), int(value))
            for outline, value in shapes(rasterio.band(self._file, 1), mask=rasterio.band(self._file, _MARK))
        ]
        kept = [one for one in found if one[0].area >= least]
        if len(kept) < len(found):
            self._clear([outline for outline, _ in found if outline.area < least])
        kept.sort(key=lambda one: (-one[0].area, one[0].bounds))
        return [self._region(outline, value) for outline, value in kept]

    def save(self, path: Path, names: Mapping[int, str]) -> None:
        """Write a COG with overviews: the tag `classes` of band 1 names its values.

        Raises BadInput where it cannot be written.
        """
        tags = ", ".join(f"{value} = {name}" for value, name in names.items())
        with TemporaryDirectory(dir=self.path.parent) as folder, atomic_file(path) as aside:
            plain = Path(folder) / "plain.tif"
            profile = {**self._file.profile, "count": 2, "nodata": NO_DATA}
            if self.place is not None:
                profile |= {"crs": self.place.crs.to_wkt(), "transform": rasterio.Affine(*self.place.transform)}
            with _open(plain, "w", **profile) as out:
                for top in range(0, self.height, _ROWS):
                    rows = self._rows(top, min(_ROWS, self.height - top))
                    out.write(self._file.read([1, 2], window=rows), window=rows)
                out.descriptions = ("class", "percent")
                out.update_tags(1, classes=tags)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                copy(plain, aside, driver="COG", compress="DEFLATE", overview_resampling="NEAREST")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rows(self, top: int, height: int) -> Block:
        return Block(0, top, self.width, height)  # pyright: ignore[reportCallIssue]

    def _reopened(self) -> Any:
        """The file again: what was written has to be in it before GDAL outlines it."""
        self._file.close()
        return _open(self.path, "r+")

    def _region(self, outline: Any, value: int) -> ClassRegion:
        left, top, right, bottom = (int(at) for at in outline.bounds)
        window = (left, top, right - left, bottom - top)
        percent = self._file.read(2, window=Block(*window))  # pyright: ignore[reportCallIssue]
        inside = polygon_to_mask(outline, window)
        return ClassRegion(value, outline, round(outline.area), float(percent[inside].mean()))

    def _clear(self, outlines: Sequence[Any]) -> None:
        """Make pixels of outlines those of no class."""
        for top in range(0, self.height, _ROWS):
            height = min(_ROWS, self.height - top)
            near = [one for one in outlines if one.bounds[1] < top + height and one.bounds[3] > top]
            if near:
                rows = self._rows(top, height)
                moved = rasterio.Affine.translation(0, top)
                gone = np.asarray(rasterize(near, (height, self.width), transform=moved)) > 0
                bands = self._file.read(window=rows)
                bands[0, gone] = bands[_MARK - 1, gone] = 0
                self._file.write(bands, window=rows)


def _open(path: Path, mode: str, **profile: Any) -> Any:
    """A file of our own; that it lies nowhere on Earth is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path, mode, **profile)


@contextmanager
def class_raster(width: int, height: int, place: Place | None) -> Iterator[ClassRaster]:
    """A raster in a folder of its own, which is gone afterwards."""
    with TemporaryDirectory(prefix="rsvlm.") as folder:
        raster = ClassRaster(Path(folder) / "classes.tif", width, height, place)
        try:
            yield raster
        finally:
            raster.close()
