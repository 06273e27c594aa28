"""The files of a search: GeoJSON, STAC ItemCollection, contact sheet and page, by the ending of the name."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsvlm.errors import BadInput, missing_extra
from rsvlm.files import atomic_file
from rsvlm.serve.archive_page import page
from rsvlm.serve.archive_result import FoundTile, SearchResult, picture_url
from rsvlm.serve.archive_sheet import contact_sheet
from rsvlm.serve.results import dumps

_EARLIEST = "1900-01-01T00:00:00Z"  # STAC wants a date: what has none is from between this one and now
_TYPES = {
    ".tif": "image/tiff; application=geotiff", ".tiff": "image/tiff; application=geotiff", ".jp2": "image/jp2",
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg",
}  # fmt: skip


def check_outputs(paths: Sequence[Path]) -> None:
    """Raises BadInput for a file that `write` does not know, before any work."""
    for path in paths:
        if path.suffix.lower() not in _WRITERS:
            known = ", ".join(f"{suffix} ({what})" for suffix, (what, _) in _WRITERS.items())
            raise BadInput(f"{path} names no kind of file for a search; expected {known} at its end.")
        if path.is_dir():
            raise BadInput(f"{path} is a folder; give the name of a file.")


def write(result: SearchResult, paths: Sequence[Path]) -> None:
    """Write each file whole or not at all. Raises BadInput as `check_outputs`, and where one cannot be written."""
    check_outputs(paths)
    for path in paths:
        with atomic_file(path) as aside:
            _WRITERS[path.suffix.lower()][1](result, aside)


def item_collection(result: SearchResult) -> dict[str, Any]:
    """The tiles as a STAC ItemCollection (an API's, STAC 1.1): an Item a tile, with score and window.

    An Item must have a date: one without a known date spans 1900 to now, and says so (`rsvlm:date_known`).
    """
    try:
        import pystac
    except ImportError as error:
        raise missing_extra("pystac", "archive") from error
    now = datetime.now(UTC)
    items = [_item(pystac, hit, now) for hit in result.hits]
    about = {"search": {key: value for key, value in result.as_dict()["search"].items() if key != "trace"}}
    return pystac.ItemCollection(items, extra_fields=about).to_dict(transform_hrefs=False)


def _item(pystac: Any, hit: FoundTile, now: datetime) -> Any:
    tile, feature = hit.tile, hit.feature()
    own = ("rank", "score", "text_score", "against", "unsure", "doubt", "window", "sensor")
    properties = {f"rsvlm:{name}": feature["properties"][name] for name in own}
    properties = {name: value for name, value in properties.items() if value not in (None, "")}
    properties |= {"title": hit.place, **({"description": tile.caption} if tile.caption else {})}
    properties |= {"gsd": tile.gsd} if tile.gsd else {}
    if tile.date is None:
        properties |= {
            "rsvlm:date_known": False, "start_datetime": _EARLIEST, "end_datetime": now.isoformat(timespec="seconds"),
        }  # fmt: skip
    item = pystac.Item(
        id=tile.id, geometry=feature["geometry"], bbox=feature.get("bbox"), datetime=tile.date, properties=properties
    )
    kind = _TYPES.get(Path(tile.scene).suffix.lower())
    item.add_asset("data", pystac.Asset(tile.scene, title="the scene", media_type=kind, roles=["data"]))
    if tile.thumbnail:
        item.add_asset("thumbnail", pystac.Asset(picture_url(tile.thumbnail), media_type="image/jpeg",
                                                 roles=["thumbnail"]))  # fmt: skip
    return item


def _write_geojson(result: SearchResult, path: Path) -> None:
    path.write_text(dumps(result.as_dict()) + "\n", "utf-8")


def _write_items(result: SearchResult, path: Path) -> None:
    path.write_text(dumps(item_collection(result)) + "\n", "utf-8")


def _write_page(result: SearchResult, path: Path) -> None:
    path.write_text(page(result), "utf-8")


def _write_sheet(result: SearchResult, path: Path) -> None:
    contact_sheet(result).save(path, format="PNG")


_WRITERS: dict[str, tuple[str, Callable[[SearchResult, Path], None]]] = {
    ".geojson": ("footprints", _write_geojson),
    ".json": ("STAC ItemCollection", _write_items),
    ".png": ("contact sheet", _write_sheet),
    ".html": ("page with a map", _write_page),
}
