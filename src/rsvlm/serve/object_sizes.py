"""How large things are on the ground, and whether they can be seen at a scene's metres a pixel.

A table of sizes with their sources, which are standards where there are some, and a rule: under three pixels across the
largest one cannot be told from others; of what is long and thin (roads, rivers) the width counts, and one pixel is
enough. The table serves to refuse what cannot be seen; that something is in the picture does not follow from it.
"""

import math
from dataclasses import dataclass

from rsvlm.serve.nouns import find_noun, plural
from rsvlm.serve.size_table import LINE_PIXELS, OBJECT_PIXELS, SIZES, ObjectSize

GSD_LIMITS = (1e-3, 1e5)  # metres a pixel between which a value is believed
_NAMES = {word: size for size in SIZES for word in (size.name, *size.synonyms)}


@dataclass(frozen=True, slots=True)
class Visibility:
    """Whether a thing can be seen.

    `name` is that of the table, "" where it has none. `size` is (smallest, typical, largest) in metres, of the length
    or width as `dimension` says ("long", "wide", "across"). `pixels_largest` and `pixels_typical` are those at the
    metres a pixel of the scene; what is not known is None or "". `verdict` is "visible", "too small", "marginal" (only
    the largest) or "unknown". `sentence` says so. `hint` is "", or what to know of a thing that is larger than the
    ground that the scene shows. `source` is that of the size.
    """

    name: str
    size: tuple[float, float, float] | None
    dimension: str
    pixels_largest: float | None
    pixels_typical: float | None
    verdict: str
    sentence: str
    hint: str = ""
    source: str = ""


def find_size(thing: str) -> ObjectSize | None:
    """The entry of a thing ("cars", "two white boats", "a group of people"), or None where the table has none."""
    return _NAMES.get(find_noun(thing, _NAMES))


def visibility(thing: str, gsd_m: float | None, ground_m: float | None = None) -> Visibility:
    """Whether `thing` can be seen at `gsd_m` metres a pixel; `ground_m` is the longer side of the scene in metres.

    What the table does not have, and metres a pixel that are absent or not between GSD_LIMITS, give "unknown": no rule
    acts on it.
    """
    word = find_noun(thing, _NAMES)
    entry = _NAMES.get(word)
    if entry is None:
        return Visibility("", None, "", None, None, "unknown", "Nothing is known here about the size of this.")
    many, size = plural(word), entry.metres
    known = gsd_m is not None and math.isfinite(gsd_m) and GSD_LIMITS[0] <= gsd_m <= GSD_LIMITS[1]
    if gsd_m is None or not known:
        given = "is not known" if gsd_m is None or math.isnan(gsd_m) else f"is given as {gsd_m:g} m, which cannot be"
        sentence = f"How much ground a pixel shows {given}, so whether {many} can be seen is not known."
        return Visibility(entry.name, size, entry.dimension, None, None, "unknown", sentence, "", entry.source)
    least = LINE_PIXELS if entry.line else OBJECT_PIXELS
    typical, largest = size[1] / gsd_m, size[2] / gsd_m
    verdict = "too small" if largest < least else "marginal" if typical < least else "visible"
    says = {
        "too small": f"{many} cannot be seen",
        "marginal": f"only the largest {many} can be made out",
        "visible": f"{many} can be seen",
    }[verdict]
    rule = f"{least} pixels are" if least > 1 else "a pixel is"
    sentence = (
        f"At {metres(gsd_m)} per pixel {says}: they are {_range(size[0], size[2])} {entry.dimension}, and "
        f"{rule} {metres(least * gsd_m)}."
    )
    hint = _larger_hint(entry, many, ground_m)
    return Visibility(entry.name, size, entry.dimension, largest, typical, verdict, sentence, hint, entry.source)


def _larger_hint(entry: ObjectSize, many: str, ground_m: float | None) -> str:
    """A sentence where even the smallest one is larger than the scene, so that it cannot be said to be absent."""
    if ground_m is None or not 0 < ground_m < entry.metres[0] or entry.line:
        return ""
    return (
        f"The scene shows {metres(ground_m)} of ground, and {many} are {_range(entry.metres[0], entry.metres[2])} "
        f"{entry.dimension}: a part of one may fill it, so that none can be said to be absent."
    )


def metres(length: float) -> str:
    """A length in words: "0.5 m", "900 m", "12 km"."""
    if length >= 10_000:
        return f"{length / 1000:,.0f} km"
    if length < 10:
        return f"{float(f'{length:.2g}'):g} m"
    return f"{length:,.0f} m"


def _range(low: float, high: float) -> str:
    """ "5 to 50 m", "2 to 12 km"."""
    first, last = metres(low), metres(high)
    if first == last:
        return first
    number, unit = first.rsplit(" ", 1)
    return f"{number} to {last}" if last.endswith(f" {unit}") else f"{first} to {last}"
