"""Cut a scene into the pictures that the model is shown: the tiles of a large scene, then the whole scene.

Tiles part the scene without overlap, so that areas and counts add up. They are read one at a time; the picture of the
whole scene is put together from them on the way, so that a scene is read once and never held.

The side of a tile. The model was trained on pictures of 64 to 600 pixels that show about 80 m (UCM, 0.3 m) to 1.3 km
of ground (AID), and of coarse ones on 640 m (EuroSAT, 10 m). So a tile has 512 pixels, fewer where these would show
more than 1280 m of ground, or 640 m where a pixel has more than 3 m, and more where they would show less than 80 m,
within 64 and 1024. By default a scene gets 256 tiles at most,
and its tiles grow for that; a side that the user gives is kept.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsvlm.errors import BadInput
from rsvlm.geo.scene import Scene
from rsvlm.geo.tiles import Window

TILE = 512  # pixels
GROUND = (80.0, 1280.0)  # metres of ground that a tile should show
COARSE, COARSE_GROUND = 3.0, 640.0  # metres per pixel above which a tile shows so many metres
MOST_COARSE = 24  # tiles of a coarse scene, as long as they show no more ground than `GROUND` says
RAW_SIDE = 128  # pixels, the least without the rules of the scene
SIDES = (64, 1024)  # pixels, the limits of the default
MOST_TILES = 256
READ = 2048  # pixels: a larger tile is shrunk while it is read, which takes longer than reading
SEEN = 1024  # pixels of the whole scene put together from tiles; the model shrinks every view to some 200
_SAMPLES = 4  # pixels of a tile along each side that make one of the whole; more cost more than reading does
_NEARLY = 1.5  # times the wanted side: larger tiles are shown in part where a class is asked for
LEAST_VALID = 0.02  # a tile with less data than this is left out: the model would describe its filling


@dataclass(frozen=True, kw_only=True)
class View:
    """One picture for the model: pixels (H, W, 3) uint8 of `window`, and the share of them that is data, in (0, 1]."""

    window: Window
    pixels: NDArray[np.uint8] = field(repr=False)
    valid: float
    whole: bool = False

    def middle(self, side: int) -> NDArray[np.uint8]:
        """The pixels in the middle, `side` scene pixels wide and high; all of a window that is little larger."""
        scale = self.pixels.shape[1] / self.window[2]
        height, width = (min(round(side * scale), extent) for extent in self.pixels.shape[:2])
        if self.whole or max(self.window[2:]) <= _NEARLY * side:
            return self.pixels
        top, left = (self.pixels.shape[0] - height) // 2, (self.pixels.shape[1] - width) // 2
        return np.ascontiguousarray(self.pixels[top : top + height, left : left + width])


@dataclass(frozen=True, kw_only=True)
class TilePlan:
    """How a scene is looked at: windows of tiles (none for a small scene) of about `tile` pixels a side.

    `wanted` is the side before it grew to keep the number of tiles within `MOST_TILES`.
    """

    tile: int
    wanted: int
    windows: tuple[Window, ...]

    @property
    def total(self) -> int:
        """Views at most: the tiles, and the whole."""
        return len(self.windows) + 1


def plan_tiles(
    scene: Scene, tile: int | None = None, *, raw: bool = False, most_coarse: int = MOST_COARSE
) -> TilePlan:  # fmt: skip
    """The tiles of a scene. One whose longest side is within 1.5 tiles has none: the whole is enough.

    `raw`: as without the rules of the scene, for which a coarse tile shows no less ground than a fine one.
    `most_coarse`: tiles of a coarse scene at most, as long as they show no more ground than `GROUND` says. Raises
    BadInput for a tile under 32 pixels.
    """
    if tile is not None and tile < 32:
        raise BadInput(f"A tile of {tile} pixels shows too little; give 32 or more.")
    wanted = side = tile or default_side(scene.gsd_m, raw=raw)

    def count() -> int:
        return _pieces(scene.width, side) * _pieces(scene.height, side)

    while tile is None and count() > MOST_TILES:
        side = math.ceil(side * 1.02)
    if tile is None and not raw and scene.gsd_m and scene.gsd_m > COARSE:
        while count() > most_coarse and side * scene.gsd_m < GROUND[1]:
            side = math.ceil(side * 1.02)
    windows = tuple(partition(scene.width, scene.height, side))
    return TilePlan(tile=side, wanted=wanted, windows=windows if len(windows) > 1 else ())


def default_side(gsd: float | None, *, raw: bool = False) -> int:
    """Pixels of a tile's side for a ground sampling distance in metres (None = not known); `raw` as of `plan_tiles`."""
    if not gsd:
        return TILE
    most = GROUND[1] if gsd <= COARSE or raw else COARSE_GROUND
    shown = min(max(float(TILE), GROUND[0] / gsd), most / gsd)
    return round(min(max(shown, RAW_SIDE if raw else SIDES[0]), SIDES[1]))


def partition(width: int, height: int, side: int) -> Iterator[Window]:
    """Windows that part a scene, row by row, without overlap: each side between 0.75 and 1.5 times `side`, or all."""
    columns, rows = _cuts(width, side), _cuts(height, side)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield left, top, right - left, bottom - top


def read_views(scene: Scene, planned: TilePlan, *, whole: bool = True) -> Iterator[View | None]:
    """The tiles one by one (None for one without data), then, if `whole` or where there are none, the whole scene.

    Pixels without data are filled in.
    """
    if not planned.windows:
        yield _read(scene, scene.window, whole=True)
        return
    small = _Overview(scene.width, scene.height) if whole else None
    for window in planned.windows:
        view = _read(scene, window)
        if view is not None and small is not None:
            small.paste(view)
        yield view if view is not None and view.valid >= LEAST_VALID else None
    if small is not None:
        yield small.view()


def _pieces(length: int, side: int) -> int:
    return max(1, math.ceil(length / side - 0.5))


def _cuts(length: int, side: int) -> list[int]:
    count = _pieces(length, side)
    return [round(length * i / count) for i in range(count + 1)]


def _read(scene: Scene, window: Window, *, whole: bool = False) -> View | None:
    pixels, good = scene.read_rgb(window, READ), scene.valid(window, READ)
    share = float(good.mean()) if any(good.strides) else float(good.flat[0])  # one value for all costs no sum
    if not share:
        # A whole scene with data somewhere can still lose it all when its mask is thinned out.
        return View(window=window, pixels=pixels, valid=1 / good.size, whole=True) if whole else None
    return View(window=window, pixels=_filled(pixels, good), valid=share, whole=whole)


def _filled(pixels: NDArray[np.uint8], good: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pixels without data get the mean colour of the others: a black rim would be taken for water or shade."""
    if good.flat[0] if not any(good.strides) else good.all():
        return pixels
    return np.where(good[..., None], pixels, pixels[good].mean(axis=0).astype(np.uint8))


class _Overview:
    """The whole scene, shrunk, put together from its tiles."""

    def __init__(self, width: int, height: int) -> None:
        self.window: Window = (0, 0, width, height)
        self.scale = min(1.0, SEEN / max(width, height))
        shape = max(1, round(height * self.scale)), max(1, round(width * self.scale))
        self.pixels, self.good = np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool)
        self.valid = 0.0

    def paste(self, view: View) -> None:
        """Shrink a tile into its place."""
        column, row, width, height = view.window
        x1, x2 = round(column * self.scale), round((column + width) * self.scale)
        y1, y2 = round(row * self.scale), round((row + height) * self.scale)
        self.valid += view.valid * width * height / (self.window[2] * self.window[3])
        if x2 > x1 and y2 > y1:
            step = max(1, min(view.pixels.shape[0] // (y2 - y1), view.pixels.shape[1] // (x2 - x1)) // _SAMPLES)
            few = np.ascontiguousarray(view.pixels[::step, ::step])
            shrunk = Image.fromarray(few).resize((x2 - x1, y2 - y1), Image.Resampling.BOX)
            self.pixels[y1:y2, x1:x2], self.good[y1:y2, x1:x2] = np.asarray(shrunk), True

    def view(self) -> View:
        """The view of the whole scene."""
        pixels = _filled(self.pixels, self.good) if self.good.any() else self.pixels
        return View(window=self.window, pixels=pixels, valid=min(1.0, self.valid), whole=True)
