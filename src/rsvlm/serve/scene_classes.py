"""Vocabularies of scene classes, each for the resolution at which its classes make sense."""

from collections.abc import Sequence
from dataclasses import dataclass

from rsvlm.data.sources.scene_classes import CLASSES
from rsvlm.errors import BadInput
from rsvlm.serve.nouns import singulars

FINE = 3.0  # metres per pixel: up to here pictures are like those of UC Merced and AID
MEDIUM = 60.0  # and up to here like EuroSAT's, which shows 10 m


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Classes to choose from. `land_cover`: they are covers of the ground rather than kinds of place."""

    name: str
    classes: tuple[str, ...]
    land_cover: bool = False


# Words of these sets for one thing. A model is offered all of them, since it was taught them, and told one.
SYNONYMS = {
    "baseball diamond": "baseball field", "port": "harbor", "parking": "parking lot", "viaduct": "overpass",
    "agricultural": "farmland",
}  # fmt: skip
_FINE = Vocabulary(name="UC Merced and AID", classes=tuple(dict.fromkeys((*CLASSES["aid"], *CLASSES["ucm_scenes"]))))
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
    names = tuple(" ".join(name.split()) for name in classes)
    if "" in names:
        raise BadInput(f"Class {names.index('') + 1} of {len(names)} has no name; give one, or leave it out.")
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if (before := first.setdefault(name.casefold(), number)) != number:
            raise BadInput(f"The classes {before} and {number} are both {name!r}; name each class once.")
    if len(names) < 2:
        raise BadInput(f"{len(names)} class{'' if names else 'es'} to choose from; give two or more.")
    return names


def covered_by(thing: str, classes: Sequence[str]) -> tuple[str, ...]:
    """Those of `classes` that are what a phrase speaks of ("how much forest"): by name, or by a table of covers."""
    words = [one for word in thing.lower().replace("-", " ").split() for one in singulars(word)]
    named = {one for one in classes if one.lower() == thing.lower() or set(singulars(one.lower())) & set(words)}
    keys = [key for word in words if (key := _ALSO.get(word, word)) in _COVERED]
    wanted = set(_COVERED[keys[-1]]) if keys else set()
    return tuple(one for one in classes if one in named or one.lower() in wanted)
