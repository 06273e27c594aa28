"""The tokens of METEOR 1.5 for English (`-l en -norm`): its own normaliser, after the Moses tokenizer.

Java's character classes are ASCII, its blanks are those of StringTokenizer, and a caption that is only plain words and
free-standing stops skips the rules, none of which touches it.
"""

import re

_ALPHA = "A-Za-zŠŽšžŸÀ-ÖØ-öø-ž\u0400-\u04ff\u0500-\u0527\ua640-\ua66e\ua67e-\ua697\u1d00-\u1d7f"
_PLAIN = re.compile(r"[A-Za-z0-9]+(?: +[A-Za-z0-9]+)*(?: +\.)?")
_BLANKS = re.compile("[ \t\n\r\f]+")
_WIDE_BLANKS = re.compile("[ \u2000-\u200a\u202f\u205f\u3000\xa0]+")
_CONTROL = "".join(map(chr, range(33)))  # what Java's trim() takes away

_SYMBOL = re.compile(rf"([^0-9{_ALPHA} \t\n\x0b\f\r.'`,\-‘’])")
_DOTS = re.compile(r"\.(\.+)")
_LAST_DOT = re.compile(r"DOTMULTI\.([^.])")
# In this order: the first of two touching matches keeps the second from being seen, as in the original.
_RULES = [(re.compile(pattern), new) for pattern, new in (
    ("([^0-9]),([^0-9])", r"\1 , \2"),
    ("([0-9]),([^0-9])", r"\1 , \2"),
    ("([^0-9]),([0-9])", r"\1 , \2"),
    ("[`‘’]", "'"),
    ("[“”]|''", ' " '),
    ("–", "-"),
    ("--", "-"),
    (rf"([0-9{_ALPHA}.])-([0-9{_ALPHA}])", r"\1 \2"),
    (rf"([^{_ALPHA}])'([^{_ALPHA}])", r"\1 ' \2"),
    (rf"([^{_ALPHA}0-9])'([{_ALPHA}])", r"\1 ' \2"),
    (rf"([{_ALPHA}])'([^{_ALPHA}])", r"\1 ' \2"),
    (rf"([{_ALPHA}])'([{_ALPHA}])", r"\1 '\2"),
    ("([0-9])'(s)", r"\1 '\2"),
)]  # fmt: skip
_LETTER = re.compile(f"[{_ALPHA}]")


def words(text: str, prefixes: dict[str, bool]) -> list[str]:
    """The lower-case tokens of one line. `prefixes`: abbreviations that keep their stop; True: only before a digit."""
    if _PLAIN.fullmatch(text):
        return text.lower().split()
    line = _SYMBOL.sub(r" \1 ", f" {text.strip(_CONTROL)} ")
    line = _DOTS.sub(r" DOTMULTI\1", line)
    while "DOTMULTI." in line:
        line = _LAST_DOT.sub(r"DOTDOTMULTI \1", line).replace("DOTMULTI.", "DOTDOTMULTI")
    for pattern, new in _RULES:
        line = pattern.sub(new, line)
    pieces = [piece for piece in _BLANKS.split(line) if piece]
    followers = [*pieces[1:], ""]
    line = " ".join(_final_stop(piece, after, prefixes) for piece, after in zip(pieces, followers, strict=False))
    while "DOTDOTMULTI" in line:
        line = line.replace("DOTDOTMULTI", "DOTMULTI.")
    line = line.replace("DOTMULTI", ".")
    line = _WIDE_BLANKS.sub(" ", line).strip(_CONTROL).lower()
    return line.split(" ") if line else []


def _final_stop(word: str, after: str, prefixes: dict[str, bool]) -> str:
    """Split off the last stop of a word, unless it belongs to an abbreviation; U.S. becomes US."""
    if len(word) < 2 or not word.endswith("."):
        return word
    before = word[:-1]
    if "." in before and _LETTER.search(before):
        return word.replace(".", "")
    numeric = prefixes.get(before)
    if numeric is False or "a" <= after[:1] <= "z" or (numeric and "0" <= after[:1] <= "9"):
        return word
    return f"{before} ."
