"""Captions of eight pictures in one batch: `ChatModel.answer` beside plain transformers, for the tiny and mini model.

The other side is what a user would write with the same parts: tower, bridge and embeddings, then `generate` of
transformers with `inputs_embeds`, and the texts decoded. Both sides take their turns in one run, first one and then the
other going first, and have to give the same tokens.
"""

from typing import Any

import numpy as np
import torch

from harness import medians, ratio, run, take_turns
from harness.models import chat_model
from rsvlm.data.loader import pad_prompts
from rsvlm.data.prompt import TASK_QUESTIONS, encode_prompt
from rsvlm.errors import MissingPart
from rsvlm.systems.runtime.chat import ChatModel

ROUNDS, BATCH, SIDE, TOKENS = 7, 8, 256, 24


@torch.inference_mode()
def plain(chat: ChatModel, pictures: list[np.ndarray], question: str, tokens: int) -> list[str]:
    """The same replies with `generate` doing the decoding."""
    prompt = encode_prompt(chat.tokenizer, chat.frame, question, image_tokens=chat.model.image_tokens)
    batch = pad_prompts([prompt] * len(pictures))
    stop = [chat.tokenizer.convert_tokens_to_ids(chat.frame.stop), chat.tokenizer.eos_token_id]
    levels, _ = chat.levels(pictures)
    with chat.precision():
        ids = chat.model.language.model.generate(
            inputs_embeds=chat.model.read({**batch, "levels": levels}), do_sample=False, max_new_tokens=tokens,
            attention_mask=batch["prompt_mask"].long(), eos_token_id=stop, pad_token_id=chat.tokenizer.pad_token_id,
        )  # fmt: skip
    return [text.strip() for text in chat.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def measured(chat: ChatModel, batch: int, tokens: int, smallest: bool) -> dict[str, float]:
    """Seconds of both sides: medians over the rounds, and of the ratios of each round."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8) for _ in range(batch)]
    question = TASK_QUESTIONS["caption"][0]
    sides = {
        "ours_s": lambda: [reply.text for reply in chat.answer(pictures, [question] * batch, max_new_tokens=tokens)],
        "transformers_s": lambda: plain(chat, pictures, question, tokens),
    }
    seconds, replies = take_turns(sides, ROUNDS, smallest=smallest)
    assert replies["ours_s"] == replies["transformers_s"], replies
    return {**medians(seconds, 4), "ratio": ratio(seconds, "ours_s", "transformers_s")}


def main(*models: str, smallest: bool) -> dict[str, Any]:
    batch, tokens = (2, 3) if smallest else (BATCH, TOKENS)
    figures: dict[str, Any] = {}
    for name in models or (("tiny",) if smallest else ("tiny", "mini")):
        try:
            figures[name] = measured(chat_model(name, smallest=smallest), batch, tokens, smallest)
        except MissingPart as error:
            figures[name] = str(error)
    return {"batch": batch, "tokens": tokens, "target_ratio": 1.0, **figures, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    run(main)
