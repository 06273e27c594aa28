"""Whether what was found in an archive says something about a question: scores, and the thresholds that they must pass.

The thresholds are learnt on questions of their own (tools/archive_ask.py writes archive_thresholds.json).
"""

import re
from pathlib import Path

from rsvlm.json_text import load_json
from rsvlm.metrics.text.porter import stem

THRESHOLDS = Path(__file__).with_name("archive_thresholds.json")
_PLAIN = (
    "a an the of in on at to for by with and or is are was were be been being it its this that these those there here "
    "what which who whom whose when where why how many much long often far high wide deep large old do does did done "
    "has have had can could may might will would shall should i you we they he she me my your our their his her from "
    "as into over under about than then so if not no all any some each every show find tell give name list please "
    "one two us tile tiles image images picture pictures scene scenes archive"
)
PLAIN_WORDS = frozenset(_PLAIN.split())  # that ask, and say nothing of what is asked about
_ASKS_NUMBER = re.compile(
    r"\s*(?:since |for |at |by |in |from )?(?:when\b|what year|which year|how (?:many|much|long|often|far|high|wide|"
    r"deep|large|old|fast|heavy|tall|big)\b)",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|twenty|thirty|forty|fifty|sixty|"
    r"seventy|eighty|ninety|hundred|thousand|million|first|second|third|daily|weekly|monthly|yearly|annually|"
    r"once|twice)\b",
    re.IGNORECASE,
)


def content_words(text: str) -> list[str]:
    """The words of a question that say what it is about, in their order, in small letters."""
    return [word for word in _words(text) if word not in PLAIN_WORDS]


def stems(text: str) -> set[str]:
    """The stems (Porter) of the content words of a text."""
    return {stem(word) for word in content_words(text)}


def relevance(cosine: float, question: str, passage: str) -> float:
    """How well a passage, its headings included, may answer a question, in [-0.5, 1]; 0 at most where it cannot.

    Half is the cosine of their vectors, half the share of the question's content words that the passage has. A passage
    without a number cannot tell when or how many.
    """
    if _ASKS_NUMBER.match(question) and not _NUMBER.search(passage):
        return min(0.0, cosine)
    asked = stems(question)
    return 0.5 * cosine + 0.5 * (len(asked & stems(passage)) / len(asked) if asked else 0.0)


def looked_for(question: str) -> str:
    """What to look for in pictures: the question's content words; the whole where it has none."""
    return " ".join(content_words(question)) or question


def threshold(kind: str, model: str) -> float | None:
    """The score that "documents" or "tiles" must reach, by the encoder's name or the weights; None where not learnt."""
    return load_json(THRESHOLDS.read_text("utf-8"))[kind].get(model)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:-[^\W_]+)*", re.sub(r"['\u2019]s\b", "", text.lower()))
