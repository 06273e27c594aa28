"""Captions of eight pictures in one batch: `ChatModel.answer` beside plain transformers, for the tiny and mini model.

The other side is what a user would write with the same parts: tower, bridge and embeddings, then `generate` of
transformers with `inputs_embeds`, and the texts decoded. Both sides take their turns in one run, first one and then the
other going first, and have to give the same tokens.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from safetensors.torch import save_file

from rsvlm.data.loader import padded_prompts
from rsvlm.data.prompt import TASK_QUESTIONS, encode_prompt
from rsvlm.errors import MissingPart
from rsvlm.recipe import read_recipe
from rsvlm.systems.build import build
from rsvlm.systems.load import load
from rsvlm.systems.runtime.chat import ChatModel

ROUNDS, BATCH, SIDE, TOKENS = 7, 8, 256, 24
TINY = Path(__file__).parents[1] / "recipes/lhrs_bot/tiny.yaml"


def tiny(folder: Path) -> ChatModel:
    """The tiny model of random weights, opened as any other."""
    torch.manual_seed(0)
    state = build(read_recipe(TINY)).state_dict()
    save_file({name: tensor.clone() for name, tensor in state.items()}, folder / "model.safetensors")
    (folder / "recipe.yaml").write_text(TINY.read_text(encoding="utf-8"), encoding="utf-8")
    return ChatModel(folder, "tiny")


@torch.inference_mode()
def plain(chat: ChatModel, pictures: list[np.ndarray], question: str) -> list[str]:
    """The same replies with `generate` doing the decoding."""
    prompt = encode_prompt(chat.tokenizer, chat.frame, question, image_tokens=chat.model.image_tokens)
    batch = padded_prompts([prompt] * len(pictures))
    stop = [chat.tokenizer.convert_tokens_to_ids(chat.frame.stop), chat.tokenizer.eos_token_id]
    levels, _ = chat._see(pictures)
    with chat._precision():
        ids = chat.model.language.model.generate(
            inputs_embeds=chat.model.read({**batch, "levels": levels}), do_sample=False, max_new_tokens=TOKENS,
            attention_mask=batch["prompt_mask"].long(), eos_token_id=stop, pad_token_id=chat.tokenizer.pad_token_id,
        )  # fmt: skip
    return [text.strip() for text in chat.tokenizer.batch_decode(ids, skip_special_tokens=True)]


def measured(chat: ChatModel) -> dict[str, float | str]:
    """Seconds of both sides: medians over the rounds, and of the ratios of each round."""
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (SIDE, SIDE, 3), np.uint8) for _ in range(BATCH)]
    question = TASK_QUESTIONS["caption"][0]
    sides = {
        "ours_s": lambda: [reply.text for reply in chat.answer(pictures, [question] * BATCH, max_new_tokens=TOKENS)],
        "transformers_s": lambda: plain(chat, pictures, question),
    }
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(ROUNDS + 1):
        said = {}
        for side in sorted(sides, reverse=bool(number % 2)):
            start = time.perf_counter()
            said[side] = sides[side]()
            seconds[side].append(time.perf_counter() - start)
        assert said["ours_s"] == said["transformers_s"], said
    ours, theirs = (seconds[side][1:] for side in sides)
    ratio = median(b / a for a, b in zip(ours, theirs, strict=True))
    return {"ours_s": round(median(ours), 4), "transformers_s": round(median(theirs), 4), "ratio": round(ratio, 3)}


def main(*names: str) -> None:
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names or ("tiny", "mini"):
            try:
                chat = tiny(Path(folder)) if name == "tiny" else load(name)
            except MissingPart as error:
                figures[name] = str(error)
                continue
            figures[name] = measured(chat)
    print(json.dumps({"benchmark": "batch_caption", "batch": BATCH, "tokens": TOKENS, "target_ratio": 1.0, **figures,
                      "threads": torch.get_num_threads()}))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
