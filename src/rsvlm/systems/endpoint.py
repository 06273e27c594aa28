"""Any OpenAI-compatible server (vLLM, llama.cpp, Ollama, SGLang, OpenAI): openai:http://host/v1#name.

picture -> data URI -> POST /chat/completions, several at once -> text and the probabilities of its tokens.
"""

import math
import re
from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from typing import Any

from PIL import Image as PILImage

from rsvlm.data.boxes import smart_resize
from rsvlm.errors import BadInput
from rsvlm.sample import Reply
from rsvlm.systems.address import key_for, listed_by, parsed
from rsvlm.systems.base import Pixels, dialect_of
from rsvlm.systems.wire import NoReply, Patience, Wire

_PATIENT = Patience()
_SMALL = 512 * 512  # pixels up to which a picture is sent without loss
_OPTIONAL = ("logprobs", "max_tokens")  # newer servers of OpenAI call the latter max_completion_tokens
_UNKNOWN = re.compile(r"(?i)unsupported|not (support|allow|permit)|unrecogni|unknown|unexpected|extra")


class Endpoint:
    """A model behind a server's chat completions, asked greedily; `Answers` and `Compares`.

    `name` is openai:<base URL>#<model>. At most `concurrency` requests are under way. Confidence is the geometric mean
    of the token probabilities, 0 where the server does not give them. A question that gets no reply after all tries is
    a Reply without text that says why in `error`; where no question ever got one, BadInput is raised, as it is for a
    server that cannot be reached at the start. The key comes from RSVLM_API_KEY, else from OPENAI_API_KEY; since the
    latter may be there for another server, it is sent over https or to this machine only.

    Pictures up to 512 x 512 go as PNG, pixel for pixel; larger ones as JPEG of quality 95 without colour subsampling,
    to keep requests small.
    """

    def __init__(self, name: str, *, concurrency: int = 8, patience: Patience = _PATIENT) -> None:
        url, self.model = parsed(name)
        key = key_for(url)
        self._wire = Wire(url, key=key, patience=patience)
        self.name, self.concurrency, self._served, self._refused = name, concurrency, False, frozenset[str]()
        listed = listed_by(Wire(url, key=key, patience=replace(patience, timeout=min(patience.timeout, 10), tries=2)))
        self._known = ", ".join([*listed][:5]) or "no models"
        own = listed.get(self.model, {})
        self.box_dialect = dialect_of(f"{self.model} {own.get('root', '')}")
        self.trace = {
            "model": name, "system": "endpoint", "url": url, "id": self.model,
            "server": " ".join(f"{key}={own[key]}" for key in ("root", "owned_by") if own.get(key)) or "unlisted",
            "pictures": "png up to 512 x 512, else jpeg 95",
        }  # fmt: skip

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (image, question); None is no picture."""
        shown = [() if image is None else (image,) for image in images]
        return self._all(list(zip(shown, questions, strict=True)), max_new_tokens)

    def compare(
        self, before: Sequence[Pixels], after: Sequence[Pixels], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (before, after, question): both in one message, the earlier picture first."""
        pairs = zip(before, after, strict=True)
        return self._all(list(zip(pairs, questions, strict=True)), max_new_tokens)

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) at which a Qwen2.5-VL sees a picture under its published settings; else the picture's."""
        return smart_resize((width, height)) if self.box_dialect == "qwen25vl" else (width, height)

    def _all(self, asked: Sequence[tuple[Sequence[Pixels], str]], max_new_tokens: int) -> list[Reply]:
        """Replies in order. A picture that is asked several questions is encoded once."""
        seen = {id(picture): picture for pictures, _ in asked for picture in pictures}
        uris = {key: data_uri(picture) for key, picture in seen.items()}
        bodies = [self._body([uris[id(p)] for p in pictures], question, max_new_tokens) for pictures, question in asked]
        with ThreadPoolExecutor(max_workers=self.concurrency) as pool:
            try:
                replies = list(pool.map(self._one, bodies))
            except BaseException:  # Ctrl-C: do not sit the waits out
                pool.shutdown(wait=False, cancel_futures=True)
                self._wire.hurry()
                raise
        if replies and not self._served:
            raise BadInput(f"{replies[0].error}; it has answered no question yet, and lists {self._known}.")
        return replies

    def _body(self, uris: Sequence[str], question: str, max_new_tokens: int) -> dict[str, Any]:
        shown = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
        return {
            "model": self.model, "temperature": 0, "max_tokens": max_new_tokens, "logprobs": True,
            "messages": [{"role": "user", "content": [*shown, {"type": "text", "text": question}]}],
        }  # fmt: skip

    def _one(self, body: dict[str, Any]) -> Reply:
        """The reply to one request; it carries the error where none came."""
        try:
            reply = self._reply(self._ask(body))
        except NoReply as error:
            return Reply(text="", confidence=0.0, error=str(error))
        self._served = True
        return reply

    def _ask(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the server says to one request. A setting that it does not know is left out from then on."""
        while True:
            refused = self._refused
            sent = {key: value for key, value in body.items() if key not in refused}
            if "max_tokens" in refused:
                sent["max_completion_tokens"] = body["max_tokens"]
            try:
                return self._wire.ask("/chat/completions", sent)
            except NoReply as error:
                odd = next((key for key in _OPTIONAL if key in sent and key in str(error)), None)
                if odd is None or error.status not in (400, 422) or not _UNKNOWN.search(str(error)):
                    raise
                self._refused |= {odd}

    def _reply(self, found: dict[str, Any]) -> Reply:
        try:
            choice = found["choices"][0]
            text, ended = choice["message"]["content"], choice.get("finish_reason")
        except (LookupError, TypeError, AttributeError) as error:
            said = self._wire.plain(str(found.get("error") or "no choices"))[:300]
            raise NoReply(f"{self._wire.url} sent no reply: {said}") from error
        if not isinstance(text, str):
            raise NoReply(f"{self._wire.url} sent a reply without text (finish_reason {ended!r})")
        text = text.encode("utf-8", "replace").decode()  # half a letter (a lone surrogate) could not be written down
        return Reply(text=text.strip(), confidence=_confidence(choice))


def data_uri(picture: Pixels) -> str:
    """A picture (H, W, 3) as a data URI: PNG up to 512 x 512, above that JPEG of quality 95."""
    file, small = BytesIO(), picture.shape[0] * picture.shape[1] <= _SMALL
    settings: dict[str, Any] = {"format": "PNG"} if small else {"format": "JPEG", "quality": 95, "subsampling": 0}
    PILImage.fromarray(picture).save(file, **settings)
    return f"data:image/{settings['format'].lower()};base64,{b64encode(file.getvalue()).decode()}"


def _confidence(choice: dict[str, Any]) -> float:
    """The geometric mean of the token probabilities; 0 where they are absent, partly absent or no numbers."""
    try:
        logs = [float(token["logprob"]) for token in choice["logprobs"]["content"]]
        return min(math.exp(math.fsum(logs) / len(logs)), 1.0) if all(map(math.isfinite, logs)) else 0.0
    except (LookupError, TypeError, ValueError, ArithmeticError):
        return 0.0
