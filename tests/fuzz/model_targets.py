"""More that is fuzzed: files of model folders and of runs, and what servers say."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from fuzz.targets import Run
from rsvlm.data.reply import stream_text
from rsvlm.evaluate.answer_entries import Problems, confidence, entries, id_of, readable, value_of
from rsvlm.evaluate.items import Item
from rsvlm.evaluate.reply_log import ReplyLog
from rsvlm.evaluate.report.text import read_result
from rsvlm.evaluate.result import read_answers
from rsvlm.json_text import load_json
from rsvlm.metrics.text.tokenizer import read_word_map
from rsvlm.parts.checkpoints import published
from rsvlm.parts.checkpoints.shards import read_config
from rsvlm.parts.checkpoints.weights import read_adapter
from rsvlm.parts.language.local_files import check_folder
from rsvlm.recipe import read_recipe
from rsvlm.sample import Image
from rsvlm.systems.convert.base_llm import _words, config_numbers
from rsvlm.systems.convert.verify import _check_sums
from rsvlm.systems.providers.chat_completions import accumulate, read_reply
from rsvlm.systems.providers.endpoint_url import list_models, parse_endpoint_url
from rsvlm.systems.providers.hf_files import weights_hash
from rsvlm.systems.providers.http_body import RequestFailed, as_object, read_events
from rsvlm.systems.providers.redact import Redactor
from rsvlm.systems.providers.retry import retry_after_seconds

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300, "rope_theta": 1e4,
    "rms_norm_eps": 1e-5, "text_config": {"num_attention_heads": 4, "hidden_size": 64}, "auto_map": {},
}  # fmt: skip
ADAPTER = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "bias": "none", "rank_pattern": {}, "target_modules": ["q"]}
TOKENIZER = {"model": {"vocab": {"a": 0, "b": 1}}, "added_tokens": [{"id": 2, "content": "<s>"}]}
INDEX = {"metadata": {"total_size": 3}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
SUMS = {"system": "x", "written": {"model.safetensors": "00", "recipe.yaml": "11"}, "sha256": {"a": "b"}}
REPLY = {
    "choices": [{
        "message": {"content": "a boat"}, "finish_reason": "stop", "delta": {"content": "a"},
        "logprobs": {"content": [{"token": "a", "logprob": -0.5}, {"logprob": -0.25}]},
    }],
    "error": {"message": "no"}, "data": [{"id": "m", "max_model_len": 300}],
}  # fmt: skip
ENTRIES = (
    {"id": "1", "answer": "yes", "confidence": 0.5},
    {"question_id": 2, "boxes": [[1, 2, 3, 4]], "text": "{<1><2><3><4>}", "prediction": 3},
    {"id": "1", "mask": {"size": [6, 5], "counts": [3, 4, 23]}, "map": "a.png", "score": 1},
    {"id": "1", "mask": [[1, 1, 4, 1, 4, 4]], "vector": [0.5, 0.25]},
    {"id": "1", "mask": "a.png", "vector": "AAAAPw==", "map": "iVBORw0KGgo="},
)
ANSWER = {
    "id": "1", "question": "?", "images": ["a.png"], "sizes": [[6, 5]], "references": ["yes"], "kind": "x",
    "parsed": "yes", "answer": "yes", "score": 1.0, "wrong": False,
}  # fmt: skip
RESULT = {
    "protocol": "x@1", "split": "test", "model": "m", "n": 3, "headline": ["accuracy"],
    "metrics": {"accuracy": {"value": 0.5, "stderr": 0.1}}, "data": "0", "failed": 0, "problems": {}, "trace": {},
}  # fmt: skip
KEY = "sk-secret+%/0123456789"
ECHOES = (
    f"{KEY} {quote(KEY)}",
    json.dumps(quote(KEY, safe="")),
    "".join(f"&#{ord(one)};\\u{ord(one):04x}" for one in KEY),
)
ITEM = Item(id="1", question="?", images=(Image(path="a.png", width=5, height=6),), references=("yes",), kind="")


def _answers(path: Path) -> None:
    for _, entry in entries(path, problems := Problems()):
        id_of(entry), confidence(entry)
        for key in ("answer", "boxes", "mask", "vector", "map"):
            for dialect in ("", "geochat", "qwen3vl"):
                value = value_of(key, entry, dialect)
                if value is not None:
                    readable(key, value, ITEM, path.parent, dialect)
    problems.summary()


def _said(text: str) -> object:
    """What a server says, through the functions that read it; RequestFailed is its documented error."""

    def lines() -> Iterator[bytes]:
        yield from text.encode("utf-8", "surrogatepass").splitlines(keepends=True)
        yield b""

    raw = iter(lines())
    client: Any = SimpleNamespace(url="x", request=lambda *_: as_object("x", load_json(text)))
    kind = SimpleNamespace(get_content_type=lambda: "text/event-stream")
    events: Any = SimpleNamespace(url="x", headers=kind, readline=lambda *_: next(raw))
    for call in (
        lambda: read_reply(as_object("x", load_json(text)), "x", ("stop",)),
        lambda: list(stream_text(accumulate([as_object("x", load_json(text))] * 3), ("stop",))),
        lambda: list(stream_text(accumulate(as_object("x", one) for one in read_events(events)), ("stop",))),
        lambda: list_models(client),
    ):
        try:
            call()
        except (RequestFailed, EOFError):
            pass
        except ValueError as error:  # no JSON: the client asks again
            if type(error).__name__ not in ("JSONDecodeError", "ValueError", "UnicodeDecodeError"):
                raise
    return None


def _redacted(text: str) -> None:
    """A key is taken out of a text in pieces as it is out of the whole."""
    redact, shown, rest = Redactor(KEY), "", ""
    for at in range(0, len(text), 7):
        piece, rest = redact.growing(rest + text[at : at + 7])
        shown += piece
    assert shown + redact.text(rest) == redact.text(text)


def _in(name: str, call: Callable[[Path], object], beside: Mapping[str, str] = {}) -> Run:
    def run(text: str, folder: Path) -> object:
        for other, content in beside.items():
            (folder / other).write_text(content)
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        return call(folder)

    return run


def model_targets() -> Mapping[str, tuple[tuple[str, ...], Run]]:
    """As `fuzz.targets.text_targets`."""
    config, index = json.dumps(CONFIG), json.dumps(INDEX)
    said = json.dumps(REPLY)
    events = f"data: {said}\n\n: comment\ndata: [DONE]\n"
    answers = json.dumps(ANSWER) + "\n"
    run = {"protocol": "x@1"}
    log = f"{json.dumps(run)}\n{json.dumps({'id': '1', 'answer': 'yes'})}\n"
    return {
        "config.json": ((config,), _in("config.json", read_config)),
        "config of a LLaMA": ((config,), _in("config.json", lambda folder: config_numbers(folder, wanted="x"))),
        "check_folder": ((config,), _in("config.json", check_folder)),
        "tokenizer.json": ((json.dumps(TOKENIZER),), _in("tokenizer.json", lambda f: _words(f / "tokenizer.json"))),
        "adapter_config.json": ((json.dumps(ADAPTER),), _in("adapter_config.json", _adapter)),
        "index of shards": ((index,), _in("model.safetensors.index.json", _shards)),
        "index of a Hugging Face model": (
            (index,), _in("model.safetensors.index.json", weights_hash, {"config.json": "{}"}),
        ),
        "provenance.json": ((json.dumps(SUMS),), _in("provenance.json", _check_sums)),
        "name of a recipe": (("lhrs_bot/tiny", "recipes/x.yaml"), lambda text, _: read_recipe(text)),
        "server": ((said, events), lambda text, _: _said(text)),
        "redactor": (ECHOES, lambda text, _: _redacted(text)),
        "endpoint": (("openai:http://localhost:8000/v1#m",), lambda text, _: parse_endpoint_url(text)),
        "retry-after": (("3", "Wed, 21 Oct 2015 07:28:00 GMT"), lambda text, _: retry_after_seconds(text)),
        "file of answers": (tuple(map(json.dumps, ENTRIES)), _in("a.jsonl", lambda f: _answers(f / "a.jsonl"))),
        "result.json": ((json.dumps(RESULT),), _in("result.json", lambda folder: read_result(folder / "result.json"))),
        "answers.jsonl": ((answers,), _in("answers.jsonl", read_answers)),
        "replies.jsonl": ((log,), _in("replies.jsonl", lambda folder: ReplyLog(folder / "replies.jsonl", run))),
        "word map": ((json.dumps({"a": 1, "<unk>": 2}),), _in("w.json", lambda f: read_word_map(f / "w.json"))),
    }  # fmt: skip


def _adapter(folder: Path) -> object:
    return read_adapter(folder, r=8, lora_alpha=16)


def _shards(folder: Path) -> object:
    return published.files(folder / "model.safetensors.index.json")
