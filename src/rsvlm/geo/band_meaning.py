"""The common name of a band (red, nir, swir1, ...) from its description: a word, a wavelength, or a band number."""

import re
from collections.abc import Sequence

_WORDS = {  # the whole name, once numbers of bands and units are taken out
    "red": "red", "r": "red",
    "green": "green", "g": "green",
    "blue": "blue", "b": "blue",
    "nir": "nir", "near infrared": "nir", "nir1": "nir", "near ir": "nir", "infrared": "nir",
    "swir1": "swir1", "swir 1": "swir1", "shortwave infrared 1": "swir1",
    "swir2": "swir2", "swir 2": "swir2", "shortwave infrared 2": "swir2",
}  # fmt: skip
_WAVELENGTHS = (  # nanometres at the middle of a band
    # Near infrared begins above 783 nm, Sentinel-2's last band of the red edge, which stands before its band of 842 nm.
    (445, 519, "blue"), (520, 600, "green"), (630, 690, "red"), (795, 900, "nir"), (1550, 1750, "swir1"),
    (2080, 2350, "swir2"),
)  # fmt: skip
_NANOMETRES = re.compile(r"(\d{3,4})(?:\.\d+)? ?nm\b")
_NUMBERED = re.compile(r"(?:sr_|toa_)?b0?(\d{1,2})(a?)$")
_PLAIN_NOISE = r"\b(?:band|channel)\b|\bb\d+a?\b|\b\d+\b|[^a-z0-9]+"
_NOISE = re.compile(rf"\([^)]*\)|{_PLAIN_NOISE}")

# Number of a band -> meaning, by the set of numbers that the file has.
_SENTINEL2 = {"2": "blue", "3": "green", "4": "red", "8": "nir", "11": "swir1", "12": "swir2"}
_LANDSAT_OLI = {"2": "blue", "3": "green", "4": "red", "5": "nir", "6": "swir1", "7": "swir2"}
_LANDSAT_TM = {"1": "blue", "2": "green", "3": "red", "4": "nir", "5": "swir1", "7": "swir2"}


def common_names(names: Sequence[str]) -> tuple[str, ...]:
    """ "red", "green", "blue", "nir", "swir1", "swir2" for each band, "" where its name does not tell.

    A word in the name takes precedence over a wavelength, and that over a band number. Where several bands have one
    common name, the first of them keeps it.
    """
    found = _meanings(names)
    first = {meaning: at for at, meaning in reversed([*enumerate(found)])}
    return tuple(meaning if first[meaning] == at else "" for at, meaning in enumerate(found))


def doubled_names(names: Sequence[str]) -> dict[str, list[int]]:
    """Common name -> the numbers, from 1, of the bands whose names all tell it; those that two bands or more share."""
    numbers: dict[str, list[int]] = {}
    for number, meaning in enumerate(_meanings(names), start=1):
        if meaning:
            numbers.setdefault(meaning, []).append(number)
    return {meaning: found for meaning, found in numbers.items() if len(found) > 1}


def _meanings(names: Sequence[str]) -> list[str]:
    lower = [name.strip().lower() for name in names]
    found = [_by_word(name) or _by_wavelength(name) for name in lower]
    return found if any(found) else _by_number(lower)


def _by_word(name: str) -> str:
    head, end, tail = name.rpartition(")")  # each bracket in the head has its end: no quadratic search
    text = " ".join(_NOISE.sub(" ", head + end).split() + re.sub(_PLAIN_NOISE, " ", tail).split())
    return _WORDS.get(name.strip(), "") or _WORDS.get(text, "")


def _by_wavelength(name: str) -> str:
    match = _NANOMETRES.search(name)
    return next((what for low, high, what in _WAVELENGTHS if match and low <= int(match[1]) <= high), "")


def _by_number(names: Sequence[str]) -> list[str]:
    """The numbers of Sentinel-2, or of Landsat where the names are those of its surface reflectance ("SR_B4").

    Landsat 4 to 7 have no band 6 among the reflective ones, Landsat 8 and 9 have. B1 to B7 alone are Landsat 8's, too,
    whose red, green and blue have the numbers of Sentinel-2's.
    """
    matches = [_NUMBERED.match(name) for name in names]
    numbers = {one[1] for one in matches if one}
    landsat = any(name.startswith("sr_") for name in names)
    thematic_mapper = {"1", "2", "3", "4", "5", "7"} <= numbers and not numbers & {"6", "8", "9", "10", "11", "12"}
    table = _LANDSAT_TM if thematic_mapper else _LANDSAT_OLI if landsat or "8" not in numbers else _SENTINEL2
    return [table.get(one[1], "") if one and not one[2] else "" for one in matches]
