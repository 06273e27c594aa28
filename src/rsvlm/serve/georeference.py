"""Evidence as GeoJSON features, as class shares with areas, and as regions for the overlay."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import shapely

from rsvlm.errors import BadInput
from rsvlm.geo.place import Place
from rsvlm.geo.tiles import Window
from rsvlm.geo.vector import feature, region_feature, region_polygon, window_feature
from rsvlm.sample import Region
from rsvlm.serve.aggregate import Evidence, SceneAnswer

_MOST_CLASSES = 6  # named in an answer; all are in its regions
_LONGEST = 28  # letters of a label in the overlay


def features(evidence: Iterable[Evidence], place: Place | None) -> tuple[dict[str, Any], ...]:
    """GeoJSON features with label, score, window(s) and `area_m2` (or pixels, `area_px` and `crs: null`).

    Windows under one label are dissolved into one shape, except where part of them lies off the Earth.
    """
    made: list[dict[str, Any]] = []
    for one in evidence:
        properties = {"label": one.label, "score": one.score, **one.properties}
        if one.region is not None:
            with contextlib.suppress(BadInput):  # in space
                made.append(_object(one.region, place))
        elif one.shape is not None:
            with contextlib.suppress(BadInput):
                made.append(feature(one.shape, place, **properties))
        elif len(one.windows) > 1 and _on_earth(one.windows, place):
            shape = shapely.union_all(_boxes(one.windows))
            made.append(feature(shape, place, **properties, windows=[list(window) for window in one.windows]))
        else:
            made += _each(one.windows, place, properties)
    return tuple(made)


def _object(region: Region, place: Place | None) -> dict[str, Any]:
    """A region as a feature; on the Earth with the longitude and latitude of its middle."""
    made = region_feature(region, place)
    if place is not None:
        x1, y1, x2, y2 = region.box
        lon, lat = place.to_lonlat([((x1 + x2) / 2, (y1 + y2) / 2)])[0]
        made["properties"]["lonlat"] = [float(lon), float(lat)]
    return made


def _each(windows: Iterable[Window], place: Place | None, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    made = []
    for window in windows:
        # A window in space (the rim of a geostationary scene) has no place to show.
        with contextlib.suppress(BadInput):
            made.append(window_feature(window, place, **properties))
    return made


def answer_text(result: SceneAnswer, regions: Sequence[Mapping[str, Any]]) -> str:
    """The answer in words; land cover over tiles gets the share and area of each class, largest first."""
    if not result.shares or not regions:
        return result.answer
    size: dict[str, float] = {}
    unit = "area_m2" if "area_m2" in regions[0]["properties"] else "area_px"
    for found in regions:
        known = found["properties"]
        size[known["label"]] = size.get(known["label"], 0.0) + known[unit] * known["valid"]
    whole = sum(size.values()) / (sum(share for name, share in result.shares if name in size) or 1.0)
    parts = [
        f"{name} {100 * share:.0f} % ({format_area(size.get(name, share * whole), unit)})"
        for name, share in result.shares
    ]
    rest = len(parts) - _MOST_CLASSES
    tail = [f"{rest} more classes"] if rest > 0 else []
    return f"{result.answer}. Shares: {', '.join([*parts[:_MOST_CLASSES], *tail])}."


def overlay_regions(evidence: Iterable[Evidence]) -> list[Region]:
    """Regions in scene pixels for the overlay; touching windows of one label are one region, several labels of one
    window share a tag.
    """
    labels: dict[Window, dict[str, float]] = {}
    regions: list[Region] = []
    for one in evidence:
        if one.region is not None:
            regions.append(replace(one.region, label=_short(one.label)))
            continue
        if one.shape is not None:
            regions += _outlines(one.label, one.score, [one.shape])
            continue
        if len(one.windows) == 1:
            labels.setdefault(one.windows[0], {}).setdefault(_short(one.label), one.score)
            continue
        regions += _outlines(one.label, one.score, shapely.get_parts(shapely.union_all(_boxes(one.windows))))
    for (column, row, width, height), named in labels.items():
        box = (float(column), float(row), float(column + width), float(row + height))
        score = next(iter(named.values())) if len(named) == 1 else None
        regions.append(Region(label=" | ".join(named), box=box, score=score))
    return regions


def _outlines(label: str, score: float, pieces: Iterable[Any]) -> list[Region]:
    rings = [(piece.bounds, tuple((float(x), float(y)) for x, y in piece.exterior.coords[:-1])) for piece in pieces]
    return [Region(label=_short(label), box=box, polygon=ring, score=score) for box, ring in rings]


def evidence_shape(one: Evidence) -> Any:
    """The shapely shape of an evidence in scene pixels."""
    if one.shape is not None:
        return one.shape
    return region_polygon(one.region) if one.region else shapely.union_all(_boxes(one.windows))


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 3].rstrip() + "..."


def _boxes(windows: Iterable[Window]) -> list[Any]:
    return [shapely.box(column, row, column + width, row + height) for column, row, width, height in windows]


def _on_earth(windows: Sequence[Window], place: Place | None) -> bool:
    if place is None:
        return True
    corners = [(c + i * w, r + j * h) for c, r, w, h in windows for i in (0, 1) for j in (0, 1)]
    return bool(np.isfinite(place.to_lonlat(corners)).all())


def format_area(size: float, unit: str) -> str:
    """An area with its unit, "area_m2" or "area_px"."""
    if unit == "area_px":
        return f"{size:,.0f} px"
    return f"{size / 1e6:,.2f} km2" if size >= 1e5 else f"{size:,.0f} m2"
