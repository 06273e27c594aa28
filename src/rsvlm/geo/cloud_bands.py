"""Clouds as a scene's own bands state them: Sentinel-2's SCL, Landsat's QA_PIXEL, the Fmask of HLS."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsvlm.geo.scene import Scene
from rsvlm.geo.tiles import Window

_SCL = (3, 8, 9, 10)  # cloud shadow, cloud of medium and of high probability, thin cirrus (ESA S2 L2A ATBD, 2.1)
_BITS = {
    "qa_pixel": 0b11110,  # dilated cloud, cirrus, cloud, cloud shadow (USGS LSDS-1618 and LSDS-1619, table 6-2)
    "fmask": 0b1110,  # cloud, beside cloud, cloud shadow (HLS user guide 2.0, table 9)
}
_STRIP = 2**22  # pixels that are looked at together


@dataclass(frozen=True)
class CloudBand:
    """The band `number` (from 1) of a scene, whose classes or bits of the kind `kind` say where clouds are."""

    number: int
    kind: str

    def cloudy(self, scene: Scene, window: Window, size: tuple[int, int] | None = None) -> NDArray[np.bool_]:
        """True (H, W) where there is a cloud, its edge or its shadow; of a smaller `size`, anywhere in the pixel.

        `size` divides the window.
        """
        if size is None or size == window[2:]:
            return self._found(scene, window)
        column, row, width, height = window
        down, across = height // size[1], width // size[0]
        strip = max(1, _STRIP // (width * down)) * down  # rows, so that memory is that of the result and a strip
        parts = []
        for top in range(row, row + height, strip):
            found = self._found(scene, (column, top, width, min(strip, row + height - top)))
            parts.append(found.reshape(-1, down, size[0], across).any(axis=(1, 3)))
        return np.concatenate(parts)

    def _found(self, scene: Scene, window: Window) -> NDArray[np.bool_]:
        values = scene.read_bands([self.number], window)
        codes = np.where(np.ma.getmaskarray(values[0]), 0, values.data[0]).astype(np.int64)
        return np.asarray(np.isin(codes, _SCL) if self.kind == "scl" else codes & _BITS[self.kind], bool)


def find_cloud_band(scene: Scene) -> CloudBand | None:
    """The band of a scene that states clouds, by its name; None where no band is named so."""
    for number, name in enumerate(scene.bands, start=1):
        kind = name.strip().lower()
        if kind == "scl" or kind in _BITS:
            return CloudBand(number, kind)
    return None
