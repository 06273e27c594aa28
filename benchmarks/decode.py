"""Decoding in tokens/s: our greedy loop, transformers `generate` on the same model, and the memory-bandwidth limit.

The limit is bytes of weights read per token over the bandwidth of a large copy measured in the same run.
"""

from typing import Any

import torch

from harness import medians, ratio, run, take_turns, timed
from harness.models import chat_model

TOKENS, ROUNDS, BLOCK = 64, 5, 2**28


def main(model: str = "mini", *, smallest: bool) -> dict[str, Any]:
    tokens = 4 if smallest else TOKENS
    vlm = chat_model(model, smallest=smallest).model
    language = vlm.language
    draw = torch.Generator().manual_seed(0)
    words = language.model.config.vocab_size
    prompt = torch.randint(min(100, words // 2), min(40000, words), (1, 48), generator=draw)
    mask = torch.ones_like(prompt, dtype=torch.bool)
    vlm.read = lambda batch: language.embed(batch["prompt"])  # text only: what is timed is the language model

    @torch.inference_mode()
    def ours() -> list[int]:
        return vlm.answer({"prompt": prompt, "prompt_mask": mask}, stop=frozenset(), max_new_tokens=tokens)[0][0]

    @torch.inference_mode()
    def generate() -> list[int]:
        out = language.model.generate(
            input_ids=prompt, attention_mask=mask.long(), do_sample=False, min_new_tokens=tokens,
            max_new_tokens=tokens, pad_token_id=0,
        )  # fmt: skip
        return out[0, prompt.shape[1] :].tolist()

    seconds, ids = take_turns({"ours": ours, "transformers_generate": generate}, ROUNDS, smallest=smallest)
    rates = {side: tokens / middle for side, middle in medians(seconds, 6).items()}
    weights = sum(p.numel() * p.element_size() for p in language.model.parameters())
    limit = bandwidth(2**20 if smallest else BLOCK) / weights
    return {
        "tokens_per_s": {side: round(rate, 1) for side, rate in rates.items()},
        "ratio": ratio(seconds, "ours", "transformers_generate"), "target_ratio": 1.0,
        "bandwidth_limit_tokens_per_s": round(limit, 1), "share_of_limit": round(rates["ours"] / limit, 3),
        "same_tokens": ids["ours"] == ids["transformers_generate"], "threads": torch.get_num_threads(),
    }  # fmt: skip


def bandwidth(numbers: int) -> float:
    """Bytes/s of reading an array of so many float32 once (a sum), the best of five."""
    block = torch.ones(numbers)
    return block.numel() * 4 / min(timed(block.sum)[0] for _ in range(5))


if __name__ == "__main__":
    run(main)
