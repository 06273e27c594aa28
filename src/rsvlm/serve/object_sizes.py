"""How large objects are that people ask for from above, and so at which resolution they can be seen.

An object whose largest kind has fewer than three pixels is not looked for: detection needs about that much (Johnson
1958, "Analysis of image forming systems": 1 to 1.5 line pairs, that is 2 to 3 pixels, across the object).
"""

import math
import re
from dataclasses import dataclass

LEAST_PIXELS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """Whether an object can be seen: `verdict` is "visible", "marginal" (only large ones), "too small" or "unknown".

    `name` is the object in the table ("" where it has none), `sentence` says it to the user where it is too small.
    """

    name: str
    verdict: str
    sentence: str = ""


# name; from, to metres of the length that one would look for; other words for it. Sources, by section:
_TABLE = """
# vehicles: SAE class lengths, EU Directive 96/53/EC (lorries 12-18.75 m), UIC 505 (carriages 26.4 m)
person 0.4 0.8 people pedestrian human man woman child
bicycle 1.6 2.0 bike motorcycle motorbike scooter
car 3.6 5.5 automobile vehicle sedan van suv taxi minivan
truck 6 18.75 lorry trailer semi
bus 9 18 coach
train 25 400 railcar locomotive
container 6.1 12.2
tractor 4 12 harvester combine
# ships: Lloyd's lengths; leisure craft of ISO 8666 up to 24 m
boat 4 50 yacht sailboat motorboat dinghy canoe
ship 30 400 vessel ferry tanker barge freighter
# aircraft: manufacturers' lengths, Cessna 172 (8.3 m) to A380 (72.7 m)
airplane 8 73 plane aeroplane aircraft jet
helicopter 9 25
# buildings and built things: OpenStreetMap footprints; FIFA, ITF and IAAF field sizes; API 650 tanks
building 8 200 roof
house 7 20 home villa cottage barn shed farmhouse
skyscraper 30 100 tower
tent 2 10
chimney 2 15 smokestack
warehouse 30 400 hangar factory
greenhouse 10 200
stadium 100 300 arena
school 40 200
church 15 100
tank 8 100 storagetank silo
pool 6 50 swimmingpool
court 24 40 tenniscourt basketballcourt
pitch 60 120 footballfield soccerfield
diamond 80 130 baseballdiamond baseballfield
playground 15 150
bridge 10 2000 viaduct overpass
roundabout 20 100
crossing 3 6 crosswalk
road 3.5 30 street highway motorway freeway path track
railway 4 50 rail railroad
runway 30 60 airstrip
airport 800 8000 aerodrome
harbor 100 5000 harbour port marina dock
pier 10 500 jetty
dam 20 2000
pylon 5 20 pole
turbine 30 170 windturbine windmill
panel 1 2.5 solarpanel
solarfarm 50 3000 solarpark
parkinglot 20 400 carpark parking
cemetery 30 1000 graveyard
golfcourse 400 2500
quarry 50 3000 mine
# nature: FAO crown diameters; USGS NHD for waters
tree 3 15 palm shrub bush
animal 0.8 3 cow sheep horse elephant cattle
bird 0.2 1.2 birds
rock 1 20 boulder
river 5 3000 stream canal creek
lake 20 50000 reservoir
pond 5 200 puddle
island 20 100000
beach 10 5000
field 50 2000 farmland cropland meadow pasture farm
forest 50 100000 wood woodland
mountain 500 50000 hill
desert 1000 1000000
glacier 200 50000
cloud 50 500000
sea 1000 10000000 ocean bay
"""


def _rows() -> dict[str, tuple[str, float, float]]:
    found: dict[str, tuple[str, float, float]] = {}
    for line in _TABLE.strip().splitlines():
        if not line.startswith("#"):
            name, low, high, *others = line.split()
            found |= dict.fromkeys((name, *others), (name, float(low), float(high)))
    return found


SIZES = _rows()  # word -> (name, from, to metres)
_PLURALS = (("ies", "y"), ("ches", "ch"), ("shes", "sh"), ("sses", "ss"), ("xes", "x"), ("ves", "f"), ("s", ""))
_IRREGULAR = {"people": "person", "men": "man", "women": "woman", "children": "child", "buses": "bus", "sheep": "sheep"}


def singular(word: str) -> str:
    """The singular of an English noun, by its ending; a word that needs no change as it is."""
    if word in SIZES or word in _IRREGULAR:
        return _IRREGULAR.get(word, word)
    for ending, instead in _PLURALS:
        if word.endswith(ending) and not word.endswith(("ss", "us", "is")) and len(word) > len(ending) + 1:
            return word[: -len(ending)] + instead
    return word


def named_object(thing: str) -> str:
    """The name in the table of what a phrase speaks of ("the small boats at the pier" -> "boat"), or "".

    Of the words before the first preposition the last one that the table has, two words together before one alone.
    """
    head = re.split(r"\b(?:at|in|on|near|by|with|along|of|beside|from|under|next)\b", thing.lower(), maxsplit=1)[0]
    words = [singular(word) for word in re.findall(r"[a-z]+", head)[-12:]]
    for at in range(len(words) - 1, -1, -1):
        pair = (words[at - 1] if at else "") + words[at]
        if row := SIZES.get(pair) or SIZES.get(words[at]):
            return row[0]
    return ""


def visibility(thing: str, gsd_m: float | None) -> Visibility:
    """Whether what a phrase speaks of can be seen at `gsd_m` metres per pixel (None, or absurd: unknown)."""
    name = named_object(thing)
    known = gsd_m is not None and math.isfinite(gsd_m) and 1e-3 <= gsd_m <= 1e5
    if not name or not known or gsd_m is None:
        return Visibility(name=name, verdict="unknown")
    _, low, high = SIZES[name]
    if high / gsd_m >= LEAST_PIXELS:
        typical = math.sqrt(low * high)
        return Visibility(name=name, verdict="visible" if typical / gsd_m >= LEAST_PIXELS else "marginal")
    sentence = (
        f"At {gsd_m:.3g} m per pixel {thing} cannot be seen: {low:g} to {high:g} m are "
        f"{_pixels(high / gsd_m)}, and {LEAST_PIXELS:g} are needed."
    )
    return Visibility(name=name, verdict="too small", sentence=sentence)


def _pixels(count: float) -> str:
    return "less than a pixel" if count < 1 else f"at most {count:.1f} pixels"
