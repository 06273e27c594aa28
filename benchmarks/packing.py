"""Real tokens a second, forward and backward, of packed rows against padded ones: the same conversations, equal losses.

A text-heavy mix: replies of 20 to 400 tokens (log-normal, median 90), a quarter of them about a picture of 144 tokens.
The language model has the shapes of SmolLM2-135M, random weights and LoRA, but fewer layers, and fewer words in
proportion; levels of the tower are given, as from the cache of a run.
"""

from statistics import median
from typing import Any

import numpy as np
import torch

from harness import run, timed
from rsvlm.cli import keep_freed_memory
from rsvlm.data.prompt import EncodedConversation
from rsvlm.parts.vlm import VisionLanguageModel
from rsvlm.recipe import Recipe, read_recipe, shipped
from rsvlm.sample import IGNORE, IMAGE_TOKEN, Batch
from rsvlm.systems.build import build
from rsvlm.train.objectives.language import pad_conversations
from rsvlm.train.stages import freeze

SMOLLM2 = {
    "hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9,
    "num_key_value_heads": 3, "max_position_embeddings": 2048,
}  # fmt: skip
WORDS, LAYERS = 49152, 30  # of the whole SmolLM2-135M
QUERIES, HEAD = (64, 48, 32), 3  # visual tokens a level, as LHRS-Bot has them; tokens of the frame before a picture


def recipe(layers: int) -> Recipe:
    tiny = read_recipe(shipped("lhrs_bot", "tiny"))
    bridge = {**tiny.model["bridge"], "num_queries": list(QUERIES)}
    size = {"num_hidden_layers": layers, "vocab_size": WORDS * layers // LAYERS}
    language = {**tiny.model["language"], **SMOLLM2, **size}
    return tiny.model_copy(update={"model": {**tiny.model, "bridge": bridge, "language": language}})


def mix(count: int, rng: np.random.Generator) -> list[EncodedConversation]:
    """Conversations of random words, the first half of each the question."""
    made = []
    for length in rng.lognormal(np.log(90), 0.8, count).clip(20, 400).astype(int):
        words = rng.integers(6, 262, length).tolist()
        labels = [IGNORE] * (length // 2) + words[length // 2 :]
        seen = [IMAGE_TOKEN] * (sum(QUERIES) if rng.random() < 0.25 else 0)
        made.append(EncodedConversation([1] * HEAD + seen, words, labels, [0] * length))
    return made


def collated(model: VisionLanguageModel, talks: list[EncodedConversation], pack: int | None) -> Batch:
    batch = pad_conversations(talks, 0, pack)
    pictures = max(sum(IMAGE_TOKEN in talk.prompt for talk in talks), 1)
    draw = torch.Generator().manual_seed(0)
    shapes = zip(model.vision.tokens, model.vision.dims, strict=True)
    batch["levels"] = [torch.randn(pictures, n, d, generator=draw) for n, d in shapes]
    batch["normaliser"] = torch.tensor(1.0)
    return batch


def step(model: VisionLanguageModel, batch: Batch) -> float:
    """Summed loss of the labelled tokens, whose gradients are computed and thrown away."""
    loss = model(batch)["language"]
    loss.backward()
    model.zero_grad()
    return float(loss.detach())


def main(pack: int = 1024, batch: int = 16, layers: int = 4, steps: int = 7, *, smallest: bool) -> dict[str, Any]:
    if smallest:
        pack, batch, layers, steps = 640, 2, 1, 0
    keep_freed_memory()
    torch.manual_seed(0)
    numbers, rng = recipe(layers), np.random.default_rng(0)
    model = build(numbers).train()
    freeze(model, numbers.stages[2].trainable)
    sides: dict[bool, list[float]] = {True: [], False: []}
    share: dict[bool, list[float]] = {True: [], False: []}
    for number in range(steps + 1):
        talks, losses = mix(batch, rng), {}
        real = sum(len(talk.prompt) + len(talk.reply) for talk in talks)
        for packed in sorted(sides, reverse=bool(number % 2)):
            made = collated(model, talks, pack if packed else None)
            seconds, losses[packed] = timed(lambda made=made: step(model, made))
            rows = int(made["row"].max()) + 1 if packed else batch
            width = pack if packed else made["prompt"].shape[1] + made["reply"].shape[1]
            if number or smallest:  # the first is for warming up
                sides[packed].append(real / seconds)
                share[packed].append(real / (rows * width))
        assert np.isclose(losses[True], losses[False], rtol=1e-5), losses
    packed, padded = (median(sides[side]) for side in (True, False))
    return {
        "target_ratio": 1.5, "pack": pack, "batch": batch, "layers": layers, "packed_tokens_s": round(packed),
        "padded_tokens_s": round(padded), "ratio": round(packed / padded, 2),
        "packed_real": round(median(share[True]), 2), "padded_real": round(median(share[False]), 2),
        "threads": torch.get_num_threads(),
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
