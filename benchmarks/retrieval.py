"""Recall at 1, 5 and 10 both ways of 5,000 pictures and 25,000 captions, against a plain loop over numpy's argsort.

The loop is what papers' scripts do: for each query sort all candidates and look for the first right one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import medians, ratio, run, take_turns
from rsvlm.metrics.retrieval import KS, retrieval_scores

WIDTH, CAPTIONS = 256, 5


def by_loop(images: NDArray[Any], texts: NDArray[Any]) -> dict[str, float]:
    """Recalls as AMFMN's scripts compute them; no two similarities of random features are equal."""
    near, found = images @ texts.T, {}
    own = np.arange(len(texts)) // CAPTIONS
    first = [min(np.flatnonzero(own[np.argsort(row)[::-1]] == image)) for image, row in enumerate(near)]
    back = [int(np.flatnonzero(np.argsort(row)[::-1] == image)[0]) for image, row in zip(own, near.T, strict=True)]
    for way, ranks in (("i2t", first), ("t2i", back)):
        found |= {f"{way}_recall@{k}": float(np.mean(np.array(ranks) < k)) for k in KS}
    return found


def main(pictures: int = 5000, *, smallest: bool) -> dict[str, Any]:
    count = 50 if smallest else pictures
    rng = np.random.default_rng(0)
    images = rng.normal(size=(count, WIDTH)).astype(np.float32)
    texts = np.repeat(images, CAPTIONS, 0) + 4 * rng.normal(size=(count * CAPTIONS, WIDTH)).astype(np.float32)
    images, texts = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (images, texts))
    own = np.arange(len(texts)) // CAPTIONS
    sides = {
        "ours_s": lambda: {
            name: score.value for name, score in retrieval_scores((images, texts), own).items() if "@" in name
        },
        "argsort_s": lambda: by_loop(images, texts),
    }
    seconds, given = take_turns(sides, 2, smallest=smallest)
    ours, theirs = given["ours_s"], given["argsort_s"]
    return {
        "pictures": count, "captions": len(texts), "target_ratio": 3.0, **medians(seconds),
        "ratio": ratio(seconds, "ours_s", "argsort_s"),
        "equal": max(abs(ours[name] - theirs[name]) for name in theirs) < 1e-9,
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
