"""Which bands make the picture, and how their values become 0..255.

A choice is a recipe ("rgb", "naip", "landsat", ...), band names, or band numbers counted from 1; three bands give
colour, one gives grey. Values other than uint8 are stretched between their 2nd and 98th percentile, once per scene.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rsvlm.errors import BadInput
from rsvlm.geo.band_meaning import common_names
from rsvlm.registry import Registry, unknown

BandChoice = str | int | Sequence[str | int] | None


class BandRecipe(NamedTuple):
    """Where a sensor keeps red, green and blue: by the names its products use, else by the number of bands.

    `roles` says for a number of bands what each of them is, by its common name ("" = another); `shows` are the roles
    that make the picture.
    """

    names: tuple[tuple[str, str, str], ...]
    roles: dict[int, tuple[str, ...]]
    doc: str
    shows: tuple[str, str, str] = ("red", "green", "blue")

    def order(self, count: int) -> tuple[int, ...]:
        """The numbers, from 1, of the bands that make the picture of a file with `count` bands."""
        return tuple(self.roles[count].index(role) + 1 for role in self.shows)


def _roles(text: str) -> tuple[str, ...]:
    """ "- blue" -> ("", "blue")."""
    return tuple("" if word == "-" else word for word in text.split())


_RGB = ("red", "green", "blue")
_OLI = "- blue green red nir swir1 swir2"  # Landsat 8 and 9, bands 1 to 7
BAND_RECIPES: Registry[BandRecipe] = Registry("band recipe")
BAND_RECIPES.add(
    "rgb",
    BandRecipe(
        (_RGB, ("r", "g", "b")),
        {3: _RGB, 4: (*_RGB, ""), 5: (*_RGB, "", "")},
        "red, green, blue first",
    ),
)
BAND_RECIPES.add(
    "naip",
    BandRecipe((_RGB,), {3: _RGB, 4: (*_RGB, "nir")}, "NAIP: red, green, blue, near infrared"),
)
BAND_RECIPES.add(
    "landsat",  # Collection 2 band tables, https://www.usgs.gov/faqs/what-are-band-designations-landsat-satellites
    BandRecipe(
        (_RGB, ("sr_b4", "sr_b3", "sr_b2"), ("b4", "b3", "b2")),
        {6: _roles("blue green red nir swir1 swir2"), 7: _roles(_OLI), 8: _roles(f"{_OLI} -"),
         9: _roles(f"{_OLI} - -"), 11: _roles(f"{_OLI} - - - -")},
        "Landsat 4-7 (six reflective bands: 3, 2, 1) or 8-9 (seven and more: 4, 3, 2)",
    ),
)  # fmt: skip
BAND_RECIPES.add(
    "landsat-swir",
    BandRecipe(
        (("swir1", "nir", "red"),),
        {3: _roles("swir1 nir red"), 4: _roles("swir1 nir red green")},
        "false colour of SWIR1, NIR, Red(, Green) stacks",
        ("swir1", "nir", "red"),
    ),
)
BAND_RECIPES.add(
    "sentinel2",  # band order of SAFE, Earth Engine and BigEarthNet products
    BandRecipe(
        (_RGB, ("b04", "b03", "b02"), ("b4", "b3", "b2")),
        {3: _RGB, 4: _roles("blue green red nir"), 10: _roles("blue green red - - - nir - swir1 swir2"),
         12: _roles("- blue green red - - - nir - - swir1 swir2"),
         13: _roles("- blue green red - - - nir - - - swir1 swir2")},
        "Sentinel-2: TCI (3), B2 B3 B4 B8 (4), 10 and 20 m bands (10), L2A (12), L1C (13)",
    ),
)  # fmt: skip


def band_names(descriptions: Sequence[str | None], interpretations: Sequence[str]) -> tuple[str, ...]:
    """One unique name a band: its description, else its colour meaning where that says something, else "band<n>"."""
    names: dict[str, None] = {}
    only = len(interpretations) == 1
    for number, (text, meaning) in enumerate(zip(descriptions, interpretations, strict=True), start=1):
        vague = meaning == "undefined" or (meaning in ("gray", "grey") and not only)
        name = (text or "").strip() or (f"band{number}" if vague else meaning)
        names[name if name not in names else f"{name}_{number}"] = None
    return tuple(names)


def choose_bands(choice: BandChoice, names: Sequence[str], where: str) -> tuple[int, ...]:
    """The band numbers, from 1, that show as red, green, blue (3) or grey (1).

    `choice` is a recipe, a name, a number, "a,b,c", or a sequence of names and numbers; None takes red, green and blue
    by what the names say (`rsvlm.geo.band_meaning`), else the first three bands, else the first. Raises BadInput naming
    `where` and the bands there are.
    """
    visible = count_visible(names)
    if choice is None:
        return natural_colour(names) or ((1, 2, 3) if visible >= 3 else (1,))
    if recipe := chosen_recipe(choice, names):
        return _by_recipe(recipe, names, visible, where)
    parts: list[str | int]
    if isinstance(choice, str):
        parts = [part.strip() for part in choice.split(",")]
    else:
        parts = [choice] if isinstance(choice, int) else list(choice)
    if len(parts) not in (1, 3):
        raise BadInput(f"A picture needs one or three bands, found {len(parts)} in {choice!r}; give for example 3,2,1.")
    return tuple(_band_number(part, names, where) for part in parts)


def count_visible(names: Sequence[str]) -> int:
    """How many bands are not transparency."""
    return sum(name.lower() != "alpha" for name in names)


def chosen_recipe(choice: BandChoice, names: Sequence[str]) -> str:
    """The recipe that a choice of bands names, "" where it names none; a band of that name takes precedence."""
    word = choice.lower() if isinstance(choice, str) else ""
    return word if word in BAND_RECIPES and word not in _lower(names) else ""


def natural_colour(names: Sequence[str]) -> tuple[int, ...] | None:
    """The numbers of the bands that are red, green and blue by their names; None where these do not tell."""
    return _by_names(_RGB, common_names(names))


def _lower(names: Sequence[str]) -> list[str]:
    return [name.lower() for name in names]


def _by_names(wanted: Sequence[str], names: Sequence[str]) -> tuple[int, ...] | None:
    have = _lower(names)
    return tuple(have.index(name) + 1 for name in wanted) if all(name in have for name in wanted) else None


def _by_recipe(name: str, names: Sequence[str], visible: int, where: str) -> tuple[int, ...]:
    recipe = BAND_RECIPES[name]
    for wanted in recipe.names:
        if found := _by_names(wanted, names):
            return found
    if visible in recipe.roles:
        return recipe.order(visible)
    counts = ", ".join(str(count) for count in sorted(recipe.roles))
    raise BadInput(
        f"{where} has {visible} bands ({', '.join(names)}), but the recipe {name!r} expects {counts}; "
        f"give the three band numbers instead, for example 3,2,1."
    )


def _band_number(part: str | int, names: Sequence[str], where: str) -> int:
    have = _lower(names)
    if isinstance(part, str) and part.lower() in have:
        return have.index(part.lower()) + 1
    if isinstance(part, int) or part.lstrip("-").isdigit():
        if 1 <= int(part) <= len(names):
            return int(part)
        raise BadInput(f"{where} has bands 1 to {len(names)}, there is no band {part}; choose one of these.")
    known = [*names, *BAND_RECIPES] if len(names) else list(BAND_RECIPES)
    raise BadInput(f"{where}: {unknown('band', part, known)}")


class Stretch:
    """A linear map of each band's [low, high] to 0..255, clipped: one per scene, the same for every window.

    `low`, `high`: (C,) float64. `dtype` is that of the raw values; small integers go through a table (65,536 entries).
    """

    def __init__(self, low: NDArray[np.float64], high: NDArray[np.float64], dtype: Any) -> None:
        flat = high <= low  # one value only: mid-grey, so that it does not pass for missing data
        self.low, self.high = np.where(flat, low - 1.0, low), np.where(flat, low + 1.0, high)
        kind = np.dtype(dtype)
        self._table: list[NDArray[np.uint8]] | None = None
        if kind.kind in "iu" and kind.itemsize <= 2:
            # In the order of the raw bits, so that a negative int16 indexes the upper half.
            values = np.arange(2 ** (8 * kind.itemsize), dtype=f"u{kind.itemsize}").view(kind).astype(np.float64)
            self._table = [self._scale(values, band) for band in range(len(low))]

    @classmethod
    def fit(cls, raw: NDArray[Any], valid: NDArray[np.bool_]) -> "Stretch":
        """From a sample of the scene: raw (C, N), valid (C, N). 2nd and 98th percentile of the valid values."""
        low, high = np.zeros(len(raw)), np.ones(len(raw))
        for band, (values, good) in enumerate(zip(raw, valid, strict=True)):
            if good.any():
                low[band], high[band] = np.percentile(values[good].astype(np.float64), (2, 98))
        return cls(low, high, raw.dtype)

    def _scale(self, values: NDArray[Any], band: int) -> NDArray[np.uint8]:
        scaled = (values - self.low[band]) * (255.0 / (self.high[band] - self.low[band]))
        return np.clip(np.nan_to_num(np.rint(scaled), nan=0.0), 0, 255).astype(np.uint8)

    def apply(self, raw: NDArray[Any]) -> NDArray[np.uint8]:
        """Raw values (C, H, W) -> uint8 (C, H, W); NaN becomes 0."""
        if self._table is not None:
            bits = raw.view(f"u{raw.dtype.itemsize}")
            return np.stack([table[values] for table, values in zip(self._table, bits, strict=True)])
        return np.stack([self._scale(values.astype(np.float64, copy=False), band) for band, values in enumerate(raw)])
