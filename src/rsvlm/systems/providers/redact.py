"""The one place that takes an API key out of what a server says, which may quote it anywhere."""

import html
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
_LONG = 8  # letters from which on a key is found inside of words, too, in capitals or not
_PLACEHOLDERS = ("none", "null", "empty", "dummy", "test")  # no secrets, but words of answers: servers without a key


class Redactor:
    """Replaces `key`, and what quoting makes of it (in a URL, in HTML, in JSON), in texts and in values of JSON.

    A key of fewer than 8 letters is replaced only where it stands alone, and a word that stands for no key
    ("EMPTY", "none") is left.
    """

    def __init__(self, key: str) -> None:
        forms = {key, quote(key), quote(key, safe=""), quote_plus(key), html.escape(key), json.dumps(key)[1:-1]}
        self._forms = sorted(forms, key=len, reverse=True) if key and key.lower() not in _PLACEHOLDERS else []
        pattern = "|".join(map(re.escape, self._forms))
        self._long = len(key) >= _LONG
        alone = pattern if self._long else rf"(?<!\w)(?:{pattern})(?!\w)"
        self._pattern = re.compile(alone, re.IGNORECASE if self._long else 0)

    def text(self, text: str) -> str:
        """`text` without the key."""
        return self._pattern.sub(MASK, text) if self._forms else text

    def value(self, found: Any) -> Any:
        """A value of JSON without the key in any of its texts and names, at any depth."""
        if not self._forms:
            return found
        out = [found]
        todo: list[tuple[Any, Any]] = [(out, 0)]
        while todo:
            owner, place = todo.pop()
            inner = owner[place]
            if isinstance(inner, str):
                owner[place] = self.text(inner)
            elif isinstance(inner, Mapping):
                owner[place] = {self.text(str(name)): value for name, value in inner.items()}
                todo += [(owner[place], name) for name in owner[place]]
            elif isinstance(inner, list):
                owner[place] = list(inner)
                todo += [(owner[place], number) for number in range(len(inner))]
        return out[0]

    def growing(self, text: str) -> str:
        """The part of a text that still grows in which no key can be found later, without the key.

        A key may come in pieces: what may be the beginning of one at the end of `text` is kept back.
        """
        if not self._forms:
            return text
        low, longest = text.lower(), 0
        for form in self._forms:
            most = min(len(form) - self._long, len(low))  # a short key is one only if no letter follows
            begun = (size for size in range(most, 0, -1) if low.endswith(form[:size].lower()))
            longest = max(longest, next(begun, 0))
        return self.text(text[: len(text) - longest])

    def line(self, text: str) -> str:
        """A server's message on one line of letters that can be printed, without the key."""
        plain = self.text(text)
        return self.text(" ".join("".join(one if one.isprintable() else " " for one in plain).split()))


NO_KEY = Redactor("")  # leaves every text as it is
