"""What a question asks to be found: the phrase in "Find all boats in this image.", or none."""

import re

_I = re.IGNORECASE
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


def phrase_in(question: str) -> str:
    """What a question asks to be found ("Find all boats." -> "all boats"), or "" where it asks something else."""
    text = " ".join(question.split()).rstrip(" .!")
    if _FIND.match(text):
        text = _FIND.sub("", text, count=1).rstrip(" ?")
    elif not _BARE.match(text):
        return ""
    return _TAIL.sub("", text).strip()
