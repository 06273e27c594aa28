"""Any OpenAI-compatible server (vLLM, llama.cpp, Ollama, SGLang, OpenAI): openai:http://host/v1#name.

picture -> data URI -> POST /chat/completions, several at once -> text and the probabilities of its tokens.
"""

import re
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from rsvlm.data.box_codecs import smart_resize
from rsvlm.data.reply import stop_strings, stream_text
from rsvlm.errors import BadInput
from rsvlm.sample import Reply
from rsvlm.systems.abilities import Pixels
from rsvlm.systems.providers.chat_completions import accumulate, data_uri, read_reply
from rsvlm.systems.providers.endpoint_url import SET_KEY, key_for, list_models, parse_endpoint_url
from rsvlm.systems.providers.http_body import RequestFailed
from rsvlm.systems.providers.http_client import HttpClient
from rsvlm.systems.providers.retry import RetryPolicy
from rsvlm.systems.text_boxes import dialect_of

T = TypeVar("T")
_DEFAULT_RETRY = RetryPolicy()
_OPTIONAL = ("logprobs", "max_tokens")  # newer servers of OpenAI call the latter max_completion_tokens
_MAX_STOPS = 4  # stop strings that OpenAI's servers take; a reply is cut here before any of them
_ADVICE: dict[int, str] = dict.fromkeys((401, 403), f"; {SET_KEY}")
_UNKNOWN = re.compile(r"(?i)unsupported|not (support|allow|permit)|unrecogni|unknown|unexpected|extra")


class OpenAIModel:
    """A model behind a server's chat completions, asked greedily; `Answers` and `Compares`.

    `name` is openai:<base URL>#<model>. At most `concurrency` requests are under way. Confidence is the geometric mean
    of the token probabilities, 0 where the server does not send them. A question without a reply after all attempts is
    a Reply without text that says why in `error`; after `RetryPolicy.failure_threshold` of them in a row without any
    response the rest fail at once, until its `cooldown` has passed. BadInput is raised where no question ever got a
    reply, and for a server that cannot be reached at the start. The key comes from RSVLM_API_KEY, else from
    OPENAI_API_KEY; since the latter may be there for another server, it is sent over https or to this machine only.

    Pictures up to 512 x 512 go as PNG, pixel for pixel; larger ones as JPEG of quality 95 without colour subsampling,
    to keep requests small.
    """

    def __init__(self, name: str, *, concurrency: int = 8, retry: RetryPolicy = _DEFAULT_RETRY) -> None:
        self.url, self.model = parse_endpoint_url(name)
        url = self.url
        key = key_for(url)
        self._client = HttpClient(url, key=key, retry=retry)
        self.name, self.concurrency, self._served, self._unsupported = name, concurrency, False, frozenset[str]()
        listed = list_models(
            HttpClient(url, key=key, retry=replace(retry, timeout=min(retry.timeout, 10), max_attempts=2))
        )
        self._known = ", ".join([*listed][:5]) or "no models"
        own = listed.get(self.model, {})
        self.box_dialect = dialect_of(f"{self.model} {own.get('root', '')}")
        said = " ".join(f"{key}={own[key]}" for key in ("root", "owned_by") if own.get(key))
        self.trace = {
            "model": name, "system": "endpoint", "url": url, "id": self.model,
            "server": self._client.redact.line(said)[:200] or "unlisted",
            "pictures": "png up to 512 x 512, else jpeg 95",
        }  # fmt: skip

    def answer(
        self, images: Sequence[Pixels | None], questions: Sequence[str], *, max_new_tokens: int = 64,
        stop: Sequence[str] = (),
    ) -> list[Reply]:  # fmt: skip
        """One greedy reply per (image, question), up to the first of the strings `stop`; None is no picture."""
        shown = [() if image is None else (image,) for image in images]
        return self._answer_all(list(zip(shown, questions, strict=True)), max_new_tokens, stop_strings(stop))

    def stream(
        self, image: Pixels | None, question: str, *, max_new_tokens: int = 64, stop: Sequence[str] = ()
    ) -> Generator[str, None, Reply]:
        """The answer to one question while it comes: pieces that make the text of its Reply, which is returned.

        Raises BadInput where no reply comes, or one breaks off.
        """
        ends = stop_strings(stop)
        body = self._body([] if image is None else [data_uri(image)], question, max_new_tokens, ends) | {"stream": True}
        try:
            grown = accumulate(self._request(body, self._client.stream), self._client.redact)
            return (yield from stream_text(grown, ends))
        except RequestFailed as error:
            raise BadInput(f"{self._client.redact.line(str(error))}; the reply is not whole: ask again.") from error

    def compare(
        self, before: Sequence[Pixels], after: Sequence[Pixels], questions: Sequence[str], *, max_new_tokens: int = 64
    ) -> list[Reply]:
        """One greedy reply per (before, after, question): both in one message, the earlier picture first."""
        pairs = zip(before, after, strict=True)
        return self._answer_all(list(zip(pairs, questions, strict=True)), max_new_tokens)

    def input_size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) at which a Qwen2.5-VL sees a picture under its published settings; else the picture's."""
        return smart_resize((width, height)) if self.box_dialect == "qwen25vl" else (width, height)

    def _answer_all(
        self, asked: Sequence[tuple[Sequence[Pixels], str]], max_new_tokens: int, stop: Sequence[str] = ()
    ) -> list[Reply]:
        """Replies in order. A picture that is asked several questions is encoded once."""
        seen = {id(picture): picture for pictures, _ in asked for picture in pictures}
        uris = {key: data_uri(picture) for key, picture in seen.items()}
        bodies = [self._body([uris[id(p)] for p in shown], words, max_new_tokens, stop) for shown, words in asked]
        with ThreadPoolExecutor(max_workers=self.concurrency) as pool:
            try:
                replies = list(pool.map(self._answer_one, bodies))
            except BaseException:  # Ctrl-C: end what is under way
                pool.shutdown(wait=False, cancel_futures=True)
                self._client.cancel()
                raise
        if replies and not self._served:
            raise BadInput(f"{replies[0].error}; it has answered no question yet, and lists {self._known}.")
        return replies

    def _body(self, uris: Sequence[str], question: str, max_new_tokens: int, stop: Sequence[str]) -> dict[str, Any]:
        shown = [{"type": "image_url", "image_url": {"url": uri}} for uri in uris]
        body = {
            "model": self.model, "temperature": 0, "max_tokens": max_new_tokens, "logprobs": True,
            "messages": [{"role": "user", "content": [*shown, {"type": "text", "text": question}]}],
        }  # fmt: skip
        return body | {"stop": stop} if stop else body

    def _answer_one(self, body: dict[str, Any]) -> Reply:
        """The reply to one request; it carries the error where none came."""
        try:
            reply = read_reply(self._request(body, self._client.request), self.url, body.get("stop", ()))
        except RequestFailed as error:
            return Reply(text="", confidence=0.0, error=f"{error}{_ADVICE.get(error.status, '')}")
        self._served = True
        return reply

    def _request(self, body: dict[str, Any], send: Callable[[str, dict[str, Any]], T]) -> T:
        """What the server says to one request. A setting that it does not know is left out from then on."""
        while True:
            unsupported = self._unsupported
            sent = {key: value for key, value in body.items() if key not in unsupported}
            sent.update({"stop": body["stop"][:_MAX_STOPS]} if "stop" in sent else {})
            if "max_tokens" in unsupported:
                sent["max_completion_tokens"] = body["max_tokens"]
            try:
                return send("/chat/completions", sent)
            except RequestFailed as error:
                odd = next((key for key in _OPTIONAL if key in sent and key in str(error)), None)
                if odd is None or error.status not in (400, 422) or not _UNKNOWN.search(str(error)):
                    raise
                self._unsupported |= {odd}
