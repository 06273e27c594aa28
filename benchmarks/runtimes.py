"""The embedded model on ONNX Runtime, on PyTorch, and its language model on llama.cpp, in one run on this processor.

Captions of a 512 px tile, alone and eight at once, by `rsvlm.load("mini")` and by "torch:mini" in the precision that is
native here; and decoding of text alone in tokens/s, beside llama.cpp (package xllamacpp) on the same GGUF where it is
installed: `--gguf` names the file.
"""

import json
from typing import Any

import numpy as np
import torch

from harness import medians, ratio, run, take_turns
from rsvlm.data.prompt import TASK_QUESTIONS
from rsvlm.errors import MissingPart
from rsvlm.systems.load import load
from rsvlm.systems.onnx.chat import OnnxChat

ROUNDS, SIDE, BATCH, TOKENS, WORDS = 5, 512, 8, 24, 64
PROMPT = "The history of the town by the sea begins"


def main(gguf: str = "", *, smallest: bool) -> dict[str, Any]:
    onnx, pytorch = load("mini"), load("torch:mini")
    if not isinstance(onnx, OnnxChat):
        raise MissingPart("mini is not run by ONNX Runtime here; run: pip install 'rsvlm[ask]'")
    tokens = 3 if smallest else TOKENS
    tile = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    figures: dict[str, Any] = {}
    for name, count in (("caption", 1), ("eight_captions", BATCH)):
        tiles, questions = [tile.copy() for _ in range(count)], [TASK_QUESTIONS["caption"][0]] * count
        sides = {
            "onnx_s": lambda t=tiles, q=questions: onnx.answer(t, q, max_new_tokens=tokens),
            "torch_s": lambda t=tiles, q=questions: pytorch.answer(t, q, max_new_tokens=tokens),
        }
        seconds, _ = take_turns(sides, ROUNDS, smallest=smallest)
        figures[name] = {**medians(seconds), "ratio": ratio(seconds, "onnx_s", "torch_s")}
    figures["decode_tokens_per_s"] = decoding(onnx, 3 if smallest else WORDS, gguf, smallest=smallest)
    return {**figures, "dtype": pytorch.trace["dtype"], "threads": torch.get_num_threads()}


def decoding(onnx: OnnxChat, tokens: int, gguf: str, *, smallest: bool) -> dict[str, float]:
    """Tokens/s after the prompt, one text at a time."""
    ids = np.array([onnx.tokenizer(PROMPT)["input_ids"]])
    start = onnx.language.embed(ids), np.ones(ids.shape, bool)
    logits, past = onnx.language.forward(*start)
    first = onnx.language.embed(logits.argmax(-1)[:, None])

    def ours() -> None:
        list(onnx.language.steps(
            first, np.ones((1, ids.shape[1] + 1), bool), past, stop=frozenset(), max_new_tokens=tokens, ended=None
        ))  # fmt: skip

    seconds, _ = take_turns({"onnx": ours}, ROUNDS, smallest=smallest)
    rates = {"onnx": round(tokens / medians(seconds, 6)["onnx"], 1)}
    if gguf:
        rates["llama_cpp"] = llama_cpp(gguf, tokens)
        rates["ratio"] = round(rates["onnx"] / rates["llama_cpp"], 3)
    return rates


def llama_cpp(gguf: str, tokens: int) -> float:
    """Tokens/s that llama.cpp says of itself, the median of the rounds."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = gguf
    parameters.n_parallel = 1
    parameters.warmup = True
    parameters.cpuparams.n_threads = torch.get_num_threads()
    server, rates = xllamacpp.Server(parameters), []
    for _ in range(ROUNDS):
        asked = {"prompt": PROMPT, "n_predict": tokens, "ignore_eos": True, "temperature": 0, "cache_prompt": False}
        done = server.handle_completions(asked)
        done = json.loads(done) if isinstance(done, str) else done
        rates.append(done["timings"]["predicted_per_second"])
    return round(float(np.median(rates)), 1)


if __name__ == "__main__":
    run(main)
