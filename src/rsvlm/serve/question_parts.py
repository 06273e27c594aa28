"""Split a compound question, and make each part complete: a later part may lean on the thing of an earlier one."""

import re
from typing import NamedTuple

from rsvlm.serve.question_language import lower
from rsvlm.serve.question_reading import Reading, bare, clean_thing, read_question

MOST_PARTS = 8
_HEADS = (
    r"(?:how (?:many|much|large|big|extensive|old|wide|long|far)|where|when|which|what|(?:is|are|was|were) (?:there|it|they|"
    r"this|the|any)|(?:does|do|can|could) (?:it|they|the|this|you|we|i)|count|describe|find|locate|show|mark|outline|list|"
    r"classify|tell me|tell us|give|estimate|caption|summari[sz]e|name|draw|highlight|point|identify|detect|if so|if yes|"
    r"if there|if any|in what|in which|any|their number|its size|its area|the number of|the area of|the percentage|the share|"
    r"(?:the |its )?(?:resolution|acquisition date|date|crs|epsg code|coordinates|projection|gsd|pixel size|coordinate system)(?= ?(?:[.?!,]|$| of| and))|"
    r"also|please|whether|segment|circle|explain what)"
)
_SENTENCE = re.compile(r"(?<=[?!;])\s*(?=\S)|(?<=[a-z)]\.)\s+(?=\S)")
_CLAUSE = re.compile(
    rf"\s*(?:[,:]\s*(?:and|then|but|plus|or)?|\s(?:and|then|plus|as well as|&|but))\s+(?:(?:then|also|please|additionally|roughly|about|approximately|exactly|maybe) )*(?={_HEADS}\b)"
)
_OPEN = re.compile(
    r"^(?:if|whether|and|then|between|but|also|so|hi|hello|hey|please|ok|okay|well|thanks|in|on|for|looking|given|based)\b"
    r"(?! (?:which|what)\b)|\b(?:tell me|know|please|between|or|such as|see|find out|wonder|wondering)$"
)
_TWO_HEADS = re.compile(
    r"^(?P<first>where|when|how many|how much|how (?:large|big)|what) and (?P<second>where|when|how many|how much|how (?:large|big)|"
    r"what|which) (?P<rest>.{1,300})$"
)
_PRONOUN = re.compile(r"\b(?:they|them|it|those|these|the ones?)\b")
_ABOUT = re.compile(r"^(?:what about|how about|and)\s+(?P<thing>(?:(?:the|any|an?) )?[\w-]+(?: [\w-]+){0,3})$")
_STATES = re.compile(r"^(?:(?:how many|how much) )(?P<rest>(?:are|is|were|do|can|have)\b (?!there\b|they\b|it\b|you\b|we\b|i\b).{1,200})$")
_TOPIC = re.compile(  # a name, or a statement about one, before the question
    r"^(?:(?:i|we) (?:can )?(?:see|have|found|spotted|notice) )?(?P<thing>(?:(?:an?|the|some) )?(?!is\b|are\b)[a-z-]+(?: (?!is\b|are\b)[a-z-]+){0,2})$"
)
_PLAIN_ARTICLE = re.compile(r"^(?:the|an?|all|every|each|any|some) (?:the )?")


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
        if part is None and not parts and (named := _TOPIC.match(lower(bare(clause)))):
            topic = clean_thing(named["thing"], "count")
        elif part is not None:
            parts.append(part)
    parts = _distinct([part for part in parts if part.reading.kind != "other" or _asks(part.text)])
    known = [part for part in parts if part.reading.kind != "other"]
    if len(parts) == 1 and known:
        return [Part(text, parts[0].reading)]
    if not known:
        return [Part(text, read_question(text))]
    return parts[:MOST_PARTS]


def _distinct(parts: list[Part]) -> list[Part]:
    """Without what was asked already in other words: "I look for the pool, where is it?" is one question."""
    seen: dict[tuple[str, str], Part] = {}
    for part in parts:
        key = part.text if part.reading.kind == "other" else lower(_PLAIN_ARTICLE.sub("", part.reading.thing))
        seen.setdefault((part.reading.kind, key or part.text), part)
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
    both = [_TWO_HEADS.match(lower(bare(clause))) for clause in found]
    return [one for clause, heads in zip(found, both, strict=True) for one in (_both(clause, heads) if heads else [clause])]


def _both(clause: str, heads: re.Match[str]) -> list[str]:
    """ "When and where was this taken" -> both questions."""
    rest = bare(clause)[heads.start("rest") :]
    return [f"{heads[name].capitalize()} {rest}?" for name in ("first", "second")]


def _stands(left: str, *, first: bool) -> bool:
    """Whether what lies before a cut is more than a polite opening, or the first half of "when and where"."""
    small = lower(left).strip(" ,")
    if not bare(left) or (first and small in ("where", "when", "what", "how many", "how much", "how large", "how big")):
        return False
    return not _OPEN.search(small) or read_question(left).kind != "other"


def _asks(text: str) -> bool:
    return text.endswith("?")


def _completed(clause: str, before: list[Part], topic: str) -> Part | None:
    """The clause as a question of its own, or None where it says nothing; `topic`: a name that stands before all."""
    words = bare(clause)
    reading = read_question(clause)
    thing = next((part.reading.thing for part in reversed(before) if part.reading.thing), topic)
    base = _PLAIN_ARTICLE.sub("", thing) if thing else ""
    if not words or (not before and not reading.thing and reading.kind == "other" and not clause.rstrip().endswith("?")):
        return None
    if before and (about := _ABOUT.match(lower(clause).rstrip(" ?.!"))) and before[-1].reading.thing:
        named = clause[about.start("thing") : about.end("thing")]
        kind = before[-1].reading.kind
        return _made(kind, clean_thing(named, "count"), "as the question before")
    if before and (fact := re.match(r"(?:the |its )?(?=[\w ]{3,40}$)", lower(words))) and reading.kind in ("place", "date", "resolution"):
        if not re.match(r"wh|how|in |on |is |are ", lower(words)):
            words = f"What {'are' if words.endswith('s') and not words.endswith('crs') else 'is'} the {words[fact.end() :]}"
    if base and (made := _elliptic(words, reading, base)):
        return made
    if base and reading.kind not in ("date", "resolution") or (base and not re.search(r"taken|captured|pixel|resolution", words)):
        found = _PRONOUN.search(lower(words))
        if found and found.start():
            words = f"{words[: found.start()]}the {base}{words[found.end() :]}"
        elif found := re.search(r"\b(?:the|an?|each|every|that) (?:\w+ )?one\b", lower(words)):
            words = f"{words[: found.end() - 3]}{_singular(base)}{words[found.end() :]}"
        if found:
            reading = read_question(f"{words}{'?' if clause.rstrip().endswith('?') else ''}")
    mark = "." if re.match(r"(?:count|describe|find|locate|show|mark|outline|list|classify|give|estimate|caption|summari|name|"
                           r"draw|highlight|point|identify|detect|segment|circle|explain)", lower(words)) else "?"  # fmt: skip
    if reading.kind == "other" and not clause.rstrip().endswith("?"):
        mark = "?" if re.match(r"(?:how|what|which|where|who|why|is|are|does|do|can)\b", lower(words)) else "."
    return Part(f"{words[:1].upper()}{words[1:]}{mark}", reading)


def _elliptic(words: str, reading: Reading, base: str) -> Part | None:
    """A part that names nothing: "how much?", "where?", "how many are moored?"."""
    small = lower(words)
    if found := _STATES.match(small):
        return _of(f"{words[:8]} {base} {words[found.start('rest') :]}?")
    if re.match(r"how many(?: of (?:them|those|these|it))?(?: (?:are )?there(?: are)?| do you see| can you see| in total)*$", small):
        return _made("count", base, reading.rule)
    if re.match(r"(?:(?:what is )?(?:their|its) (?:total )?(?:number|count)|count (?:them|those|these))\b", small):
        return _made("count", base, reading.rule)
    if re.match(r"(?:how much(?: of (?:it|them|that))?(?: (?:is )?(?:there|it)(?: is)?| area)*|(?:how much|what \w+) (?:of .{1,60} )?"
                r"(?:do|does|is|are) (?:it|they|that) (?:cover|covering|occupy|take up|make up|covered|account for)|(?:what is )?(?:its|their) (?:total )?"
                r"(?:area|size|extent|share)|what (?:percentage|share|fraction|proportion)(?: of .{1,60})?)$", small):  # fmt: skip
        return _made("area", base, reading.rule)
    if re.match(r"how (?:large|big|extensive)(?: (?:is|are) (?:it|they|that))?(?: (?:it|they) (?:is|are))?$", small):
        return _of(f"How large {_be(base)} the {base}?", "area", base)
    if re.match(r"(?:where(?: exactly)?(?: (?:is|are) (?:it|they|that|those))?(?: (?:it|they) (?:is|are))?|(?:show|mark|find|locate|"
                r"outline|highlight|circle|draw boxes around|point to)(?: me)? (?:them|it|those)|show (?:me )?where(?: (?:it|they) "
                r"(?:is|are))?|(?:in )?(?:which|what) (?:part|corner|side).{0,40})$", small):  # fmt: skip
        return _made("find", base, reading.rule)
    return None


def _singular(name: str) -> str:
    for end, instead in (("ies", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("s", "")):
        if lower(name).endswith(end):
            return name[: -len(end)] + instead
    return name


def _be(thing: str) -> str:
    last = (re.split(r" (?:of|in|on|at|near|along|with|by|for) ", lower(thing))[0].split() or [""])[-1]
    plural = last in ("people", "men", "women", "aircraft") or (last.endswith("s") and not last.endswith(("ss", "us", "is")))
    return "are" if plural or " and " in thing else "is"


def _of(text: str, kind: str = "", thing: str = "") -> Part:
    reading = read_question(text)
    return Part(text, reading._replace(kind=kind, thing=thing) if kind else reading)


def _made(kind: str, base: str, rule: str) -> Part:
    """The plain question of a kind about a thing that an earlier part names."""
    be = _be(base)
    text = {
        "count": f"How many {base} are there?",
        "area": f"How much {base} is there?" if be == "is" else f"How much area do the {base} cover?",
        "find": f"Where {be} the {base}?",
    }.get(kind, f"{be.capitalize()} there {base}?")
    thing = f"the {base}" if kind == "find" else base
    return Part(text, Reading(kind, thing, f"{rule}, of the thing before", text))
