"""Bands that are stored as pages of a TIFF, one a page, as tifffile and Pillow write them: one dataset of all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.geo.open_raster import open_page
from rsvlm.geo.stored import white_is_zero

from rasterio.enums import ColorInterp, MaskFlags  # isort: skip  # after open_raster: it names the missing extra

MAX_PAGES = 256  # each is a walk along the chain of directories, and an open file


class BandPages:
    """Open pages of one band each behind the part of a rasterio dataset that `Scene` uses; band n is page n.

    What a page is not asked for by its number (size, georeference, tags) is that of the first.
    """

    def __init__(self, pages: Sequence[Any]) -> None:
        self._pages = tuple(pages)
        self.count = len(pages)
        for name in ("dtypes", "descriptions", "colorinterp", "nodatavals", "block_shapes", "mask_flag_enums"):
            setattr(self, name, tuple(getattr(page, name)[0] for page in pages))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pages[0], name)

    def tags(self, bidx: int = 0, ns: str | None = None) -> dict[str, str]:
        """As rasterio's; a band has the tags of its page."""
        return self._pages[bidx - 1].tags(1, ns=ns) if bidx else self._pages[0].tags(ns=ns)

    def overviews(self, bidx: int) -> list[int]:
        """The factors of the overviews of a page."""
        return self._pages[bidx - 1].overviews(1)

    def read(self, indexes: int | Sequence[int], **how: Any) -> NDArray[Any]:
        """As rasterio's: (H, W) of a number, (C, H, W) of several; `out_shape` holds the number of bands for these."""
        if isinstance(indexes, int):
            return self._pages[indexes - 1].read(1, **how)
        shape = how.pop("out_shape", None)
        how |= {"out_shape": tuple(shape)[-2:]} if shape else {}
        return np.stack([self._pages[index - 1].read(1, **how) for index in indexes])

    def read_masks(self, index: int, **how: Any) -> NDArray[np.uint8]:
        """The mask of a page."""
        return self._pages[index - 1].read_masks(1, **how)

    def close(self) -> None:
        """Close all pages."""
        for page in self._pages:
            page.close()


def stack_pages(first: Any, path: Path, max_pixels: int) -> Any:
    """The pages of an open TIFF as one dataset of bands; `first` itself where they are something else.

    Pages are bands where each has one band without colours or a mask of its own, and all are stored alike (size, type,
    bits) and lie where the first does, or say no place. Overviews, thumbnails, masks and scanned text are none.
    """
    numbers = [int(name.split(":")[1]) for name in first.subdatasets if name.startswith("GTIFF_DIR:")]
    if not 2 <= len(numbers) <= MAX_PAGES or not _is_band(first, first):
        return first
    pages = [first]
    try:
        for number in numbers[1:]:
            pages.append(open_page(path, number, max_pixels=max_pixels))
            if not _is_band(pages[-1], first):
                break
        else:
            return BandPages(pages)
    except BadInput:  # a page that cannot be opened is no band
        pass
    except BaseException:
        _close(pages[1:])
        raise
    _close(pages[1:])
    return first


def _close(pages: Sequence[Any]) -> None:
    for page in pages:
        page.close()


def _is_band(page: Any, first: Any) -> bool:
    placed = page.crs is not None or not page.transform.is_identity
    return (
        page.count == 1
        and (page.width, page.height, page.dtypes) == (first.width, first.height, first.dtypes)
        and page.colorinterp[0] != ColorInterp.palette
        and MaskFlags.per_dataset not in page.mask_flag_enums[0]
        and _storage(page) == _storage(first)
        and (not placed or (page.crs, page.transform) == (first.crs, first.transform))
    )


def _storage(page: Any) -> tuple[str | None, bool]:
    return page.tags(1, ns="IMAGE_STRUCTURE").get("NBITS"), white_is_zero(page)
