"""Scenes as rows of an archive: their tiles by ground size, and vectors of a model in batches."""

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from rsvlm.errors import BadInput
from rsvlm.files import sha256
from rsvlm.geo.raster import open_scene
from rsvlm.geo.scene import Scene
from rsvlm.index.rows import Tile
from rsvlm.index.writing import SceneRows
from rsvlm.serve import footprints
from rsvlm.serve.archive_sources import Source, local_file
from rsvlm.serve.scene_facts import usable_gsd
from rsvlm.serve.tiling import TilePlan, default_side, partition, read_views
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.matching import BATCH, image_vectors

THUMBNAIL = 128  # pixels: its longest side
_QUALITY = 80
_LEAST_SIDE = 32  # pixels of a tile: less shows too little
ROWS, SECONDS = 4096, 60.0  # a commit has so many rows, or what came together in that time
_DESCRIBE = "Describe this image."
Advance = Callable[[float], None]  # called with the share of a scene that was done
Captions = Mapping[str, str] | None  # by absolute path or file name


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """How scenes become rows.

    `tile_metres`: side of a tile on the ground (default: by resolution); `tile`: in pixels, where no resolution is
    known. `sensor` names that of scenes that do not tell it. `batch`: tiles for the model at once.
    """

    tile_metres: float | None = None
    tile: int | None = None
    bands: str | None = None
    sensor: str = ""
    thumbnails: bool = True
    batch: int = BATCH

    def __post_init__(self) -> None:
        if self.tile_metres is not None and not 0 < self.tile_metres < 1e7:
            raise BadInput(f"A tile of {self.tile_metres:g} metres cannot be; give a side over 0.")


def fingerprint(source: Source, settings: IndexSettings, captions: str = "") -> dict[str, Any]:
    """What a scene's file is now and how its rows are made: {"size", "mtime", "how"}; `captions` names their source."""
    how = {key: value for key, value in asdict(settings).items() if key != "batch"} | {"captions": captions}
    made = {"how": hashlib.sha256(json.dumps([how, source.mark]).encode()).hexdigest()[:16]}
    if source.path is None:
        return made | {"url": source.key}
    try:
        status = source.path.stat()
    except OSError as error:
        raise BadInput(f"{source.path} cannot be read ({error.strerror}).") from error
    return made | {"size": status.st_size, "mtime": status.st_mtime_ns}


def with_hash(mark: Mapping[str, Any], path: Path | None) -> str:
    """A fingerprint with the SHA-256 of the file, as the archive keeps it."""
    return json.dumps({**mark, **({"sha256": sha256(path)} if path else {})}, sort_keys=True)


def plan(scene: Scene, settings: IndexSettings, gsd: float | None) -> TilePlan:
    """The tiles of a scene, however many: `tile_metres` a side where its resolution is known."""
    side = default_side(gsd)
    if gsd and settings.tile_metres:
        side = max(_LEAST_SIDE, round(settings.tile_metres / gsd))
    elif settings.tile:
        side = settings.tile
    windows = tuple(partition(scene.width, scene.height, side))
    return TilePlan(tile=side, wanted=side, windows=windows if len(windows) > 1 else ())


def scene_tiles(
    source: Source, path: Path, settings: IndexSettings, captions: Captions, advance: Advance
) -> Iterator[tuple[Tile, Pixels]]:
    """The tiles of a scene that have data, as rows with their pixels (H, W, 3). Raises BadInput for no scene."""
    with open_scene(path, bands=settings.bands) as scene:
        gsd = usable_gsd(scene) or source.gsd
        planned = plan(scene, settings, gsd)
        date = source.date or (datetime.fromisoformat(scene.date).replace(tzinfo=UTC) if scene.date else None)
        caption = (captions or {}).get(source.key) or (captions or {}).get(Path(source.key).name, "")
        for view in read_views(scene, planned, whole=False):
            advance(1 / max(1, len(planned.windows)))
            if view is None:
                continue
            pixels = np.ascontiguousarray(view.pixels)
            outline = footprints.outline(view.window, scene.place) if scene.place else None
            outline = None if outline is None else footprints.rounded(outline)
            tile = Tile(
                scene=source.key, window=view.window, gsd=gsd, date=date, caption=caption,
                sensor=source.sensor or settings.sensor, thumbnail=_thumbnail(pixels) if settings.thumbnails else b"",
                footprint=None if outline is None else shapely.to_wkb(outline),
                bounds=None if outline is None else footprints.bounds(outline),
            )  # fmt: skip
            yield tile, pixels


def _thumbnail(pixels: Pixels) -> bytes:
    picture, file = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    picture.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


@dataclass
class SceneEmbedder:
    """Embeds scenes one after another and gives them to `keep`, several at once; their tiles share batches.

    `describe` is a model that answers, for captions where none are given. `failed` has a sentence for each scene that
    could not be read, by its key.
    """

    model: Any
    settings: IndexSettings
    keep: Callable[[list[SceneRows]], None]
    captions: Captions = None
    describe: Any = None
    failed: dict[str, str] = field(default_factory=dict[str, str])
    _waiting: list[tuple[Tile, Pixels]] = field(default_factory=list[tuple[Tile, Pixels]])
    _done: list[tuple[Tile, NDArray[np.float64]]] = field(default_factory=list[tuple[Tile, NDArray[np.float64]]])
    _scenes: list[tuple[str, str, int]] = field(default_factory=list[tuple[str, str, int]])  # key, mark, rows so far
    _since: float = field(default_factory=time.monotonic)

    def add(self, source: Source, mark: Mapping[str, Any], advance: Advance = lambda share: None) -> bool:
        """Embed a scene, whose file is `mark` now; False where it cannot be read."""
        start = len(self._done) + len(self._waiting)
        try:
            with local_file(source) as path:
                whole = with_hash(mark, source.path)
                for row in scene_tiles(source, path, self.settings, self.captions, advance):
                    self._waiting.append(row)
                    if len(self._waiting) >= self.settings.batch:
                        self._embed()
        except (BadInput, OSError) as error:
            self.failed[source.key] = f"{source.key} cannot be read: {error}"
            del self._waiting[max(0, start - len(self._done)) :], self._done[start:]
            return False
        self._scenes.append((source.key, whole, len(self._done) + len(self._waiting)))
        if len(self._done) >= ROWS or time.monotonic() - self._since > SECONDS:
            self.finish()
        return True

    def finish(self) -> None:
        """Keep all scenes so far."""
        self._embed()
        if self._scenes:
            self.keep([*self._rows()])
        self._done.clear()
        self._scenes.clear()
        self._since = time.monotonic()

    def _rows(self) -> Iterator[SceneRows]:
        start = 0
        for key, mark, end in self._scenes:
            part, start = self._done[start:end], end
            vectors = np.stack([vector for _, vector in part]) if part else np.zeros((0, self._width))
            yield SceneRows(scene=key, fingerprint=mark, tiles=[tile for tile, _ in part], vectors=vectors)

    def _embed(self) -> None:
        if not self._waiting:
            return
        pixels = [one for _, one in self._waiting]
        tiles = [tile for tile, _ in self._waiting]
        if self.describe is not None:
            tiles = _described(self.describe, tiles, pixels)
        vectors = image_vectors(self.model, pixels, batch=self.settings.batch)
        self._done += zip(tiles, vectors, strict=True)
        self._waiting.clear()

    @property
    def _width(self) -> int:
        return len(self._done[0][1]) if self._done else width_of(self.model)


def width_of(model: Any) -> int:
    """The numbers in a vector of a model, seen on a grey picture."""
    return image_vectors(model, [np.full((64, 64, 3), 127, np.uint8)]).shape[1]


def _described(model: Any, tiles: Sequence[Tile], pixels: Sequence[Pixels]) -> list[Tile]:
    replies = model.answer(pixels, [_DESCRIBE] * len(pixels))
    return [replace(tile, caption=tile.caption or reply.text) for tile, reply in zip(tiles, replies, strict=True)]
