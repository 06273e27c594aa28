"""What `rsvlm embed` does: vectors of many pictures, or of their tiles, into one file; a killed run goes on."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from rich.progress import Progress, TaskID

from rsvlm import __version__
from rsvlm.errors import BadInput
from rsvlm.files import is_folder
from rsvlm.geo.place import Place
from rsvlm.geo.raster import open_scene
from rsvlm.printable import printable
from rsvlm.progress import progress_bar
from rsvlm.serve import footprints
from rsvlm.serve.answer_files import check_folder
from rsvlm.serve.inputs import SUFFIXES
from rsvlm.serve.tiling import MOST_TILES, TilePlan, View, plan_tiles, read_views
from rsvlm.serve.vector_store import VectorStore
from rsvlm.serve.vector_table import Vectors, check_format
from rsvlm.systems.abilities import Embeds, Pixels, ability_error
from rsvlm.systems.load import load
from rsvlm.systems.matching import BATCH, image_vectors

_ROWS, _SECONDS = 2048, 60.0  # a part is written when it has so many rows, or after so long
_BYTES = 2**27  # of pictures that wait for the model
_NAMED = 5  # pictures that could not be read, in the sentence at the end
Row = tuple[str, Sequence[int], float, Sequence[float], str]
Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class EmbedSettings:
    """`tiles`: a row a tile of a large scene, `tile` pixels a side (default: by resolution), else one a picture."""

    tiles: bool = False
    tile: int | None = None
    bands: str | None = None
    batch: int = BATCH


def run(paths: Sequence[Path], *, out: Path, model: str, settings: EmbedSettings) -> tuple[int, int]:
    """Vectors of pictures (files, and those in folders and below) into `out`; how many pictures are new, rows in all.

    Pictures that `out` holds already are left out; what was made is kept in parts beside it until the end, so that the
    same command goes on where a killed one was. Raises BadInput where there is no picture, where `out` is of another
    model or setting, and at the end where pictures could not be read: the vectors of the others are written.
    """
    check_format(out)
    check_folder(out.parent)
    pictures = list(dict.fromkeys(str(path) for path in _expanded(paths)))
    loaded: Any = load(model)
    name, trace = loaded.name, loaded.trace
    if not isinstance(loaded, Embeds):
        raise ability_error(name, Embeds)
    about = {
        "format": 1, "model": name, "trace": trace, "rsvlm": __version__, "tiles": settings.tiles,
        "tile": settings.tile, "bands": settings.bands,
    }  # fmt: skip
    store = VectorStore(out, about)
    todo = [path for path in pictures if path not in store.done]
    with progress_bar() as progress:
        bar = progress.add_task("pictures", total=len(pictures), completed=len(pictures) - len(todo))
        failed = _Embedder(loaded, settings, store).run(todo, progress, bar)
    rows = store.finish() if store.new else 0
    if failed:
        more = ", ..." if len(failed) > _NAMED else ""
        kept = f"; the vectors of the other {len(pictures) - len(failed)} are in {out}" if store.done else ""
        raise BadInput(
            f"{len(failed)} of {len(pictures)} pictures could not be read: {', '.join(failed[:_NAMED])}{more}{kept}."
        )
    return len(todo), rows


def _expanded(paths: Sequence[Path]) -> Iterator[Path]:
    """Files as they are given, and those below folders with the suffix of a picture. Raises BadInput for none."""
    for path in paths:
        if not is_folder(path):
            yield path
            continue
        found = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
        seen = [one for one in found if not any(part.startswith(".") for part in one.relative_to(path).parts)]
        if not seen:
            raise BadInput(f"The folder {path} holds no picture; expected files named {', '.join(sorted(SUFFIXES))}.")
        yield from seen


@dataclass
class _Embedder:
    """Views that wait for the model, and rows with their vectors that wait for their part."""

    model: Any
    settings: EmbedSettings
    store: VectorStore
    waiting: list[tuple[Row, Pixels]] = field(default_factory=list[tuple[Row, Pixels]])
    rows: list[tuple[Row, Vector]] = field(default_factory=list[tuple[Row, Vector]])
    since: float = field(default_factory=time.monotonic)

    def run(self, todo: Sequence[str], progress: Progress, bar: TaskID) -> list[str]:
        """Embed pictures one after another; the names of those that cannot be read, whose errors are shown."""
        failed: list[str] = []
        for path in todo:
            try:
                self.waiting += _views(path, self.settings)
            except BadInput as error:
                failed.append(Path(path).name)
                progress.console.print(printable(f"rsvlm: {error}"), markup=False, highlight=False, soft_wrap=True)
            if len(self.waiting) >= self.settings.batch or sum(one.nbytes for _, one in self.waiting) > _BYTES:
                self._embed()
            if len(self.rows) >= _ROWS or time.monotonic() - self.since > _SECONDS:
                self._keep()
            progress.advance(bar)
        self._embed()
        self._keep()
        return failed

    def _embed(self) -> None:
        """The vectors of what waits. Raises BadInput where the model gives none that can be compared."""
        if self.waiting:
            vectors = image_vectors(self.model, [pixels for _, pixels in self.waiting], batch=self.settings.batch)
            self.store.check_width(vectors.shape[1])
            self.rows += [(row, vector) for (row, _), vector in zip(self.waiting, vectors, strict=True)]
            self.waiting.clear()

    def _keep(self) -> None:
        """Write the rows so far as a part: between two pictures, so that none is there by half."""
        self._embed()
        if self.rows:
            self.store.add(Vectors.of([row for row, _ in self.rows], np.stack([vector for _, vector in self.rows])))
            self.rows.clear()
        self.since = time.monotonic()


def _views(path: str, settings: EmbedSettings) -> list[tuple[Row, Pixels]]:
    """The tiles of a picture that have data, or the whole, as rows with their pixels. Raises BadInput."""
    with open_scene(path, bands=settings.bands) as scene:
        whole = TilePlan(tile=0, wanted=0, windows=())
        planned = plan_tiles(scene, settings.tile, most_coarse=MOST_TILES) if settings.tiles else whole
        views = [view for view in read_views(scene, planned) if view is not None]
        chosen = [view for view in views if not view.whole] or views
        return [
            (_row(path, view, scene.place), view.middle(planned.wanted) if planned.windows else view.pixels)
            for view in chosen
        ]  # fmt: skip


def _row(path: str, view: View, place: Place | None) -> Row:
    column, row, width, height = view.window
    middle, outline = (math.nan, math.nan), ""
    if place is not None:
        lon, lat = place.to_lonlat([(column + width / 2, row + height / 2)])[0]
        middle = float(lon), float(lat)
        geometry = footprints.outline(view.window, place)
        if geometry is not None:
            outline = shapely.to_wkt(geometry, rounding_precision=footprints.DECIMALS)
    return path, view.window, view.valid, middle, outline
