"""Eight questions about one picture: prefill with its tokens read once, against once a question; and the whole answers.

Prefill is all that happens before the first token of the replies; the vision tower is outside of both sides.
"""

import json
import sys
import time
from statistics import median

import numpy as np
import torch

from rsvlm.systems.load import load

ROUNDS, SIDE = 7, 512
QUESTIONS = [
    "Describe this image.", "Is there water?", "Are there trees?", "What land cover is this?", "Is there a road?",
    "How many boats are there?", "What is the scene category of this image?", "Are there buildings?",
]  # fmt: skip


def main(name: str = "mini") -> None:
    chat = load(name)
    tile = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    levels, picture = chat._see([tile] * len(QUESTIONS))
    chat._see = lambda images: (levels, picture)
    figures = {}
    for what, tokens in (("prefill", 1), ("answers", 24)):
        sides: dict[bool, list[float]] = {True: [], False: []}
        said = {}
        for _ in range(ROUNDS + 1):
            for shared in sides:
                type(chat.model).reads_question = not shared  # what makes every prompt stand for itself
                start = time.perf_counter()
                said[shared] = chat.answer([tile] * len(QUESTIONS), QUESTIONS, max_new_tokens=tokens)
                sides[shared].append(time.perf_counter() - start)
        shared, apart = (median(sides[side][1:]) for side in (True, False))
        same = sum(one.text == other.text for one, other in zip(said[True], said[False], strict=True))
        figures[what] = {
            "shared_s": round(shared, 3), "apart_s": round(apart, 3), "ratio": round(apart / shared, 2), "same": same,
        }  # fmt: skip
    print(json.dumps({"benchmark": "shared_prefix", "questions": len(QUESTIONS), "target_ratio": 2.0, **figures,
                      "threads": torch.get_num_threads()}))  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
