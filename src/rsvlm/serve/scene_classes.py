"""Which scene classes make sense at a scene's metres a pixel, and a user's own list of them.

The classes are those of data sets (`rsvlm.data.cards.scenes`): UC Merced Land Use (0.3 m) and AID (0.5 to 8 m) for
pictures that show buildings and streets, EuroSAT (10 m) for those that show fields and quarters. A pixel of hundreds of
metres shows covers of the ground and no scene.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rsvlm.data.sources.scene_classes import CLASSES
from rsvlm.errors import BadInput
from rsvlm.serve.object_sizes import GSD_LIMITS, metres

FINE_M, COARSE_M = 3.0, 60.0  # metres a pixel up to which UC Merced and AID, and EuroSAT, make sense
COVERS = ("water", "vegetation", "bare ground", "snow or ice", "cloud", "built-up area")
_FINEST_M = 0.1  # under this a picture of usual size shows things and no scene
_FINE_SIDE_M, _EUROSAT_SIDE_M = 300.0, 640.0  # ground of a picture: AID's 600 pixels of 0.5 m, EuroSAT's 64 of 10 m
_COVER_SIDE_PIXELS = 64

# One word for classes of several sets that mean the same.
SYNONYMS = {
    "baseball diamond": "baseball field", "port": "harbor", "parking": "parking lot", "viaduct": "overpass",
    "agricultural": "farmland", "annual crop": "farmland", "highway": "freeway", "pasture": "meadow",
    "herbaceous vegetation": "meadow",
}  # fmt: skip
# What the union leaves out: other sets tell its kinds apart.
_DIVIDED = {"residential": ("dense residential", "medium residential", "sparse residential")}


class Vocabulary(NamedTuple):
    """Scene classes: `name` says whose they are and for which pixels, `ground_m` how many metres of ground a picture of
    theirs shows along its side (None where metres a pixel are not known).
    """

    classes: tuple[str, ...]
    name: str
    ground_m: float | None


def vocabulary(gsd_m: float | None) -> Vocabulary:
    """The scene classes for pictures of `gsd_m` metres a pixel; None, or what no scene has, gives those of all sets."""
    if gsd_m is None or not math.isfinite(gsd_m) or not GSD_LIMITS[0] <= gsd_m <= GSD_LIMITS[1]:
        every = _merged("ucm_scenes", "aid", "eurosat")
        return Vocabulary(every, "UC Merced, AID and EuroSAT, as metres per pixel are not known", None)
    if gsd_m > COARSE_M:
        name = f"covers of the ground, as a pixel of {metres(gsd_m)} shows no scene"
        return Vocabulary(COVERS, name, _COVER_SIDE_PIXELS * gsd_m)
    if gsd_m > FINE_M:
        return Vocabulary(CLASSES["eurosat"], "EuroSAT, made for 10 m per pixel", _EUROSAT_SIDE_M)
    name = "UC Merced and AID, made for 0.3 to 8 m per pixel"
    if gsd_m < _FINEST_M:
        name += f": at {metres(gsd_m)} a picture may show things and no scene"
    return Vocabulary(_merged("ucm_scenes", "aid"), name, _FINE_SIDE_M)


def check_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """A user's own classes, without blanks at their ends and with single ones inside.

    Raises BadInput where there are none, one is empty, or two are the same but for upper and lower case.
    """
    names = tuple(" ".join(name.split()) for name in classes)
    if not names:
        raise BadInput(
            "The list of classes is empty; give the names to choose from, for example forest, river, harbor."
        )
    if "" in names:
        raise BadInput(f"Class {names.index('') + 1} of {len(names)} has no name; give one, or leave it out.")
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        before = first.setdefault(name.casefold(), number)
        if before != number:
            raise BadInput(
                f"The classes {before} and {number} are both {name!r} (upper and lower case are the same); name each "
                f"class once."
            )
    return names


def _merged(*sets: str) -> tuple[str, ...]:
    """The classes of data sets in alphabetical order, synonyms as one."""
    found = {SYNONYMS.get(name, name) for dataset in sets for name in CLASSES[dataset]}
    divided = {name for name, kinds in _DIVIDED.items() if found.issuperset(kinds)}
    return tuple(sorted(found - divided))
