"""The rules of the question router: what a plain English question in small letters asks for, and of what.

Patterns are tried in order. Every repetition has a bound or is anchored at the start, so that the time is linear.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

_PICTURE = (
    r"(?:image|images|imagery|picture|photo|photograph|photography|scene|view|tile|raster|frame|patch|file|map|snapshot|"
    r"shot|chip|geotiff|tiff|tif|screenshot|orthophoto|mosaic|dataset|data)"
)
_GROUND = rf"(?:{_PICTURE}|area|place|site|location|region|spot|land|terrain|landscape)"
_THIS = r"(?:this|the|that|my|our|your|these|those|an?)"
_KIND_OF = (
    r"(?:satellite|aerial|drone|remote[ -]sensing|uav|overhead|high[ -]resolution|whole|entire|given|attached|shown|"
)
_KIND_OF += r"same|rgb|following|above|input|current|full|sentinel(?:-2)?|landsat|air)"
PICTURE = rf"{_THIS} (?:{_KIND_OF} ){{0,3}}{_PICTURE}"
_HERE = rf"(?:{_THIS} (?:{_KIND_OF} ){{0,3}}{_GROUND}|this|it|that)"
_BE = r"(?:is|are|was|were)"
_UNIT = (
    r"(?:hectares?|ha|acres?|sq(?:uare|\.)? ?\w+|m2|km2|percent|per cent|%|square|m\^2|km\^2|"
    r"pixels(?= (?:are|is|of|belong|show|contain|consist)\b(?! (?:there|in)\b)))"
)
_SHARE = r"(?:share|percentage|percent|per cent|%|fraction|proportion|portion|ratio)"
_SIZE = (
    r"(?:area|extent|coverage|cover|size|acreage|surface(?: area)?|amount|hectarage|footprint|areal extent|quantity)"
)
_TAKEN = r"(?:taken|captured|acquired|shot|recorded|flown|imaged|photographed|collected|made|created|produced)"
_UNITS_OF_LENGTH = (
    r"(?:met(?:re|er)s?|kilomet(?:re|er)s?|km|miles?|feet|yards?|degrees?|hours?|minutes?|years?|days?|times)"
)
_COUNTRY = (
    r"(?:country|city|town|village|state|province|continent|county|district|municipality|hemisphere|nation|street|"
    r"(?:part|region|corner|area) of the (?:world|country|globe|earth)|place on earth|location|latitude|longitude|address|utm zone|"
    r"(?:geographic(?:al)? )?region(?! (?:of|in|on) (?:the|this) (?!world\b|earth\b|globe\b|country\b)))"
)
_LAND = (
    r"(?:residential|industrial|commercial|urban|rural|agricultural|coastal|suburban|natural|built[- ]?up|forested|farmland|"
    r"forest|water|desert|wetland|grassland|cropland|woodland|mountainous|bare|barren|arable|inhabited|populated|tundra)"
)
_BROWSE = r"(?:see|spot|make out|find|detect|identify|recogni[sz]e|notice|observe|discern|distinguish)"
_CAN = r"(?:can|could|do|does|did) (?:you|we|i|one)"
_MARK = (
    r"(?:find|locate|detect|mark|outline|highlight|circle|segment|delineate|pinpoint|indicate|identify|extract|box|label|annotate|"
    r"localis?e|localize|pin|search for|look for|take me to|go to|zoom (?:in )?(?:to|on)|put (?:bounding )?boxes (?:around|on)|list|trace|digiti[sz]e|point (?:out|to|at|me (?:to|towards?))|spot|map(?: out)?|"
    r"draw (?:me )?(?:an? |the )?(?:bounding )?(?:box|boxes|outline|outlines|circle|circles|polygon|polygons) "
    r"(?:around|round|on|over|for|of))"
)
_NAME = (
    r"(?:(?!in\b|on\b|at\b|of\b|th(?:is|e|at|ese|ose)\b|is\b|are\b|my\b|and\b|for\b|with\b)[\w-]+ ){1,4}?"  # no clause
)
_ASKED = (
    r"^(?:(?:give|show|get|tell) (?:me|us) |(?:what|which) (?:is|was|are) |(?:compute|calculate|estimate|determine|report|measure) )?"
    r"(?:the )?(?:total |overall |exact )?"
)
_PART = r"(?:corner|part|side|quadrant|half|section|end|pixel|tile|portion|area|sector)"


class Rule(NamedTuple):
    """One rule; the thing asked for is the group `thing`, or what follows the match where `rest`."""

    kind: str
    pattern: re.Pattern[str]
    rest: bool = False


def _rules(kind: str, *patterns: str, rest: bool = False) -> list[Rule]:
    return [Rule(kind, re.compile(pattern), rest) for pattern in patterns]


RELATION = re.compile(
    r"\b(?:more|less|fewer|larger|smaller|greater|bigger|equal|same|than|at most|at least|only|outnumbers?|exceeds?|"
    r"differences?|as (?:many|much|large|big))\b"
)

RULES: Sequence[Rule] = (
    *_rules(
        "other",
        rf"^(?:who|whose|why|how (?:come|do|does|did|can|could|would|should|to)(?! (?:(?:would|do|should) )?(?:you|one|we|i) "
        rf"(?:describe|caption|summari|classify|categori)| {_HERE} looks?$)|explain why)\b",
        rf"\bchang(?:e|es|ed|ing)\b|\bbefore and after\b|^compare\b|(?<!sampling )(?<!sample )\bdistance\b|\b(?:length|height|depth|elevation|altitude|perimeter|speed|age) of (?!{_HERE}\b)|\bdifferen(?:t|ces?) (?:in|from|between)\b",
        r"^how (?:far|long(?! ago)|wide|tall|deep|fast|warm|hot|cold|close|near|often|likely|sure|confident)\b"
        rf"(?! (?:is|are) {PICTURE}\b)(?! was (?:this|it) {_TAKEN})",
        r"\b(?:cost|costs|price|worth|worthwhile)\b",
        rf"^how many (?:more |fewer )?{_UNITS_OF_LENGTH}\b(?! (?:per|in (?:a|one|each)|of|to a) )(?! (?:is|does) (?:a|one) )",
    ),
    *_rules(
        "resolution",
        r"\bgsd\b|\bground sampl(?:e|ing) distance\b|\b(?:pixel|cell) (?:size|spacing|dimensions?|resolution|count)\b|\bbit ?depth\b",
        r"\bsize of (?:a|one|each|the|an individual) pixels?\b|\b(?:per|a|one|each|single) pixel\b"
        r"|\bpixel (?:cover|represent|correspond|measure|stand|span)s?\b|\b(?:big|large|wide|size|long) (?:is|are|of) "
        r"(?:a|one|each|the|an individual|single) (?:single |individual )?(?:pixels?|cells?)\b",
        rf"^(?:is|are) {_HERE} (?:an? |of )?(?:very )?(?:high|low|medium|good)[ -]?res(?:olution)?\b|^how many {_UNIT} (?:do|does|is) (?:{PICTURE}|this)\b",
        rf"(?<!high)(?<!high[ -])(?<!low)(?<!low[ -])\bresolution\b(?! (?:(?!of\b|in\b|for\b|does\b|do\b|is\b|has\b)\w+ ){{0,2}}{_PICTURE}\b)",
        r"\bhow many (?:different |spectral |colou?r |image )?(?:pixels|bands|channels|layers|columns|rows|lines and|megapixels)\b"
        r"(?! (?:are|is|belong|show|contain|consist) (?!there\b|in\b|across\b|stored\b|available\b))(?! of )",
        r"\b(?:number|count) of (?:spectral |image )?(?:pixels|bands|channels|columns|rows)\b"
        r"|\b(?:which|what|list the|name the) (?:spectral )?(?:bands|channels|wavelengths)\b|^(?:bands|channels|pixels)$"
        rf"|\barea (?:shown|covered|depicted|spanned|imaged) (?:by|in|on) (?:{PICTURE}|this\b)|^(?:what is )?(?:the )?(?:map )?scale\b|^size(?: in pixels)?$",
        rf"\b{_PICTURE} (?:size|dimensions?|width|height|shape)\b|\bdimensions\b|\bwidth (?:and|x|by|times|\*) height\b"
        rf"|\b(?:size|width|height|scale|shape) of (?:{PICTURE}|this)\b(?! \w+ing\b)",
        rf"^(?:about |roughly )?how (?:big|large|wide|tall|high|long|detailed|sharp|coarse|fine|many metres wide) (?:is|are) "
        rf"(?:{PICTURE}|this|it|the area shown|(?:this|the) (?:whole |entire )?(?:area|region|place))$",
        rf"^how (?:big|large|wide|tall|high) (?:{PICTURE}|this|it) is$"
        rf"|^how (?:big|large) an area (?:does|is) (?:{PICTURE}|this|it)\b|^how much (?:ground|land|area|terrain) "
        rf"(?:does|do|is) (?:{PICTURE}|this|it|a pixel)\b"
        rf"|^(?:what|which|how much) (?:total )?(?:area|ground|extent) (?:does|is covered by) (?:{PICTURE}|this)\b",
    ),
    *_rules(
        "date",
        rf"^when (?:exactly )?(?:(?:was|were|is|did|has|have) )?(?:{_HERE}|they|you) ?(?:was|were|is|been|from|dates?)? ?"
        rf"(?:(?:\w+ )?{_TAKEN}\b|from\b|dated?\b|$)|^when$",
        rf"^(?:from|since) when\b|^when did (?:{_HERE}|the (?:satellite|sensor|plane|drone|aircraft|flight))\b"
        r"|^when did (?:you|they|we|someone|anyone) (?:take|capture|acquire|record|shoot|make)\b"
        rf"|^when (?:was|were) (?:(?!built\b)\w+ ){{1,6}}{_TAKEN}\b",
        r"\b(?:acquisition|capture|recording|sensing|imaging|image|flight|picture|photo|scene|overpass) (?:date|time|day|year)s?\b"
        r"|\btimestamp\b|^date\b|\bdate of\b|\b(?:year|month|day|time) of (?:the )?(?:acquisition|capture|flight|image|photo|picture)\b|\btime of (?:acquisition|capture|recording|overpass)\b|\bdate and time\b",
        r"\b(?:what|which) (?:is )?(?:the )?(?:date|day|month|year|time of (?:day|year)|time)\b(?! built)"
        rf"(?=.{{0,60}}\b(?:{_TAKEN}|from|{_PICTURE}|data)\b)|^(?:what|which) (?:is the |was the )?date\b"
        rf"|^(?:what|which) (?:year|month|day) (?:is|was) {_HERE}\b",
        rf"^how (?:old|recent|current|new|fresh|up[- ]to[- ]date) (?:is|are) (?:{PICTURE}|this|it|these)\b"
        rf"|^how (?:old|recent|current) (?:{PICTURE}|this|it) is\b|^how long ago was\b|\bage of (?:{PICTURE}|this)\b",
        rf"^(?:is|are) {_HERE} an? (?:\w+ )?(?:recent|old|new|current|historic(?:al)?|archived?) (?:{_KIND_OF} )?{_PICTURE}\b",
        rf"^(?:is|are) (?:{PICTURE}|this|it) (?:(?:from )?(?=(?:the (?:year )?)?[12]\d\d\d\b|last\b|today\b|yesterday\b)|recent|up[- ]to[- ]date|outdated|current|old)\b(?! (?:a|an|the)\b)",
    ),
    *_rules(
        "find",
        rf"\b(?:coordinates?|lat/?long?|latitude|longitude|position|positions|location|locations) (?:of|for) "
        rf"(?!{_HERE}|the (?:center|centre|middle|corners?|upper|lower|top|bottom|four|edges?|bounds)|(?:its|each) )",
        r"\b(?:bounding )?(?:box|boxes|bboxes|bbox) (?:of|for|around|on|over) "
        rf"(?!{PICTURE})",
        rest=True,
    ),
    *_rules(
        "place",
        r"\b(?:crs|srs|epsg|utm|wgs ?84|datum|projection|geo-?reference\w*|geo-?referencing|geolocat\w+|geo-?transform|"
        r"(?:coordinate |spatial )?reference system|coordinate system|coordinates?|spatial reference|lat(?:itude)?s?(?:/| |, ?| and )lon\w*|latitude|"
        r"longitude|map frame|projected)\b",
        rf"\b(?:bounding box|bbox|footprint|extent|bounds|corners|location|position) of (?:{PICTURE}|this|it)\b|\bbounds\b|^extent$"
        r"|^(?:do|can|could) you (?:recogni[sz]e|know|identify) (?:this|the) (?:place|location|area|spot|city|town|region)\b",
        rf"^where(?:abouts)? (?:exactly |on earth |in the world |on the map |on the globe )*(?:(?:{_BE}|am|does|do) )?(?:the (?:exact |very )?(?:cent(?:re|er)|middle|corners?) of )?(?:{_HERE}|we|i)"
        rf"(?: {_BE})?(?: (?:exactly|located|from|situated|{_TAKEN}|on earth|in the world|on the map|on the globe|come from|"
        r"looking at|show|depict|of))*$",
        rf"^where (?:in|on) (?!{PICTURE}).{{1,40}} (?:is|are|was) {_HERE}$",
        rf"^where (?:was|were) (?:\w+ ){{1,6}}{_TAKEN}\b",
        rf"^(?:(?:in|on|from|near|at|to) )?(?:what|which) (?:is the )?(?:name of (?:the|this) )?{_COUNTRY}\b"
        r"(?! (?:has|have|of|with|contains?|shows?)\b)|^what place is (?:this|it)\b|^(?:in )?(?:what|which) place\b",
        rf"^(?:name|identify|guess) (?:of )?(?:the |this )?{_COUNTRY}\b|^{_COUNTRY}$",
        rf"^(?:what|which) (?:is|are) (?:its|the) (?:exact |geographic(?:al)? |approximate )*(?:location|position|{_COUNTRY})$",
        rf"^(?:is|are|was) {_HERE} (?:located |situated |somewhere |taken |shot |acquired )*(?:in|from) (?:(?:the )?(?:us|usa|uk|eu|netherlands|"
        r"philippines|united \w+|tropics|alps|\w+ern hemisphere)|(?!the\b|an?\b|focus|use\b|(?:false |true )?colou?r|infrared|"
        r"\d|good|winter|summer|spring|autumn|bad|full|black|high|low)[\w-]+(?: (?!or\b)[\w-]+){0,2})$",
        rf"^(?:what|which) (?:country|city|town|place) (?:{_HERE})\b|\b(?:country|city|continent) is (?:this|it|that)\b",
    ),
    *_rules(
        "count",
        r"\b(?:amount|quantity) of (?=(?:[\w-]+ ){0,2}?\w+(?<!s)(?<!u)(?<!i)s(?: (?:in|on|at|there|visible|present|that)\b.{0,200})?$)",
        rest=True,
    ),
    *_rules(
        "area",
        rf"^(?:(?:what|which|how (?:big|large) an?|how much|how many) (?:is the )?(?:{_SHARE}|{_SIZE}|{_UNIT})(?: of {_HERE})?|"
        rf"how much of {_HERE}) (?:do|does|did) "
        rf"(?!{_HERE} )(?P<thing>.{{1,80}}?) (?:cover|occupy|take up|make up|have|account for|span|extend over)\b",
        rf"\bhow many {_UNIT} (?:of )?(?:{_HERE} )?(?:(?:is|are) )?(?:covered (?:by|in|with) |used (?:for|as) )?",
        rf"\b(?:area|surface|ground|land|{PICTURE}|part|share|{_SHARE}|much) (?:that is |which is |is |are |being )?"
        r"(?:covered|occupied|taken up|made up|dominated|used|filled|overgrown) (?:by|with|of|in|for|as|from) ",
        r"^(?:hectares|acres|square \w+|km2|m2) of ",
        rf"\b{_SHARE}s? (?:of )?(?:{_HERE} )?(?:(?:is|are|consists? of|shows?|contains?|has|belongs? to|that is|which is|"
        r"do(?:es)?|under|covered (?:by|in|with)) )*(?:covered (?:by|in|with) |used (?:for|as) )?",
        rf"\b(?:total |combined |overall |surface |areal )*{_SIZE} (?:of|under|for) (?:land )?(?:covered (?:by|in|with) )?"
        rf"(?!{PICTURE}\b|this\b|it\b)",
        rf"^(?:(?:what|which|how much) )?(?:part|amount|extent|area|surface|much) of {_HERE} (?:is|are|shows?|has|consists of|looks like) "
        r"(?:covered (?:by|in|with) )?(?!the\b|an?\b|in\b|most\b|this\b)|^(?:measure|quantify) (?:the (?:size|extent|amount) of )?",
        rf"^how much (?:surface|space|area|land|ground|terrain) (?:is|are|looks like|shows) (?:covered (?:by|in|with) |under |used (?:for|as) )?",
        rf"^how much (?:space|area|room|surface|ground|land) (?:do|does|is (?:taken up|occupied|covered|used) (?:by|for)) ",
        r"^how much of .{1,60}? (?:is|are|has been|have been|consists? of) (?:covered (?:by|in|with) |under |used (?:for|as) |made up of )?"
        r"(?!there\b|visible\b|left\b)",
        rf"^(?:about |roughly |approximately )?how much (?:of (?:{_HERE} |(?:the|this|that) \w+ ))?"
        r"(?:(?:is|are|consists? of|shows?|contains?|has|looks like|under|covered (?:by|in|with)|made up of|do(?:es)? (?:we|you) see) )*",
        rf"^to what extent (?:is|are|was) (?:{_HERE} )?(?:covered (?:by|in|with) )?",
        rf"^how (?:big|large|extensive|widespread|sizeable|spacious|vast) (?:an? area )?(?:is|are|was|were) "
        r"(?:covered (?:by|in|with) )?",
        rest=True,
    ),
    *_rules(
        "area",
        r"^how (?:big|large|extensive|vast) (?P<thing>.{1,80}?) (?:is|are)$",
        rf"{_ASKED}(?P<thing>(?!how\b|is\b|are\b|what\b|which\b|where\b){_NAME})(?:cover |coverage |land )?"
        rf"(?:(?<!land )(?<!ground )cover|coverage|acreage|extent|area|surface area|{_SHARE})(?: in {_UNIT})?$",
        rf"^(?:what|which) (?:is|was) (?:the )?(?:total |overall )?(?P<thing>{_NAME})(?:cover |land )?"
        rf"(?:(?<!land )(?<!ground )cover|coverage|acreage|extent|area|surface area|{_SHARE})(?: in {_UNIT})?$",
        rf"^(?P<thing>.{{1,80}}?)(?:,| -|:)? (?:how (?:much|large|big)|what {_SHARE}|in {_UNIT}|{_SHARE})(?: (?:is|are) (?:there|it))?$",
    ),
    *_rules(
        "count",
        r"^(?P<thing>.{1,80}?)(?:,| -|:|;)? ?(?:how many|what number)(?: (?:are|of them).{0,20})?$",
        r"^(?:what is |give (?:me |us )?)?(?:the |an? )?(?P<thing>(?:[\w-]+ ){1,3}?)(?:count|tally|number)$",
    ),
    *_rules(
        "count",
        r"\bhow many(?: of (?:the|these|those))?\b|\b(?:the |total |exact |approximate )*(?:number|count|tally|quantity|total) of\b"
        r"|^(?:enumerate|recount|count|tally)(?: up)?(?: (?:exactly )?how many)?\b|^(?:number|tally|total)\b",
        rest=True,
    ),
)

LATER_RULES: Sequence[Rule] = (
    *_rules(
        "presence",
        r"^(?:is|are|was|were|be) there\b(?: (?:really|still|also))?(?: (?:any |an? |some )?(?:signs?|traces?|evidence) of)?",
        r"^(?:there (?:is|are)|whether there (?:is|are))\b",
        rf"^{_CAN} (?:please )?(?:also )?(?:see|spot|make out|recogni[sz]e|notice|observe|discern|distinguish)\b"
        r"(?: (?:if|whether) there (?:is|are))?(?! (?:what|where|how))",
        rf"^{_CAN} {_BROWSE} (?=(?:any|some|an?)\b)",
        r"^(?:see|spot|notice|make out) (?=(?:any|an?|some)\b)|^any(?:thing)?\b(?! idea)(?: (?:signs?|traces?|evidence|indications?|hints?) of)?|^(?:presence|existence|signs?|traces?|evidence) of\b"
        r"|^(?:check|look|verify|confirm)(?: (?:for|if|whether|that))?(?: there (?:is|are))?(?: the)?(?: presence of)?(?= any\b|$)",
        r"^(?:check|verify|confirm|test) (?:for |if |whether |that )?(?:there (?:is|are) )?(?:the presence of )?",
        r"^(?:have|has) (?:you|we|it) (?:got|seen|found|spotted|noticed|detected)\b|^(?:is|are) (?=(?:any|some)\b)",
        rf"^(?:does|do) {_HERE} (?:look|seem|appear)(?: to be| like)?\b|^(?:does|do) there (?:exist|seem to be|appear to be)\b"
        r"|^(?:could|can|might|may|would|will) there be\b|^(?:contains?|includes?)\b",
        r"^are (?=(?!the\b|these\b|those\b|they\b|you\b|we\b|all\b)[\w-]+(?: [\w-]+)? (?:\w+ing|\w+ed|built|seen) (?:in|on|at|by|along|"
        r"near|around|next|under|over|across|from|here)\b)",
        rf"^(?:does|do|did|has|have|is) {_HERE} (?:contain|show|include|have|has|feature|display|depict|got|hold|containing|showing)\b",
        rf"^(?:whether |if )?{_HERE} (?:contains|shows|has|includes|features|depicts)\b",
        rf"^(?:whether |if )(?:you|we|one|i) (?:can )?{_BROWSE}\b",
        rest=True,
    ),
    *_rules(
        "presence",
        r"^(?:has|have) .{1,60}? (?:got|any)\b(?P<thing>.{1,200})",
        r"^(?:does|do|did) .{1,80}? (?:contain|show|include|have|feature)\b(?P<thing>.{1,200})",
        rf"^(?:is|are|was|were) (?!this\b|that\b|it\b|these\b)(?P<thing>.{{1,120}}?) (?:visible|present|shown|seen|there|anywhere|"
        rf"detectable|apparent|to be (?:seen|found)|in sight|recogni[sz]able|(?:in|on|within) (?:this|the) {_GROUND})\b(?! (?:of|to)\b)",
        rf"^(?:(?:is|are|was) {_HERE}|(?:could|can|might|would|may) {_HERE} be) (?:(?:of |showing )?an?|part of an?|(?:some|any) (?:kind|sort|type) of|all|mostly|mainly)? ?"
        rf"(?P<thing>(?:(?<=a )|(?<=an )|(?={_LAND}\b))(?:(?!or\b|than\b|to\b)[\w-]+)(?: (?!or\b|than\b|to\b)[\w-]+){{0,8}})$",
        r"^(?P<thing>(?:(?!is\b|are\b|how\b|what\b|wh\w+\b)[\w-]+ ){1,5}?)(?:is |are )?"
        r"(?:visible|present|there|detectable)\b(?: (?:here|anywhere))?$",
        r"^(?:can|could) (?!you\b|we\b|i\b|one\b)(?P<thing>.{1,80}?) be (?:seen|found|spotted|detected|identified|made out|"
        r"recogni[sz]ed|distinguished)\b",
        r"^are (?:these|those|they) (?P<thing>(?:[\w-]+ ){0,3}\w+s)$",
        rf"^(?:whether|if) (?P<thing>.{{1,80}}?) (?:is|are|can be) (?:visible|present|shown|seen|there|in {PICTURE})",
    ),
    *_rules(
        "scene",
        r"\bland[ -]?(?:cover|use)s?\b|\blulc\b|\bcorine\b|\bclassif(?:y|ication)\b|\b(?:covers the ground|land .{0,20}used|use .{0,20}of the land|how is (?:the|this) (?:ground|land|surface|area|terrain) (?:covered|used))\b",
        r"\b(?:scene|terrain|landscape|area|place|zone|habitat|environment|cover|ground|surface|vegetation|settlement) (?:category|class|type|label)\b",
        r"\b(?:kind|type|sort|category|class)s? of (?:a )?(?:scene|place|area|land|terrain|landscape|environment|region|site|"
        r"location|surface|ground|zone|habitat|neighbou?rhood|setting|ecosystem|vegetation zone|spot|settlement|territory)\b",
        r"^(?:what|which|name the|predict the|assign (?:a|the)) (?:is the )?(?:dominant |main |best |overall |correct |most \w+ )*"
        r"(?:of the )?(?:category|categories|class|classes|biome|ecosystem|habitat|label)\b|\b(?:category|class) (?:does|would|do|is|best)\b",
        rf"\bwhat covers (?:most|the (?:ground|surface|land))\b|^(?:categori[sz]e|label) (?:{_HERE})\b",
    ),
    *_rules(
        "find",
        rf"^{_MARK}(?: (?:in|on) {PICTURE}\b:?)?(?: for me)?(?: (?:where|which))?(?! (?:out|how|what|if|whether)\b)\b:?",
        r"^(?:show|give|tell|get|take|bring)(?: (?:me|us))?(?: to)? where\b",
        rf"^(?:show|display|give)(?: (?:me|us))? (?=(?:all|every|each|any|the (?!{_PICTURE}\b|scene|whole)|where)\b)",
        rf"^show me (?!{PICTURE}|what|how|an? (?:description|summary|caption|overview))",
        rf"^{_CAN} (?:find|detect|identify|locate) ",
        rf"^(?:whereabouts|where (?:about|exactly|abouts)?(?: ?{_CAN} {_BROWSE}| can be found)?)\b(?: (?:in|on) {PICTURE})?",
        rf"^(?:(?:in|on|at|to) )?(?:which|what) {_PART}s? (?:of {PICTURE} )?(?:(?:is|are|lies?|has|have|shows?|contains?|"
        rf"{_CAN} {_BROWSE}|do i find) )",
        rf"^(?:the )?(?:locations?|positions?|whereabouts) (?:of|for) ",
        rest=True,
    ),
    *_rules(
        "find",
        r"^(?P<thing>(?:the|all|every)(?: (?!is\b|are\b|was\b|were\b|shows?\b|has\b|have\b)[\w-]+){1,9})$",
        r"^(?P<thing>.{1,80}?)(?:,| -|:)? (?:where|location|locations)(?: (?:is|are) (?:it|they))?$",
        r"^which (?P<thing>(?:[\w-]+ ){1,3})is (?:the )?(?P<most>largest|biggest|smallest|longest|widest|tallest|closest|nearest|highest|oldest|"
        r"newest|most \w+|\w+most)$",
        r"^(?:which|what) (?:one )?is (?P<thing>the (?:largest|biggest|smallest|longest|widest|tallest|closest|nearest) .{1,80})$",
    ),
    *_rules(
        "caption",
        r"\b(?:describe|describing|caption|captions|summari[sz]e|summary|description|account|overview|interpret|analy[sz]e|narrate|alt[ -]text|gist)\b",
        rf"^explain (?:to me )?(?:what )?(?:{_HERE})\b|\bwhat (?:does )?(?:{_HERE}) (?:shows?|depicts?|contains?|displays?|portrays?|looks? like)\b"
        rf"|^how does {_HERE} look\b|\bmain (?:features?|contents?|elements?|objects?|things?) (?:of|in|on) {_HERE}\b|\binto words\b|^what does the (?:satellite|sensor|drone|camera|plane) see\b|\bmake of (?:{_HERE})\b",
        r"^what (?:all )?(?:is|are) (?:there|here|going on|happening|shown|visible|seen|depicted|displayed|pictured)\b"
        rf"|^(?:what|which) (?:objects|features|(?:kinds? of |sorts? of )?things|elements|stuff) (?:is|are|can|do)\b|^what (?:is|are) (?:in|on) {PICTURE}\b"
        rf"|^what (?:is|are) (?:{PICTURE}|this|it|that)(?: (?:of|about|an? \w+ of|showing))?$|^what (?:this|it) is$|^what kind of {_PICTURE}\b",
        rf"\bwhat (?:else )?(?:stands out|can be (?:seen|observed|made out|identified)|(?:can|do|could|would) (?:you|i|we|one) see|(?:you|i|we|one) (?:can )?(?:see|observe|notice)|"
        r"(?:am i|are we|i am|we are) (?:looking at|seeing))\b|\bwhat (?:do|have) (?:we|you|i) (?:have|got|find|notice)\b",
        rf"\b(?:tell (?:me|us) (?:more |something |everything )?|talk |write (?:something )?|say something )about (?:{_HERE}|what)\b"
        r"|^(?:walk|talk) me through\b|\b(?:write|in) (?:\w+ ){0,3}(?:sentences?|words|paragraph)\b",
    ),
)
QUESTIONED = re.compile(
    r"^(?!(?:can|could|do|does|did|will|would|should|help|wh\w+|how|i|you|my|me|we|thanks?|yes|no|hello|hi|and|or|then|so)\b)"
    r"(?:(?!is\b|are\b)[a-z-]+)(?: (?!is\b|are\b)[a-z-]+){0,2}$"
)
