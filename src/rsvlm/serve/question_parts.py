"""Split a compound question, and make each part complete: a later part may lean on the thing of an earlier one."""

import re
from typing import NamedTuple

from rsvlm.data.synth.referring import pluralize
from rsvlm.serve.question_language import lower
from rsvlm.serve.question_reading import Reading, bare, clean_thing, read_question

MOST_PARTS = 8
_LONG = 200  # letters before a cut that are not looked at closely, so that the time stays linear
_FACT = r"(?:resolution|acquisition date|date|crs|epsg code|coordinates|projection|gsd|pixel size|coordinate system)"
_HEADS = (  # how a part begins that can stand alone
    r"(?:how (?:many|much|large|big|extensive|old|wide|long|far)|where|when|which|what|whether|any|"
    r"(?:in|at|on|from) (?:what|which)|"
    r"(?:is|are|was|were) (?:there|it|they|this|the|any)|(?:does|do|can|could) (?:it|they|the|this|you|we|i)|"
    r"count|describe|find|locate|show|mark|outline|list|classify|tell (?:me|us)|give|estimate|caption|summari[sz]e|"
    r"name|"
    r"draw|highlight|point|identify|detect|segment|circle|explain what|also|please|if (?:so|yes|there|any)|"
    r"their number|(?:its|the) (?:size|area)(?= ?(?:[.?!,]|$| of))|the (?:number of|percentage|share)|"
    rf"(?:the |its )?{_FACT}(?= ?(?:[.?!,]|$| of| and)))"
)
_SENTENCE = re.compile(r"(?<=[?!;])\s*(?=\S)|(?<=[a-z)]\.)\s+(?=\S)")
_CLAUSE = re.compile(
    r"\s*(?:[,:]\s*(?:and|then|but|plus|or)?|\s(?:and|then|plus|as well as|&|but))\s+"
    rf"(?:(?:then|also|please|additionally|roughly|about|approximately|exactly|maybe) )*(?={_HEADS}\b)"
)
_OPEN = re.compile(  # what lies before a cut ends or begins so that it goes on after it
    r"^(?:if|whether|and|then|between|but|also|so|hi|hello|hey|please|ok|okay|well|thanks|in|on|for|looking|given|"
    r"based)\b"
    r"(?! (?:which|what)\b)|\b(?:tell me|know|please|between|or|such as|see|find out|wonder|wondering)$"
)
_HALF = r"(?:where|when|how many|how much|how (?:large|big)|what)"
_TWO_HEADS = re.compile(rf"^(?P<first>{_HALF}) and (?P<second>{_HALF}|which) (?P<rest>.{{1,300}})$")
_HALF_ALONE = re.compile(rf"{_HALF}$")
_PRONOUN = re.compile(r"(?<=.)\b(?:they|them|it|those|these|the ones?)\b")
_ONE = re.compile(r"\b(?:the|an?|each|every|that) (?:\w+ )?one\b")
_WHICH = re.compile(r"which (?:one )?is the (?:\w+est|most \w+)$")
_BARE = re.compile(r"(?:which|what|why|how)(?: ones?)?$")  # leans on the part before, and asks nothing of its own
_VERB = re.compile(r" (?:have|has|had|that|which|with|were|was|do|does) ")
_ABOUT = re.compile(r"^(?:what about|how about|and)\s+(?P<thing>(?:(?:the|any|an?) )?[\w-]+(?: [\w-]+){0,3})$")
_TOPIC = re.compile(  # a name, or a statement about one, before the question
    r"^(?:(?:i|we) (?:can )?(?:see|have|found|spotted|notice) )?"
    r"(?P<thing>(?:(?:an?|the|some) )?(?!is\b|are\b)[a-z-]+(?: (?!is\b|are\b)[a-z-]+){0,2})$"
)
_ARTICLE = re.compile(r"^(?:the|an?|all|every|each|any|some) (?:the )?")
_ORDER = re.compile(
    r"(?:count|describe|find|locate|show|mark|outline|list|classify|give|estimate|caption|summari|name|draw|"
    r"highlight|"
    r"point|identify|detect|segment|circle|explain)"
)
_ASKS = re.compile(r"(?:how|what|which|where|when|who|why|is|are|was|were|does|do|can|could)\b")
_FACT_ALONE = re.compile(r"(?:the |its )?(?=[\w ]{3,40}$)(?!wh|how|in |on |is |are )")
_OF_THE_PICTURE = re.compile(r"taken|captured|pixel|resolution")

# Parts that name nothing: the kind of each, of the thing before.
_THEM = r"(?:it|they|them|that|those|these)"
_STATES = re.compile(
    rf"^how many (?P<rest>(?:are|is|were|do|can|have)\b (?!(?:there|you|we|i|"
    rf"{_THEM})\b).{{1,200}})$"
)
_ELLIPTIC = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("count", rf"how many(?: of {_THEM})?(?: (?:are )?there(?: are)?| (?:do|can) you see| in total)*$"),
        ("count", rf"(?:(?:what is )?(?:their|its) (?:total )?(?:number|count)|count {_THEM})\b"),
        ("area", rf"how much(?: of {_THEM})?(?: (?:is )?(?:there|it)(?: is)?| area)*$"),
        ("area", rf"(?:how much|what \w+) (?:of .{{1,60}} )?(?:do|does|is|are) {_THEM} "
                 r"(?:cover|covering|covered|occupy|take up|make up|account for)$"),
        ("area", r"(?:what is )?(?:its|their) (?:total )?(?:area|size|extent|share)$"),
        ("area", r"what (?:percentage|share|fraction|proportion)(?: of .{1,60})?$"),
        ("size", rf"how (?:large|big|extensive)(?: (?:is|are) {_THEM})?(?: {_THEM} (?:is|are))?$"),
        ("find", rf"where(?: exactly)?(?: (?:is|are) {_THEM})?(?: {_THEM} (?:is|are))?$"),
        ("find", rf"(?:show|mark|find|locate|outline|highlight|circle|draw boxes around|point to)(?: me)? {_THEM}$"),
        ("find", rf"show(?: me)?$|show (?:me )?where(?: {_THEM} (?:is|are))?$"),
        ("find", r"(?:in )?(?:which|what) (?:part|corner|side).{0,40}$"),
    )
)  # fmt: skip


class Part(NamedTuple):
    """One part of a question: its text, complete in itself, and how it was read."""

    text: str
    reading: Reading


def split_question(text: str) -> list[Part]:
    """The parts of a question in plain English. One part has the text as it is; parts of no known kind do not split."""
    clauses = _clauses(text)
    if len(clauses) == 1:
        return [Part(text, read_question(text))]
    parts: list[Part] = []
    topic = ""
    for clause in clauses:
        part = _completed(clause, parts, topic)
        if part is not None:
            parts.append(part)
        elif not parts and (named := _TOPIC.match(lower(bare(clause)))):
            topic = clean_thing(named["thing"], "count")
    parts = _distinct([part for part in parts if part.reading.kind != "other" or part.text.endswith("?")])
    if all(part.reading.kind == "other" for part in parts):
        return [Part(text, read_question(text))]
    return [Part(text, parts[0].reading)] if len(parts) == 1 else parts[:MOST_PARTS]


def _distinct(parts: list[Part]) -> list[Part]:
    """Without what was asked already in other words: "I look for the pool, where is it?" is one question."""
    seen: dict[tuple[str, str], Part] = {}
    for part in parts:
        thing = "" if part.reading.kind == "other" else lower(_ARTICLE.sub("", part.reading.thing))
        seen.setdefault((part.reading.kind, thing or part.text), part)
    return list(seen.values())


def _clauses(text: str) -> list[str]:
    """Sentences, cut before an "and" that begins a question of its own."""
    found: list[str] = []
    for sentence in _SENTENCE.split(text)[: 4 * MOST_PARTS]:
        at = 0
        for cut in _CLAUSE.finditer(lower(sentence)):
            if _stands(sentence[at : cut.start()], first=not at):
                found.append(sentence[at : cut.start()])
                at = cut.end()
        found.append(sentence[at:])
    return [part for clause in found[: 4 * MOST_PARTS] for part in _both(clause)]


def _both(clause: str) -> list[str]:
    """Both questions of one with two heads: "When and where was this taken"."""
    words = bare(clause)
    if heads := _TWO_HEADS.match(lower(words)):
        return [f"{heads[name].capitalize()} {words[heads.start('rest') :]}?" for name in ("first", "second")]
    return [clause]


def _stands(left: str, *, first: bool) -> bool:
    """Whether what lies before a cut is more than a polite opening, or the first half of "when and where"."""
    if len(left) > _LONG:
        return True
    small = lower(left).strip(" ,")
    if not bare(left) or (first and _HALF_ALONE.match(small)):
        return False
    return not _OPEN.search(small) or read_question(left).kind != "other"


def _completed(clause: str, before: list[Part], topic: str) -> Part | None:
    """The clause as a question of its own, or None where it says nothing; `topic`: a name that stands before all."""
    words, reading = bare(clause), read_question(clause)
    mark = "?" if clause.rstrip().endswith("?") else ""
    thing = next((part.reading.thing for part in reversed(before) if part.reading.thing), topic)
    if (
        not words
        or (before and _BARE.match(lower(words)))
        or (not before and not reading.thing and reading.kind == "other" and not mark)
    ):
        return None
    about = _ABOUT.match(lower(clause).rstrip(" ?.!"))
    if about and before and before[-1].reading.thing:
        named = clean_thing(clause[about.start("thing") : about.end("thing")], "count")
        return _made(before[-1].reading.kind, named, "as the question before")
    if before and reading.kind in ("place", "date", "resolution") and (fact := _FACT_ALONE.match(lower(words))):
        words = f"What {_be(words)} the {words[fact.end() :]}"
    if thing:
        base = _ARTICLE.sub("", thing)
        if made := _elliptic(words, base):
            return made
        if reading.kind not in ("date", "resolution") or not _OF_THE_PICTURE.search(words):
            words = _named(words, base)
            reading = read_question(words + mark)
    elif lower(words) in ("when", "where"):
        words = f"{words} was this taken" if lower(words) == "when" else f"{words} is this"
    if not mark or _ORDER.match(lower(words)):
        mark = "?" if _ASKS.match(lower(words)) or (not _ORDER.match(lower(words)) and reading.kind != "other") else "."
    return Part(f"{words[:1].upper()}{words[1:]}{mark}", reading)


def _named(words: str, base: str) -> str:
    """The words with the thing instead of its pronoun: "on it" -> "on the bridge", "the biggest one"."""
    small = lower(words)
    if found := _PRONOUN.search(small):
        return f"{words[: found.start()]}the {base}{words[found.end() :]}"
    if found := _WHICH.match(small):
        return f"{words} {_singular(base)}"
    if found := _ONE.search(small):
        return f"{words[: found.end() - 3]}{_singular(base)}{words[found.end() :]}"
    return words


def _elliptic(words: str, base: str) -> Part | None:
    """A part that names nothing: "how much?", "where?", "how many are moored?"."""
    small = lower(words)
    if found := _STATES.match(small):
        text = f"How many {_VERB.split(base)[0]} {words[found.start('rest') :]}?"
        return Part(text, read_question(text))
    kind = next((kind for kind, pattern in _ELLIPTIC if pattern.match(small)), "")
    return _made(kind, base, f"{small!r} of {base!r}"[:60]) if kind else None


def _made(kind: str, base: str, rule: str) -> Part:
    """The plain question of a kind about a thing that an earlier part names."""
    be = _be(base)
    if kind == "count" and be == "is":
        base, be = pluralize(base), "are"
    text = {
        "count": f"How many {base} are there?",
        "area": f"How much {base} is there?" if be == "is" else f"How much area do the {base} cover?",
        "size": f"How large {be} the {base}?",
        "find": f"Where {be} the {base}?",
    }.get(kind, f"{be.capitalize()} there {base}?")
    thing = f"the {base}" if kind == "find" else base
    return Part(text, Reading("area" if kind == "size" else kind, thing, rule, text))


def _singular(name: str) -> str:
    for end, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
        if lower(name).endswith(end):
            return name[: -len(end)] + instead
    return name


def _be(thing: str) -> str:
    """ "is" or "are", by the last word before a preposition."""
    last = (re.split(r" (?:of|in|on|at|near|along|with|by|for) ", lower(thing))[0].split() or [""])[-1]
    plural = last in ("people", "men", "women", "aircraft") or (
        last.endswith("s") and not last.endswith(("ss", "us", "is"))
    )
    return "are" if (plural and last != "crs") or " and " in thing else "is"
