"""Rules of the question router that are tried first: what the file tells, areas and numbers, and what no tile tells.

Each is a pattern for a plain question in small letters, without polite words; the first that fits decides. Every
repetition is anchored at the start or has a bound, so that the time is linear.
"""

import re
from collections.abc import Sequence

from rsvlm.serve.question_patterns import (
    ASKED,
    BE,
    COUNTRY,
    HERE,
    KIND_OF,
    LENGTHS,
    NAME,
    PICTURE,
    PICTURES,
    SHARE,
    SIZE,
    TAKEN,
    UNIT,
    Rule,
    rules,
)

RELATION = re.compile(
    r"\b(?:more|less|fewer|larger|smaller|greater|bigger|equal|same|than|at most|at least|only|outnumbers?|exceeds?|"
    r"differences?|as (?:many|much|large|big))\b"
)

FILE_AND_AMOUNT_RULES: Sequence[Rule] = (
    *rules(
        "other",
        rf"^(?:who|whose|why|how (?:come|do|does|did|can|could|would|should|to)(?! (?:(?:would|do|should) )?(?:you|"
        rf"one|we|i) (?:describe|caption|summari|classify|categori)| {HERE} looks?$)|explain why)\b",
        rf"\bchang(?:e|es|ed|ing)\b|\bbefore and after\b|^compare\b|(?<!sampling )(?<!sample )\bdistance\b|"
        rf"\b(?:length|height|depth|elevation|altitude|perimeter|speed|age) of (?!{HERE}\b)|\bdifferen(?:t|"
        rf"ces?) (?:in|from|between)\b",
        r"^how (?:far|long(?! ago)|wide|tall|deep|fast|warm|hot|cold|close|near|often|likely|sure|confident)\b"
        rf"(?! (?:is|are) {PICTURE}\b)(?! was (?:this|it) {TAKEN})",
        r"^how much (?:tax|money|time|energy|power|noise|rain|income|longer|further|older|faster|higher|deeper|taller|"
        r"(?:do|does|did|would|should|is it|are they)(?!.{1,60}(?:cover|occupy|take up)))\b",
        r"\b(?:cost|costs|price|worth|worthwhile)\b",
        rf"^how many (?:more |fewer )?{LENGTHS}\b(?! (?:per|in (?:a|one|each)|of|to a) )(?! (?:is|does) (?:a|one) )",
    ),
    *rules(
        "resolution",
        r"\bgsd\b|\bground sampl(?:e|ing) distance\b|\b(?:pixel|cell) (?:size|spacing|dimensions?|resolution|"
        r"count)\b|\bbit ?depth\b",
        r"\bsize of (?:a|one|each|the|an individual) pixels?\b|\b(?:per|a|one|each|single) pixel\b|"
        r"\bpixel (?:cover|represent|correspond|measure|stand|span)s?\b|\b(?:big|large|wide|size|long) (?:is|are|"
        r"of) (?:a|one|each|the|an individual|single) (?:single |individual )?(?:pixels?|cells?)\b",
        rf"^(?:is|are) {HERE} (?:an? |of )?(?:very )?(?:high|low|medium|good)[ -]?res(?:olution)?\b|"
        rf"^how many {UNIT} (?:do|does|is) (?:{PICTURE}|this)\b",
        rf"(?<!high)(?<!high[ -])(?<!low)(?<!low[ -])\bresolution\b(?! (?:(?!of\b|in\b|for\b|does\b|do\b|is\b|"
        rf"has\b)\w+ ){{0,2}}{PICTURES}\b)",
        r"\bhow many (?:different |spectral |colou?r |image )?(?:pixels|bands|channels|layers|columns|rows|"
        r"lines and|megapixels)\b(?! (?:are|is|belong|show|contain|consist) (?!there\b|in\b|across\b|stored\b|"
        r"available\b))(?! of )",
        r"\b(?:number|count) of (?:spectral |image )?(?:pixels|bands|channels|columns|rows)\b"
        r"|\b(?:which|what|list the|name the) (?:spectral )?(?:bands|channels|wavelengths)\b|^(?:bands|channels|"
        r"pixels)$"
        rf"|\barea (?:shown|covered|depicted|spanned|imaged) (?:by|in|on) (?:{PICTURE}|this\b)|"
        rf"^(?:what is )?(?:the )?(?:map )?scale\b|^size(?: in pixels)?$",
        rf"\b{PICTURES} (?:size|dimensions?|width|height|shape)\b|\bdimensions\b|\bwidth (?:and|x|by|times|"
        rf"\*) height\b|\b(?:size|width|height|scale|shape) of (?:{PICTURE}|this)\b(?! \w+ing\b)",
        rf"^(?:about |roughly )?how (?:big|large|wide|tall|high|long|detailed|sharp|coarse|fine|"
        rf"many metres wide) (?:is|are) (?:{PICTURE}|this|it|the area shown|(?:this|the) (?:whole |"
        rf"entire )?(?:area|region|place))(?:,? in \w+(?: \w+)?)?$",
        rf"^how (?:big|large|wide|tall|high) (?:{PICTURE}|this|it) is$|^how (?:big|large) an area (?:does|"
        rf"is) (?:{PICTURE}|this|it)\b|^how much (?:ground|land|area|terrain) (?:does|do|is) (?:{PICTURE}|this|it|"
        rf"a pixel)\b|^(?:what|which|how much) (?:total )?(?:area|ground|extent) (?:does|"
        rf"is covered by) (?:{PICTURE}|this)\b",
    ),
    *rules(
        "date",
        rf"^when (?:exactly )?(?:(?:was|were|is|did|has|have) )?(?:{HERE}|they|you) ?(?:was|were|is|been|from|"
        rf"dates?)? ?(?:(?:\w+ )?{TAKEN}\b|from\b|dated?\b|$)|^when$",
        rf"^(?:from|since) when\b|^when did (?:{HERE}|the (?:satellite|sensor|plane|drone|aircraft|flight))\b"
        r"|^when did (?:you|they|we|someone|anyone) (?:take|capture|acquire|record|shoot|make)\b"
        rf"|^when (?:was|were) (?:(?!built\b)\w+ ){{1,6}}{TAKEN}\b",
        r"\b(?:acquisition|capture|recording|sensing|imaging|image|flight|picture|photo|scene|overpass) (?:date|"
        r"time|day|year)s?\b|\btimestamp\b|^date\b|\bdate of\b|\b(?:year|month|day|"
        r"time) of (?:the )?(?:acquisition|capture|flight|image|photo|picture)\b|\btime of (?:acquisition|capture|"
        r"recording|overpass)\b|\bdate and time\b",
        r"\b(?:what|which) (?:is )?(?:the )?(?:date|day|month|year|time of (?:day|year)|time)\b(?! built)"
        rf"(?=.{{0,60}}\b(?:{TAKEN}|from|{PICTURES}|data)\b)|^(?:what|which) (?:is the |was the )?date\b"
        rf"|^(?:what|which) (?:year|month|day) (?:is|was) {HERE}\b",
        rf"^how (?:old|recent|current|new|fresh|up[- ]to[- ]date) (?:is|are) (?:{PICTURE}|this|it|these)\b"
        rf"|^how (?:old|recent|current) (?:{PICTURE}|this|it) is\b|^how long ago was\b|\bage of (?:{PICTURE}|this)\b",
        rf"^(?:is|are) {HERE} an? (?:\w+ )?(?:recent|old|new|current|historic(?:al)?|"
        rf"archived?) (?:{KIND_OF} )?{PICTURES}\b",
        rf"^(?:is|are) (?:{PICTURE}|this|it) (?:(?:from )?(?=(?:the (?:year )?)?[12]\d\d\d\b|last\b|today\b|"
        rf"yesterday\b)|recent|up[- ]to[- ]date|outdated|current|old)\b(?! (?:a|an|the)\b)",
    ),
    *rules(
        "find",
        rf"\b(?:coordinates?|lat/?long?|latitude|longitude|position|positions|location|locations) (?:of|for) "
        rf"(?!{HERE}|the (?:center|centre|middle|corners?|upper|lower|top|bottom|four|edges?|bounds)|(?:its|each) )",
        r"\b(?:bounding )?(?:box|boxes|bboxes|bbox) (?:of|for|around|on|over) "
        rf"(?!{PICTURE})",
        rest=True,
    ),
    *rules(
        "place",
        r"\b(?:crs|srs|epsg|utm|wgs ?84|datum|projection|geo-?reference\w*|geo-?referencing|geolocat\w+|"
        r"geo-?transform|(?:coordinate |spatial )?reference system|coordinate system|coordinates?|"
        r"spatial reference|lat(?:itude)?s?(?:/| |, ?| and )lon\w*|latitude|longitude|map frame|projected)\b",
        rf"\b(?:bounding box|bbox|footprint|extent|bounds|corners|location|position) of (?:{PICTURE}|this|it)\b|"
        rf"\bbounds\b|^extent$"
        r"|^(?:do|can|could) you (?:recogni[sz]e|know|identify) (?:this|the) (?:place|location|area|spot|city|town|"
        r"region)\b",
        rf"^where(?:abouts)? (?:exactly |on earth |in the world |on the map |on the globe )*(?:(?:{BE}|am|has|"
        rf"have|does|do) )?(?:the (?:exact |very )?(?:cent(?:re|er)|middle|corners?) of )?(?:{HERE}|we|i)"
        rf"(?: {BE})?(?: (?:exactly|been|located|from|situated|{TAKEN}|on earth|in the world|on the map|on the globe|"
        rf"come from|"
        r"looking at|show|depict|of))*$",
        rf"^where (?:in|on) (?!{PICTURE}).{{1,40}} (?:is|are|was) {HERE}$",
        rf"^where (?:was|were) (?:\w+ ){{1,6}}{TAKEN}\b",
        rf"^(?:(?:in|on|from|near|at|to) )?(?:what|which) (?:is the )?(?:name of (?:the|this) )?{COUNTRY}\b"
        r"(?! (?:has|have|of|with|contains?|shows?)\b)|\bname of (?:the|this) (?:place|location|area|spot)\b"
        r"|^what is this place$|^what place is (?:this|it)\b|^(?:in )?(?:what|which) place\b",
        rf"^(?:name|identify|guess) (?:of )?(?:the |this )?{COUNTRY}\b|^{COUNTRY}$",
        rf"^(?:what|which) (?:is|are) (?:its|the) (?:exact |geographic(?:al)? |approximate )*(?:location|position|"
        rf"{COUNTRY})$",
        rf"^(?:is|are|was) {HERE} (?:located |situated |somewhere |taken |shot |acquired )*(?:in|"
        rf"from) (?:(?:the )?(?:us|usa|uk|eu|netherlands|"
        r"philippines|united \w+|tropics|alps|\w+ern hemisphere)|(?!the\b|an?\b|focus|use\b|(?:false |"
        r"true )?colou?r|infrared|\d|good|winter|summer|spring|autumn|bad|full|black|high|"
        r"low)[\w-]+(?: (?!or\b)[\w-]+){0,2})$",
        rf"^(?:what|which) (?:country|city|town|place) (?:{HERE})\b|\b(?:country|city|continent) is (?:this|it|"
        rf"that)\b",
    ),
    *rules(
        "count",
        r"\b(?:amount|quantity) of (?=(?:[\w-]+ ){0,2}?\w+(?<!s)(?<!u)(?<!i)s(?: (?:in|on|at|there|visible|present|"
        r"that)\b.{0,200})?$)",
        rest=True,
    ),
    *rules(
        "area",
        rf"^(?:(?:what|which|how (?:big|large) an?|how much|how many) (?:is the )?(?:{SHARE}|{SIZE}|"
        rf"{UNIT})(?: of {HERE})?|how much of {HERE}) (?:do|does|did) (?!{HERE} )(?P<thing>.{{1,80}}?) (?:cover|"
        rf"occupy|take up|make up|have|account for|span|extend over)\b",
        rf"\bhow many {UNIT} (?:of )?(?:{HERE} )?(?:(?:is|are) )?(?:covered (?:by|in|with) |used (?:for|as) )?",
        rf"\b(?:area|surface|ground|land|{PICTURE}|part|share|{SHARE}|much) (?:that is |which is |is |are |being )?"
        r"(?:covered|occupied|taken up|made up|dominated|used|filled|overgrown) (?:by|with|of|in|for|as|from) ",
        r"^(?:hectares|acres|square \w+|km2|m2) of ",
        rf"\b{SHARE}s? (?:of )?(?:{HERE} )?(?:(?:is|are|consists? of|shows?|contains?|has|belongs? to|that is|"
        rf"which is|"
        r"do(?:es)?|under|covered (?:by|in|with)) )*(?:covered (?:by|in|with) |used (?:for|as) )?",
        rf"\b(?:total |combined |overall |surface |areal )*{SIZE} (?:of|under|for) (?:land )?(?:covered (?:by|in|"
        rf"with) )?(?!{PICTURE}\b|this\b|it\b)",
        rf"^(?:(?:what|which|how much) )?(?:part|amount|extent|area|surface|much) of {HERE} (?:is|are|shows?|has|"
        rf"consists of|looks like) "
        r"(?:covered (?:by|in|with) )?(?!the\b|an?\b|in\b|most\b|this\b)|^(?:measure|quantify) (?:the (?:size|"
        r"extent|amount) of )?",
        r"^how much (?:surface|space|area|land|ground|terrain) (?:is|are|looks like|shows) (?:covered (?:by|in|"
        r"with) |under |used (?:for|as) )?",
        r"^how much (?:space|area|room|surface|ground|land) (?:do|does|is (?:taken up|occupied|covered|used) (?:by|"
        r"for)) ",
        r"^how much of .{1,60}? (?:is|are|has been|have been|consists? of) (?:covered (?:by|in|with) |under |"
        r"used (?:for|as) |made up of )?(?!there\b|visible\b|left\b)",
        rf"^(?:about |roughly |approximately )?how much (?:of (?:{HERE} |(?:the|this|that) \w+ ))?"
        r"(?:(?:is|are|consists? of|shows?|contains?|has|looks like|under|covered (?:by|in|with)|made up of|"
        r"do(?:es)? (?:we|you) see) )*",
        rf"^to what extent (?:is|are|was) (?:{HERE} )?(?:covered (?:by|in|with) )?",
        r"^how (?:big|large|extensive|widespread|sizeable|spacious|vast) (?:an? area )?(?:is|are|was|were) "
        r"(?:covered (?:by|in|with) )?",
        rest=True,
    ),
    *rules(
        "area",
        r"^how (?:big|large|extensive|vast) (?P<thing>.{1,80}?) (?:is|are)$",
        rf"{ASKED}(?P<thing>(?!how\b|is\b|are\b|what\b|which\b|where\b){NAME})(?:cover |coverage |land )?"
        rf"(?:(?<!land )(?<!ground )cover|coverage|acreage|extent|area|surface area|{SHARE})(?: in {UNIT})?$",
        rf"^(?:what|which) (?:is|was) (?:the )?(?:total |overall )?(?P<thing>{NAME})(?:cover |land )?"
        rf"(?:(?<!land )(?<!ground )cover|coverage|acreage|extent|area|surface area|{SHARE})(?: in {UNIT})?$",
        rf"^(?P<thing>.{{1,80}}?)(?:,| -|:)? (?:how (?:much|large|big)|what {SHARE}|in {UNIT}|{SHARE})(?: (?:is|"
        rf"are) (?:there|it))?$",
    ),
    *rules(
        "count",
        r"^(?P<thing>.{1,80}?)(?:,| -|:|;)? ?(?:how many|what number)(?: (?:are|of them).{0,20})?$",
        r"^(?:what is |give (?:me |us )?)?(?:the |an? )?(?P<thing>(?:[\w-]+ ){1,3}?)(?:count|tally|number)$",
    ),
    *rules(
        "count",
        r"\bhow many(?: of (?:the|these|those))?\b|\b(?:the |total |exact |approximate )*(?:number|count|tally|"
        r"quantity|total) of\b|^(?:enumerate|recount|count|tally)(?: up)?(?: (?:exactly )?how many|"
        r" (?:the )?(?:total )?number of)?\b|^(?:number|tally|total)\b",
        rest=True,
    ),
)
