"""BLEU, ROUGE-L and CIDEr-D of 10,000 captions x 5 references: ours against pycocoevalcap on the same captions.

Real captions where RSICD and UCM-Captions are below RSVLM_DATA (where they are fewer than 10,000 images, the rest are
the same ones in another word order), else made ones. `tokens`: both score the same tokens. `raw`: both tokenise too,
pycocoevalcap with its Java program where `java` is installed. All values must be equal to 1e-9.
"""

import contextlib
import io
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge
from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

from rsvlm.data.catalogue import load
from rsvlm.errors import BadInput
from rsvlm.metrics.text import tokenizer
from rsvlm.metrics.text.captions import caption_scores
from rsvlm.metrics.text.tokenizer import ptb, whitespace

IMAGES, REFERENCES, ROUNDS = 10_000, 5, 3
NAMES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "cider_d")
DATA = Path(os.environ.get("RSVLM_DATA", Path(__file__).parents[2] / "shared" / "data"))

Captions = list[str]


def captions() -> tuple[Captions, list[Captions], int]:
    """Predictions, references, and how many of the images are real ones."""
    rng = random.Random(0)
    told: list[Captions] = []
    for name in ("rsicd", "ucm_captions"):
        with contextlib.suppress(BadInput):
            told += [list(s.turns[0].references) for s in load(name, DATA, "all") if len(s.turns[0].references) == 5]
    real = min(len(told), IMAGES)
    words = [f"word{i}" for i in range(2000)]
    for i in range(real, IMAGES):
        again = [caption.split() for caption in told[i - real]] if real else [words[:20]] * REFERENCES
        told.append([" ".join(rng.sample(w, len(w)) if real else rng.choices(words, k=11)) for w in again])
    told = told[:IMAGES]
    return [told[(i + 1) % IMAGES][0] for i in range(IMAGES)], told, real


def theirs(said: Captions, told: list[Captions], tokenise: bool) -> list[float]:
    """The six values of pycocoevalcap."""
    references, candidates = dict(enumerate(told)), {i: [caption] for i, caption in enumerate(said)}
    if tokenise:
        references, candidates = (
            PTBTokenizer().tokenize({i: [{"caption": c} for c in many] for i, many in side.items()})
            for side in (references, candidates)
        )
    with contextlib.redirect_stdout(io.StringIO()):
        bleu, rouge, cider = (metric.compute_score(references, candidates)[0] for metric in (Bleu(4), Rouge(), Cider()))
    return [*bleu, rouge, cider]


def timed(work: Callable[..., list[float]], *arguments: object) -> tuple[float, list[float]]:
    start = time.perf_counter()
    values = work(*arguments)
    return time.perf_counter() - start, values


def main() -> None:
    raw_said, raw_told, real = captions()
    said, told = [ptb(c) for c in raw_said], [[ptb(c) for c in many] for many in raw_told]

    def ours(said: Captions, told: list[Captions], tokenise: bool) -> list[float]:
        tokenizer._scan_chunk.cache_clear()  # each round begins cold
        scores = caption_scores(said, told, tokenizer=ptb if tokenise else whitespace)
        return [scores[name].value for name in NAMES]

    kinds = {"tokens": (said, told, False)} | ({"raw": (raw_said, raw_told, True)} if shutil.which("java") else {})
    seconds: dict[str, dict[str, float]] = {}
    for kind, arguments in kinds.items():
        rounds = [(timed(ours, *arguments), timed(theirs, *arguments)) for _ in range(ROUNDS)]
        for (_, mine), (_, other) in rounds:
            assert max(abs(a - b) for a, b in zip(mine, other, strict=True)) < 1e-9, (mine, other)
        seconds[kind] = {"ours": median(o[0] for o, _ in rounds), "pycocoevalcap": median(t[0] for _, t in rounds)}
    print(json.dumps({
        "benchmark": "caption_metrics", "images": IMAGES, "references": REFERENCES, "real_images": real,
        "distinct_captions": len({c for many in told for c in many}),
        "seconds": {kind: {side: round(s, 3) for side, s in both.items()} for kind, both in seconds.items()},
        "ratio": {kind: round(both["pycocoevalcap"] / both["ours"], 2) for kind, both in seconds.items()},
        "target_ratio": 3.0, "equal_to": 1e-9,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
