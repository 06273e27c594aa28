"""The tokens that caption metrics count, by name: `ptb`, `whitespace`, `vocabulary_ids`.

`ptb` is our own and equals the Java one of the COCO caption evaluation: `PTBTokenizer -preserveLines -lowerCase` of
Stanford CoreNLP 3.4.1 followed by the removal of 15 punctuation tokens, as pycocoevalcap 1.2 runs it. Its source was
not used: the rules were fitted to what it prints for millions of made strings, and all captions of UCM-Captions and
RSICD that were at hand come out equal. As in any generated lexer the longest match wins and, among equals, the earlier
rule. Tokens that are always removed afterwards (quotes, dashes, full stops) are not distinguished here. Not followed: a
caption that ends in "no." or "fig." is read by the Java program together with the next one, and keeps its full stop
where that begins with a digit; and curly quotes side by side, of which it keeps some.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from rsvlm.errors import BadInput
from rsvlm.json_text import load_json
from rsvlm.metrics.text.java_characters import MARKS, NO_DIGITS, NO_LETTERS, SIGNS

Tokenizer = Callable[[str], str]  # a caption -> its tokens joined by one blank

# -lowerCase turns the bracket names to lower case, so the removal list never meets them: they stay (as in COCO scores).
_REMOVED = frozenset(["'", '"', ".", "?", "!", ",", ":", "-", ";"])
_BRACKETS = str.maketrans({"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"})
_SIGNS = {
    "½": "1/2", "¼": "1/4", "¾": "3/4", "⅓": "1/3", "⅔": "2/3", "€": "$", "£": "#", "¢": "cents", "…": ".", "–": "-",
    "\x80": "$", "¤": "$", "₠": "$", "—": "-", "―": "-",
    "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&mdash;": "-",
}  # fmt: skip

_L = rf"(?:[^\W\d_{NO_LETTERS}]|[{MARKS}])"  # letters of any script, and marks on them
_AN = rf"[^\W_{NO_LETTERS}]"  # letters and digits
_HY = r"[-‐‑֊]"
_Q = r"['’‘]"
_GALLIC = rf"(?:[dDoOlL]{_Q}{_AN})"  # d'Artagnan, O'Hara
_NUM = r"(?:\d*(?:[.:,٫٬]\d+)+|\d+)"
_MONTHS = "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri"
_STATES = (
    "ala ariz calif colo conn ct dak fla ga ind kan kans ky md mich minn mo mont neb nev okla penn tenn va vt wis wisc "
    "wyo"
)
_TITLES = (
    "adj adm adv al alex asst assn assoc atty attys ave bhd bldg blvd brig bros capt cf cie cmdr co col comdr "
    "corp cos cpl dept det dr drs elec ens esq est etc ext ft gen gov govs hon inc insp intl invt jos jr lieut "
    "lt ltd maj messrs mfg mlle mme mr mrs ms msgr mt mtg natl pfc ph plc ppte pptes ppty pptys pres prof profs "
    "pte ptes pty ptys pvt rd rep reps rev rt sen sens seq sfc sgt spc sq sr st ste supt supts sys tel treas univ vs wm"
)
_CAPITAL_ONLY = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"  # words of their own in lower case
_BEFORE_NUMBER = "art ca fig figs no nos op p pp prop"  # abbreviations only where a number follows


def _either(words: str) -> str:
    return "|".join(sorted(words.split(), key=len, reverse=True))


def _entity(text: str) -> tuple[str, ...]:
    return (_SIGNS.get(text, text),)


def _halves(cut: int) -> Callable[[str], tuple[str, ...]]:
    return lambda text: (text[:cut], text[cut:])


def _one(text: str) -> tuple[str, ...]:
    return (text,)


def _clitic(text: str) -> tuple[str, ...]:
    return (re.sub("[’‘]", "'", text),)


def _bracketed(text: str) -> tuple[str, ...]:
    return (text.translate(_BRACKETS),)


def _spaced(text: str) -> tuple[str, ...]:
    """Blanks inside a token become no-break blanks, as in the Java output."""
    return (re.sub(r"\s", "\xa0", text).translate(_BRACKETS),)


def _nothing(_: str) -> tuple[str, ...]:
    return ()


# (pattern, what becomes of group 1, what it looks through). What the pattern matches after group 1 is looked at but not
# consumed; it counts for the length, as a trailing context does in lex. A rule that looks through a whole run to find
# out that it does not fit (no "@" follows) does not fit anywhere within that run either: it is passed over there, so
# that the time is linear.
_RULES: tuple[tuple[re.Pattern[str], Callable[[str], tuple[str, ...]], re.Pattern[str] | None], ...] = tuple(
    (re.compile(pattern), make, re.compile(run[0]) if run else None)
    for pattern, make, *run in (
        (r"(</?[A-Za-z!?][^>\r\n]*>)", _spaced, r"</?[A-Za-z!?][^>\r\n]*"),
        (r"(&(?:amp|lt|gt|quot|apos|mdash);)", _entity),
        (r"(&nbsp;)", _nothing),
        (r"(-(?i:l|r)(?i:[rsc]b)-)", _one),
        (r"(&(?:[aeiouAEIOU](?:acute|grave|uml)|#\d+);)", _one),
        (r"([Cc][Aa][Nn][Nn][Oo][Tt])(?![A-Za-z0-9])", _halves(3)),
        (r"((?:[Gg][Oo][Nn]|[Gg][Oo][Tt]|[Ll][Ee][Mm]|[Gg][Ii][Mm]|[Ww][Aa][Nn])(?:[Nn][Aa]|[Tt][Aa]|[Mm][Ee]))"
         r"(?<=(?:onna|otta|emme|imme|anna))(?![A-Za-z0-9])", _halves(3)),
        (rf"({_Q}[Tt])(?:[Ii][Ss]|[Ww][Aa][Ss])", _clitic),
        (rf"({_L}+?)[Nn]{_Q}[Tt]", _one),
        (rf"([Nn]{_Q}[Tt])", _clitic),
        (rf"({_Q}(?:[SsMmDd]|ll|LL|re|RE|ve|VE))(?![A-Za-z])", _clitic),
        (r"(https?://[^\s\"<>|()]+[^\s\"<>|.!?(),-])", _one, r"https?://[^\s\"<>|()]+"),
        (r"((?:www\.)(?:[^\s\"<>|.!?(),]+\.)+[a-zA-Z]{1,4}(?:/[^\s\"<>|()]+[^\s\"<>|.!?(),-])?)", _one,
         r"www\.(?:[^\s\"<>|.!?(),]+\.)*+"),
        (r"((?:[^\s\"<>|.!?(),/]+\.)+(?:com|net|org|edu)(?:/[^\s\"<>|()]+[^\s\"<>|.!?(),-])?)", _one,
         r"(?:[^\s\"<>|.!?(),/]+\.)*+[^\s\"<>|.!?(),/]*"),
        (r"([A-Za-z0-9][^\s\"<>|()\u00A0]*@(?:[^\s\"<>|().\u00A0]+\.)*[^\s\"<>|().\u00A0]+)", _one,
         r"[A-Za-z0-9][^\s\"<>|()\u00A0]*"),
        (rf"(@[A-Za-z_][A-Za-z\d_]*|\#{_L}+|[CcFf]\#|[Cc]\+\+)", _one),
        (rf"({_L}(?:{_L}|\d)*(?:[.!?]{_L}(?:{_L}|\d)*)*)", _one),
        (rf"({_GALLIC}?(?:{_AN}+(?:_{_AN}+)*|\d+(?:[.:,]\d+)*)(?:{_HY}{_GALLIC}?{_AN}+(?:_{_AN}+)*)*)",
         _one),
        (rf"((?:{_AN}+(?:[._-]{_AN}+)*)\.)[,;:]", _one, rf"{_AN}+(?:[._-]{_AN}+)*"),
        (rf"({_AN}[A-Za-z0-9.,]*(?:-(?:{_AN}+|[A-Za-z](?:\.[A-Za-z])+\.))+)", _one, rf"{_AN}[A-Za-z0-9.,]*"),
        (r"([A-Za-z\d]+(?:-[A-Za-z]+){0,2}(?:\\?/[A-Za-z\d]+(?:-[A-Za-z]+){0,2}){1,2})", _one),
        (r"([A-Z]+(?:(?:[+&]|&amp;)[A-Z]+)+)", lambda text: (text.replace("&amp;", "&"),)),
        (rf"({_Q}[Nn]{_Q}|{_Q}[Nn](?!\S)|{_Q}\d\d(?!\S)|{_Q}[2-9]0[Ss]|[lLdDjJ]{_Q}|[Oo][Ll]{_Q})", _one),
        (rf"({_Q}(?:[Ee][Mm]|[Tt][Ii][Ll][Ll]?|[Cc]ause))", _one),
        (rf"([A-HJ-XZn]{_Q}{_L}{_L}+|{_L}+[aeiouyAEIOUY]{_Q}[aeiouA-Z]{_L}*|[Cc]'mon|[Cc]'est|[Ee]'er|[Oo]'o)", _one),
        (rf"([Yy]{_Q}){_L}", _one),
        (r"(\d{1,2}[-/]\d{1,2}[-/]\d{2,4})", _one),
        (rf"([-+]?{_NUM})", _one),
        (r"((?:\d{1,4}[-\s])?\d{1,4}(?:\\?/|⁄)\d{1,4})", _spaced),
        (r"(\(?\d{3}\)?[-\s]\d{3}[-\s]\d{4}|\+\d[-\s]\d{3}[-\s]\d{3}[-\s]\d{4})", _spaced),
        (r"((?:[A-Za-z]\.)+)", _one),
        (r"([Pp][Hh]\.[Dd]\.?)", _one),
        (rf"((?i:{_either(f'{_MONTHS} {_STATES} {_TITLES}')})\.)", _one),
        (rf"((?:{_either(_CAPITAL_ONLY)}|{_either(_CAPITAL_ONLY.upper())})\.)", _one),
        (rf"((?i:{_either(_BEFORE_NUMBER)})\.)\s?\d", _one),
        (r"([A-Z]{1,2}\$)", _one),
        (r"([<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]])(?![A-Za-z0-9])", _bracketed),
        (r"([-^x=~<>']_[-^x=~<>']|[\^x=~<>]\.[\^x=~<>])", _one),
        (r"([()\[\]{}])", _bracketed),
        (r"(-{2,4}|-)", _nothing),
        (r"(-{5,}|_+|\#{2,}|@{2,}|\*{1,3}|<<|>>|[!?]{2,}|[%$#@&*+=/\\|^~<>°⁄])", _one),
        (r"([!?.,:;]|''|``|['\"`‘’“”«»‹›])", _nothing),
        (r"([½¼¾⅓⅔€£¢…–—―\x80¤₠])", _entity),
        (rf"([⁺⁻₊₋]?(?:[⁰¹²³⁴-⁹]+|[₀-₉]+)|[{SIGNS}])", _one),
    )
)  # fmt: skip

_BREAKS = re.compile(r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_DROPPED = re.compile(r"\xad")
_UNKNOWN = re.compile(f"[{NO_DIGITS}]")
# Tokens that hold a blank, or that depend on what comes after one: such a caption is read as a whole.
_ACROSS = re.compile(r"\d\)?\s\(?\d|\b(?:art|ca|figs?|nos?|op|pp?|prop)\.\s\d", re.IGNORECASE)


def _scan(text: str) -> tuple[str, ...]:
    tokens: list[str] = []
    barren: dict[int, int] = {}  # rule -> up to where it fits nowhere
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        best: tuple[int, int, tuple[str, ...]] = (0, 1, ())
        for rule, (pattern, make, run) in enumerate(_RULES):
            if at < barren.get(rule, 0):
                continue
            found = pattern.match(text, at)
            if found is not None and found.end() - at > best[0]:
                best = (found.end() - at, found.end(1) - at, make(found[1]))
            elif found is None and run is not None and (seen := run.match(text, at)):
                barren[rule] = seen.end()
        tokens.extend(token.lower() for token in best[2] if token not in _REMOVED)
        at += best[1]
    return tuple(tokens)


def _has_wide_tag(text: str) -> bool:
    """Whether a blank stands between a "<" and the next ">"."""
    insides = (piece.partition("<")[2] for piece in text.split(">")[:-1])
    return any(inside and inside.split() != [inside] for inside in insides)


_scan_chunk = lru_cache(maxsize=1 << 16)(_scan)  # captions repeat their words


def ptb(caption: str) -> str:
    """The tokens of one caption, lower-case, joined by one blank; "" when nothing is left.

    Line breaks of every kind count as blanks (the Java program loses count of the captions on most of them). A token
    that itself holds a blank ("3 1/2") carries a no-break blank, as in the reference.
    """
    caption = _UNKNOWN.sub("\u200b", _DROPPED.sub("", _BREAKS.sub(" ", caption)))
    if _ACROSS.search(caption) or _has_wide_tag(caption):
        return " ".join(_scan(caption))
    return " ".join(token for chunk in caption.split() for token in _scan_chunk(chunk))


def whitespace(caption: str) -> str:
    """The caption as it is: what change captioning repositories score, and nearly all RSICD tables."""
    return caption


def split_words(caption: str) -> list[str]:
    """The words of a caption as the change captioning sets count them: lower case, at blanks, without full stops."""
    return caption.lower().replace(".", " ").split()


UNKNOWN = "<unk>"
_ENDS = ("<start>", "<end>")


def word_map(captions: Iterable[str], min_frequency: int = 5) -> dict[str, int]:
    """The vocabulary of the change captioning papers (RSICCformer, Chg2Cap, SECOND-CC, DeltaVLM): word -> id.

    Words that occur more than `min_frequency` times in `captions` (those of all splits), numbered from 1 in order of
    first appearance, then <unk>, <start> and <end>; <pad> is 0.
    """
    counts = Counter(word for caption in captions for word in caption.split())
    kept = [word for word, count in counts.items() if count > min_frequency]
    return {word: number for number, word in enumerate((*kept, UNKNOWN, *_ENDS), 1)} | {"<pad>": 0}


def read_word_map(path: str | Path) -> dict[str, int]:
    """A published WORDMAP_*.json. Raises BadInput where it is not an object of ids with an <unk>."""
    try:
        found = load_json(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as a word map ({error}); give a WORDMAP json: word -> id.") from error
    if not isinstance(found, dict) or UNKNOWN not in found or not all(type(i) is int for i in found.values()):
        raise BadInput(f"{path} is not a word map: expected a JSON object of word -> id that has {UNKNOWN!r}.")
    return found


def vocabulary_ids(words: Mapping[str, int]) -> Tokenizer:
    """A tokenizer of words to their ids in `words`, joined by one blank.

    All words outside it become the id of <unk> and so match one another: scores are higher than those of words.
    """
    unknown = words[UNKNOWN]
    return lambda caption: " ".join(str(words.get(word, unknown)) for word in caption.split())


def tokenize(captions: Sequence[str], tokenizer: Tokenizer = ptb) -> list[str]:
    """Every caption through one tokenizer."""
    return [tokenizer(caption) for caption in captions]
