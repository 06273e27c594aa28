"""What each band of a raster is (red, near infrared, ...), and what its picture shows, in words."""

import re
from collections.abc import Sequence

from rsvlm.geo.band_meaning import common_names, doubled_names
from rsvlm.geo.bands import BAND_RECIPES, BandChoice, chosen_recipe, count_visible

ROLE_WORDS = {"nir": "near infrared", "swir1": "shortwave infrared 1", "swir2": "shortwave infrared 2"}
# USDA's m_<quadrangle>_<quarter>_<UTM zone>_<metres a pixel>_<date>[_<date of the file>].tif
_NAIP_NAME = re.compile(r"m_\d{7}_(?:ne|nw|se|sw)_\d{1,2}_(?:h|\d{1,3})_\d{8}(?:_\d{8})?\.tiff?", re.IGNORECASE)
_SHORT = {"nir": "NIR", "swir1": "SWIR1", "swir2": "SWIR2"}
_COLOURS = frozenset(("red", "green", "blue"))  # of GDAL's colour interpretation
_MOST_NAMED = 6  # bands that a note counts up


def band_roles(
    names: Sequence[str], choice: BandChoice, file_name: str, dtype: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The common name of each band ("" = not known), and notes, a sentence each, on how they were found.

    `names` are those of all bands (`rsvlm.geo.bands.band_names`: descriptions and colour interpretation), `choice` is
    what the user chose to show, `dtype` the numpy name of the stored values. Names take precedence over the recipe of
    the choice, and that over a file name of NAIP's (four bands of uint8). A recipe that contradicts a name is not used.
    """
    roles = common_names(names)
    notes = [_doubled_note(role, numbers) for role, numbers in doubled_names(names).items()]
    if recipe := chosen_recipe(choice, names):
        # Programs flag the first bands of any file as red, green and blue: the user knows better.
        flagged = roles[:3] == ("red", "green", "blue") and not any(roles[3:]) and _COLOURS.issuperset(names[:3])
        return _filled(("",) * len(names) if flagged else roles, names, recipe), tuple(notes)
    if count_visible(names) == 4 and dtype == "uint8" and _NAIP_NAME.fullmatch(file_name):
        filled = _filled(roles, names, "naip")
        if filled != roles:
            notes.append("by its file name a NAIP image: bands are red, green, blue, near infrared")
        roles = filled
    return roles, tuple(notes)


def composite(roles: Sequence[str], shown: Sequence[int], *, palette: bool = False) -> str:
    """What a picture of the bands `shown` (numbers from 1) is: "natural colour", "false colour: SWIR1, NIR, red", ...

    One band is "one band: nir", or "grey" where its role is not known; "palette" is a picture of a colour table, and
    "unknown order" three bands of which one at least is not known.
    """
    found = [roles[number - 1] for number in shown]
    if palette:
        return "palette"
    if len(set(shown)) == 1:
        return f"one band: {found[0]}" if found[0] else "grey"
    if found == ["red", "green", "blue"]:
        return "natural colour"
    return f"false colour: {', '.join(_SHORT.get(role, role) for role in found)}" if all(found) else "unknown order"


def _filled(roles: tuple[str, ...], names: Sequence[str], recipe: str) -> tuple[str, ...]:
    """The roles by names, completed by those that the recipe has for this number of bands."""
    visible = [at for at, name in enumerate(names) if name.lower() != "alpha"]
    by_recipe = BAND_RECIPES[recipe].roles.get(len(visible))
    if not by_recipe:
        return roles
    wanted = dict(zip(visible, by_recipe, strict=True))
    if any(role and role != wanted.get(at) for at, role in enumerate(roles)):
        return roles
    return tuple(wanted.get(at, "") for at in range(len(names)))


def _doubled_note(role: str, numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[:_MOST_NAMED])) + (", ..." if len(numbers) > _MOST_NAMED else "")
    return f"by their names the bands {listed} are all {ROLE_WORDS.get(role, role)}: the first of them is taken as such"
