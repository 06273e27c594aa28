"""Warm caption of one 512 px tile: seconds with PyTorch, against plain transformers on the same prefix.

The other side is what a user would write: the same tower, bridge and language model, and `generate` of transformers.
"""

from typing import Any

import numpy as np
import torch

from harness import medians, ratio, run, take_turns
from harness.models import chat_model
from rsvlm.data.prompt import TASK_QUESTIONS, encode_prompt
from rsvlm.systems.runtime.chat import ChatModel

ROUNDS, SIDE, TOKENS = 7, 512, 24


def main(model: str = "mini", *, smallest: bool) -> dict[str, Any]:
    chat, tokens = chat_model(model, smallest=smallest), 3 if smallest else TOKENS
    tile = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    question = TASK_QUESTIONS["caption"][0]
    sides = {
        "ours_s": lambda: chat.answer([tile], [question], max_new_tokens=tokens)[0].text,
        "transformers_generate_s": lambda: plain(chat, tile, question, tokens),
    }
    seconds, replies = take_turns(sides, ROUNDS, smallest=smallest)
    figures = {**medians(seconds), "ratio": ratio(seconds, "ours_s", "transformers_generate_s")}
    return {"target_s": 0.8, "threads": torch.get_num_threads(), **figures, "answer": replies["ours_s"]}


@torch.inference_mode()
def plain(chat: ChatModel, tile: np.ndarray, question: str, tokens: int) -> str:
    """The same answer with `generate` doing the decoding."""
    prompt = encode_prompt(chat.tokenizer, chat.frame, question, image_tokens=chat.model.image_tokens)
    levels, _ = chat.levels([tile])
    with chat.precision():
        prefix = chat.model.read({"levels": levels, "prompt": torch.tensor([prompt])})
        ids = chat.model.language.model.generate(
            inputs_embeds=prefix, attention_mask=torch.ones(prefix.shape[:2], dtype=torch.long), do_sample=False,
            max_new_tokens=tokens, eos_token_id=chat.tokenizer.convert_tokens_to_ids(chat.frame.stop), pad_token_id=0,
        )  # fmt: skip
    return chat.tokenizer.decode(ids[0], skip_special_tokens=True).strip()


if __name__ == "__main__":
    run(main)
