"""Classify a question by its words, and parse short replies (yes or no, a number): regular expressions, no model.

Tiles of a large scene are put together by the kind of the question, so the kind is decided here and named in the trace.
A question that no rule knows is `OTHER`: the view of the whole scene answers it. `route` takes questions as users type
them, with slips, several in one, and in other languages; `classify_question` knows the six kinds of the benchmarks.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from rsvlm.data.prompt import REFUSAL
from rsvlm.data.reply import whole_number
from rsvlm.errors import BadInput
from rsvlm.serve.question_language import foreign_language, plain_english
from rsvlm.serve.question_parts import Part, split_question
from rsvlm.systems.abilities import HasNativePrompts


class QuestionType(StrEnum):
    """How replies about parts of a scene become one answer; see `rsvlm.serve.aggregate`.

    PLACE, DATE and RESOLUTION are told by the file. UNKNOWN is another language than English, or no words at all.
    """

    CAPTION = "caption"
    SCENE = "scene"
    PRESENCE = "presence"
    COUNT = "count"
    FIND = "find"
    AREA = "area"
    PLACE = "place"
    DATE = "date"
    RESOLUTION = "resolution"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RoutedQuestion:
    """One question, complete in itself. `thing`: what is asked for, "" where nothing; `rule`: why it is of its kind."""

    text: str
    kind: QuestionType
    thing: str
    rule: str


_I = re.IGNORECASE
_PICTURE = r"(?:image|picture|photo|scene|view|tile|area)"
_FEW = r"(?:\w+ ){0,9}?"  # words before it; a bound keeps the time linear
_COUNT = re.compile(r"\bhow many\b|^count\b|\bnumber of\b", _I)
# "More than", "equal to": a relation between numbers is not true of a scene because it is true of one tile.
_RELATION = re.compile(r"\b(?:more|less|fewer|larger|smaller|greater|equal|same|than|at most|at least|only)\b", _I)
_PRESENCE = re.compile(
    r"^(?:(?:is|are) there\b|(?:does|do) (?:this|the|that|these) .*\b(?:contain|show|include|have)\b"
    r"|(?:can|do|could) you see\b|any\b"
    rf"|(?:is|are) (?!this|that|it).*\b(?:visible|present|shown|seen|in (?:this|the) {_PICTURE}))",
    _I,
)
_SCENE = re.compile(
    r"\bland[ -]?(?:cover|use)\b|\bscene (?:category|class|type)\b|\bclassify\b|\bcovers the ground\b"
    r"|\b(?:kind|type|sort|category|class) of (?:scene|place|area|land|terrain)\b",
    _I,
)
_CAPTION = re.compile(
    r"\b(?:describe|caption|summari[sz]e|description)\b"
    rf"|\bwhat does (?:this|the) {_FEW}{_PICTURE} (?:show|depict|contain)\b"
    rf"|\bwhat (?:is (?:shown|visible|seen|in (?:this|the) {_FEW}{_PICTURE})|can (?:be|you) seen?|do you see)\b",
    _I,
)
_ASKING = re.compile(
    r"^(?:(?:is|are) there|(?:does|do) (?:this|the|that|these) [\w ]*?\b(?:contain|show|include|have)"
    r"|(?:can|do|could) you see|how many|count|what is the number of|what number of|number of|any)\b\s*",
    _I,
)
_RIM = re.compile(
    r"(?:\s+(?:are|is|be))?(?:\s+(?:there|visible|present|shown|seen))?"
    rf"(?:\s+(?:in|on|within) (?:this|the) {_FEW}{_PICTURE})?$",
    _I,
)
_FIND = re.compile(
    r"^(?:please )?(?:find|locate|detect|mark|outline|point (?:out|to)|give (?:me )?the (?:box(?:es)?|location) of"
    r"|draw (?:a box|boxes) (?:around|round))\b(?: in (?:this|the) (?:image|picture|scene)\b:?)?\s*:?\s*",
    _I,
)
_BARE = re.compile(r"^(?:the|all|every)(?: (?!is\b|are\b|was\b|were\b|shows?\b|has\b|have\b)[\w-]+){1,9}$", _I)
_TAIL = re.compile(
    r"(?:\s+with (?:a box|boxes))?(?:\s+(?:in|on|within) (?:this|the) (?:\w+ )?(?:image|picture|photo|scene|area))?$",
    _I,
)
_NUMBERS: tuple[str, ...] = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_NUMBER = re.compile(rf"(\d{{1,3}}(?:,\d{{3}})+|\d+)|\b({'|'.join(_NUMBERS)})\b|\b(no|none|nothing)\b", _I)


def classify_question(question: str) -> QuestionType:
    """The type of a question; the first rule that fits decides, in the order count, presence, find, scene, caption."""
    text = " ".join(question.split())
    rules = (
        (_COUNT, QuestionType.COUNT), (_PRESENCE, QuestionType.PRESENCE), (_SCENE, QuestionType.SCENE),
        (_CAPTION, QuestionType.CAPTION),
    )  # fmt: skip
    kind = next((kind for rule, kind in rules if rule.search(text)), QuestionType.OTHER)
    if kind not in (QuestionType.COUNT, QuestionType.PRESENCE):
        return QuestionType.FIND if grounding_phrase(text) else kind
    return QuestionType.OTHER if _RELATION.search(text) else kind


_READ = 2000  # letters that are read; the assistant takes no longer questions
_FORCED = tuple(kind for kind in QuestionType if kind is not QuestionType.UNKNOWN)
_WITH_THING = (QuestionType.PRESENCE, QuestionType.COUNT, QuestionType.FIND, QuestionType.AREA)


def route(question: str, task: str | None = None) -> list[RoutedQuestion]:
    """The questions that a text asks, each with its kind: "Is there water, and how much?" is two.

    A single question keeps its text; a part of several is made complete ("How much water is there?"). `task` is the
    name of a kind that is forced on the whole text. Raises BadInput for a task that is not known.
    """
    text = question.strip()
    if task is not None:
        return [_force(text, task)]
    if not any(letter.isalpha() for letter in text[:_READ]):
        return [RoutedQuestion(text, QuestionType.UNKNOWN, "", "no words")]
    if language := foreign_language(text[:_READ]):
        return [RoutedQuestion(text, QuestionType.UNKNOWN, "", f"language: {language}")]
    parts = split_question(plain_english(text[:_READ]))
    if len(parts) == 1:
        return [_routed(parts[0], text)]
    return [_routed(part, part.text) for part in parts]


def _routed(part: Part, text: str) -> RoutedQuestion:
    return RoutedQuestion(text, QuestionType(part.reading.kind), part.reading.thing, part.reading.rule)


def _force(text: str, task: str) -> RoutedQuestion:
    name = task.strip().lower()
    if name not in _FORCED:
        raise BadInput(f"The task {task!r} is not known; choose one of: {', '.join(_FORCED)}.")
    kind, thing = QuestionType(name), ""
    if kind in _WITH_THING:
        parts = route(text)
        fitting = sorted((part for part in parts if part.thing), key=lambda part: part.kind is not kind)
        foreign = parts[0].kind is QuestionType.UNKNOWN and len(text.split()) > 2
        thing = fitting[0].thing if fitting else "" if foreign else object_of(text[:_READ])
    return RoutedQuestion(text, kind, thing, "forced by task")


_TASKS = {
    QuestionType.CAPTION: "caption", QuestionType.SCENE: "vqa", QuestionType.PRESENCE: "vqa", QuestionType.COUNT: "vqa",
}  # fmt: skip


def native_question(model: object, question: str) -> str:
    """The question in the words that the model was trained with (`native_prompt`), where it has such; else as it is.

    A question that begins with a tag of the user's own ("[refer] ...") is left alone, and so is one of no known kind.
    """
    task = _TASKS.get(classify_question(question))
    if not isinstance(model, HasNativePrompts) or task is None or question.startswith("["):
        return question
    task = "describe" if task == "caption" and "detail" in question.lower() else task
    return model.native_prompt(task, question) or question


def object_of(question: str) -> str:
    """What is asked for: "Are there any boats in this image?" -> "boats". The question itself where no rule fits."""
    text = " ".join(question.split()).rstrip(" ?.!")
    left = _RIM.sub("", _ASKING.sub("", text)).strip()
    left = re.sub(r"^(?:a|an|any|the|some)\s+", "", left, flags=_I)
    return left or text


def grounding_phrase(question: str) -> str:
    """What a question asks to be found ("Find all boats." -> "all boats"), or "" where it asks something else."""
    text = " ".join(question.split()).rstrip(" .!")
    if _FIND.match(text):
        text = _FIND.sub("", text, count=1).rstrip(" ?")
    elif not _BARE.match(text):
        return ""
    return _TAIL.sub("", text).strip()


def parse_yes_no(reply: str) -> bool | None:
    """True for a reply that begins with yes, False for no, None for anything else."""
    first = re.match(r"\W*(\w+)", reply.lower())
    return {"yes": True, "no": False}.get(first[1]) if first else None


def parse_number(reply: str) -> int | None:
    """The first whole number in a reply, in digits or words up to twenty ("none" is 0); None where there is none."""
    found = _NUMBER.search(reply)
    if found is None:
        return None
    digits, word, _ = found.groups()
    if digits:
        return whole_number(digits.replace(",", ""))
    if word and word.lower() not in _NUMBERS:  # "s\u0131x" matches where case is ignored
        return None
    return _NUMBERS.index(word.lower()) if word else 0


def is_refusal(reply: str) -> bool:
    """Whether a reply is the model's plain refusal."""
    return normalise(reply) == normalise(REFUSAL)


def normalise(text: str) -> str:
    """Lower case, blanks squeezed, no mark at the end: the form in which replies are compared."""
    return " ".join(text.lower().split()).rstrip(" .!")
