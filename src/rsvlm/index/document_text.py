"""Documents in passages of bounded length: headings, paragraphs, sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 900  # letters of a passage: what a sentence encoder reads whole, some 200 tokens
_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*$")
_UNDERLINE = re.compile(r"(=+|-+)\s*$")
_SENTENCE = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[^\sa-z])")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


@dataclass(frozen=True, slots=True)
class Section:
    """A passage of a document, and the headings that it stands under ("Tarn Harbour > Ferries")."""

    heading: str
    text: str


def sections(text: str) -> Iterator[Section]:
    """The passages of a text or of Markdown, each within one heading and of at most `LONGEST` letters.

    Paragraphs are kept whole where they fit and cut between sentences, else between words, where not. Letters that no
    reader sees (controls, marks of direction, tags) are left out.
    """
    headings: dict[int, str] = {}
    for block in re.split(r"\n\s*\n", _INVISIBLE.sub("", text.replace("\r\n", "\n").replace("\t", " "))):
        lines: list[str] = []
        for line in block.split("\n"):
            found = _HEADING.match(line)
            underlined = bool(lines) and len(lines) == 1 and _UNDERLINE.match(line) and len(line.strip()) > 2
            if found or underlined:
                level = line.index(" ") if found else 1 + (line[0] == "-")
                title = found[1] if found else lines.pop()
                yield from _parts(lines, headings)
                lines = []
                headings = {at: one for at, one in headings.items() if at < level} | {level: _plain(title)}
            else:
                lines.append(line)
        yield from _parts(lines, headings)


def sentences(text: str) -> list[str]:
    """The sentences of a passage; the lines of a list are sentences by themselves."""
    return [one.strip() for line in text.split("\n") for one in _SENTENCE.split(line) if one.strip()]


def _parts(lines: list[str], headings: dict[int, str]) -> Iterator[Section]:
    """A paragraph's passages: its lines joined, but those of a list or a table."""
    listed = any(re.match(r"\s*([-*+|]|\d+[.)])\s", line) for line in lines)
    joint = "\n" if listed else " "
    paragraph = joint.join(one for line in lines if (one := _plain(line)))
    above, waiting = " > ".join(one for _, one in sorted(headings.items()) if one), ""
    for sentence in sentences(paragraph):
        for piece in _pieces(sentence):
            if waiting and len(waiting) + 1 + len(piece) > LONGEST:
                yield Section(above, waiting)
                waiting = ""
            waiting = f"{waiting}{joint}{piece}" if waiting else piece
    if waiting:
        yield Section(above, waiting)


def _pieces(sentence: str) -> Iterator[str]:
    while len(sentence) > LONGEST:
        at = sentence.rfind(" ", 1, LONGEST)
        at = at if at > 0 else LONGEST
        yield sentence[:at]
        sentence = sentence[at:].lstrip()
    yield sentence


def _plain(line: str) -> str:
    return " ".join(line.split())
