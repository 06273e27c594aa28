"""A caption cut into theme, objects and relations, for models whose experts each learn one of them.

How RS-MoE cut the captions of RSICap is not published (its configuration names a file RSICap_split/themes.json); these
rules are ours. No sentence is lost: joined in the order of `sentences`, the parts are the caption.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

PARTS = ("theme", "object", "relation")

_END = re.compile(r"(?<=[.!?])(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bvs\.)(?<!\bapprox\.)\s+(?=[\"'(]?[A-Z0-9])")
_OPENING = re.compile(
    r"^(?:this|it) is an? .*\b(?:image|picture|photo)\b|^(?:this|the) (?:\w+ ){0,3}(?:image|picture|photo) "
    r"(?:is|was|has|shows?|showcases?|displays?|depicts?|presents?|captures?|contains?)\b",
    re.IGNORECASE,
)
_LOOK = re.compile(
    r"\b(?:resolution|panchromatic|gr[ae]y-?scale|contrast|well-lit|aerial view|blurr(?:y|ed)|sunny|cloudy)\b|"
    r"^overall\b",
    re.IGNORECASE,
)
_NUMBERS = (
    r"\d+|a|an|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|"
    r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?:-\w+)?|several|many|some|few|multiple|"
    r"numerous|various|dozens|hundreds"
)
_OBJECT = re.compile(rf"\b(?:{_NUMBERS})\b", re.IGNORECASE)
_RELATION = re.compile(
    r"\b(?:above|below|besides?|beneath|under|underneath|between|behind|near|nearby|next to|adjacent|around|along|"
    r"alongside|across|opposite|inside|outside|within|surround(?:s|ed|ing)?|connect(?:s|ed|ing)?|cross(?:es|ed|ing)?|"
    r"parallel to (?!each other)|perpendicular to (?!each other)|intersect(?:s|ed|ing|ion)?|scattered|arranged|aligned|"
    r"located|situated|positioned|distributed|both sides|one side|other side|two sides|left|right|top|bottom|upper|"
    r"lower|cent(?:er|re)|middle|corner|edge|(?:north|south)(?:east|west)?(?:ern)?|(?:east|west)(?:ern)?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SubCaptions:
    """The sentences of a caption, and the names of the parts that each belongs to: `parts[i]` for `sentences[i]`."""

    sentences: tuple[str, ...]
    parts: tuple[tuple[str, ...], ...]

    def part(self, name: str) -> str:
        """The text of one part, "" where no sentence belongs to it."""
        return " ".join(s for s, at in zip(self.sentences, self.parts, strict=True) if name in at)


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, blanks between them made one; joined by a blank they are the text again."""
    return tuple(one for one in _END.split(" ".join(text.split())) if one)


def split_caption(caption: str, *, overlap: bool = False) -> SubCaptions:
    """Each sentence to theme, object or relation.

    Theme: the sentences at the beginning that say what the image is or shows, and anywhere one about its look that
    places nothing. Relation: a sentence that places things. Object: all others. With `overlap` a sentence that both
    counts and places things belongs to both.
    """
    found = split_sentences(caption)
    places: list[tuple[str, ...]] = []
    for sentence in found:
        placed, opening = _RELATION.search(sentence), all(at == ("theme",) for at in places)
        if (opening and _OPENING.search(sentence)) or (_LOOK.search(sentence) and not placed):
            places.append(("theme",))
        elif not placed:
            places.append(("object",))
        elif overlap and _OBJECT.search(sentence):
            places.append(("object", "relation"))
        else:
            places.append(("relation",))
    return SubCaptions(found, tuple(places))


def join_unique_sentences(drafts: Sequence[str]) -> str:
    """Texts joined in order, without repeated sentences (compared without case and punctuation)."""
    seen: dict[str, str] = {}
    for draft in drafts:
        for sentence in split_sentences(draft):
            seen.setdefault(re.sub(r"\W+", " ", sentence.lower()).strip(), sentence)
    return " ".join(sentence for key, sentence in seen.items() if key)
