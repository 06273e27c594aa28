"""Vocabularies of scene classes, each for the resolution at which its classes make sense."""

from collections.abc import Sequence
from dataclasses import dataclass

from rsvlm.data.sources.scene_classes import CLASSES
from rsvlm.errors import BadInput
from rsvlm.serve.object_sizes import singular

FINE = 3.0  # metres per pixel: up to here pictures are like those of UC Merced and AID
MEDIUM = 60.0  # and up to here like EuroSAT's, which shows 10 m


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Classes to choose from. `land_cover`: they are covers of the ground rather than kinds of place."""

    name: str
    classes: tuple[str, ...]
    land_cover: bool = False


# AID's word -> UC Merced's for the same thing, which is left out of the union
_SAME = {"baseball field": "baseball diamond", "farmland": "agricultural", "parking": "parking lot", "port": "harbor"}
_FINE = Vocabulary(
    name="UC Merced and AID",
    classes=tuple(dict.fromkeys((*CLASSES["aid"], *(c for c in CLASSES["ucm_scenes"] if c not in _SAME.values())))),
)
_EUROSAT = Vocabulary(name="EuroSAT", classes=tuple(CLASSES["eurosat"]), land_cover=True)
_COARSE = Vocabulary(
    name="covers that so large a pixel can show", land_cover=True,
    classes=("water", "forest", "grassland", "cropland", "bare ground", "snow", "cloud", "built-up land"),
)  # fmt: skip

# What is asked for by its share of the ground -> classes that are it.
_COVERED = {
    "water": ("river", "sea lake", "pond", "water", "lake", "sea"),
    "forest": ("forest",), "wood": ("forest",), "tree": ("forest",),
    "vegetation": (
        "forest", "herbaceous vegetation", "pasture", "annual crop", "permanent crop", "meadow", "farmland",
        "agricultural", "chaparral", "golf course", "park", "grassland", "cropland",
    ),
    "grass": ("meadow", "pasture", "herbaceous vegetation", "golf course", "grassland"),
    "crop": ("annual crop", "permanent crop", "farmland", "agricultural", "cropland"),
    "farmland": ("annual crop", "permanent crop", "pasture", "farmland", "agricultural", "cropland"),
    "building": (
        "residential", "industrial", "dense residential", "medium residential", "sparse residential", "commercial",
        "buildings", "mobile home park", "center", "school", "church", "built-up land",
    ),
    "desert": ("desert", "bare land", "bare ground"), "soil": ("desert", "bare land", "bare ground"),
    "road": ("highway", "freeway", "overpass", "intersection", "viaduct"),
    "sea": ("sea lake", "beach", "water"), "snow": ("snow",), "cloud": ("cloud",),
}  # fmt: skip
_ALSO = {
    "city": "building", "town": "building", "urban": "building", "house": "building", "built": "building",
    "lake": "water", "river": "water", "agriculture": "farmland", "agricultural": "farmland", "field": "farmland",
    "cropland": "crop", "woodland": "forest", "plant": "vegetation", "green": "vegetation", "bare": "soil",
    "sand": "desert", "residential": "building", "settlement": "building", "ocean": "sea",
}  # fmt: skip


def vocabulary(gsd_m: float | None) -> Vocabulary:
    """The classes to offer at `gsd_m` metres per pixel; all of UC Merced, AID and EuroSAT where it is not known."""
    if gsd_m is None:
        classes = dict.fromkeys((*_FINE.classes, *_EUROSAT.classes))
        return Vocabulary(name="UC Merced, AID and EuroSAT (the resolution is not known)", classes=tuple(classes))
    return _FINE if gsd_m <= FINE else _EUROSAT if gsd_m <= MEDIUM else _COARSE


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """The user's own classes, stripped. Raises BadInput for an empty one, a doubled one, and fewer than two."""
    found = [" ".join(one.split()) for one in classes]
    if not all(found):
        raise BadInput(
            "A class is empty; give them as words with commas between, as in: --classes grass,field,industry"
        )
    if again := sorted({one for one in found if [name.lower() for name in found].count(one.lower()) > 1}):
        raise BadInput(f"The class {again[0]!r} is given twice; name each class once.")
    if len(found) < 2:
        raise BadInput(f"{len(found)} class{'' if found else 'es'} to choose from; give two or more.")
    return tuple(found)


def covered_by(thing: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Those of `classes` that are what a phrase speaks of ("how much forest"): by name, or by a table of covers."""
    words = [singular(word) for word in thing.lower().replace("-", " ").split()]
    named = {one for one in classes if one.lower() == thing.lower() or singular(one.lower()) in words}
    keys = [key for word in words if (key := _ALSO.get(word, word)) in _COVERED]
    wanted = set(_COVERED[keys[-1]]) if keys else set()
    return tuple(one for one in classes if one in named or one.lower() in wanted)
