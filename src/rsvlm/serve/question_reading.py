"""Read one English question: without its polite words, which rule fits first, and the thing that it asks for."""

import re
from typing import NamedTuple

from rsvlm.serve.question_language import lower
from rsvlm.serve.question_patterns import PICTURE, Rule
from rsvlm.serve.question_rules import FILE_AND_AMOUNT_RULES, RELATION
from rsvlm.serve.question_view_rules import QUESTIONED, VIEW_RULES

_ROUNDS = 8  # polite words, articles and the like that are taken off one after the other
_VERBS = (
    r"(?:tell|give|show|find|locate|count|describe|identify|mark|outline|highlight|help|say|let|do|provide|write|"
    r"estimate|"
    r"list|name|classify|caption|summari[sz]e|point|draw|explain|check|look|compute|calculate|determine|work|report|"
    r"confirm|verify|see if|see whether|localis|localiz|"
    r"detect|circle|segment|map|box|pin|trace|enumerate|tally|interpret|analy[sz]e|extract|zoom|guess|walk|talk|get|"
    r"take|bring|label|categori[sz]e|predict|have a|make a|put|quantify)"
)
_KNOW = (
    r"(?:know|see|find out|learn|ask|check|figure out|understand|get an idea|hear|be told|establish|determine|"
    r"work out)"
)
_LEADS = (
    r"(?:please|kindly|hi|hello|hey|hiya|ok|okay|so|well|and|also|then|just|now|thanks|sorry|excuse me|good \w+|"
    r"dear \w+|"
    r"maybe|perhaps|next|first|second|finally|but|or|additionally|furthermore|secondly|firstly|lastly|there,|um+|"
    r"hmm+|"
    r"quick question|question|hi there|hello there|hey there|if (?:so|yes|any|not|possible|there (?:is|"
    r"are)(?: any)?(?=,)|(?:it|they|that|this) (?:is|are|does|do)(?=,))|"
    r"in that case|in (?:one|two|three|a few|a couple of|short|\d) ?(?:sentences?|words|lines)?|plus|task|roughly|"
    r"approximately|about|exactly|really)\b[\s,!.:;-]*",
    rf"(?:can|could|would|will|might) (?:you|we|i) (?:please |kindly |possibly |maybe |perhaps |just |"
    rf"also )*(?={_VERBS}\b)"
    r"(?!find any\b|find an?\b|find some\b|identify any\b|identify an?\b|detect any\b|detect an?\b|detect some\b|"
    r"make out)",
    rf"(?:i|we) (?:would |do |just |also |really |still )*(?:like|love|want|need|wish|have|try|try to|have got) "
    rf"(?:you )?to (?:{_KNOW}\b ?)?",
    r"(?:i|we) (?:would |am |was |were |are |do |just |also |really )*(?:wonder|wondering|curious|interested in|"
    r"asking|trying|hoping|"
    r"looking for|not sure|unsure|need|want)\b(?: (?:about|to(?: know)?))?",
    r"(?:can|could|would|will) you be so (?:kind|good|nice) (?:as to|to|and)|would you be able to|"
    r"is it possible (?:for you )?to|"
    r"are you able to|is there (?:a|any) way (?:for you )?to (?:know|tell|find out|see)|would it be possible to|"
    r"your task is to",
    r"(?:do|would|can|could) you (?:happen to |please |by any chance )*(?:know|say|think|tell|"
    r"mind telling me)\b(?! (?:me )?about)",
    r"(?:tell|inform|remind) (?:me|us)\b(?! (?:(?:more|something|everything) )?about\b)(?:,|:| please)?",
    r"(?:let (?:me|us) know|find out|say|work out|figure out|determine|help me(?: to)?|estimate|compute|calculate|"
    r"report|get me|any idea|any chance(?: that)?(?: you (?:could|can))?|what i (?:need|want)(?: to know)? is|"
    r"my question is|"
    r"can you see|check)\b(?= (?:how|what|which|where|when|whether|if|there|describe|count|find|locate|show|mark)\b)",
    rf"(?:in|on|within|from|for|looking at|given|based on|according to|considering) {PICTURE}\s*[,:]?\s+(?=\S)",
    r"(?:if|whether) (?=there (?:is|are)\b)",
    r"[\W_]+",
)
_LEAD = re.compile(rf"(?:{'|'.join(_LEADS)})\s*")
_ASIDE = re.compile(
    r",? \b(?:would you say|(?:do|would) you (?:think|reckon|guess)|in your opinion|by any chance|y/n|yes or no|"
    r"or not|at all|"
    r"as far as you can (?:see|tell)|if possible|please|kindly)\b,?(?= |[?.!]|$)",
    re.IGNORECASE,
)
_TRAIL = re.compile(
    r"(?:[\s,?!.:;\"'()-]+|\b(?:please|thanks|thank you|for me|for us|if possible|if you can|if you could|right now|"
    r"asap|cheers|"
    r"in total|altogether|overall|at all|exactly|roughly|approximately|would you|right|do you know|do you think|"
    r"many thanks|thanks a lot|thank you very much|if any|ok|okay|or not|all together|i wonder|by any chance|"
    r"(?:in|using) (?:square )?(?:met(?:re|er)s|percent|hectares|acres|km2|m2|ha|kilomet(?:re|er)s|sq \w+|per cent|"
    r"%)|"
    r"yes or no|as a (?:percentage|share|fraction|proportion)))$"
)
_RIM = re.compile(
    r"\s+(?:(?:in|on|within|across|over|throughout|at|from|of|for) (?:the (?:whole|entire) \w+|"
    rf"{PICTURE}|(?:this|the) (?:area|region|location|place|site|tile|aoi)|here|it|this|total|sight|view|all)"
    r"|there|nearby|around|visible|present|shown|seen|here|anywhere|somewhere|to be seen|detectable|currently|"
    r"at the moment|altogether"
    r"|(?:does|do) (?:this|the|that|it) ?(?:\w+ )?(?:have|contain|show|include|comprise)"
    r"|(?:is|are|was|were|be|exist|exists|does|do|can|you|we|i|one)"
    r"|(?:can|could|do|did|would) (?:you|we|i|one|be)(?: (?:see|spot|make out|count|find|identify|detect|seen|notice|"
    r"recogni[sz]e|distinguish|counted|found|identified|discern|observe|get))?"
    r"|(?:you|we|i) (?:can )?(?:see|spot|count|find|make out)|there (?:is|are)|with an? (?:\w+ )?(?:box|circle|"
    r"polygon|outline)"
    r"|with (?:bounding )?boxes|for|cover|covers|occupy|take up|takes up|take|located|situated|that is|that are|"
    r"which are|which is|please)$"
)
_HEAD = re.compile(
    r"(?:no|not|many|several|few|much|%|percent|(?:an? )?lots? of|plenty of|(?:anything )?(?:like|that looks like|"
    r"resembling)|somewhere|been|(?:some )?(?:kind|sort|type) of|visible|(?:indications?|hints?|signs?|traces?|"
    r"evidence) of|by any chance|really|"
    r"still|perhaps|maybe|possibly|even|exist|exists|an?|any|some|the|of|these|those|all|every|each|individual|"
    r"single|different|distinct|separate|such|total|me|us|is|are|there|:|-)\s+"
)
_FIND_HEAD = re.compile(
    r"(?:me|us|of|for|is|are|was|were|do|does|any|some|out|where|on|in (?:this|the) (?:image|picture|photo|scene):?|"
    r"(?:can|could|might|may|do|would|should|to) (?:(?:i|we|you|one) )?(?:find|see|spot|look for)|can|could|might|"
    r"may|the (?:locations?|positions?|coordinates|"
    r"bounding box(?:es)?|box(?:es)?|outlines?) (?:of|for))\s+"
)  # fmt: skip
_MIDDLE = re.compile(
    r" (?:(?:can|could) be (?:found|seen|counted|spotted|identified)|(?:can|do) you (?:see|find|count|spot)|is|are|"
    r"were|was|does|do)(?: there)? (?=\S)"
)


_NAMED = re.compile(r"(?:[Ii]s|[Ww]as) (?:this|it|that) (?:[A-Z][\w-]+ ?){1,5}$")  # "Is this Paris"


_RULES = (*FILE_AND_AMOUNT_RULES, *VIEW_RULES)


class Reading(NamedTuple):
    """The kind of a question, what it asks for ("" where nothing), the rule in words, and the text that was read."""

    kind: str
    thing: str
    rule: str
    text: str


def bare(text: str) -> str:
    """A question without polite words around it."""
    text = " ".join(_ASIDE.sub("", text).split())
    for _ in range(_ROUNDS):
        found = _LEAD.match(lower(text))
        if not found:
            break
        text = text[found.end() :]
    return _stripped(text, _TRAIL)


def read_question(text: str) -> Reading:
    """Read one part of a question that `rsvlm.serve.question_language.plain_english` has made plain."""
    asked = text.rstrip(" !\"'").endswith("?") or "yes or no" in lower(text)
    text = bare(text)
    small = lower(text)
    for rule in _RULES:
        if found := rule.pattern.search(small):
            return _reading(rule, found, text)
    if asked and QUESTIONED.match(lower(_stripped(text, _RIM))):
        return Reading("presence", clean_thing(text, "presence"), "a name with a question mark", text)
    if _NAMED.match(text):
        return Reading("place", "", "a name of a place", text)
    return Reading("other", "", "no rule fits", text)


def _reading(rule: Rule, found: re.Match[str], text: str) -> Reading:
    kind = rule.kind
    if kind in ("count", "presence", "area") and (relation := RELATION.search(lower(text))):
        return Reading("other", "", f"a relation: {relation[0]!r}", text)
    at, end = found.span()
    thing = text[end:] if rule.rest else ""
    if "thing" in rule.pattern.groupindex:
        start, stop = found.span("thing")
        thing = text[start:stop]
        if not start and thing[1:2].islower():
            thing = lower(thing[:1]) + thing[1:]
        if "most" in rule.pattern.groupindex:
            thing = f"the {found['most']} {thing}"
        at, end = (at, start) if start > at else (stop, end)
    words = " ".join(lower(text[at:end]).strip(" ,:;-").split()[:6])[:40]
    how = "begins with" if found.start() == 0 and at == 0 else "has the words"
    return Reading(kind, clean_thing(thing, kind), f"{how} {words!r}", text)


def clean_thing(thing: str, kind: str) -> str:
    """What is asked for without articles before it (kept where it is to be found) and "in this image" after it."""
    thing = _stripped(" " + thing.strip(), _TRAIL)
    head = _FIND_HEAD if kind == "find" else _HEAD
    thing = _headless(_stripped(thing, _RIM).strip(), head)
    if kind in ("count", "area", "find"):
        thing = _MIDDLE.sub(" ", thing, count=1)
    thing = _headless(_stripped(" " + thing, _RIM).strip(" ,:;-"), head)
    return (
        ""
        if lower(thing) in ("", "it", "they", "them", "this", "that", "those", "these", "there", "of them")
        else thing
    )


def _headless(thing: str, head: re.Pattern[str]) -> str:
    for _ in range(_ROUNDS):
        found = head.match(lower(thing))
        if not found:
            break
        thing = thing[found.end() :]
    return thing


def _stripped(text: str, ends: re.Pattern[str]) -> str:
    for _ in range(_ROUNDS):
        found = ends.search(lower(text), max(0, len(text) - 80))
        if not found or found.start() == found.end():
            break
        text = text[: found.start()]
    return text
