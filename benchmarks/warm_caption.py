"""Warm caption of one 512 px tile: seconds through `rsvlm.load("mini")`, against plain transformers on the same prefix.

The other side is what a user would write: the same tower, bridge and language model, and `generate` of transformers.
"""

import json
import sys
import time
from statistics import median

import numpy as np
import torch

from rsvlm.data.prompt import TASK_QUESTIONS, encode_prompt
from rsvlm.systems.load import load

ROUNDS = 7


def main(name: str = "mini") -> None:
    chat = load(name)
    tile = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)
    question = TASK_QUESTIONS["caption"][0]
    ours, theirs = [], []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        reply = chat.answer([tile], [question], max_new_tokens=24)[0]
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        plain(chat, tile, question)
        theirs.append(time.perf_counter() - start)
    ours, theirs = median(ours[1:]), median(theirs[1:])
    figures = {"ours_s": round(ours, 3), "transformers_generate_s": round(theirs, 3), "ratio": round(theirs / ours, 3)}
    print(json.dumps({"benchmark": "warm_caption", "target_s": 0.8, "threads": torch.get_num_threads(), **figures,
                      "answer": reply.text}))  # fmt: skip


@torch.inference_mode()
def plain(chat: object, tile: np.ndarray, question: str) -> None:
    """The same answer with `generate` doing the decoding."""
    prompt = encode_prompt(chat.tokenizer, chat.frame, question, image_tokens=chat.model.image_tokens)
    batch = {"levels": chat._see([tile]), "prompt": torch.tensor([prompt])}
    with torch.autocast("cpu", torch.bfloat16):
        prefix = chat.model.read(batch)
        chat.model.language.model.generate(
            inputs_embeds=prefix, attention_mask=torch.ones(prefix.shape[:2], dtype=torch.long), do_sample=False,
            max_new_tokens=24, eos_token_id=chat.tokenizer.convert_tokens_to_ids(chat.frame.stop), pad_token_id=0,
        )  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
