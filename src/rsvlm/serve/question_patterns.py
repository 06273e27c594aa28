"""Words that the rules of the question router are made of, as pieces of regular expressions, and what a rule is."""

import re
from typing import NamedTuple

PICTURES = (
    r"(?:image|images|imagery|picture|photo|photograph|photography|scene|view|tile|raster|frame|patch|file|map|"
    r"snapshot|shot|chip|geotiff|tiff|tif|screenshot|orthophoto|mosaic|dataset|data)"
)
GROUND = rf"(?:{PICTURES}|area|place|site|location|region|spot|land|terrain|landscape)"
THIS = r"(?:this|the|that|my|our|your|these|those|an?)"
KIND_OF = (
    r"(?:satellite|aerial|drone|remote[ -]sensing|uav|overhead|high[ -]resolution|whole|entire|given|attached|shown|"
    r"same|rgb|following|above|input|current|full|sentinel(?:-2)?|landsat|air)"
)
PICTURE = rf"{THIS} (?:{KIND_OF} ){{0,3}}{PICTURES}"
HERE = rf"(?:{THIS} (?:{KIND_OF} ){{0,3}}{GROUND}|this|it|that)"
BE = r"(?:is|are|was|were)"
UNIT = (
    r"(?:hectares?|ha|acres?|sq(?:uare|\.)? ?\w+|m2|km2|percent|per cent|%|square|m\^2|km\^2|"
    r"pixels(?= (?:are|is|of|belong|show|contain|consist)\b(?! (?:there|in)\b)))"
)
SHARE = r"(?:share|percentage|percent|per cent|%|fraction|proportion|portion|ratio)"
SIZE = r"(?:area|extent|coverage|cover|size|acreage|surface(?: area)?|amount|hectarage|footprint|areal extent|quantity)"
TAKEN = r"(?:taken|captured|acquired|shot|recorded|flown|imaged|photographed|collected|made|created|produced)"
LENGTHS = r"(?:met(?:re|er)s?|kilomet(?:re|er)s?|km|miles?|feet|yards?|degrees?|hours?|minutes?|years?|days?|times)"
COUNTRY = (
    r"(?:country|city|town|village|state|province|continent|county|district|municipality|hemisphere|nation|street|"
    r"(?:part|region|corner|area) of the (?:world|country|globe|earth)|place on earth|location|latitude|longitude|"
    r"address|utm zone|(?:geographic(?:al)? )?region(?! (?:of|in|on) (?:the|this) (?!world\b|earth\b|globe\b|"
    r"country\b)))"
)
LAND = (
    r"(?:residential|industrial|commercial|urban|rural|agricultural|coastal|suburban|natural|built[- ]?up|forested|"
    r"farmland|forest|water|desert|wetland|grassland|cropland|woodland|mountainous|bare|barren|arable|inhabited|"
    r"populated|tundra)"
)
SEE = r"(?:see|spot|make out|find|detect|identify|recogni[sz]e|notice|observe|discern|distinguish)"
CAN_YOU = r"(?:can|could|do|does|did) (?:you|we|i|one)"
MARK = (
    r"(?:find|locate|detect|mark|outline|highlight|circle|segment|delineate|pinpoint|indicate|identify|extract|box|"
    r"label|annotate|localis?e|localize|pin|search for|look for|take me to|go to|zoom (?:in )?(?:to|on)|"
    r"put (?:bounding )?boxes (?:around|on)|list|trace|digiti[sz]e|point (?:out|to|at|me (?:to|towards?))|spot|"
    r"map(?: out)?|draw (?:me )?(?:an? |the )?(?:bounding )?(?:box|boxes|outline|outlines|circle|circles|polygon|"
    r"polygons) (?:around|round|on|over|for|of))"
)
NAME = (
    r"(?:(?!in\b|on\b|at\b|of\b|th(?:is|e|at|ese|ose)\b|is\b|are\b|my\b|and\b|for\b|"
    r"with\b)[\w-]+ ){1,4}?"  # no clause
)
ASKED = (
    r"^(?:(?:give|show|get|tell) (?:me|us) |(?:what|which) (?:is|was|are) |(?:compute|calculate|estimate|determine|"
    r"report|measure) )?(?:the )?(?:total |overall |exact )?"
)
PART = r"(?:corner|part|side|quadrant|half|section|end|pixel|tile|portion|area|sector)"


class Rule(NamedTuple):
    """One rule; the thing asked for is the group `thing`, or what follows the match where `rest`."""

    kind: str
    pattern: re.Pattern[str]
    rest: bool = False


def rules(kind: str, *patterns: str, rest: bool = False) -> list[Rule]:
    """Rules of one kind; `rest`: the thing is what follows."""
    return [Rule(kind, re.compile(pattern), rest) for pattern in patterns]
