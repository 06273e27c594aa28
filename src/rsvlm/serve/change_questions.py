"""Questions about change, read by their words and answered from what was computed. No model writes an answer here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rsvlm.serve.archive_relevance import content_words
from rsvlm.serve.change_facts import amount, chosen, counted, describe, facts_of, where
from rsvlm.serve.change_scan import ChangeRegion, ChangeScan
from rsvlm.serve.question_language import foreign_language
from rsvlm.systems.runtime.change_maps import WORDS, class_of

_I = re.IGNORECASE
# The first that fits decides.
_KINDS = (
    ("count", re.compile(r"\bhow many\b|\bnumber of\b|^count\b", _I)),
    (
        "area",
        re.compile(
            r"\bhow (?:much|large|big)\b"
            r"|\b(?:share|percentage|percent|ratio|area|hectares?|square|extent|proportion)\b",
            _I,
        ),
    ),
    ("where", re.compile(r"\bwhere\b|\blocat\w*|\b(?:outline|mark|find|show|highlight)\b|\bwhich (?:part|side)\b", _I)),
    ("presence", re.compile(r"^(?:has|have|had|did|do|does|was|were|is|are|any|can|could)\b|\byes or no\b", _I)),
    ("caption", re.compile(r"\b(?:what|describe|caption|summar\w+|list|explain|tell|differences?|changes?)\b", _I)),
)
# Words that ask for change of any kind, or only frame a question.
_FRAME = re.compile(
    r"^(?:chang|differ|new|anyth|someth|between|dat|time|place|spot|region|area|share|percent|ratio|hectar|square|"
    r"metre|meter|scene|image|imag|pictur|photo|two|first|second|before|after|earlier|later|year|since|until|happen|"
    r"occur|appear|visib|seen|common|total|exact|pleas|answer|yes|locat|outlin|mark|find|show|highlight|describ|"
    r"caption|summar|wheth|list|explain|tell|briefli|number|count|indic|grid|kind|type|judg|extent|proport|part|side|"
    r"made|been|much|many|larg|big|brief|detail)",
    _I,
)


_DAMAGED = ("build", "house", "home", "roof")  # what the class "damaged" is of


@dataclass(frozen=True, kw_only=True)
class ChangeAnswer:
    """An answer with the regions that it rests on; `kind` is that of the question, `known` whether it was understood.

    `confidence` is the largest score of the regions, or, where there are none, what is left beside the likeliest pixel.
    """

    text: str
    kind: str
    confidence: float
    regions: tuple[ChangeRegion, ...] = ()
    known: bool = True


def kind_of(question: str) -> str:
    """count, area, where, presence or caption; "" for a question of no known kind, or in another language."""
    if foreign_language(question):
        return ""
    return next((kind for kind, words in _KINDS if words.search(question)), "")


def unknown_words(question: str, classes: tuple[str, ...]) -> list[str]:
    """What a question speaks of that neither is a class of change nor asks for change as such."""
    own = tuple(word for name, words in WORDS.items() if name in classes for word in words)
    if class_of(question, classes) == "damaged":
        own += _DAMAGED
    return [
        word for word in content_words(question) if not _FRAME.match(word) and not word.startswith((*own, *classes))
    ]


def answer(question: str, found: ChangeScan, size: tuple[int, int]) -> ChangeAnswer:
    """The answer to one question about a scan of a grid of `size` (width, height)."""
    kind, label = kind_of(question), class_of(question, found.classes)
    if not found.classes and not found.identical:
        return ChangeAnswer(text="", kind=kind or "unknown", confidence=0.0)  # the caller says why
    others = [] if found.identical else unknown_words(question, found.classes)
    if not kind or others:
        foreign = foreign_language(question)
        about = f"nothing is known about {', '.join(others)}" if others else "the question is of no known kind"
        return ChangeAnswer(
            text=f"Unsure: {f'the question is in {foreign}' if foreign else about}. The model tells changes of these "
            f"classes: {', '.join(found.classes)}; ask in English whether, where, how many or how much has changed.",
            kind=kind or "unknown", confidence=0.0, known=False,
        )  # fmt: skip
    facts, regions = facts_of(found, size, label), tuple(chosen(found, label))
    confidence = sureness(found, regions)
    if kind == "caption" and not label:
        text = describe(found, size)
    elif not regions:
        text = _nothing(kind, found, label)
    else:
        text = {
            "count": f"{counted(facts)} (connected regions; what touches counts as one).",
            "area": f"{amount(facts)}.",
            "where": f"{counted(facts)}: {where(facts)}.",
            "presence": f"Yes: {counted(facts)}, {amount(facts)}.",
            "caption": f"{counted(facts)}, {amount(facts)}, {where(facts)}.",
        }[kind]
    return ChangeAnswer(text=text, kind=kind, confidence=round(confidence, 4), regions=regions)


def sureness(found: ChangeScan, regions: Sequence[ChangeRegion]) -> float:
    """The confidence of an answer in [0, 1], as `ChangeAnswer` has it."""
    return max((one.score for one in regions), default=1.0 if found.identical else 1 - found.peak)


def _nothing(kind: str, found: ChangeScan, label: str) -> str:
    if found.identical:
        said = "both files show the same pixels"
    else:
        said = f"no change{f' of the class {label}' if label else ''} was found"
    start = {"count": "0: ", "area": "0 %: ", "presence": "No: "}.get(kind, "")
    return f"{start}{said}." if start else f"{said[0].upper()}{said[1:]}."
