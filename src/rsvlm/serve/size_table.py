"""Sizes of things on the ground, in metres, with their sources."""

from typing import NamedTuple

OBJECT_PIXELS = 3  # across the largest one, below which a thing cannot be told from others
LINE_PIXELS = 1  # across a long thin thing: its length shows it

# Sources. Where no standard sets a size the range is ours, of what is common.
_AASHTO = "AASHTO Green Book 2018, design vehicles"
_ROADS = "AASHTO Green Book 2018, lanes of 2.7 to 3.6 m and their shoulders"
_ICAO = "ICAO Annex 14, reference codes"
_OURS = "no standard: a range of ours"
_MAP = "no standard: extents usual in OpenStreetMap, a range of ours"


class ObjectSize(NamedTuple):
    """A thing: (smallest, typical, largest) in metres of what `dimension` names, and the (least, greatest) other side.

    `line`: long and thin, so that its width is what has to be seen.
    """

    name: str
    metres: tuple[float, float, float]
    dimension: str
    other: tuple[float, float] | None
    source: str
    synonyms: tuple[str, ...] = ()
    line: bool = False


def _long(
    name: str, low: float, mid: float, high: float, other: tuple[float, float] | None, source: str, also: str = ""
) -> ObjectSize:
    return ObjectSize(name, (low, mid, high), "long", other, source, _words(also))


def _across(name: str, low: float, mid: float, high: float, source: str, also: str = "") -> ObjectSize:
    return ObjectSize(name, (low, mid, high), "across", None, source, _words(also))


def _line(name: str, low: float, mid: float, high: float, source: str, also: str = "") -> ObjectSize:
    return ObjectSize(name, (low, mid, high), "wide", None, source, _words(also), line=True)


def _words(also: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in also.split(",") if word.strip())


SIZES: tuple[ObjectSize, ...] = (
    # traffic
    _long("car", 3.5, 4.5, 5.8, (1.6, 2.1), _AASHTO, "automobile, sedan, taxi, small vehicle, passenger car, suv"),
    _long("vehicle", 3.5, 5, 22, (1.6, 2.6), _AASHTO, "motor vehicle"),
    _long("van", 4.5, 5.5, 7.5, (1.8, 2.4), _AASHTO, "minivan, pickup, pickup truck"),
    _long("truck", 6, 12, 22.5, (2.2, 2.6), _AASHTO,
          "lorry, trailer, large vehicle, cargo truck, semi trailer, tanker truck"),
    _long("bus", 8, 12, 18.5, (2.4, 2.6), _AASHTO, "coach"),
    _long("motorcycle", 1.8, 2.2, 2.6, (0.7, 1), "makers' sheets", "motorbike, scooter, moped"),
    _long("bicycle", 1.5, 1.8, 2, (0.5, 0.8), "AASHTO Bicycle Guide 2012, design bicycle", "bike, cyclist"),
    _long("train carriage", 16, 25, 27, (2.7, 3.4), "UIC 567, 26.4 m",
          "railcar, railway carriage, wagon, rail car, train car"),
    _line("train", 2.7, 3, 3.4, "UIC 505-1, loading gauge", "locomotive, freight train, tram"),
    _long("container", 6, 12.2, 16.2, (2.4, 2.6), "ISO 668", "shipping container, cargo container"),
    _long("boat", 5, 10, 50, (2, 10), "ISO 8666 (small craft to 24 m), fishing vessels to 50 m",
          "yacht, sailboat, motorboat, fishing boat, ferry boat, speedboat, small craft, sailing boat, dinghy"),
    _long("ship", 50, 150, 400, (10, 61), "the largest container ships have 400 x 61 m",
          "vessel, cargo ship, container ship, tanker, oil tanker, warship, cruise ship, freighter, ferry"),
    _long("aircraft", 7, 38, 76, (9, 80), "makers' sheets: Cessna 172 8.3 m, Boeing 737-800 39.5 m, 747-8 76.3 m",
          "airplane, aeroplane, plane, airliner, jet, passenger plane, fighter jet"),
    _long("helicopter", 9, 17, 40, (2, 8), "makers' sheets: Robinson R22 8.8 m, Mi-26 40 m", "chopper"),
    _across("helipad", 15, 22, 40, "ICAO Annex 14, volume II", "heliport, helicopter pad"),
    # roads and other lines
    _line("road", 3.5, 8, 30, _ROADS, "street, avenue, lane, dirt road, boulevard, alley"),
    _line("highway", 20, 30, 60, _ROADS, "motorway, freeway, expressway, interstate"),
    _line("footpath", 0.5, 1.5, 4, _ROADS, "path, trail, sidewalk, pavement, walkway"),
    _line("railway", 3, 8, 60, "UIC 505-1; tracks 4 m apart",
          "railroad, rail track, railway track, train track, railway line"),
    _line("runway", 18, 45, 60, _ICAO, "airstrip, landing strip, taxiway"),
    _line("bridge", 4, 12, 45, _ROADS, "overpass, viaduct, flyover, footbridge"),
    _line("pier", 2, 6, 50, _OURS, "jetty, dock, wharf, quay, breakwater"),
    _line("power line", 0.02, 0.03, 0.06, "IEC 61089, diameters of conductors", "cable, wire, overhead line"),
    _line("road marking", 0.1, 0.15, 0.5, "Vienna Convention on Road Signs, annex 8", "lane marking, white line"),
    _line("fence", 0.05, 0.1, 0.3, _OURS, "hedge row, railing"),
    _long("crosswalk", 5, 10, 30, (2.5, 5), "Vienna Convention on Road Signs, annex 8",
          "zebra crossing, pedestrian crossing"),
    _across("roundabout", 13, 40, 100, "NCHRP Report 672, inscribed diameters", "traffic circle, rotary"),
    _across("intersection", 8, 20, 80, _ROADS, "crossroad, junction, road crossing"),
    _long("parking space", 4.5, 5, 6, (2.3, 3), _OURS, "parking spot, parking place"),
    _across("parking lot", 15, 60, 600, _MAP, "car park, parking area, carpark"),
    # buildings
    _long("house", 6, 12, 30, (5, 20), _MAP, "home, cottage, villa, residential house, single family house, dwelling"),
    _long("shed", 2, 4, 8, (2, 5), _OURS, "hut, garage, cabin, carport"),
    _long("tent", 2, 4, 20, (2, 10), _OURS, "marquee"),
    _long("building", 6, 20, 500, (5, 300), _MAP,
          "structure, skyscraper, apartment, apartment building, tower block, roof, rooftop"),
    _long("warehouse", 30, 100, 500, (20, 300), _MAP, "hangar, depot, logistics centre, factory hall"),
    _across("factory", 50, 200, 3000, _MAP, "industrial plant, refinery, power station, power plant"),
    _across("church", 15, 40, 190, _MAP, "cathedral, mosque, temple, chapel"),
    _across("school", 40, 150, 1000, _MAP, "university, campus, hospital"),
    _across("storage tank", 5, 30, 100, "API 650, usual diameters", "tank, oil tank, fuel tank, gas tank, storagetank"),
    _across("silo", 4, 8, 30, _OURS, "grain silo"),
    _across("chimney", 2, 6, 25, _OURS, "smokestack"),
    _across("greenhouse", 8, 40, 400, _MAP, "glasshouse, polytunnel"),
    _long("crane", 20, 50, 90, (5, 30), "makers' sheets of tower and harbour cranes",
          "harbour crane, tower crane, harbor crane"),
    _line("wind turbine", 3, 5, 10, "makers' sheets: tower and blade, not the rotor", "windmill, wind mill"),
    _across("transmission tower", 4, 10, 25, _OURS, "pylon, electricity pylon, mast, power pylon"),
    _long("solar panel", 1, 1.8, 2.4, (0.7, 1.3), "makers' sheets", "photovoltaic panel, solar module"),
    _across("solar farm", 50, 300, 5000, _MAP, "solar park, photovoltaic plant, solar power plant"),
    _across("oil platform", 30, 80, 200, _OURS, "drilling rig, oil rig, offshore platform"),
    # sport
    _long("stadium", 100, 220, 350, (80, 300), "FIFA stadium guidelines; pitch of 105 x 68 m and stands", "arena"),
    _long("football field", 90, 105, 120, (45, 90), "IFAB Law 1",
          "soccer field, football pitch, soccer pitch, playing field, sports field"),
    _long("track field", 150, 177, 190, (80, 100), "World Athletics, track of 400 m",
          "running track, athletics track, ground track field"),
    _long("tennis court", 23.8, 23.8, 36.6, (11, 18.3), "ITF Rules of Tennis", "tenniscourt"),
    _long("basketball court", 22, 28, 32, (13, 19), "FIBA Rules, 28 x 15 m", ""),
    _across("baseball diamond", 27, 120, 180, "MLB Rule 2.01", "baseball field, baseball court, baseball pitch"),
    _long("swimming pool", 5, 10, 50, (3, 25), "World Aquatics FR 2 (50 x 25 m), private pools from 5 m", "pool"),
    _across("golf course", 300, 1200, 4000, _MAP, "golf links"),
    _across("playground", 8, 25, 100, _OURS, ""),
    # living things
    _across("tree", 2, 7, 25, "crowns: Jucker et al. 2017, doi:10.1111/gcb.13388",
          "tree crown, palm, palm tree, oak, pine"),
    _across("bush", 0.5, 1.5, 4, _OURS, "shrub"),
    _across("person", 0.4, 0.5, 1, "NASA-STD-3000, breadth of shoulders",
            "pedestrian, human, man, woman, child, swimmer, player, soldier, human being"),
    _long("cow", 1.5, 2.5, 3, (0.6, 1), _OURS, "cattle, horse, livestock, bull, deer"),
    _long("sheep", 0.8, 1.2, 1.6, (0.4, 0.6), _OURS, "goat, dog, pig"),
    _long("animal", 0.3, 2, 7, (0.2, 3), _OURS, "wildlife, mammal"),
    _long("bird", 0.2, 0.5, 2, (0.2, 3), _OURS, "gull, goose, swan"),
    _long("elephant", 3, 5.5, 7, (1.5, 3), _OURS, ""),
    # water and land
    _line("river", 5, 60, 5000, "width over 30 m: Allen and Pavelsky 2018, doi:10.1126/science.aat0636", "waterway"),
    _line("stream", 0.5, 2, 5, _OURS, "brook, creek, ditch"),
    _line("canal", 3, 25, 300, _OURS, "channel"),
    _line("beach", 5, 40, 300, _OURS, "shore, sandy beach"),
    _across("lake", 50, 500, 400_000, "HydroLAKES, from 10 ha: doi:10.1038/ncomms13603", "reservoir"),
    _across("pond", 5, 30, 300, _OURS, "puddle"),
    _across("island", 20, 500, 100_000, _MAP, "islet"),
    _across("field", 30, 250, 2000, "Fritz et al. 2015, doi:10.1111/gcb.12838",
          "farmland, cropland, crop field, meadow, pasture, farm"),
    _across("forest", 70, 1000, 100_000, "FAO, from 0.5 ha", "wood, woodland, rainforest"),
    _across("park", 40, 300, 5000, _MAP, "garden"),
    _across("cemetery", 30, 150, 1500, _MAP, "graveyard"),
    _across("square", 20, 80, 500, _MAP, "plaza"),
    _across("quarry", 50, 400, 5000, _MAP, "mine, open pit mine"),
    _across("harbour", 150, 1000, 15_000, _MAP, "harbor, port, marina, seaport"),
    _across("airport", 800, 3000, 10_000, f"{_ICAO}: runways of 800 to 4000 m", "airfield, airbase, aerodrome"),
    _across("railway station", 80, 300, 1500, _MAP, "train station, rail station"),
    _across("village", 200, 800, 5000, _MAP, "town, settlement"),
    _across("city", 2000, 10_000, 100_000, _MAP, ""),
    _across("mountain", 1000, 5000, 100_000, _OURS, "volcano"),
)  # fmt: skip
