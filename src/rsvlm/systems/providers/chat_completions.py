"""OpenAI's chat completions: pictures as data URIs in a request, the text and token probabilities in a response."""

import math
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

from PIL import Image as PILImage

from rsvlm.data.reply import cut_at_stop
from rsvlm.sample import Reply
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.providers.http_body import RequestFailed
from rsvlm.systems.providers.redact import NO_KEY, Redactor

_PARTS = 1000  # in which a long text is handed on at least
_SMALL = 512 * 512  # pixels up to which a picture is sent without loss


def data_uri(picture: Pixels) -> str:
    """A picture (H, W, 3) as a data URI: PNG up to 512 x 512, above that JPEG of quality 95."""
    file, small = BytesIO(), picture.shape[0] * picture.shape[1] <= _SMALL
    settings: dict[str, Any] = {"format": "PNG"} if small else {"format": "JPEG", "quality": 95, "subsampling": 0}
    PILImage.fromarray(picture).save(file, **settings)
    return f"data:image/{settings['format'].lower()};base64,{b64encode(file.getvalue()).decode()}"


def read_reply(found: dict[str, Any], url: str, stop: Sequence[str]) -> Reply:
    """The Reply in the JSON of a response of `url`, cut at a stop string. Raises RequestFailed where it has no text."""
    try:
        choice = found["choices"][0]
        text, ended = choice["message"]["content"], choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError) as error:
        raise RequestFailed(f"{url} sent no reply: {_one_line(found.get('error') or 'no choices')}") from error
    if not isinstance(text, str) or not text.strip():
        hint = "; let it write more tokens" if ended == "length" else ""  # one that thinks first and is cut off
        raise RequestFailed(f"{url} sent a reply without text (finish_reason {ended!r:.60}){hint}")
    return Reply(text=cut_at_stop(plain_text(text), stop), confidence=confidence(tokens_of(choice)))


def tokens_of(choice: Any) -> list[Any]:
    """The tokens of a choice with their log-probabilities; empty where the server does not send them."""
    try:
        return list(choice["logprobs"]["content"])
    except (LookupError, TypeError):
        return []


def confidence(tokens: Iterable[Any]) -> float:
    """The geometric mean of the token probabilities; 0 where they are absent, partly absent or no numbers."""
    return _Confidence().add(tokens).value


class _Confidence:
    """`confidence` of tokens that come piece by piece; each is looked at once, however often the value is asked."""

    def __init__(self) -> None:
        self._sum, self._count, self._sound = 0.0, 0, True

    def add(self, tokens: Iterable[Any]) -> "_Confidence":
        """Take in tokens with their log-probabilities."""
        for token in tokens:
            try:
                log = float(token["logprob"])
            except (LookupError, TypeError, ValueError, ArithmeticError):
                log = math.nan
            self._sum, self._count, self._sound = self._sum + log, self._count + 1, self._sound and math.isfinite(log)
        return self

    @property
    def value(self) -> float:
        """The mean so far, 0 to 1."""
        if not (self._count and self._sound and math.isfinite(self._sum)):
            return 0.0
        return math.exp(min(self._sum / self._count, 0.0))


def plain_text(text: str) -> str:
    """Text that can be encoded as UTF-8: surrogate pairs joined, a lone surrogate replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def accumulate(events: Iterable[Mapping[str, Any]], redact: Redactor = NO_KEY) -> Iterator[tuple[str, float]]:
    """The text so far, without a key that came in pieces, and its confidence after each event of a stream
    (of a long text after each thousandth of it).

    Raises RequestFailed where the server sends an error, or ends without a finish_reason.
    """
    shown, rest, begun, sure, ended, reported = "", "", "", _Confidence(), False, 0
    for event in events:
        try:
            for choice in event["choices"][:1]:
                part = choice.get("delta") or choice.get("message") or {}
                begun += part.get("content") or ""
                whole = len(begun) - ("\ud800" <= begun[-1:] <= "\udbff")  # half a letter, whose other half may follow
                rest, begun = rest + plain_text(begun[:whole]), begun[whole:]
                sure.add(tokens_of(choice))
                ended = ended or choice.get("finish_reason") is not None
        except (LookupError, TypeError, AttributeError) as error:
            said = event.get("error") if isinstance(event, dict) else None
            raise RequestFailed(f"sent no reply: {_one_line(said or 'no choices')}") from error
        if (len(shown) + len(rest) - reported) * _PARTS >= len(shown):  # all texts together: in proportion to the last
            piece, rest = redact.growing(rest)
            shown, reported = shown + piece, len(shown) + len(rest) + len(piece)
            yield shown, sure.value
    if not ended:
        raise RequestFailed("ended a reply without saying that it is whole")
    yield shown + redact.text(rest + plain_text(begun)), sure.value


def _one_line(said: Any) -> str:
    """A server's message in an error; only its beginning is looked at."""
    return " ".join("".join(one if one.isprintable() else " " for one in str(said)[:2000]).split())[:300]
