"""Eight questions about one picture: prefill with its tokens read once, against once a question; and the whole answers.

Prefill is all that happens before the first token of the replies; the vision tower is outside of both sides.
"""

from functools import partial
from typing import Any

import numpy as np
import torch

from harness import medians, ratio, run, take_turns
from harness.models import chat_model
from rsvlm.sample import Reply

ROUNDS, SIDE, TOKENS = 7, 512, 24
QUESTIONS = [
    "Describe this image.", "Is there water?", "Are there trees?", "What land cover is this?", "Is there a road?",
    "How many boats are there?", "What is the scene category of this image?", "Are there buildings?",
]  # fmt: skip


def main(model: str = "mini", *, smallest: bool) -> dict[str, Any]:
    chat, questions = chat_model(model, smallest=smallest), QUESTIONS[: 2 if smallest else None]
    tile = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    levels, picture = chat.levels([tile] * len(questions))
    chat.levels = lambda images: (levels, picture)

    def answer(tokens: int, *, shared: bool) -> list[Reply]:
        chat.model.reads_question = not shared  # what makes every prompt stand for itself
        return chat.answer([tile] * len(questions), questions, max_new_tokens=tokens)

    figures: dict[str, Any] = {}
    for what, tokens in (("prefill", 1), ("answers", 3 if smallest else TOKENS)):
        sides = {"shared_s": partial(answer, tokens, shared=True), "apart_s": partial(answer, tokens, shared=False)}
        seconds, said = take_turns(sides, ROUNDS, smallest=smallest)
        same = sum(one.text == other.text for one, other in zip(*said.values(), strict=True))
        figures[what] = {**medians(seconds), "ratio": ratio(seconds, "shared_s", "apart_s", 2), "same": same}
    return {"questions": len(questions), "target_ratio": 2.0, **figures, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    run(main)
