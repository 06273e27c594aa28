"""Decoding in tokens/s: our greedy loop, transformers `generate` on the same model, and the memory-bandwidth limit.

The limit is bytes of weights read per token over the bandwidth of a large copy measured in the same run.
"""

import json
import sys
import time
from statistics import median

import torch

from rsvlm.systems.load import load

TOKENS, ROUNDS = 64, 5


def main(name: str = "mini") -> None:
    chat = load(name)
    model, language = chat.model, chat.model.language
    prompt = torch.randint(100, 40000, (1, 48), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(prompt, dtype=torch.bool)
    model.read = lambda batch: language.embed(batch["prompt"])  # text only: what is timed is the language model
    batch = {"prompt": prompt, "prompt_mask": mask}
    sides = {"ours": [], "transformers_generate": []}
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        with torch.inference_mode():
            ids, _ = model.answer(batch, stop=frozenset(), max_new_tokens=TOKENS)
        sides["ours"].append(time.perf_counter() - start)
        start = time.perf_counter()
        with torch.inference_mode():
            out = language.model.generate(
                input_ids=prompt, attention_mask=mask.long(), do_sample=False, min_new_tokens=TOKENS,
                max_new_tokens=TOKENS, pad_token_id=0,
            )  # fmt: skip
        sides["transformers_generate"].append(time.perf_counter() - start)
    rates = {side: TOKENS / median(seconds[1:]) for side, seconds in sides.items()}
    weights = sum(p.numel() * p.element_size() for p in language.model.parameters())
    limit = bandwidth() / weights
    print(json.dumps({
        "benchmark": "decode", "tokens_per_s": {k: round(v, 1) for k, v in rates.items()},
        "ratio": round(rates["ours"] / rates["transformers_generate"], 3), "target_ratio": 1.0,
        "bandwidth_limit_tokens_per_s": round(limit, 1), "share_of_limit": round(rates["ours"] / limit, 3),
        "same_tokens": ids[0] == out[0, prompt.shape[1] :].tolist(), "threads": torch.get_num_threads(),
    }))  # fmt: skip


def bandwidth() -> float:
    """Bytes/s of reading a 1 GiB array once (a sum), the best of five."""
    block = torch.ones(2**28)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        block.sum()
        seconds.append(time.perf_counter() - start)
    return block.numel() * 4 / min(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
