"""`Placed`: what everything on a grid of pixels that may have a place on Earth has, scenes and pairs of them."""

from functools import cached_property
from types import TracebackType
from typing import Self

from rsvlm.geo.geodesy import ground_sampling_distance
from rsvlm.geo.place import Place, Transform
from rsvlm.geo.tiles import Window


class Placed:
    """`width` x `height` pixels at a `place` (None = pixels only), open until `close`. Use it in `with`."""

    width: int
    height: int
    place: Place | None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its files; reading afterwards raises BadInput."""
        raise NotImplementedError(f"{type(self).__name__} has nothing to close")

    @property
    def transform(self) -> Transform | None:
        """(a, b, c, d, e, f): x = a*col + b*row + c, y = d*col + e*row + f, in the CRS."""
        return self.place.transform if self.place else None

    @property
    def crs(self) -> str | None:
        """ "EPSG:<code>", else WKT, or None without a place on Earth."""
        return self.place.crs_name if self.place else None

    @cached_property
    def gsd_m(self) -> float | None:
        """Metres per pixel at the middle (root of the geodesic area of a pixel), or None."""
        return ground_sampling_distance(self.place) if self.place else None

    @property
    def window(self) -> Window:
        """All of it as a window (column, row, width, height)."""
        return 0, 0, self.width, self.height
