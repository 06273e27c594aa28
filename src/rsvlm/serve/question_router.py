"""Route a question: what it asks for, of what, and by which words that was told; compound questions are split.

Regular expressions and word lists alone, each in linear time: bounded repetition, no nested quantifiers.
"""

import re
from dataclasses import dataclass

from rsvlm.errors import BadInput
from rsvlm.serve.question_type import QuestionType, grounding_phrase, object_of
from rsvlm.serve.question_words import language_of, mend_typos, plain_words

_I = re.IGNORECASE
_PICTURE = r"(?:image|picture|photo|photograph|scene|view|tile|raster|frame|shot|map|file|place|location|site|spot)"
_THE = r"(?:the|this|that|our|my|your)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedQuestion:
    """One question, or one part of a compound one. `thing`: what it is about ("boats"), "" where nothing is named.

    `rule` says by which words the kind was told, for the trace.
    """

    text: str
    kind: QuestionType
    thing: str = ""
    rule: str = ""


def _pattern(*alternatives: str, start: bool = False) -> re.Pattern[str]:
    """One of several expressions, in any case of letters; all of them at the `start` of the text, or anywhere."""
    return re.compile(f"{'^' if start else ''}(?:{'|'.join(alternatives)})", re.IGNORECASE)


_IS = r"(?:is|are|was|were)"
_PLACES = r"(?:country|city|town|state|region|continent|province|county|part of the world|utm zone)"
_MEASURES = r"(?:share|fraction|proportion|percent(?:age)?|ratio|portion|amount|coverage|extent|area|surface)"
_FINDS = r"(?:find|locate|detect|mark|outline|segment|highlight|delineate|box|spot|circle|pinpoint|identify|trace)"
_KIND_OF = r"(?:kind|type|sort|category|class|categories)"
_LAND = r"(?:scene|place|area|land|terrain|landscape|environment|region|zone|surface|site|image|picture|ground)"

_FILE = (
    (QuestionType.RESOLUTION, _pattern(
        r"\bresolution\b", r"\bgsd\b", r"\bpixel (?:size|spacing)\b", r"\bsize of (?:a|one|each|the) pixel\b",
        r"\bground sampl", r"\b(?:how many|number of|which|what) (?:spectral )?(?:pixels?|bands?|channels?)\b",
        rf"\bhow (?:big|large|wide|tall|high|long) is (?:{_THE} )?{_PICTURE}\b", rf"\b{_PICTURE} (?:size|dimensions)\b",
        rf"\b(?:size|dimensions?|width|height) of (?:{_THE} )?{_PICTURE}\b", r"\bmet(?:er|re)s? (?:per|a|each) pixel\b",
        r"\bhow (?:fine|coarse|detailed|sharp)\b",
    )),
    (QuestionType.DATE, _pattern(
        r"\bwhen (?:was|were|is|did)\b", r"\b(?:what|which) (?:date|day|year|month)\b", r"\bthe date\b",
        r"\b(?:acquisition|capture|sensing|recording) (?:date|time|day|year)\b", r"\bdate (?:of|taken|when)\b",
        rf"\bhow (?:old|recent|new) {_IS}\b", r"^date\b", rf"\b{_PICTURE} (?:date|age)\b", r"^when\b",
    )),
    (QuestionType.PLACE, _pattern(
        r"\bcoordinates?\b", r"\bcoords?\b", r"\blat(?:itude)?s?\b", r"\blongitude\b", r"\bcrs\b", r"\bprojection\b",
        r"\bepsg\b", r"\bdatum\b", rf"\b(?:what|which) {_PLACES}\b", r"\bname of (?:this|the) (?:place|city|town)\b",
        rf"\bwhere {_IS} (?:(?:{_THE} )?{_PICTURE}|this|that|it|we)(?: (?:taken|located|from|captured|shot|acquired"
        r"|recorded|situated|at|on (?:the )?(?:earth|map|globe)|in the world))?\s*\??$",
        r"\bwhere (?:on|in) (?:the )?(?:earth|world|globe|map)\b", r"\bgeo ?referenc",
        rf"\b(?:location|position|whereabouts|bounding box|bounds|extent|footprint|corners?) of (?:{_THE} )?{_PICTURE}"
        r"\b",
        r"\bwhat (?:country|city|place|location) is (?:this|it|that)\b",
    )),
)  # fmt: skip
_COUNT = _pattern(
    r"\bhow many\b", r"\b(?:number|count|tally|total|numbers) of\b", r"^(?:count|tally|enumerate)\b", r"^number \w+",
    r"\bcount (?:all|the|up|every|them)\b", r"\bhow numerous\b", r"\bto count\b",
)  # fmt: skip
_AREA = _pattern(
    r"\bhow (?:much|many percent)\b", rf"\b{_MEASURES} (?:of|is|are|that|covered|for|does|do|by|in)\b",
    rf"^{_MEASURES}\b",
    r"\b(?:what|which) (?:part|percent) of\b", rf"\bhow (?:large|big|wide|long|extensive|vast) {_IS}\b", r"%",
    r"\bhectares?\b", r"\bacres?\b", r"\bsquare \w+\b", r"\bkm2\b", r"\bm2\b", r"\bcoverage\b",
)  # fmt: skip
_RELATION = _pattern(
    r"\b(?:more|less|fewer|larger|smaller|greater|bigger|equal|same|than|at most|at least|closest|nearest|between)\b",
    r"\b(?:compared?|difference|changed?|changes)\b", r"\bhow (?:far|close|near|tall|high|deep|fast|often|hot|cold)\b",
    r"\b(?:urban|rural)\b.{0,20}\bor\b", r"\bwhy\b", r"\bwhat colou?r\b", r"\bwhich (?:is|one)\b",
)  # fmt: skip
_PRESENCE = _pattern(
    rf"^{_IS} there\b", r"^there (?:is|are)\b", r"^any\b", r"^do (?:you|we|i) (?:see|spot|notice|find)\b",
    r"^(?:can|could) (?:you|we|i|one) (?:see|spot|find any|notice|detect any|make out)\b",
    r"^(?:has|have) (?:it|this|the)\b",
    r"^(?:do|does|did) .{1,80}\b(?:contain|show|include|have|exist|appear|occur|feature|cross|lie)s?\b",
    rf"^{_IS} (?:this|that|it|these) (?:an?|the|some|in)\b", r"^contains?\b", r"\bsee any\b",
    r"^(?:is|are) .{1,80}\b(?:visible|present|shown|seen|here|there|depicted|found|around|anywhere)\b",
    r"^(?:is|are) .{1,80}\b(?:in|on) (?:this|the|it)\b", rf"^(?:is|are) {_THE} {_PICTURE} \w+\W*$",
    r"\b(?:visible|present|there|here|seen|absent)\s*\?$", r"\bor not\b",
    r"\b(?:whether|if) (?:there|you|it|the|this|any)\b", r"\b(?:presence|existence|evidence|signs?|traces?) of\b",
)  # fmt: skip
_SCENE = _pattern(
    r"\bland[ -]?(?:cover|use)\b", r"\bscene (?:category|class|type|label)\b", r"\bclassify\b", r"\bclassification\b",
    r"\bcovers? the ground\b", r"\bground cover\b", rf"\b{_KIND_OF} of (?:\w+ )?{_LAND}\b", r"\bcategori[sz]e\b",
    r"\b(?:what|which) (?:class|category|type|label)\b", rf"\blabel (?:{_THE} )?{_PICTURE}",
    rf"\b{_PICTURE} (?:category|class|type)\b",
)  # fmt: skip
_CAPTION = _pattern(
    r"\b(?:describe|caption|summari[sz]e|description|summary|overview|explain)\b",
    r"\bin (?:a|one) (?:sentence|word)\b",
    rf"\babout (?:{_THE} )?(?:{_PICTURE}|area|it)\b", r"\bwhat am i looking at\b",
    r"\blist (?:all |the )?(?:objects|things)\b",
    r"\bwhat(?: is|'s| are)? (?:shown|visible|seen|depicted|displayed|going on|happening|here|there|this|it)\b",
    rf"\bwhat(?: is|'s) (?:in|on) (?:{_THE} )?(?:\w+ ){{0,3}}{_PICTURE}\b",
    r"\bwhat (?:can|do|could) (?:you|we|i|be|one)\b.{0,12}\b(?:see|seen|find|notice|observe)\b",
    rf"\bwhat (?:does|do) (?:{_THE} )?(?:\w+ ){{0,3}}(?:{_PICTURE}|area|it|this)\b.{{0,12}}\b(?:show|depict|contain"
    r"|look|display|represent)\b",
    r"\bwhat is (?:this|that|it)(?: a)?(?: picture| image)?(?: of| about)?\s*\??$",
)  # fmt: skip
_FIND = _pattern(
    rf"^{_FINDS}\b", r"^(?:map|point|draw)\b", r"\b(?:show|give) (?:me )?(?:where|all|the|every)\b",
    rf"\bwhere(?:'s| {_IS}| can| do| could| does)\b", r"^where\b", r"\bdraw (?:a )?box", r"\bpoint (?:out|to)\b",
    r"\b(?:locations?|positions?|bounding box(?:es)?|box(?:es)?|outlines?|masks?) (?:of|for|around)\b",
)  # fmt: skip
_STARTS = (
    r"(?:how (?:many|much|large|big|far|old)|where|what|which|when|is there|are there|is it|is this|describe|count|find"
    r"|locate|show|mark|outline|detect|segment|tell me|do you|does|can you see|classify|give me|highlight|number of"
    r"|name)"
)  # fmt: skip
_SPLIT = _pattern(
    r"\?+\s+(?:and |also |then |if so,? )?(?=\w)", r",?\s+if so,?\s+(?=\w)", r";\s+(?=\w)",
    rf"[;,.]?\s+(?:and|also|then|plus)\s+(?:also |then |please |if so,? |tell me )*(?={_STARTS}\b)",
    rf"[;,.]\s+(?:if so,? )?(?={_STARTS}\b)",
)  # fmt: skip
_ELLIPSIS = re.compile(
    "(?:" + "|".join((
        r"how (?:many|much|large|big)(?: (?:of (?:it|them)|are there|is there|is it|are they|exactly|there|then"
        r"|in (?:total|all)))?",
        r"where(?: (?:is it|are they|exactly|are these|is that))?", r"which ones?", r"show (?:me )?(?:them|it|where)",
        r"count (?:them|it)", rf"{_FINDS} (?:them|it|these)", rf"what {_MEASURES}(?: is it)?",
        r"their (?:number|area|location)",
    )) + r")\s*\??", _I)  # fmt: skip
_POLITE = _pattern(
    r"(?:hi|hello|hey|ok|okay|so|well|and|please|kindly|just|now)[,!.]? ",
    r"(?:can|could|would|will) you (?:please |kindly )?(?:(?:tell(?: me)?|say|give(?: me)?|let me know|help me(?: to)?"
    r"|check|see if)[,:]? *|(?=describe|count|find|locate|mark|classify|detect|outline|segment|list|highlight|summari"
    r"|show|explain))",
    r"i(?:'d| would)? (?:like|want|need|wish) (?:you )?to (?:know|see)? *", r"(?:do you know|let me know|say)[,:]? *",
    r"i(?:'m| am) (?:wondering|interested in|looking for|curious)(?: if| whether)? *",
    r"(?:tell|give) me[,:]? (?!about|more|the b)", r"check +(?=if|whether)",
    start=True,
)  # fmt: skip
_LEADS = _pattern(
    rf"where(?:'s| {_IS}| can i (?:find|see)| do (?:you|we) see| could i find| does)?", r"show me where", r"show me",
    "show",
    r"how (?:much|many percent)(?: of (?:it|this|(?:the|this) (?:image|scene|area|picture|ground|land))(?: is| are)?)?",
    rf"(?:what |which )?(?:is )?(?:the )?(?:total )?{_MEASURES}", r"(?:what|which) part", rf"how \w+ {_IS}",
    rf"{_IS} (?:this|that|it|these)", r"there (?:is|are)", r"do (?:you|we|i) (?:see|spot|notice|find)", "has it",
    "does it",
    r"(?:whether|if) there (?:is|are)", _FINDS, "map", r"draw (?:a )?(?:bounding )?box(?:es)?", r"(?:a)?round",
    r"(?:bounding )?box(?:es)?", r"locations?", r"positions?", r"(?:total )?number", "count", "tally", "total", "the",
    "an?",
    "any", "some", "of", "all", "every", "is", "are", "by", "with", "in",
    r"(?:the |this )?(?:scene|image|picture)(?= is\b)",
    r"covered?(?:s)?", "that", "for", "me", "up", "out", "to", "each", "visible", "there", r"square \w+ of",
    "hectares of",
    "presence of", r"signs? of", "see", start=True,
)  # fmt: skip
_LEAD = re.compile(_LEADS.pattern + r"\b *", _I)
_TAIL = re.compile(
    r" *(?:\b(?:" + "|".join((
        "is", "are", "be", "can", "do", "does", "there", "here", "visible", "present", "shown", "seen", "located",
        "anywhere", "exactly", r"cover(?:s|ed)?(?: by)?", "have", "please", "you", "see", "or not", r"in total",
        "at all",
        "lie", "lies", r"in (?:km2|m2|hectares|ha|percent|square \w+)", r"exists?", "occur", "appear", "how many",
        "right",
        rf"(?:does|do) {_THE} {_PICTURE}",
        rf"(?:in|on|within|of|from|across|at|near) (?:{_THE} )?(?:\w+ )?(?:{_PICTURE}|area|land|ground|it"
        r"|total|harbou?r)",
    )) + r")|[-?.!,:%])$", _I)  # fmt: skip
_KINDS = tuple(kind for kind in QuestionType if kind is not QuestionType.UNKNOWN)


def route(question: str, task: str | None = None) -> list[RoutedQuestion]:
    """The parts of a question, each with its kind and thing: one, or several of a compound question.

    `task` forces the kind of all. Raises BadInput for a task that is none.
    """
    if task is not None and task not in {kind.value for kind in _KINDS}:
        raise BadInput(f"There is no task {task!r}; give one of {', '.join(kind.value for kind in _KINDS)}.")
    text = " ".join(question.split())
    if task is not None:
        kind = QuestionType(task)
        return [RoutedQuestion(text=text, kind=kind, thing=_thing(kind, _plain(text)), rule="forced by the task")]
    if foreign := language_of(text):
        return [RoutedQuestion(text=text, kind=QuestionType.UNKNOWN, rule=foreign)]
    parts: list[RoutedQuestion] = []
    for part in _split(text):
        before = parts[-1] if parts else None
        parts.append(_complete(part, before) if before and _ELLIPSIS.fullmatch(_plain(part)) else _one(part))
    return parts


def _split(text: str) -> list[str]:
    """The questions that stand in one text; a part too short to ask anything goes with the one before."""
    parts = [part.strip(" ,;") for part in _SPLIT.split(text)]
    kept: list[str] = []
    for part in filter(None, parts):
        if kept and not (_ELLIPSIS.fullmatch(_plain(part)) or len(part.split()) > 1):
            kept[-1] = f"{kept[-1]} {part}"
        else:
            kept.append(part)
    return kept or [text]


def _plain(text: str) -> str:
    """The words of a question, typos mended, polite openings taken off."""
    words = mend_typos(plain_words(text))
    for _ in range(4):
        shorter = _POLITE.sub("", words, count=1)
        if shorter == words or not shorter:
            break
        words = shorter
    return words


def _one(text: str) -> RoutedQuestion:
    words = _plain(text)
    kind, rule = _kind(words)
    return RoutedQuestion(text=text, kind=kind, thing=_thing(kind, words), rule=rule)


def _kind(words: str) -> tuple[QuestionType, str]:
    """The kind, by the first rule that fits, and the words that it fits."""
    for kind, pattern in _FILE:
        if found := pattern.search(words):
            return kind, _quoted(found)
    found = _COUNT.search(words)
    if found and not words.startswith("how many percent"):
        return (QuestionType.OTHER if _RELATION.search(words) else QuestionType.COUNT), _quoted(found)
    if found := _RELATION.search(words):
        return QuestionType.OTHER, _quoted(found)
    ordered = (
        (QuestionType.AREA, _AREA), (QuestionType.SCENE, _SCENE), (QuestionType.CAPTION, _CAPTION),
        (QuestionType.PRESENCE, _PRESENCE), (QuestionType.FIND, _FIND),
    )  # fmt: skip
    for kind, pattern in ordered:
        if found := pattern.search(words):
            return kind, _quoted(found)
    if grounding_phrase(words):
        return QuestionType.FIND, "a phrase that names things"
    if words.endswith("?") and len(words.split()) <= 2:
        return QuestionType.PRESENCE, "a thing with a question mark"
    return QuestionType.OTHER, "no rule fits"


def _quoted(found: re.Match[str]) -> str:
    return f"by the words {found[0].strip()[:40]!r}"


def _thing(kind: QuestionType, words: str) -> str:
    """What is asked for, in the user's words."""
    if kind is QuestionType.FIND:
        phrase = grounding_phrase(words)
        return re.sub(r"^the (?=\w+$)", "", phrase) or _bare(words)
    if kind in (QuestionType.PRESENCE, QuestionType.COUNT):
        return _bare(object_of(_bare(words)))
    return _bare(words) if kind is QuestionType.AREA else ""


def _bare(words: str) -> str:
    for pattern in (_LEAD, _TAIL, _LEAD, _TAIL):
        for _ in range(6):
            shorter = pattern.sub("", words, count=1).strip()
            if shorter == words:
                break
            words = shorter
    return words


def _complete(part: str, before: RoutedQuestion) -> RoutedQuestion:
    """A part that leaves out what it is about, with the thing of the part before."""
    kind, rule = _kind(_plain(part))
    thing = before.thing
    if kind is QuestionType.PLACE and thing:  # "Where is it?" of a thing is no question about the map
        kind = QuestionType.FIND
    if kind is QuestionType.OTHER:
        return RoutedQuestion(text=part, kind=kind, thing=thing, rule=rule)
    whole = {
        QuestionType.COUNT: f"How many {thing} are there?", QuestionType.AREA: f"How much {thing} is there?",
        QuestionType.FIND: f"Find all {thing}.",
    }.get(kind, part)  # fmt: skip
    return RoutedQuestion(text=whole if thing else part, kind=kind, thing=thing, rule=f"{rule}, of what came before")
