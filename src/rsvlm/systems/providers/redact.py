"""The one place that takes an API key out of what a server says, which may quote it anywhere."""

import html
import re
from base64 import b64encode
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MASK = "***"
_LONG = 8  # letters from which on a key is found inside of words, too, and half of it
_LAYERS = 3  # of escapes: JSON in a page in a URL
_PLACEHOLDERS = ("none", "null", "empty", "dummy", "test")  # no secrets, but words of answers: servers without a key
_ESCAPE = re.compile(
    r"%(?P<url>[0-9a-f]{2})|\\(?:u(?P<json>[0-9a-f]{4})|x(?P<repr>[0-9a-f]{2})|(?P<quoted>[^\w\s]))"
    r"|&(?:#x[0-9a-f]{1,6}|#[0-9]{1,7}|[a-z]\w{0,30});"
    r"|(?P<begun>(?:%[0-9a-f]?|\\(?:u[0-9a-f]{0,3}|x[0-9a-f]?)?|&(?:#(?:x[0-9a-f]{0,6}|[0-9]{0,7})|[a-z]\w{0,30})?)\Z)",
    re.IGNORECASE | re.ASCII,
)
_WORD = re.compile(r"\w+\Z")
Places = Sequence[int]  # of each letter of a text without its escapes, and of its end: where it is in the original


class Redactor:
    """Replaces `key`, however quoting writes it, in texts and in values of JSON.

    It is found behind escapes of URLs, of HTML and of JSON, up to three of them around each other, in capitals or not,
    and in the Base64 of a text that holds it. Its first half counts as the key: a limit may have cut off the rest. A
    key of fewer than 8 letters is replaced only where it stands alone and whole, and not in Base64; a word that stands
    for no key ("EMPTY", "none") is left.
    """

    def __init__(self, key: str) -> None:
        self._long = len(key) >= _LONG
        forms = {key, key.replace(" ", "+"), *(_base64(key) if self._long else ())}
        self._forms = sorted(forms) if key and key.lower() not in _PLACEHOLDERS else []
        if self._long:
            self._forms = [form.lower() for form in self._forms]
            heads = {re.escape(form[: max(_LONG, len(form) // 2)]) for form in self._forms}
            self._pattern = re.compile(f"(?=(?:{'|'.join(sorted(heads))}))", re.IGNORECASE | re.ASCII)
        else:
            self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, self._forms))})(?!\w)")

    def text(self, text: str) -> str:
        """`text` without the key."""
        return _masked(text, self._spans(text)) if self._forms else text

    def value(self, found: Any, *, part: bool = True) -> Any:
        """A value of JSON without the key in any of its texts and names, at any depth.

        `part` False leaves what is only the first half of one, whose rest may come in another value.
        """
        if not self._forms:
            return found
        out = [found]
        todo: list[tuple[Any, Any]] = [(out, 0)]
        while todo:
            owner, place = todo.pop()
            inner = owner[place]
            if isinstance(inner, str):
                owner[place] = _masked(inner, self._spans(inner, part))
            elif isinstance(inner, Mapping):
                owner[place] = {self.text(str(name)): value for name, value in inner.items()}
                todo += [(owner[place], name) for name in owner[place]]
            elif isinstance(inner, list):
                owner[place] = list(inner)
                todo += [(owner[place], number) for number in range(len(inner))]
        return out[0]

    def growing(self, text: str) -> tuple[str, str]:
        """A text that still grows: what of it no later piece can change, without the key; and the rest, as it is.

        A key may come in pieces: the rest is what may be the beginning of one, and comes first in the next call.
        """
        if not self._forms:
            return text, ""
        layers, spans = list(_layers(text, grows=True)), self._spans(text)
        end, last = min(places[len(layer) - self._begun(layer)] for layer, places in layers), -1
        while end != last:  # neither within an escape nor within a key
            last, (_, places) = end, layers[-1]
            end = places[bisect_right(places, end) - 1]
            end = next((begin for begin, stop in spans if begin < end < stop), end)
        return _masked(text[:end], [span for span in spans if span[1] <= end]), text[end:]

    def line(self, text: str) -> str:
        """A server's message on one line of letters that can be printed, without the key."""
        plain = self.text(text)
        return self.text(" ".join("".join(one if one.isprintable() else " " for one in plain).split()))

    def _spans(self, text: str, part: bool = True) -> list[tuple[int, int]]:
        """Where the key stands in `text`, whichever escapes hide it: (begin, end), in order and apart."""
        found = []
        for layer, places in _layers(text):
            for match in self._pattern.finditer(layer):
                begin, end = match.start(), match.end()
                if self._long:
                    end += max(_same(form, layer[begin : begin + len(form)], part) for form in self._forms)
                if end > begin:
                    found.append((places[begin], places[end]))
        spans: list[tuple[int, int]] = []
        for begin, end in sorted(found):
            if spans and begin < spans[-1][1]:
                begin, end = spans[-1][0], max(end, spans.pop()[1])
            spans.append((begin, end))
        return spans

    def _begun(self, text: str) -> int:
        """How many of the last letters may be the beginning of a key; of a short one with the word that it is in."""
        low, longest = text[-max(map(len, self._forms)) :].lower(), 0
        for form in self._forms:
            most = min(len(form) - self._long, len(low))  # all of a short key: it is one only if no letter follows
            begun = (size for size in range(most, longest, -1) if low.endswith(form[:size].lower()))
            longest = next(begun, longest)
        word = _WORD.search(text[: len(text) - longest][-64:])
        return longest + (len(word[0]) if word and not self._long else 0)


def _base64(key: str) -> Iterator[str]:
    """The letters that the Base64 of every text with `key` in it has, in both alphabets, by how the key is aligned."""
    for before in range(3):
        coded = b64encode(bytes(before) + key.encode()).decode()
        inner = coded[(0, 2, 3)[before] : (before + len(key.encode())) * 8 // 6]
        yield from (inner, inner.replace("+", "-").replace("/", "_"))


def _same(form: str, text: str, part: bool) -> int:
    """How many letters from the first on are those of `form`; 0 unless all are, or `part`."""
    pairs = zip(form, text.lower(), strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(form), len(text)))
    return same if part or same == len(form) else 0


def _masked(text: str, spans: Sequence[tuple[int, int]]) -> str:
    kept, at = [], 0
    for begin, end in spans:
        kept.append(text[at:begin])
        at = end
    return MASK.join([*kept, text[at:]])


def _layers(text: str, *, grows: bool = False) -> Iterator[tuple[str, Places]]:
    """`text`, then the text without its escapes, without those that were within them, and so on, with their places.

    Of a text that grows, each without what at its end may be the first letters of an escape.
    """
    places: Places = range(len(text) + 1)
    for _ in range(_LAYERS + 1):
        escapes = list(_ESCAPE.finditer(text))
        begun = escapes.pop().start() if escapes and escapes[-1]["begun"] else None
        if grows and begun is not None:
            text, places = text[:begun], places[: begun + 1]
        yield text, places
        if not escapes and (begun is None or not grows):
            return
        text, places = _unescaped(text, places, escapes)


def _unescaped(text: str, places: Places, escapes: Sequence[re.Match[str]]) -> tuple[str, Places]:
    letters, begins, at = [], [], 0
    for found in escapes:
        code = found["url"] or found["json"] or found["repr"]
        letter = chr(int(code, 16)) if code else found["quoted"] or html.unescape(found[0])
        letters += [text[at : found.start()], letter]
        begins += [*places[at : found.start()], *[places[found.start()]] * len(letter)]
        at = found.end()
    return "".join([*letters, text[at:]]), [*begins, *places[at:]]


NO_KEY = Redactor("")  # leaves every text as it is
