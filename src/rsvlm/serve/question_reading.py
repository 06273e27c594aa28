"""Read one English question: without its polite words, which rule fits first, and the thing that it asks for."""

import re
from typing import NamedTuple

from rsvlm.serve.question_language import lower
from rsvlm.serve.question_patterns import PICTURE, Rule
from rsvlm.serve.question_rules import FILE_AND_AMOUNT_RULES, RELATION
from rsvlm.serve.question_view_rules import QUESTIONED, VIEW_RULES

_ROUNDS = 8  # polite words, articles and the like that are taken off one after the other


def _any(words: str) -> str:
    """A group of words, listed with blanks around "/"."""
    return f"(?:{'|'.join(words.split(' / '))})"


_ORDERS = _any(
    "tell / give / show / find / locate / count / describe / identify / mark / outline / highlight / help / "
    "say / let / do / provide / write / estimate / list / name / classify / caption / summari[sz]e / point / "
    "draw / explain / check / look / compute / calculate / determine / work / report / confirm / verify / "
    "see if / see whether / locali[sz]e / detect / circle / segment / map / box / pin / trace / enumerate / "
    "tally / interpret / analy[sz]e / extract / zoom / guess / walk / talk / get / take / bring / label / "
    "categori[sz]e / predict / have a / make a / put / quantify"
)
_KNOW = _any(
    "know / see / find out / learn / ask / check / figure out / understand / get an idea / hear / be told / "
    "establish / determine / work out"
)
_OPENING = _any(
    r"please / kindly / hi / hello / hey / hiya / ok / okay / so / well / and / also / then / just / now / "
    r"thanks / sorry / excuse me / good \w+ / dear \w+ / maybe / perhaps / next / first / second / finally / "
    r"but / or / additionally / furthermore / secondly / firstly / lastly / um+ / hmm+ / quick question / "
    r"question / hi there / hello there / hey there / if (?:so|yes|any|not|possible|there (?:is|are)(?: any)?(?=,)|"
    r"(?:it|they|that|this) (?:is|are|does|do)(?=,)) / in that case / in (?:one|two|three|a few|a couple of|short|"
    r"\d) ?(?:sentences?|words|lines)? / plus / task / roughly / approximately / about / exactly / really"
)
_QUESTION_FOLLOWS = r"(?= (?:how|what|which|where|when|whether|if|there|describe|count|find|locate|show|mark)\b)"
_LEAD = re.compile(
    "(?:"
    + "|".join(
        (
            rf"{_OPENING}\b[\s,!.:;-]*",
            # "Can you find any" asks whether there is one; "can you find the" asks to find it.
            rf"(?:can|could|would|will|might) (?:you|we|i) (?:(?:please|kindly|possibly|maybe|perhaps|just|also) )*"
            rf"(?={_ORDERS}\b)(?!(?:find|identify|detect) (?:any|an?|some)\b|make out)",
            rf"(?:i|we) (?:(?:would|do|just|also|really|still) )*(?:like|love|want|need|wish|have|try|try to|have got) "
            rf"(?:you )?to (?:{_KNOW}\b ?)?",
            r"(?:i|we) (?:(?:would|am|was|were|are|do|just|also|really) )*(?:wonder|wondering|curious|"
            r"interested in|asking|trying|hoping|looking for|not sure|unsure|need|want)\b(?: (?:about|"
            r"to(?: know)?))?",
            r"(?:can|could|would|will) you be so (?:kind|good|nice) (?:as to|to|and)",
            r"would you be able to|is it possible (?:for you )?to|are you able to|would it be possible to|"
            r"your task is to|is there (?:a|any) way (?:for you )?to (?:know|tell|find out|see)",
            r"(?:do|would|can|could) you (?:(?:happen to|please|by any chance) )*(?:know|say|think|tell|"
            r"mind telling me)\b(?! (?:me )?about)",
            r"(?:tell|inform|remind) (?:me|us)\b(?! (?:(?:more|something|everything) )?about\b)(?:,|:| please)?",
            r"(?:let (?:me|us) know|find out|say|work out|figure out|determine|help me(?: to)?|estimate|compute|"
            r"calculate|report|get me|any idea|any chance(?: that)?(?: you (?:could|can))?|what i (?:need|"
            r"want)(?: to know)? is|"
            rf"my question is|can you see|check)\b{_QUESTION_FOLLOWS}",
            rf"(?:in|on|within|from|for|looking at|given|based on|according to|considering) {PICTURE}\s*[,:]?\s+(?=\S)",
            r"(?:if|whether) (?=there (?:is|are)\b)",
            r"[\W_]+",
        )
    )
    + r")\s*"
)
_ASIDE = re.compile(
    r",? \b(?:would you say|(?:do|would) you (?:think|reckon|guess)|in your opinion|by any chance|y/n|yes or no|"
    r"or not|at all|as far as you can (?:see|tell)|if possible|please|kindly)\b,?(?= |[?.!]|$)",
    re.IGNORECASE,
)
_CLOSING = _any(
    "please / thanks / thank you / for me / for us / if possible / if you can / if you could / right now / "
    "asap / cheers / in total / altogether / overall / at all / exactly / roughly / approximately / would you / "
    "do you know / do you think / many thanks / thanks a lot / thank you very much / if any / ok / okay / "
    "or not / all together / i wonder / by any chance / yes or no / as a (?:percentage|share|fraction|proportion)"
)
_TRAIL = re.compile(rf"(?:[\s,?!.:;\"'()-]+|, right|\b{_CLOSING})$")
_FOUND = _any(
    "see / spot / make out / count / find / identify / detect / seen / notice / recogni[sz]e / distinguish / "
    "counted / found / identified / discern / observe / get"
)
_RIM = re.compile(
    r"\s+(?:(?:in|on|within|across|over|throughout|at|from|of|for) (?:the (?:whole|entire) \w+|here|it|this|total|"
    r"sight|view|all|"
    rf"{PICTURE}|(?:this|the) (?:area|region|location|place|site|tile|aoi))|"
    r"(?:there|nearby|around|visible|present|shown|seen|here|anywhere|somewhere|to be seen|detectable|currently|"
    r"at the moment|altogether|for|located|situated|(?:that|which) (?:is|are)|there (?:is|are)|is|are|was|were|be|"
    r"exists?|does|do|can|you|we|i|(?:you|we|i) (?:can )?(?:see|spot|count|find|make out))|(?:does|do) (?:this|the|"
    r"that|it) ?(?:\w+ )?(?:have|contain|show|include|comprise)|"
    rf"(?:can|could|do|did|would) (?:you|we|i|one|be)(?: {_FOUND})?|"
    r"(?:in|using) (?:square )?(?:met(?:re|er)s|percent|per cent|hectares|acres|km2|m2|ha|km|kilomet(?:re|er)s|sq \w+)|"
    r"with (?:an? (?:\w+ )?(?:box|circle|polygon|outline)|(?:bounding )?boxes))$"
)
_HEAD = re.compile(
    _any(
        r"no / not / many / several / few / much / percent / (?:an? )?lots? of / plenty of / somewhere / been / "
        r"visible / really / (?:anything )?(?:like|that looks like|resembling) / (?:some )?(?:kind|sort|"
        r"type) of / still / perhaps / maybe / (?:presence|indications?|hints?|signs?|traces?|evidence) of / "
        r"by any chance / possibly / even / exist / exists / an? / any / some / the / of / these / those / "
        r"all / every / each / individual / single / different / distinct / separate / such / total / me / us / "
        r"is / are / there / : / -"
    )
    + r"\s+"
)
_FIND_HEAD = re.compile(
    r"(?:me|us|of|for|is|are|was|were|do|does|any|some|out|where|on|in (?:this|the) (?:image|picture|photo|scene):?|"
    r"(?:can|could|might|may|do|would|should|to) (?:(?:i|we|you|one) )?(?:find|see|spot|look for)|can|could|might|may|"
    r"the (?:locations?|positions?|coordinates|(?:bounding )?box(?:es)?|outlines?) (?:of|for))\s+"
)
_MIDDLE = re.compile(
    r" (?:(?:can|could) be (?:found|seen|counted|spotted|identified)|(?:can|do) you (?:see|find|count|spot)|"
    r"is|are|were|was|does|do)(?: there)? (?=\S)"
)
_COVERS = re.compile(  # "does the lake cover"; "snow cover" is a thing
    r"^(?:(?:do|does|did) (?P<a>.{1,80}?) (?:cover|have|occupy|take(?: up)?|make up)|"
    r"(?P<b>.{1,80}?) (?:occupy|take(?: up)?|make up))$"
)
_NAMED = re.compile(
    r"(?:[Ii]s|[Ww]as) (?:this|it|that) (?:(?:near|in|around|from|close to) )?(?:the )?"
    r"[^\W\d_a-z\xdf-\xff][\w'-]+(?: [\w'-]+){0,4}$"  # "Is this Paris"
)
_NO_THING = {"", "it", "they", "them", "this", "that", "those", "these", "there", "of them"}
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
    if kind == "area" and (covers := _COVERS.match(lower(thing.strip()))):
        thing = thing.strip()[slice(*covers.span(covers.lastgroup or 0))]
    head = _FIND_HEAD if kind == "find" else _HEAD
    thing = _headless(_stripped(thing, _RIM).strip(), head)
    if kind in ("count", "area", "find"):
        thing = _MIDDLE.sub(" ", thing, count=1)
    thing = _headless(_stripped(" " + thing, _RIM).strip(" ,:;-"), head)
    return "" if lower(thing) in _NO_THING else thing


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
