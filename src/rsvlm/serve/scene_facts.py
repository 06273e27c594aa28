"""What a scene's file tells by itself: where it lies, when it was taken, how fine it is. No model is asked."""

import math
from typing import Any

import numpy as np

from rsvlm.geo.scene import Scene
from rsvlm.serve.aggregate import Evidence, SceneAnswer

_ABSURD = (1e-3, 1e5)  # metres per pixel that no sensor has


def usable_gsd(scene: Scene) -> float | None:
    """Metres per pixel of a scene, where it is placed and the number can be true; else None."""
    gsd = scene.gsd_m
    return gsd if gsd is not None and math.isfinite(gsd) and _ABSURD[0] < gsd < _ABSURD[1] else None


def format_gsd(gsd: float) -> str:
    """ "0.5 m", "300 m", "78 km"."""
    return f"{gsd / 1000:.3g} km" if gsd >= 1000 else f"{gsd:.3g} m"


def ground_size(scene: Scene) -> str:
    """The width and height of a scene on the ground, "4.7 x 3.6 km"; in pixels where it has no place."""
    gsd = usable_gsd(scene)
    if gsd is None:
        return f"{scene.width} x {scene.height} pixels"
    sides = scene.width * gsd, scene.height * gsd
    unit, by = ("km", 1000.0) if max(sides) >= 1000 else ("m", 1.0)
    width, height = (f"{side / by:,.0f}" if side / by >= 100 else f"{side / by:.3g}" for side in sides)
    return f"{width} x {height} {unit}"


def facts_for_trace(scene: Scene) -> dict[str, Any]:
    """What a trace tells of a scene: name, size, what is shown, where and when, and what was assumed."""
    return {
        "scene": scene.path.name, "width": scene.width, "height": scene.height,
        "bands": [scene.bands[number - 1] for number in scene.shown], "composite": scene.composite,
        "gsd_m": scene.gsd_m, "crs": scene.crs, "date": scene.date, "unplaced": scene.unplaced or None,
        "notes": list(scene.notes),
    }  # fmt: skip


def place_answer(scene: Scene) -> SceneAnswer:
    """Where the scene lies: the coordinates of its middle and bounds, and its CRS. Names of places are not known."""
    place = scene.place
    if place is None:
        return _of_file(f"The file does not tell where it lies: {scene.unplaced}.", "the file has no place on Earth")
    points = [(scene.width / 2, scene.height / 2)]
    points += [(x, y) for x in (0, scene.width) for y in (0, scene.height)]
    middle, *corners = place.to_lonlat(points)
    parts = [f"Its middle lies at {format_lonlat(*middle)}"]
    if np.isfinite(corners).all():
        lon, lat = np.array(corners).T
        parts.append(
            f"its corners between {format_lonlat(lon.min(), lat.min())} and {format_lonlat(lon.max(), lat.max())}"
        )
    text = (
        f"{', '.join(parts)}; its coordinate reference system is {place.crs_name:.80}. Names of places are not known."
    )
    return _of_file(text, "coordinates from the file", scene)


def date_answer(scene: Scene) -> SceneAnswer:
    """The day on which the scene was taken, from the metadata of its file."""
    if scene.date is None:
        return _of_file("The file does not tell when it was taken.", "no date among the metadata of the file")
    return _of_file(f"It was taken on {scene.date}, as its metadata say.", "date from the metadata of the file")


def resolution_answer(scene: Scene) -> SceneAnswer:
    """Size in pixels and on the ground, resolution, and bands."""
    count = len(scene.bands)
    size = f"{scene.width} x {scene.height} pixels, {count} band{'s' if count > 1 else ''}"
    gsd = usable_gsd(scene)
    if gsd is None:
        return _of_file(f"The scene has {size}; its resolution on the ground is not known.", "size from the file")
    text = f"The scene has {size}; a pixel is {format_gsd(gsd)} on the ground, all of it {ground_size(scene)}."
    return _of_file(text, "size and georeference from the file", scene)


def _of_file(text: str, rule: str, scene: Scene | None = None) -> SceneAnswer:
    evidence = () if scene is None else (Evidence(label="scene", score=1.0, windows=(scene.window,)),)
    return SceneAnswer(answer=text, confidence=1.0, evidence=evidence, rule=rule, about="read from the file")


def format_lonlat(lon: float, lat: float) -> str:
    """ "44.1234 N, 93.0000 W", degrees."""
    if not (math.isfinite(lon) and math.isfinite(lat)):
        return "a point off the Earth"
    return f"{abs(lat):.4f} {'N' if lat >= 0 else 'S'}, {abs(lon):.4f} {'E' if lon >= 0 else 'W'}"
