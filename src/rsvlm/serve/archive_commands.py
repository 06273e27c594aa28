"""What `rsvlm search` does: the tiles of an archive that fit, on a stream and in files."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TextIO

from rsvlm.printable import printable, printable_json
from rsvlm.serve.archive_files import check_outputs, write
from rsvlm.serve.archive_filters import Where
from rsvlm.serve.archive_result import FoundTile, SearchResult
from rsvlm.serve.archive_search import open_archive
from rsvlm.serve.console import columns
from rsvlm.serve.results import dumps
from rsvlm.serve.scene_facts import format_lonlat

_CAPTION = 60  # letters of a caption in a line


def run(
    archive: str, text: str, *, stream: TextIO, like: Sequence[Path], without: Sequence[str], where: Where,
    k: int, out: Sequence[Path], json: bool, model: str | None, version: int | None, captions: bool, exact: bool,
    templates: Sequence[str], cut: bool,
) -> None:  # fmt: skip
    """Print the tiles on `stream` (`json`: as one GeoJSON object) and write the files of `out`. Raises BadInput."""
    check_outputs(out)
    found = open_archive(archive, model=model, version=version).search(
        text, like=like, without=without, where=where, k=k, captions=captions, exact=exact, templates=templates, cut=cut
    )
    write(found, out)
    lines = [printable_json(dumps(found.as_dict()))] if json else [printable(line) for line in _lines(found)]
    for line in lines:
        print(line, file=stream, flush=True)


def _lines(found: SearchResult) -> list[str]:
    heads = ["", "score", "unwanted", "text", "scene and window", "date", "pixel", "place", "caption"]
    rows = [heads, *map(_row, found.hits)]
    used = [at for at in range(len(heads)) if any(row[at] for row in rows[1:])]
    words = {place for place, at in enumerate(used) if at >= heads.index("scene and window")}
    return [found.title, *columns([[row[at] for at in used] for row in rows], left=words), *found.notes]


def _row(hit: FoundTile) -> list[str]:
    tile, middle = hit.tile, hit.shape.centroid if hit.tile.footprint else None
    return [
        str(hit.rank), f"{hit.score:.3f}{' unsure' * bool(hit.doubt)}",
        "" if hit.against is None else f"{hit.against:.3f}",
        "" if hit.text_score is None else f"{hit.text_score:.1f}",
        hit.place, hit.date, f"{tile.gsd:.3g} m" if tile.gsd else "",
        format_lonlat(middle.x, middle.y) if middle else "", shorten(tile.caption, _CAPTION, placeholder="..."),
    ]  # fmt: skip
