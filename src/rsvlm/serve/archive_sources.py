"""What `rsvlm index` is given, as scenes: folders, files, patterns, and STAC items, collections and catalogues."""

import json
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from rsvlm.errors import BadInput, missing_extra
from rsvlm.files import is_file, is_folder, resolved
from rsvlm.serve.inputs import SUFFIXES

_ASSETS = ("visual", "image", "data", "overview", "thumbnail")  # keys and roles of STAC, the first that is there
_RASTERS = ("image/tiff", "image/jp2", "image/png", "image/jpeg", "image/vnd.stac.geotiff")
_TIMEOUT = 60.0  # seconds without an answer from a server
_CHUNK = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A scene to index. `key` names it in the archive: its absolute path, or the URL to fetch it from (`path` is None).

    What a STAC item says of it goes before what the file says: `date`, `sensor`; `gsd` in metres stands in where the
    file tells none. `mark` is what of the item changes with it.
    """

    key: str
    path: Path | None
    date: datetime | None = None
    sensor: str = ""
    gsd: float | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Scenes, and what else was met: files that are no rasters, and sentences about what cannot be indexed."""

    sources: tuple[Source, ...]
    others: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def find_sources(
    arguments: Sequence[str], *, fetch: bool = False, leave: Path | None = None, needed: bool = True
) -> Found:
    """Scenes of folders (and below), files, patterns and STAC files, each once, in order; nothing below `leave`.

    A URL among the assets of STAC is a problem unless `fetch`. Raises BadInput where an argument is not there, or where
    there is no scene at all and one is `needed`.
    """
    sources: list[Source] = []
    others: list[Path] = []
    problems: list[str] = []
    for argument in arguments:
        for path in _matching(argument):
            if is_folder(path):
                files = [one for one in _below(path) if leave is None or not one.is_relative_to(leave)]
                sources += [_of_file(one) for one in files if one.suffix.lower() in SUFFIXES]
                others += [one for one in files if one.suffix.lower() not in SUFFIXES]
            elif path.suffix.lower() in (".json", ".geojson"):
                for one in _stac(path, fetch):
                    problems.append(one) if isinstance(one, str) else sources.append(one)
            else:
                sources.append(_of_file(path))
    if not sources and needed:
        raise BadInput(
            f"{', '.join(arguments)} hold{'s' * (len(arguments) == 1)} no scene; "
            + (problems[0] if problems else f"expected files named {', '.join(sorted(SUFFIXES))}.")
        )
    once = {source.key: source for source in sources}
    return Found(sources=tuple(once.values()), others=tuple(others), problems=tuple(problems))


def _matching(argument: str) -> list[Path]:
    path = Path(argument)
    if is_file(path) or is_folder(path):
        return [path]
    found: list[Path] = []
    if any(one in argument for one in "*?["):
        root = Path(path.anchor)
        found = sorted(root.glob(str(path.relative_to(root))))
    if not found:
        raise BadInput(f"There is no file or folder {argument}; give a folder, scenes, a pattern or a STAC file.")
    return found


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _of_file(path: Path) -> Source:
    return Source(key=str(resolved(path)), path=path)


# -- STAC --------------------------------------------------------------------------------------------------------------


def _stac(path: Path, fetch: bool) -> Iterator[Source | str]:
    """The items of a STAC file as sources; a sentence for each that cannot be one. Raises BadInput for no STAC."""
    try:
        import pystac
        from pystac.stac_io import DefaultStacIO
    except ImportError as error:
        raise missing_extra("pystac-core", "archive") from error

    class LocalIO(DefaultStacIO):
        """Links that lead away from this machine are not followed."""

        def read_text_from_href(self, href: str) -> str:
            if urlsplit(href).scheme not in ("", "file"):
                raise BadInput(f"{path} links to {href}, which is not on this machine; fetch its items first.")
            return super().read_text_from_href(href)

    try:
        kind = json.loads(path.read_text("utf-8")).get("type")
        if kind == "FeatureCollection":
            items = pystac.ItemCollection.from_file(str(resolved(path)), stac_io=LocalIO()).items
            for item in items:
                if not item.get_self_href():
                    item.set_self_href(str(resolved(path)))
        else:
            read: Any = pystac.read_file(str(resolved(path)), stac_io=LocalIO())
            items = [read] if isinstance(read, pystac.Item) else list(read.get_items(recursive=True))
    except (
        pystac.STACError,
        pystac.STACTypeError,
        OSError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
    ) as error:
        if isinstance(error.__cause__, BadInput):  # of `LocalIO`
            raise error.__cause__ from error
        raise BadInput(f"{path} is no STAC item, collection or catalogue that can be read ({error!s:.200}).") from error
    for item in items:
        yield _of_item(item, fetch)


def _of_item(item: Any, fetch: bool) -> Source | str:
    name, asset = f"the STAC item {item.id!r:.80}", _asset(item.get_assets())
    if asset is None:
        return f"{name} has no asset that is a raster."
    href = asset.get_absolute_href() or asset.href
    about = item.common_metadata
    sensor = about.platform or about.constellation or next(iter(about.instruments or ()), "")
    date = item.datetime or about.start_datetime
    facts = {"date": date, "sensor": str(sensor), "gsd": asset.extra_fields.get("gsd") or about.gsd}
    mark = json.dumps([str(value) for value in (*facts.values(), about.updated)])
    local = urlsplit(href).scheme in ("", "file")
    if not local and not (fetch and urlsplit(href).scheme in ("http", "https")):
        return f"{name} has its picture at {href}, which is not fetched unless asked (--fetch, for http and https)."
    path = Path(urlsplit(href).path if href.startswith("file:") else href) if local else None
    if path is not None and not is_file(path):
        return f"{name} names {path}, which is not there."
    return Source(key=str(resolved(path)) if path else href, path=path, mark=mark, **cast(dict[str, Any], facts))


def _asset(assets: Mapping[str, Any]) -> Any | None:
    """The picture of an item: by its key or role, among those that are rasters."""
    rasters = {key: one for key, one in assets.items() if _is_raster(one)}
    for wanted in _ASSETS:
        for key, one in rasters.items():
            if key == wanted or wanted in (one.roles or ()):
                return one
    return next(iter(rasters.values()), None)


def _is_raster(asset: Any) -> bool:
    kind, suffix = (asset.media_type or "").split(";")[0].strip().lower(), Path(urlsplit(asset.href).path).suffix
    return kind in _RASTERS or (not kind and suffix.lower() in SUFFIXES)


@contextmanager
def local_file(source: Source) -> Iterator[Path]:
    """The file of a source; one behind a URL is downloaded for as long as the block lasts. Raises BadInput, OSError."""
    if source.path is not None:
        yield source.path
        return
    with tempfile.TemporaryDirectory(prefix="rsvlm.") as folder:
        path = Path(folder) / (Path(source.key.split("?")[0]).name or "scene.tif")
        with urllib.request.urlopen(source.key, timeout=_TIMEOUT) as answer, path.open("wb") as file:
            while part := answer.read(_CHUNK):
                file.write(part)
        yield path
