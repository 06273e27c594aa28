"""What two dates of one place differ in beside the place itself: bands, season, sensor, angles. A sentence each."""

import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from rsvlm.geo.common_grid import distinct_names
from rsvlm.geo.open_raster import open_dataset
from rsvlm.geo.scene import Scene

_SEASON_DAYS = 45  # apart in the year, from which plants, snow and shadows differ
_ANGLE = 10.0  # degrees of viewing angle or sun height between the dates, from which buildings and shadows differ
_SENSOR_TAGS = (
    "platform", "spacecraft_id", "spacecraft_name", "spacecraft", "satellite", "satelliteid", "satid", "sensor",
    "sensor_id", "instrument", "instruments", "constellation", "tifftag_model", "exif_model",
)  # fmt: skip
_VIEW_TAGS = (
    "off_nadir", "offnadir", "off_nadir_angle", "offnadirangle", "view:off_nadir", "meanoffnadirviewangle",
    "mean_off_nadir_view_angle", "nadir_offset", "incidence_angle", "viewing_angle",
)  # fmt: skip
_SUN_TAGS = ("sun_elevation", "sunelevation", "meansunel", "view:sun_elevation", "solar_elevation")
_COLOUR_SETS = (("red", "green", "blue"), ("swir1", "nir", "red"), ("nir", "red", "green"))

Tags = Mapping[str, str]


def read_tags(path: Path) -> dict[str, str]:
    """The metadata of a raster file, names in lower case."""
    with open_dataset(path) as dataset:
        return {key.lower(): value.strip() for key, value in {**dataset.tags(), **dataset.tags(ns="IMAGERY")}.items()}


def shared_bands(before: Scene, after: Scene) -> tuple[str, ...]:
    """The roles of bands that both scenes have and that make one picture of both; () where none are known of both."""
    shared = set(before.band_roles) & set(after.band_roles) - {""}
    for roles in _COLOUR_SETS:
        if shared.issuperset(roles):
            return roles
    single = [role for role in ("nir", "red", "green", "swir1", "blue", "swir2") if role in shared]
    return (single[0],) if single else ()


def same_picture(before: Scene, after: Scene) -> bool:
    """Whether both scenes show the same bands, as far as it is known."""
    if "" in (before.composite, after.composite) or before.composite == after.composite:
        return len(before.shown) == len(after.shown)
    unknown = {"unknown order", "palette", "grey"}
    return len(before.shown) == len(after.shown) == 3 and bool(unknown & {before.composite, after.composite})


def is_swapped(before: Scene, after: Scene) -> bool:
    """Whether the metadata say that the first is the later one."""
    return bool(before.date and after.date and before.date > after.date)


def date_notes(before: Scene, after: Scene) -> list[str]:
    """On dates in the wrong order, equal dates, and seasons that differ."""
    if not before.date or not after.date:
        return []
    if is_swapped(before, after):
        first, second = distinct_names(before, after)
        return [
            f"by their metadata {first} is of {before.date} and {second} of {after.date}: the two "
            f"may be swapped; they are compared in the order given", *_season_note(before.date, after.date),
        ]  # fmt: skip
    if before.date == after.date:
        return [f"by their metadata both dates are {before.date}"]
    return _season_note(before.date, after.date)


def _season_note(first: str, second: str) -> list[str]:
    days = [date.fromisoformat(one).timetuple().tm_yday for one in (first, second)]
    apart = abs(days[0] - days[1])
    apart = min(apart, 365 - apart)
    if apart < _SEASON_DAYS:
        return []
    return [
        f"the seasons differ ({first} and {second}, {apart} days apart in the year): plants, snow, water levels and "
        f"shadows may look changed where nothing was built"
    ]


def metadata_notes(names: Sequence[str], tags: Sequence[Tags]) -> list[str]:
    """On sensors, viewing angles and heights of the sun that differ by the tags of two files."""
    notes = []
    sensors = [_first(one, _SENSOR_TAGS) for one in tags]
    if all(sensors) and sensors[0].lower() != sensors[1].lower():
        notes.append(
            f"the sensors differ ({sensors[0]:.60} and {sensors[1]:.60}): colours and sharpness may look changed"
        )
    for what, wanted, effect in (
        ("the viewing angles", _VIEW_TAGS, "tall buildings lean differently, and their sides may look changed"),
        ("the heights of the sun", _SUN_TAGS, "shadows may look changed"),
    ):
        angles = [_number(_first(one, wanted)) for one in tags]
        if angles[0] is not None and angles[1] is not None and abs(angles[0] - angles[1]) >= _ANGLE:
            notes.append(
                f"{what} differ ({angles[0]:.0f} degrees in {names[0]}, {angles[1]:.0f} in {names[1]}): {effect}"
            )
    return notes


def storage_notes(before: Scene, after: Scene) -> list[str]:
    """On kinds of values, and pictures of other bands, that differ."""
    notes = []
    if len(before.shown) != len(after.shown):
        grey, colour = distinct_names(before, after)[:: 1 if len(before.shown) == 1 else -1]
        notes.append(f"{grey} has one band and {colour} colours: both are compared in grey")
    elif before.composite != after.composite:
        first, second = distinct_names(before, after)
        notes.append(
            f"{first} shows {before.composite} and {second} {after.composite}: colours may look "
            f"changed; choose the bands of each"
        )
    if before.dtype != after.dtype:
        notes.append(f"the values differ in kind ({before.dtype} and {after.dtype})")
    return notes


def _first(tags: Tags, wanted: Sequence[str]) -> str:
    return next((tags[name] for name in wanted if tags.get(name)), "")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
